/*
 * tar: writes a tar stream to a stdio stream, in the pax form: ustar headers, and before those
 * that cannot say all (long names, sizes from 8 GiB on, parts of a second) an extended header.
 * Names are bytes in any encoding. Write errors show in ferror().
 */
#ifndef BASE_TAR_H
#define BASE_TAR_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

struct tar_entry {
	const char *name; /* of a directory without the '/' behind it */
	mode_t mode;      /* S_IFREG, S_IFDIR or S_IFLNK, and permissions */
	uint64_t size;    /* of a regular file; the caller writes as many bytes, then tar_pad() */
	struct timespec mtime;
	const char *target; /* of a symbolic link */
};

void tar_header(FILE *out, const struct tar_entry *e);
/* Fills the block that the content of `size` bytes ended in. */
void tar_pad(FILE *out, uint64_t size);
/* The end of the stream. */
void tar_end(FILE *out);

#endif
