/*
 * redact: takes secret values out of text and streams, wherever they are cut.
 *
 * Every byte that belongs to an occurrence of a value is covered, also where occurrences overlap;
 * what is covered without a gap becomes one REDACT_MARK. A value is known as it is, without its
 * line ends at the end, with "\r\n" for "\n", as a terminal prints it, and with " " for "\n", as a
 * message of one line has it. Cost is linear in the bytes, whatever they and the values are.
 *
 *	struct redact_patterns *patterns = redact_patterns_new(values);
 *	struct redactor r;
 *
 *	redactor_init(&r, patterns, emit, ctx);
 *	redactor_add(&r, data, len);	as often as data comes
 *	redactor_flush(&r);		what was held back is out now
 *	redactor_done(&r);
 *
 * Patterns are shared by any number of streams and outlive them. NULL patterns redact nothing.
 */
#ifndef BASE_REDACT_H
#define BASE_REDACT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pyro_error;
struct redact_patterns;

#define REDACT_MARK "[REDACTED]"
#define REDACT_RELEASED 3 /* bytes of an unfinished value that a pause lets out, at the most */

/*
 * Of values that are not empty and end with NULL. Bounded by the caller: it takes some eighty
 * bytes of memory for each of theirs. Wiped when it is freed.
 */
struct redact_patterns *redact_patterns_new(const char *const *values);
/* NULL is fine; returns NULL. */
struct redact_patterns *redact_patterns_free(struct redact_patterns *p);

/* A copy without the values; NULL for NULL. Owned by the caller. */
char *redact_text(const struct redact_patterns *p, const char *text);
/* The same of any bytes, appended to out. */
void redact_bytes(const struct redact_patterns *p, const void *data, size_t len, struct buf *out);
/* Bytes of the longest form of a value; 0 for NULL. */
size_t redact_longest(const struct redact_patterns *p);
/*
 * data[from..to), appended to out, as a part of more: a value across an edge is covered, too, as
 * far as it is in data. Where covered bytes go on behind `to`, the part ends where they begin, so
 * that all of them are one mark of the next part; but it never becomes empty. Returns where it
 * ends. from <= to <= len.
 */
size_t redact_part(const struct redact_patterns *p, const void *data, size_t len, size_t from,
		   size_t to, struct buf *out);
/* In place: the message and the hint. */
void redact_error(const struct redact_patterns *p, struct pyro_error *error);

/* Bytes that may go on; borrowed. Never called with none. */
typedef void redact_emit_fn(void *ctx, const char *data, size_t len);

struct redact_span {
	size_t start, end; /* in `held` */
};

struct redactor {
	const struct redact_patterns *p;
	redact_emit_fn *emit;
	void *ctx;
	uint32_t state;            /* the longest beginning of a value that the text ends with */
	bool is_covering;          /* the last byte that went on was covered: its mark is out */
	struct buf held;           /* may be the beginning of a value */
	size_t n_out;              /* of these, the first went on already */
	struct redact_span *spans; /* covered, in `held`; sorted, with gaps between them */
	size_t n_spans, cap_spans;
};

void redactor_init(struct redactor *r, const struct redact_patterns *p, redact_emit_fn *emit,
		   void *ctx);
/* What may be the beginning of a value is held back until it is known. */
void redactor_add(struct redactor *r, const void *data, size_t len);
bool redactor_is_holding(const struct redactor *r);
/*
 * Nothing has come for a while: lets out the first REDACT_RELEASED bytes of what is held, so that
 * the end of a prompt is seen that is the first letter of a value. If the value completes, the rest
 * of it is covered all the same.
 */
void redactor_release(struct redactor *r);
/* The end: what is held is no value. The stream may begin anew. */
void redactor_flush(struct redactor *r);
/* Drops what is held. */
void redactor_done(struct redactor *r);

#endif
