/*
 * walk: every entry below a directory, each directory before what is in it, otherwise in no order.
 *
 * It follows no symbolic link, does not descend into other file systems, passes over what vanishes
 * meanwhile, and has one directory open at a time, however deep the tree is. An entry whose path
 * would not be shorter than PATH_MAX is counted and left out, with all that is below it.
 */
#ifndef GUEST_WALK_H
#define GUEST_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct pyro_error;

struct walk_entry {
	int dir_fd; /* the directory that it is in */
	const char *name;
	const char *path; /* with the prefix */
	struct stat st;   /* its own, also of a link */
};

struct walk {
	int fd;             /* where it begins */
	const char *prefix; /* of the paths: "" or without a slash at either end */
	bool is_recursive;
	/* Negative, with err, ends the walk. */
	int (*on_entry)(void *ctx, const struct walk_entry *entry, struct pyro_error *err);
	void *ctx;
};

/* ret_too_long: entries that were left out. */
int walk_run(const struct walk *walk, int64_t *ret_too_long, struct pyro_error *err);

#endif
