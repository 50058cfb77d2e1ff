/*
 * scan: what is in the workspace, and what is in a file of it. Both run in a process of their own
 * (exec_function); the stream goes to standard output, the result is returned, or NULL with err.
 *
 * A scan names every entry below a directory, or the one thing that is no directory. Each is
 * "TYPE MODE SIZE MTIME_NS CTIME_NS INO PATH", NUL, the target of a link, NUL; docs/protocol.md has
 * the details. A last link in the path is followed if it leads to a directory in the workspace.
 */
#ifndef GUEST_SCAN_H
#define GUEST_SCAN_H

#include <jansson.h>
#include <stdbool.h>

struct pyro_error;

struct scan_args {
	const char *path;
	bool is_recursive;
};

struct scan_read_args {
	const char *path;
	int64_t offset;
	int64_t max_bytes;
};

/* arg: struct scan_args. */
json_t *scan_run(const void *arg, struct pyro_error *err);
/* arg: struct scan_read_args. A part of a regular file; nothing behind its end. */
json_t *scan_read(const void *arg, struct pyro_error *err);

#endif
