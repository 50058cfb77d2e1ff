/*
 * Output that has secrets in it: lines up to a 0xff are values, what follows is the text. First
 * byte: how many bytes come at once. However it is cut, no value may be seen.
 */
#include "base/mem.h"
#include "base/redact.h"
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 8
#define OUT_MAX (1 << 20)

static void emit(void *ctx, const char *data, size_t len)
{
	assert(len);
	buf_append(ctx, data, len);
}

static void take_values(const char *text, size_t len, char **values)
{
	AUTO_FREE char *copy = mem_strndup(text, len);
	char *rest = copy, *line;

	for (size_t n = 0; n < VALUES_MAX && (line = strsep(&rest, "\n"));)
		if (*line)
			values[n++] = mem_strdup(line);
}

static bool has(const char *text, size_t len, const char *value)
{
	size_t n = strlen(value);

	while (n && strchr("\r\n", value[n - 1]))
		n--;
	return n && memmem(text, len, value, n);
}

/* Between two marks stands what stood in the text. */
static void check_hidden(const struct buf *out, char *const *values)
{
	const char *at = buf_text(out), *end = at + out->len;

	while (at < end) {
		const char *mark = memmem(at, (size_t)(end - at), REDACT_MARK, strlen(REDACT_MARK));
		size_t len = (size_t)((mark ? mark : end) - at);

		for (size_t i = 0; values[i]; i++)
			assert(!has(at, len, values[i]));
		at += len + (mark ? strlen(REDACT_MARK) : 0);
	}
}

/* The same stream in pieces. */
static void check_cut(const struct redact_patterns *p, const char *text, size_t len, size_t piece,
		      const struct buf *whole)
{
	AUTO_BUF struct buf out = BUF_INIT(OUT_MAX);
	struct redactor r;

	redactor_init(&r, p, emit, &out);
	for (size_t at = 0; at < len; at += piece)
		redactor_add(&r, text + at, piece < len - at ? piece : len - at);
	redactor_flush(&r);
	redactor_done(&r);
	assert(out.len == whole->len && memcmp(buf_text(&out), buf_text(whole), out.len) == 0);
}

/* With a pause behind each piece: the beginning of a value may be seen, but never all of it. */
static void check_pauses(const struct redact_patterns *p, const char *text, size_t len,
			 size_t piece, char *const *values)
{
	AUTO_BUF struct buf out = BUF_INIT(OUT_MAX);
	struct redactor r;

	redactor_init(&r, p, emit, &out);
	for (size_t at = 0; at < len; at += piece) {
		redactor_add(&r, text + at, piece < len - at ? piece : len - at);
		redactor_release(&r);
	}
	redactor_flush(&r);
	redactor_done(&r);
	check_hidden(&out, values);
}

/* The same text, read page by page. */
static void check_parts(const struct redact_patterns *p, const char *text, size_t len, size_t page,
			char *const *values)
{
	AUTO_BUF struct buf out = BUF_INIT(OUT_MAX);

	for (size_t at = 0, to; at < len; at = to) {
		to = redact_part(p, text, len, at, page < len - at ? at + page : len, &out);
		assert(to > at && to <= len);
	}
	check_hidden(&out, values);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	AUTO_BUF struct buf whole = BUF_INIT(OUT_MAX);
	char *values[VALUES_MAX + 1] = {NULL};
	const char *text = size ? memchr(bytes, 0xff, size) : NULL;
	struct redact_patterns *p;
	size_t len;

	if (!text || text == (const char *)bytes)
		return 0;
	take_values((const char *)bytes + 1, (size_t)(text - (const char *)bytes) - 1, values);
	text++;
	len = size - (size_t)(text - (const char *)bytes);
	p = redact_patterns_new((const char *const *)values);
	redact_bytes(p, text, len, &whole);
	check_hidden(&whole, values);
	check_cut(p, text, len, bytes[0] % 16 + 1, &whole);
	check_pauses(p, text, len, bytes[0] % 16 + 1, values);
	check_parts(p, text, len, bytes[0] / 16 + 1, values);
	(void)redact_patterns_free(p);
	for (size_t i = 0; values[i]; i++)
		free(values[i]);
	return 0;
}
