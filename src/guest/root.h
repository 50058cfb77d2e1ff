/*
 * root: the workspace's root, and the paths in it.
 *
 * The root is `/workspace` in a guest and `DIR/workspace` on a host; beside it lies `.pyro`, 0700,
 * where `put` prepares what it is about to change. Both are the guest's to ruin: a root that is no
 * directory makes root_open fail with PYRO_E_REFUSED, and nothing here follows a path out of it.
 *
 * A path in the workspace is relative to the root, or begins with "/workspace"; root_path brings it
 * into the one form that all others take: no ".", "..", "//" or slash at either end, "" for the
 * root, shorter than PATH_MAX.
 */
#ifndef GUEST_ROOT_H
#define GUEST_ROOT_H

#include <limits.h>
#include <stdbool.h>

struct pyro_error;

#define ROOT_PATH "/workspace"

/* base: "" in a guest, DIR on a host; borrowed for ever. Once, before any other. */
void root_init(const char *base);
/* The path, in this process's eyes, of what lies beside the root; owned by the caller. */
char *root_beside(const char *name);
/* Makes the root if nothing at all is there. */
int root_make(struct pyro_error *err);
/* The root, for reading; owned by the caller. -1 with err. */
int root_open(struct pyro_error *err);

/* The path in the form above, owned by the caller; PYRO_E_REFUSED, with NULL, if it leaves. */
char *root_path(const char *given, struct pyro_error *err);
/* As root_path for what must be a name below a directory: one with ".." is refused. */
char *root_entry_path(const char *given, struct pyro_error *err);
/* Whether a working directory's path is that of the root or below it. */
bool root_is_above(const char *path);

/*
 * openat2 of a path below dir_fd: following symbolic links that stay beneath it, or none at all
 * (ELOOP). "" is the directory itself. Returns a descriptor, or -1 with errno; EXDEV: it leaves.
 */
int root_open_following(int dir_fd, const char *path, int flags);
int root_open_plain(int dir_fd, const char *path, int flags);
/* Fills err for a path that one of these, or a call on what it gave, refused. Returns -1. */
int root_err(struct pyro_error *err, int errnum, const char *path);

/* The directory that was used last, because the next path is mostly in the same one. */
struct root_parent {
	int fd; /* -1: none yet */
	char path[PATH_MAX];
};

#define ROOT_PARENT_INIT \
	{                \
		.fd = -1 \
	}
#define AUTO_PARENT __attribute__((cleanup(root_parent_done)))

/*
 * The directory, below dir_fd and reached through no link, that holds `path`, which is not ""; and
 * the path's last name, borrowed from it. The descriptor stays the parent's; -1 with errno.
 */
int root_parent(struct root_parent *parent, int dir_fd, const char *path, const char **ret_name);
void root_parent_done(struct root_parent *parent);

#endif
