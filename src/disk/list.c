#include "disk/list.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "disk/ext4.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRIES_MAX (1000 * 1000)
#define PATHS_MAX (128 * 1024 * 1024)
#define LINE_PART (64 * 1024)

struct entry {
	char *path;
	char *target; /* of a symbolic link */
	struct ext4_node node;
};

/* The entries are at the same time the queue of directories that are still to be looked into. */
struct listing {
	struct ext4 *fs;
	struct entry *v;
	size_t n;
	size_t room;
	size_t paths_bytes;
	size_t too_long;
	unsigned char *seen; /* a bit for each inode that was looked into */
};

static void listing_done(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].path);
		free(l->v[i].target);
	}
	free(l->v);
	free(l->seen);
}

/* Takes path. */
static int add(struct listing *l, char *path, const struct ext4_node *node, struct pyro_error *err)
{
	struct entry *e;

	if (l->n == l->room) {
		l->room = l->room ? l->room * 2 : 256;
		l->v = mem_resize(l->v, l->room, sizeof(*l->v));
	}
	e = &l->v[l->n++];
	*e = (struct entry){.path = path, .node = *node};
	l->paths_bytes += strlen(path);
	if (S_ISLNK(node->mode)) {
		e->target = ext4_target(l->fs, node, path, err);
		if (!e->target)
			return -1;
		l->paths_bytes += strlen(e->target);
	}
	if (l->n > ENTRIES_MAX || l->paths_bytes > PATHS_MAX)
		return err_set(err, PYRO_E_LIMIT, "there are too many files to list");
	return 0;
}

static int add_names(struct listing *l, const struct ext4_names *names, const char *dir,
		     struct pyro_error *err)
{
	for (size_t i = 0; i < names->n; i++) {
		struct ext4_node node;
		char *path = mem_printf("%s/%s", dir[1] ? dir : "", ext4_names_text(names, i));

		if (strlen(path) > EXT4_PATH_MAX) {
			free(path);
			l->too_long++;
			continue;
		}
		if (ext4_stat(l->fs, names->v[i].ino, path, &node, err) < 0) {
			free(path);
			return -1;
		}
		if (add(l, path, &node, err) < 0)
			return -1;
	}
	return 0;
}

static int add_dir(struct listing *l, uint32_t ino, const char *path, struct pyro_error *err)
{
	unsigned char *seen = &l->seen[ino / 8], bit = (unsigned char)(1 << ino % 8);
	struct ext4_names names;
	int result;

	if (*seen & bit)
		return 0;
	*seen |= bit;
	if (ext4_names_load(l->fs, ino, path, &names, err) < 0)
		return -1;
	result = add_names(l, &names, path, err);
	ext4_names_done(&names);
	return result;
}

static int collect(struct listing *l, const char *path, const struct ext4_node *node,
		   bool is_recursive, struct pyro_error *err)
{
	if (!S_ISDIR(node->mode))
		return add(l, mem_strdup(path), node, err);
	l->seen = mem_zalloc(ext4_inodes(l->fs) / 8 + 1, 1);
	if (add_dir(l, node->ino, path, err) < 0)
		return -1;
	for (size_t i = 0; is_recursive && i < l->n; i++)
		if (S_ISDIR(l->v[i].node.mode) &&
		    add_dir(l, l->v[i].node.ino, l->v[i].path, err) < 0)
			return -1;
	return 0;
}

/*
 * The line is written piece by piece: as one JSON value in memory it would be large.
 */

static const char *type_name(mode_t mode)
{
	return S_ISREG(mode)   ? "file"
	       : S_ISDIR(mode) ? "directory"
	       : S_ISLNK(mode) ? "symlink"
			       : "other";
}

static json_t *text_to_json(const char *text)
{
	AUTO_FREE char *valid = utf8_repair(text, strlen(text), NULL);

	return json_string(valid);
}

/* Takes object. */
static void put_json(struct buf *line, json_t *object)
{
	AUTO_FREE char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	if (!text)
		mem_exhausted();
	buf_puts(line, text);
}

static void put_entry(struct buf *line, const struct entry *e)
{
	json_t *object = json_pack("{s:o, s:s, s:I}", "path", text_to_json(e->path),
				   "artifact_type", type_name(e->node.mode), "size_bytes",
				   (json_int_t)(e->node.size & INT64_MAX));

	if (e->target)
		json_object_set_new(object, "link_target", text_to_json(e->target));
	put_json(line, object);
}

static int write_entries(const struct listing *l, struct buf *line, int fd, struct pyro_error *err)
{
	buf_puts(line, ",\"entries\":[");
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			buf_puts(line, ",");
		put_entry(line, &l->v[i]);
		if (line->len < LINE_PART)
			continue;
		if (file_write_all(fd, line->data, line->len, err) < 0)
			return -1;
		buf_reset(line);
	}
	buf_puts(line, "]}}\n");
	return file_write_all(fd, line->data, line->len, err);
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static int write_line(struct listing *l, const char *path, mode_t mode, int fd,
		      struct pyro_error *err)
{
	AUTO_BUF struct buf line = BUF_INIT(4 * LINE_PART);

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), compare_entries);
	buf_puts(&line, "{\"result\":");
	put_json(&line, json_pack("{s:o, s:s, s:I}", "path", text_to_json(path), "artifact_type",
				  type_name(mode), "too_long", (json_int_t)l->too_long));
	line.len--; /* the object goes on */
	return write_entries(l, &line, fd, err);
}

int list(struct ext4 *fs, const char *path, bool is_recursive, int fd, struct pyro_error *err)
{
	struct listing l = {.fs = fs};
	struct ext4_node node;
	int result = ext4_find(fs, path, &node, err);

	if (result == 0)
		result = collect(&l, path, &node, is_recursive, err);
	if (result == 0)
		result = write_line(&l, path, node.mode, fd, err);
	listing_done(&l);
	return result;
}
