#include "base/capture.h"

#include "base/utf8.h"

#include <stdlib.h>

void capture_init(struct capture *c, size_t limit)
{
	*c = (struct capture){.limit = limit};
	c->head.max = limit / 2;
	c->tail.max = limit; /* twice what is kept, so that moving bytes down stays rare */
}

void capture_add(struct capture *c, const void *data, size_t len)
{
	const char *p = data;
	size_t keep = c->limit - c->limit / 2;
	size_t to_head = c->head.max - c->head.len;

	c->total += (int64_t)len;
	if (to_head > len)
		to_head = len;
	buf_append(&c->head, p, to_head);
	p += to_head;
	len -= to_head;
	if (len >= keep) {
		buf_reset(&c->tail);
		p += len - keep;
		len = keep;
	} else if (c->tail.len + len > c->tail.max) {
		buf_consume(&c->tail, c->tail.len + len - keep);
	}
	buf_append(&c->tail, p, len);
}

bool capture_is_truncated(const struct capture *c)
{
	return c->total > (int64_t)c->limit;
}

/* Bytes at the start of p that belong to a character whose beginning was cut off. */
static size_t broken_start(const char *p, size_t len)
{
	size_t n = 0;

	while (n < 3 && n < len && ((unsigned char)p[n] & 0xC0) == 0x80)
		n++;
	return n;
}

/* Bytes at the end of p that begin a character but do not complete it. */
static size_t broken_end(const char *p, size_t len)
{
	for (size_t n = 1; n <= 3 && n <= len; n++)
		if (utf8_next((const unsigned char *)p + len - n, n) < 0)
			return n;
	return 0;
}

char *capture_text(const struct capture *c)
{
	AUTO_BUF struct buf b = BUF_INIT(SIZE_MAX / 8);
	const char *tail = c->tail.data;
	size_t tail_len = c->tail.len, head_len = c->head.len;

	if (capture_is_truncated(c)) {
		size_t keep = c->limit - c->limit / 2, skip;

		if (tail_len > keep) {
			tail += tail_len - keep;
			tail_len = keep;
		}
		skip = broken_start(tail, tail_len);
		tail += skip;
		tail_len -= skip;
		head_len -= broken_end(c->head.data, head_len);
		buf_append(&b, c->head.data, head_len);
		buf_printf(&b, "\n[... %lld bytes cut ...]\n",
			   (long long)(c->total - (int64_t)(head_len + tail_len)));
	} else {
		buf_append(&b, c->head.data, head_len);
	}
	buf_append(&b, tail, tail_len);
	return utf8_repair(buf_text(&b), b.len, NULL);
}

void capture_done(struct capture *c)
{
	buf_done(&c->head);
	buf_done(&c->tail);
}
