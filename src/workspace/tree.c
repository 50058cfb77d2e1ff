#include "workspace/tree.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "pyro tree 1\n"
#define N_NUMBERS 5 /* mode, size, mtime, ctime, inode */

struct tree {
	struct buf text; /* as it came; entries point into it */
	struct tree_entry *v;
	size_t count;
};

struct tree *tree_new(void)
{
	struct tree *t = mem_zalloc(1, sizeof(*t));

	t->text.max = TREE_BYTES_MAX;
	return t;
}

struct tree *tree_free(struct tree *t)
{
	if (t) {
		buf_done(&t->text);
		free(t->v);
		free(t);
	}
	return NULL;
}

int tree_add(struct tree *t, const void *data, size_t len, struct pyro_error *err)
{
	buf_append(&t->text, data, len);
	return t->text.is_full ? err_set(err, PYRO_E_LIMIT,
					 "/workspace holds more names than can be listed")
			       : 0;
}

/*
 * Parsing: "TYPE MODE SIZE MTIME CTIME INO PATH\0TARGET\0", MODE in octal.
 */

/* Relative, with nothing in it that has a meaning of its own. */
static bool is_path(const char *path)
{
	if (strlen(path) > TREE_PATH_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(path, "/");

		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && memcmp(path, "..", 2) == 0))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

/* Mode bits are octal digits, which here are few. */
static bool parse_mode(const char *text, int *ret)
{
	int mode = 0;
	size_t len = strlen(text);

	if (!len || len > 5 || strspn(text, "01234567") != len)
		return false;
	for (; *text; text++)
		mode = mode * 8 + (*text - '0');
	*ret = mode & 07777;
	return true;
}

/* The fields before the path, which are cut in place; NULL if they are not good. */
static char *parse_numbers(char *text, struct tree_entry *e)
{
	int64_t *const numbers[N_NUMBERS] = {NULL, &e->size, &e->mtime_ns, &e->ctime_ns, &e->ino};

	if (!strchr("fdlo", text[0]) || !text[0] || text[1] != ' ')
		return NULL;
	e->type = text[0];
	text += 2;
	for (size_t i = 0; i < N_NUMBERS; i++) {
		char *end = strchr(text, ' ');
		bool is_good;

		if (!end)
			return NULL;
		*end = '\0';
		is_good = i == 0 ? parse_mode(text, &e->mode)
				 : parse_int(text, INT64_MIN, INT64_MAX, numbers[i]);
		*end = ' '; /* the text is saved as it came */
		if (!is_good)
			return NULL;
		text = end + 1;
	}
	return e->size < 0 ? NULL : text;
}

static int malformed(struct pyro_error *err)
{
	return err_set(err, PYRO_E_PROTOCOL, "the guest's list of files is not well-formed");
}

static int parse_all(struct tree *t, size_t capacity, struct pyro_error *err)
{
	for (size_t at = 0; at < t->text.len; t->count++) {
		struct tree_entry *e = &t->v[t->count];
		const char *path = parse_numbers(t->text.data + at, e);

		if (!path || t->count == capacity || !is_path(path))
			return malformed(err);
		e->path = path;
		e->target = path + strlen(path) + 1;
		at = (size_t)(e->target - t->text.data) + strlen(e->target) + 1;
	}
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->path, ((const struct tree_entry *)b)->path);
}

/*
 * Marks the directory that holds an entry, if it is in the tree: the start of a scan is not. False
 * if it is no directory.
 */
static bool mark_parent(struct tree *t, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0, low = 0, high = t->count;

	while (slash && low < high) {
		size_t middle = low + (high - low) / 2;
		struct tree_entry *e = &t->v[middle];
		int order = strncmp(path, e->path, len);

		if (order == 0 && e->path[len])
			order = -1;
		if (order == 0) {
			e->has_children = true;
			return e->type == 'd';
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return true;
}

int tree_finish(struct tree *t, struct pyro_error *err)
{
	size_t nuls = 0;

	for (size_t i = 0; i < t->text.len; i++)
		nuls += t->text.data[i] == '\0';
	if (nuls % 2 || (t->text.len && t->text.data[t->text.len - 1] != '\0'))
		return malformed(err);
	if (nuls / 2 > TREE_ENTRIES_MAX)
		return err_set(err, PYRO_E_LIMIT, "/workspace holds more than %d files",
			       TREE_ENTRIES_MAX);
	t->v = mem_zalloc(nuls / 2 + 1, sizeof(*t->v));
	if (parse_all(t, nuls / 2, err) < 0)
		return -1;
	qsort(t->v, t->count, sizeof(*t->v), compare_entries);
	for (size_t i = 1; i < t->count; i++)
		if (strcmp(t->v[i - 1].path, t->v[i].path) == 0)
			return malformed(err);
	for (size_t i = 0; i < t->count; i++)
		if (!mark_parent(t, t->v[i].path))
			return malformed(err);
	return 0;
}

size_t tree_count(const struct tree *t)
{
	return t->count;
}

const struct tree_entry *tree_at(const struct tree *t, size_t i)
{
	return &t->v[i];
}

/*
 * On disk: the text as it came, behind a line with the version.
 */

int tree_save(const struct tree *t, const char *path, struct pyro_error *err)
{
	AUTO_BUF struct buf out = BUF_INIT(TREE_BYTES_MAX + 64);

	buf_puts(&out, MAGIC);
	buf_append(&out, buf_text(&t->text), t->text.len);
	return file_write_atomic(path, out.data, out.len, 0600, err);
}

struct tree *tree_load(const char *path, struct pyro_error *err)
{
	struct tree *t = tree_new();
	size_t head = strlen(MAGIC);

	t->text.max += head;
	if (file_read(path, &t->text, err) < 0)
		return tree_free(t);
	if (t->text.len < head || memcmp(t->text.data, MAGIC, head) != 0) {
		(void)err_set(err, PYRO_E_STATE_VERSION, "'%s' is of another version", path);
		return tree_free(t);
	}
	buf_consume(&t->text, head);
	return tree_finish(t, err) == 0 ? t : tree_free(t);
}

/*
 * Comparing.
 */

static bool is_in_git(const char *path)
{
	for (;;) {
		size_t len = strcspn(path, "/");

		if (len == 4 && memcmp(path, ".git", 4) == 0)
			return true;
		if (!path[len])
			return false;
		path += len + 1;
	}
}

/* Whether it has content of its own: a file, a link, or a directory that is all there is. */
static bool has_content(const struct tree_entry *e)
{
	return e->type == 'f' || e->type == 'l' || (e->type == 'd' && !e->has_children);
}

/* Any difference means that it must be looked at; the change time cannot be set at will. */
static bool is_same(const struct tree_entry *a, const struct tree_entry *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == 'd' || a->type == 'o')
		return true;
	if (a->type == 'l')
		return strcmp(a->target, b->target) == 0;
	return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
	       a->ino == b->ino && (a->mode & 0100) == (b->mode & 0100);
}

static void add_change(struct tree_changes *c, const char *path, unsigned sides, bool is_special)
{
	if ((!sides && !is_special) || is_in_git(path))
		return;
	c->v[c->count++] = (struct tree_change){path, sides, is_special};
}

static void compare_one(const struct tree_entry *before, const struct tree_entry *now,
			struct tree_changes *ret)
{
	/* A directory on both sides is the same whether or not it became empty. */
	if (!is_same(before, now))
		add_change(ret, now->path,
			   (has_content(before) ? TREE_OLD : 0) | (has_content(now) ? TREE_NEW : 0),
			   now->type == 'o');
}

void tree_compare(const struct tree *before, const struct tree *now, struct tree_changes *ret)
{
	size_t i = 0, j = 0;

	*ret = (struct tree_changes){
		.v = mem_zalloc(before->count + now->count + 1, sizeof(*ret->v))};
	while (i < before->count || j < now->count) {
		int order = i == before->count ? 1
			    : j == now->count  ? -1
					       : strcmp(before->v[i].path, now->v[j].path);

		if (order < 0)
			add_change(ret, before->v[i].path,
				   has_content(&before->v[i]) ? TREE_OLD : 0, false);
		else if (order > 0)
			add_change(ret, now->v[j].path, has_content(&now->v[j]) ? TREE_NEW : 0,
				   now->v[j].type == 'o');
		else
			compare_one(&before->v[i], &now->v[j], ret);
		i += order <= 0;
		j += order >= 0;
	}
}

void tree_changes_keep(struct tree_changes *c, const char *path)
{
	size_t len = strlen(path), kept = 0;

	for (size_t i = 0; i < c->count; i++) {
		const char *at = c->v[i].path;

		if (!len || (strncmp(at, path, len) == 0 && (at[len] == '/' || !at[len])))
			c->v[kept++] = c->v[i];
	}
	c->count = kept;
}

static bool matches(const char *path, const char *glob)
{
	AUTO_FREE char *parts = mem_strdup(path);
	char *rest = parts;
	bool is_match = fnmatch(glob, path, 0) == 0;

	while (!is_match && rest)
		is_match = fnmatch(glob, strsep(&rest, "/"), 0) == 0;
	return is_match;
}

void tree_changes_drop(struct tree_changes *c, const char *const *globs)
{
	size_t kept = 0;

	if (!globs)
		return;
	for (size_t i = 0; i < c->count; i++) {
		const char *const *glob = globs;

		while (*glob && !matches(c->v[i].path, *glob))
			glob++;
		if (!*glob)
			c->v[kept++] = c->v[i];
	}
	c->count = kept;
}

void tree_changes_done(struct tree_changes *c)
{
	free(c->v);
	*c = (struct tree_changes){0};
}
