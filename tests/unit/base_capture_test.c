#include "base/capture.h"
#include "base/utf8.h"
#include "tests/test.h"

static char *capture_of(const char *text, size_t limit)
{
	struct capture c;
	char *kept;

	capture_init(&c, limit);
	capture_add(&c, text, strlen(text));
	kept = capture_text(&c);
	capture_done(&c);
	return kept;
}

TEST("capture keeps a stream of exactly the limit whole")
{
	AUTO_FREE char *kept = capture_of("0123456789", 10);

	CHECK_STR(kept, "0123456789");
}

TEST("capture of one byte more than the limit says that one byte is cut")
{
	AUTO_FREE char *kept = capture_of("0123456789X", 10);

	CHECK_STR(kept, "01234\n[... 1 bytes cut ...]\n6789X");
}

TEST("capture with limit 0 or 1 keeps that much")
{
	AUTO_FREE char *none = capture_of("abc", 0);
	AUTO_FREE char *one = capture_of("abc", 1);
	AUTO_FREE char *empty = capture_of("", 0);

	CHECK_STR(none, "\n[... 3 bytes cut ...]\n");
	CHECK_STR(one, "\n[... 2 bytes cut ...]\nc");
	CHECK_STR(empty, "");
}

TEST("capture counts the bytes of a character that the cut would split as cut")
{
	/* Both halves of the limit end inside one of the two-byte characters. */
	AUTO_FREE char *kept = capture_of("ab\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9yz", 6);

	CHECK_STR(kept, "ab\n[... 8 bytes cut ...]\nyz");
}

TEST("capture shows bytes that are not UTF-8 as the replacement character")
{
	AUTO_FREE char *kept = capture_of("a\xFFz", 10);

	CHECK_STR(kept, "a\xEF\xBF\xBDz");
}

/* What capture must keep, written down without any cleverness. */
static void check_against_model(const char *data, size_t len, size_t limit, struct capture *c)
{
	size_t head = limit / 2, keep = limit - head;
	size_t tail_kept = c->tail.len < keep ? c->tail.len : keep;

	CHECK_INT(c->total, (int64_t)len);
	CHECK_INT(capture_is_truncated(c), len > limit);
	CHECK(c->tail.len <= limit);
	CHECK_INT(c->head.len, len < head ? len : head);
	CHECK(!c->head.len || memcmp(c->head.data, data, c->head.len) == 0);
	if (len <= head)
		return;
	CHECK_INT(tail_kept, len - head < keep ? len - head : keep);
	CHECK(!tail_kept || memcmp(c->tail.data + c->tail.len - tail_kept, data + len - tail_kept,
				   tail_kept) == 0);
}

TEST("capture keeps the same however the stream is cut into pieces")
{
	static const char *const units[] = {
		"a", "\n", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "z"};

	srandom(1);
	for (int round = 0; round < 3000; round++) {
		AUTO_BUF struct buf data = BUF_INIT(4096);
		AUTO_FREE char *text = NULL;
		size_t limit = (size_t)random() % 64;
		size_t n = (size_t)random() % 80;
		struct capture c;

		for (size_t i = 0; i < n; i++)
			buf_puts(&data, units[(size_t)random() % ARRAY_SIZE(units)]);
		capture_init(&c, limit);
		for (size_t at = 0; at < data.len;) {
			size_t piece = 1 + (size_t)random() % 40;

			if (piece > data.len - at)
				piece = data.len - at;
			capture_add(&c, data.data + at, piece);
			at += piece;
		}
		check_against_model(data.data, data.len, limit, &c);
		text = capture_text(&c);
		CHECK(utf8_is_valid(text, strlen(text)));
		CHECK(!strstr(text, "\xEF\xBF\xBD")); /* the stream had no broken character */
		capture_done(&c);
	}
}
