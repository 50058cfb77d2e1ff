/*
 * ext4: looks into the file system on a disk, without mounting it and without following a symbolic
 * link.
 *
 * A guest wrote it, so everything is bounded: a directory has two million names at the most and is
 * read from a gibibyte at the most, a path has 4096 bytes, a link's target as many. Names that no
 * directory of Linux shows ("", ".", "..", and those with '/' or NUL in them) are left out, and so
 * is what is pyro's own: /.pyro, and the places in /run where secrets, shells and services are.
 *
 * Paths are absolute and plain, as ext4_path() makes them.
 *
 * Errors: PYRO_E_NOT_FOUND; PYRO_E_INVALID for a path that leads through a symbolic link
 * or a file;
 * PYRO_E_LIMIT; PYRO_E_BAD_STATE for a file system whose journal needs a recovery;
 * PYRO_E_PROTOCOL "the disk of the workspace is damaged: …".
 */
#ifndef DISK_EXT4_H
#define DISK_EXT4_H

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define EXT4_PATH_MAX 4096

struct ext4;
struct pyro_error;
struct qcow2;

struct ext4_node {
	uint32_t ino;
	mode_t mode;
	uint64_t size;
	int64_t mtime_s;
};

struct ext4_name {
	uint32_t ino;
	uint32_t at; /* where its NUL-terminated text is in `text` */
};

/* A directory's names, sorted bytewise. */
struct ext4_names {
	struct ext4_name *v;
	size_t n;
	struct buf text;
};

/* The path without what does not matter ("//", ".", a '/' at its end), owned by the caller, or
 * NULL with PYRO_E_INVALID: a relative one, one with "..", one that is too long. */
char *ext4_path(const char *path, struct pyro_error *err);

/* disk is borrowed until ext4_close(). */
struct ext4 *ext4_open(struct qcow2 *disk, struct pyro_error *err);
struct ext4 *ext4_close(struct ext4 *fs);
/* How many inodes there are; their numbers begin with 1. */
uint32_t ext4_inodes(const struct ext4 *fs);

int ext4_find(struct ext4 *fs, const char *path, struct ext4_node *ret, struct pyro_error *err);
/* path: for messages, here and below. */
int ext4_stat(struct ext4 *fs, uint32_t ino, const char *path, struct ext4_node *ret,
	      struct pyro_error *err);
/* Fills *ret, which ext4_names_done() frees. path also tells what is pyro's own in it. */
int ext4_names_load(struct ext4 *fs, uint32_t dir, const char *path, struct ext4_names *ret,
		    struct pyro_error *err);
void ext4_names_done(struct ext4_names *names);
const char *ext4_names_text(const struct ext4_names *names, size_t i);
/* Where a symbolic link points; owned by the caller. */
char *ext4_target(struct ext4 *fs, const struct ext4_node *link, const char *path,
		  struct pyro_error *err);
/* Writes exactly len bytes of a file, from `from` on; the file must have them. */
int ext4_copy(struct ext4 *fs, const struct ext4_node *file, const char *path, uint64_t from,
	      uint64_t len, FILE *out, struct pyro_error *err);

#endif
