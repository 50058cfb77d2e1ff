/*
 * hunk: applies the hunks of one file's section to its content.
 *
 * The old lines of each hunk must be there exactly: at the line that it states, moved as the hunk
 * before it was, or else at the nearest other place behind that hunk. As git has it, a hunk that
 * starts at the first line only fits there, and one without context at its end only at the file's.
 */
#ifndef PATCH_HUNK_H
#define PATCH_HUNK_H

#include <stddef.h>

struct buf;
struct parse_file;
struct pyro_error;

/* Appends the new content; PYRO_E_INVALID tells which hunk does not fit `path`, and why. */
int hunk_apply(const struct parse_file *section, const char *path, const char *data, size_t len,
	       struct buf *out, struct pyro_error *err);

#endif
