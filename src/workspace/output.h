/*
 * output: what a command printed, on disk while it runs and after, bounded as a capture is: the
 * beginning and the end are kept, what lies between is counted.
 *
 * One file per stream, <VM directory>/outputs/<sequence>.out or .err: a header with the count of
 * all bytes, then the first half of OUTPUT_KEPT, then a ring with the rest. Data is written before
 * the count, so a reader, who may come at any moment and after any kill, sees the past at worst,
 * and nothing that the stream did not have.
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

/* For reading: the stream as it is now. {.fd = -1} is one without a byte. */
struct output_view {
	int fd;
	int64_t bytes; /* that were printed, whether kept or not */
};

/* A missing file is PYRO_E_NOT_FOUND. */
int output_view_init(struct output_view *v, const char *dir, int64_t sequence,
		     enum output_stream stream, struct pyro_error *err);
void output_view_done(struct output_view *v);
/* The first byte that is kept from `offset` on; INT64_MAX: there is none. */
int64_t output_view_next(const struct output_view *v, int64_t offset);
/*
 * The bytes from `offset` to `end`, which may lie behind the stream's, as text that is valid
 * UTF-8, the caller's. Both are moved back to the beginning of a character, so that reads which
 * join each other make up the whole. A line where the end of the stream begins again says how much
 * is cut out before it.
 */
char *output_view_text(const struct output_view *v, int64_t offset, int64_t end);
/* Removes those up to a number. */
void output_remove(const char *dir, int64_t last_sequence);
void output_remove_all(const char *dir);

#endif
