/*
 * struct buf: bytes that grow up to a mandatory maximum.
 *
 * Appending never needs a check: past the maximum the buffer stops taking bytes for good and
 * remembers it (is_full), until it is reset or taken. `data` always has a NUL behind the last
 * byte, so it can be read as a string.
 *
 *	struct buf b = BUF_INIT(64 * 1024);
 *	buf_printf(&b, "hello %s", name);
 *	buf_done(&b);
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/mem.h"

#include <stdbool.h>

struct buf {
	char *data; /* NULL only before the first append */
	size_t len;
	size_t cap;
	size_t max;
	bool is_full; /* something was refused because of max */
};

#define BUF_INIT(maximum)        \
	{                        \
		.max = (maximum) \
	}
#define AUTO_BUF __attribute__((cleanup(buf_done)))

/* Appends n bytes, or nothing if they would not all fit. */
void buf_append(struct buf *b, const void *p, size_t n);
/* Appends n bytes, after dropping as many from the beginning as needed: the last `max` stay. */
void buf_append_last(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Room for n more bytes (NULL if max forbids); the caller writes there and calls buf_grew. */
void *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
/* Removes the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* The text, NUL-terminated, never NULL; borrowed until the next change. */
const char *buf_text(const struct buf *b);
/* Hands the text over; the buffer is empty afterwards. */
char *buf_take(struct buf *b);
void buf_reset(struct buf *b);
void buf_done(struct buf *b);

#endif
