#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *buf_room(struct buf *b, size_t n)
{
	if (b->is_full || n > b->max || b->len > b->max - n) {
		b->is_full = true;
		return NULL;
	}
	if (b->len + n + 1 > b->cap) {
		size_t want = b->cap ? b->cap * 2 : 256;

		if (want < b->len + n + 1)
			want = b->len + n + 1;
		if (want - 1 > b->max)
			want = b->max + 1;
		b->data = mem_resize(b->data, want, 1);
		b->data[b->len] = '\0';
		b->cap = want;
	}
	return b->data + b->len;
}

void buf_grew(struct buf *b, size_t n)
{
	assert(b->len + n < b->cap);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_append(struct buf *b, const void *p, size_t n)
{
	void *room = buf_room(b, n);

	if (!room)
		return;
	if (n)
		memcpy(room, p, n);
	buf_grew(b, n);
}

void buf_append_last(struct buf *b, const void *p, size_t n)
{
	const char *bytes = p;
	size_t kept = n < b->max ? n : b->max;

	if (b->len > b->max - kept)
		buf_consume(b, b->len - (b->max - kept));
	buf_append(b, bytes + (n - kept), kept);
}

void buf_puts(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	buf_puts(b, text);
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->len -= n;
	if (b->data) {
		memmove(b->data, b->data + n, b->len);
		b->data[b->len] = '\0';
	}
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *text = b->data ? b->data : mem_strdup("");

	*b = (struct buf)BUF_INIT(b->max);
	return text;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->is_full = false;
	if (b->data)
		b->data[0] = '\0';
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT(b->max);
}
