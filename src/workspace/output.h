/*
 * output: what a command printed, on disk while it runs and after, bounded as a capture is: the
 * beginning and the end are kept, what lies between is counted.
 *
 * One file per stream, <VM directory>/outputs/<sequence>.out or .err: a header with the count of
 * all bytes, then the first half of OUTPUT_KEPT, then a ring with the rest. Data is written before
 * the count, so a reader, who may come at any moment and after any kill, sees the past at worst.
 */
#ifndef WORKSPACE_OUTPUT_H
#define WORKSPACE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output;
struct pyro_error;

#define OUTPUT_KEPT (1024 * 1024) /* bytes per stream */

enum output_stream {
	OUTPUT_STDOUT,
	OUTPUT_STDERR,
};

/* Makes the file in the VM's directory. NULL with err. */
struct output *output_open(const char *dir, int64_t sequence, enum output_stream stream,
			   struct pyro_error *err);
/* A disk that is full ends the recording, not the command; what was kept stays readable. */
void output_add(struct output *o, const void *data, size_t len);
/* NULL is fine; returns NULL. */
struct output *output_close(struct output *o);

/* As text that is valid UTF-8, the caller's. A missing file is PYRO_E_NOT_FOUND. */
int output_read(const char *dir, int64_t sequence, enum output_stream stream, char **ret_text,
		int64_t *ret_bytes, bool *ret_is_truncated, struct pyro_error *err);
/* Removes those up to a number. */
void output_remove(const char *dir, int64_t last_sequence);
void output_remove_all(const char *dir);

#endif
