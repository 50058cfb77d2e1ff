/*
 * pack: a part of the workspace as a pax archive. It runs in a process of its own (exec_function)
 * and sends the archive to standard output.
 *
 * Of a directory everything below it, on the same file system, with relative names, itself as ".";
 * of anything else the thing itself under its last name. With names, which come NUL-terminated from
 * standard input and are relative to the path, each of these alone, in that order; what is missing
 * is left out. No symbolic link is followed but in the path itself. Sockets, and what vanishes
 * meanwhile, are left out; hard links become files of their own.
 */
#ifndef GUEST_PACK_H
#define GUEST_PACK_H

#include <jansson.h>
#include <stdbool.h>

struct pyro_error;

struct pack_args {
	const char *path;
	bool has_names;
};

/* arg: struct pack_args. */
json_t *pack_run(const void *arg, struct pyro_error *err);

#endif
