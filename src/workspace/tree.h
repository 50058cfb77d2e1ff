/*
 * tree: the metadata of everything under /workspace, as the agent's call `scan` streams it, sorted
 * by path. The baseline of a workspace is one that was saved; a diff begins by comparing two.
 *
 * A guest may send anything: what is no well-formed tree, or too large, is refused.
 */
#ifndef WORKSPACE_TREE_H
#define WORKSPACE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyro_error;
struct tree;

#define TREE_ENTRIES_MAX 1000000
#define TREE_BYTES_MAX (512 * 1024 * 1024)
#define TREE_PATH_MAX 4096

/* Borrowed from its tree. */
struct tree_entry {
	const char *path;   /* relative, any bytes */
	const char *target; /* of a symlink, else "" */
	int64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	int64_t ino;
	int mode;  /* permission bits */
	char type; /* f file, d directory, l symlink, o something else */
	bool has_children;
};

struct tree *tree_new(void);
/* NULL is fine; returns NULL. */
struct tree *tree_free(struct tree *t);

/* Takes bytes as they come. */
int tree_add(struct tree *t, const void *data, size_t len, struct pyro_error *err);
/* All has come: parses and sorts. Before it there are no entries. */
int tree_finish(struct tree *t, struct pyro_error *err);

size_t tree_count(const struct tree *t);
const struct tree_entry *tree_at(const struct tree *t, size_t i);

int tree_save(const struct tree *t, const char *path, struct pyro_error *err);
/* NULL with err: PYRO_E_STATE_VERSION for one of another version. */
struct tree *tree_load(const char *path, struct pyro_error *err);

enum tree_side {
	TREE_OLD = 1 << 0,
	TREE_NEW = 1 << 1,
};

/* Something that may differ: its content decides. */
struct tree_change {
	const char *path; /* borrowed from one of the trees */
	unsigned sides;   /* enum tree_side: where it has content to be compared */
	bool is_special;  /* a device, pipe or socket that is new; it has none */
};

struct tree_changes {
	struct tree_change *v;
	size_t count;
};

/*
 * What may differ, sorted by path. Left out: names with a part ".git", and directories that are not
 * empty, because they differ only by what is in them.
 */
void tree_compare(const struct tree *before, const struct tree *now, struct tree_changes *ret);
/* Keeps what is at or below a relative path, all for "". */
void tree_changes_keep(struct tree_changes *c, const char *path);
/*
 * Drops what matches one of the globs (fnmatch(3); NULL: there are none, else NULL ends them): with
 * its whole path, in which * is any bytes, also a slash, or with one component of it.
 */
void tree_changes_drop(struct tree_changes *c, const char *const *globs);
void tree_changes_done(struct tree_changes *c);

#endif
