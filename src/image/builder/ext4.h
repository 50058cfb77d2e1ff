/*
 * ext4: a file system image, written without mounting it and without privileges.
 *
 * The image is a sparse file. Entries are added by path below its root; missing parents are made
 * (0755, root), and an entry that is there already is replaced, except that a directory stays and
 * only takes the new attributes. Symbolic links are never followed: a path that leads through one
 * is an error, as are "..", names longer than 255 bytes and anything not a relative path. "." is
 * the root itself. PYRO_E_INVALID for such a path, PYRO_E_LIMIT when the image is full,
 * PYRO_E_NO_SPACE when the file system that holds it is.
 */
#ifndef BUILDER_EXT4_H
#define BUILDER_EXT4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ext4;
struct pyro_error;

struct ext4_entry {
	const char *path;
	mode_t mode; /* type and permissions */
	uint32_t uid;
	uint32_t gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	const char *target;            /* of a symbolic link */
	uint32_t dev_major, dev_minor; /* of a device */
};

/*
 * Makes an empty file system of size_bytes at path (replaced) and opens it. `identity` is any text:
 * its digest becomes the UUID. NULL with err.
 */
struct ext4 *ext4_new(const char *path, int64_t size_bytes, const char *label, const char *identity,
		      struct pyro_error *err);
/* Adds one entry; it is then the current one, which the next two functions are about. */
int ext4_add(struct ext4 *fs, const struct ext4_entry *entry, struct pyro_error *err);
/* Makes a directory where there is none; one that is there stays as it is. */
int ext4_need_dir(struct ext4 *fs, const char *path, struct pyro_error *err);
/* Content of the current regular file; blocks never written are holes. */
int ext4_write(struct ext4 *fs, const void *data, size_t len, int64_t offset,
	       struct pyro_error *err);
int ext4_set_xattr(struct ext4 *fs, const char *name, const void *value, size_t len,
		   struct pyro_error *err);
/* The current regular file is complete and has this size. */
int ext4_finish(struct ext4 *fs, int64_t size_bytes, struct pyro_error *err);
/* Another name for a file that is there. */
int ext4_link(struct ext4 *fs, const char *path, const char *existing, struct pyro_error *err);
/* Writes everything out. fs is gone, also on failure. */
int ext4_close(struct ext4 *fs, struct pyro_error *err);
/* Gives up; NULL is fine. */
struct ext4 *ext4_free(struct ext4 *fs);

#endif
