/*
 * A patch is written as git writes it: the headers by us, because libgit2 has no way to be told
 * them, and the hunks and binary parts by libgit2, from two contents that it knows as "x".
 */
#include "patch/diff.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "patch/path.h"
#include "patch/rename.h"

#include <git2.h>
#include <stdlib.h>
#include <string.h>

/* Beyond it the hunks would need more memory than there is. */
#define LINES_MAX 1000000
#define ID_ABBREVIATED 7

static bool is_same(const struct side_file *a, const struct side_file *b)
{
	return a->type == b->type && a->size == b->size && side_git_mode(a) == side_git_mode(b) &&
	       memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

static void add_change(struct diff *diff, const struct side_file *old_file,
		       const struct side_file *new_file)
{
	const struct side_file *both[2] = {old_file, new_file};

	for (int i = 0; i < 2; i++)
		if (both[i] && both[i]->type == SIDE_OTHER)
			both[i] = NULL;
	if ((!both[0] && !both[1]) || (both[0] && both[1] && is_same(both[0], both[1])))
		return;
	diff->v[diff->n++] = (struct diff_change){both[0], both[1], 0};
}

const char *diff_path(const struct diff_change *change)
{
	return change->new_file ? change->new_file->path : change->old_file->path;
}

static int compare_changes(const void *a, const void *b)
{
	return strcmp(diff_path(a), diff_path(b));
}

void diff_compare(const struct side *old_side, const struct side *new_side, struct diff *ret)
{
	size_t i = 0, j = 0;

	*ret = (struct diff){mem_zalloc(old_side->n + new_side->n + 1, sizeof(*ret->v)), 0};
	while (i < old_side->n || j < new_side->n) {
		const struct side_file *a = i < old_side->n ? &old_side->files[i] : NULL;
		const struct side_file *b = j < new_side->n ? &new_side->files[j] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->path, b->path);

		add_change(ret, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
		i += order <= 0;
		j += order >= 0;
	}
	rename_detect(ret);
	qsort(ret->v, ret->n, sizeof(*ret->v), compare_changes);
}

void diff_done(struct diff *diff)
{
	free(diff->v);
	*diff = (struct diff){0};
}

static bool is_rename(const struct diff_change *change)
{
	return change->similarity != 0;
}

const char *diff_status(const struct diff_change *change)
{
	if (!change->old_file)
		return "added";
	if (!change->new_file)
		return "deleted";
	if (is_rename(change))
		return "renamed";
	return change->old_file->type == change->new_file->type ? "modified" : "type_changed";
}

static bool is_text(const struct side_file *file)
{
	size_t lines = 0;

	if (!file)
		return true;
	if (!file->data || memchr(file->data, '\0', file->size) ||
	    !utf8_is_valid(file->data, file->size))
		return false;
	for (const char *p = file->data; (p = strchr(p, '\n')); p++)
		lines++;
	return lines <= LINES_MAX;
}

bool diff_is_text(const struct diff_change *change)
{
	return is_text(change->old_file) && is_text(change->new_file);
}

/*
 * Printing.
 */

/* One section of a patch: either file may be NULL, and both have one type. */
struct section {
	const struct side_file *old_file;
	const struct side_file *new_file;
	int similarity; /* 0: no rename */
};

static void print_id(const struct side_file *file, int digits, struct buf *out)
{
	char text[GIT_OID_HEXSZ + 1];
	git_oid id = {0};

	if (file)
		(void)git_odb_hash(&id, file->data, file->size, GIT_OBJECT_BLOB);
	(void)git_oid_tostr(text, sizeof(text), &id);
	buf_printf(out, "%.*s", digits, text);
}

static void print_index(const struct section *s, int digits, struct buf *out)
{
	unsigned old_mode = s->old_file ? side_git_mode(s->old_file) : 0;
	unsigned new_mode = s->new_file ? side_git_mode(s->new_file) : 0;

	buf_puts(out, "index ");
	print_id(s->old_file, digits, out);
	buf_puts(out, "..");
	print_id(s->new_file, digits, out);
	if (old_mode == new_mode)
		buf_printf(out, " %06o", new_mode);
	buf_puts(out, "\n");
}

/* Git ends a name with spaces with a tab, so that it is not cut at them. */
static void print_name(const char *mark, const char *prefix, const struct side_file *file,
		       struct buf *out)
{
	buf_puts(out, mark);
	if (file)
		path_quote(out, prefix, file->path);
	else
		buf_puts(out, "/dev/null");
	buf_puts(out, file && strchr(file->path, ' ') ? "\t\n" : "\n");
}

static void print_header(const struct section *s, struct buf *out)
{
	const struct side_file *a = s->old_file, *b = s->new_file;
	unsigned old_mode = a ? side_git_mode(a) : 0, new_mode = b ? side_git_mode(b) : 0;

	buf_puts(out, "diff --git ");
	path_quote(out, "a/", a ? a->path : b->path);
	buf_puts(out, " ");
	path_quote(out, "b/", b ? b->path : a->path);
	if (!a)
		buf_printf(out, "\nnew file mode %06o\n", new_mode);
	else if (!b)
		buf_printf(out, "\ndeleted file mode %06o\n", old_mode);
	else if (old_mode != new_mode)
		buf_printf(out, "\nold mode %06o\nnew mode %06o\n", old_mode, new_mode);
	else
		buf_puts(out, "\n");
	if (!s->similarity || !a || !b)
		return;
	buf_printf(out, "similarity index %d%%\nrename from ", s->similarity);
	path_quote(out, "", a->path);
	buf_puts(out, "\nrename to ");
	path_quote(out, "", b->path);
	buf_puts(out, "\n");
}

/* The hunks, or the binary parts, as libgit2 prints them behind a header of its own. */
static void print_body(const struct section *s, const char *begin, uint32_t flags, struct buf *out)
{
	git_diff_options options = GIT_DIFF_OPTIONS_INIT;
	const struct side_file *a = s->old_file, *b = s->new_file;
	git_buf text = {0};
	git_patch *patch = NULL;
	const char *body;

	options.flags = flags;
	if (git_patch_from_buffers(&patch, a ? a->data : "", a ? a->size : 0, "x", b ? b->data : "",
				   b ? b->size : 0, "x", &options) == 0 &&
	    git_patch_to_buf(&text, patch) == 0) {
		body = strstr(text.ptr, begin);
		if (body)
			buf_append(out, body + 1, text.size - (size_t)(body + 1 - text.ptr));
	} else {
		out->is_full = true; /* libgit2 only fails for want of memory */
	}
	git_buf_dispose(&text);
	git_patch_free(patch);
}

static bool has_same_content(const struct section *s)
{
	static const struct side_file empty = {.data = (char *)(uintptr_t) ""};
	const struct side_file *a = s->old_file ? s->old_file : &empty;
	const struct side_file *b = s->new_file ? s->new_file : &empty;

	return a->size == b->size &&
	       (a->size == 0 || memcmp(a->digest, b->digest, sizeof(a->digest)) == 0);
}

static bool has_content(const struct side_file *file)
{
	return !file || file->data;
}

/* The path of a file whose content is missing, or NULL. */
static const char *print_section(const struct section *s, struct buf *out)
{
	bool as_text = is_text(s->old_file) && is_text(s->new_file);
	bool is_same_content = has_same_content(s);

	if (!is_same_content && !has_content(s->old_file))
		return s->old_file->path;
	if (!is_same_content && !has_content(s->new_file))
		return s->new_file->path;
	print_header(s, out);
	if (is_same_content && s->old_file && s->new_file)
		return NULL;
	print_index(s, as_text ? ID_ABBREVIATED : GIT_OID_HEXSZ, out);
	if (is_same_content)
		return NULL;
	if (as_text) {
		print_name("--- ", "a/", s->old_file, out);
		print_name("+++ ", "b/", s->new_file, out);
		print_body(s, "\n@@ -", GIT_DIFF_FORCE_TEXT, out);
	} else {
		print_body(s, "\nGIT binary patch\n", GIT_DIFF_FORCE_BINARY | GIT_DIFF_SHOW_BINARY,
			   out);
	}
	return NULL;
}

/* A directory is in no patch. */
static const struct side_file *printed(const struct side_file *file)
{
	return file && file->type != SIDE_DIR ? file : NULL;
}

static const char *print_change(const struct diff_change *change, struct buf *out)
{
	struct section s = {printed(change->old_file), printed(change->new_file),
			    change->similarity};
	const char *missing = NULL;

	if (s.old_file && s.new_file && s.old_file->type != s.new_file->type) {
		missing = print_section(&(struct section){.old_file = s.old_file}, out);
		s.old_file = NULL;
	}
	if (!missing && (s.old_file || s.new_file))
		missing = print_section(&s, out);
	return missing;
}

const char *diff_print(const struct diff *diff, struct buf *out)
{
	const char *missing = NULL;

	for (size_t i = 0; i < diff->n && !missing && !out->is_full; i++)
		missing = print_change(&diff->v[i], out);
	return missing;
}
