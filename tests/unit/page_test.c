#include "workspace/page.h"

#include "base/redact.h"
#include "tests/test.h"

#include <string.h>

#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static struct buf all_of(const char *bytes, size_t len)
{
	struct buf data = BUF_INIT(1 << 20);

	buf_append(&data, bytes, len);
	return data;
}

/* The page of a text without secrets: where it ends, and whether it is text. */
static void check_page(const char *text, size_t from, size_t max, size_t end, bool is_text)
{
	AUTO_BUF struct buf data = all_of(text, strlen(text));
	AUTO_BUF struct buf shown = BUF_INIT(4096);
	bool found;

	CHECK_INT(page_show(NULL, &data, from, max, &shown, &found), end);
	CHECK_INT(found, is_text);
	CHECK_INT(shown.len, end - from);
	CHECK(end == from || memcmp(shown.data, text + from, shown.len) == 0);
}

TEST("page: it ends before the character that its edge would cut")
{
	check_page("abc", 0, 3, 3, true);
	check_page("abc", 1, 1, 2, true);
	check_page("a\xC3\xA9z", 0, 2, 1, true);
	check_page("a\xC3\xA9z", 0, 3, 3, true);
	check_page("a\xF0\x9F\x94\xA5", 0, 4, 1, true);
}

TEST("page: of a character that is longer than the page it has a piece")
{
	check_page("\xF0\x9F\x94\xA5z", 0, 1, 1, true);
	check_page("\xF0\x9F\x94\xA5z", 1, 2, 3, true);
	check_page("\xF0\x9F\x94\xA5z", 2, 9, 5, true);
}

TEST("page: what is cut at its edges is no sign of binary content, and other bytes are")
{
	check_page("\xC3\xA9z\xC3\xA9", 1, 3, 3, true);
	check_page("\xA9z", 0, 2, 2, false);
	check_page("z\xC3", 0, 2, 2, false); /* the file ends so */
	check_page("a\xFF\xC3\xA9", 0, 3, 2, false);
	check_page("a\xFF\xC3\xA9", 2, 3, 4, true);
}

TEST("page: it is empty at the end, and a NUL makes it binary")
{
	AUTO_BUF struct buf data = all_of("a\0b", 3), none = BUF_INIT(1), shown = BUF_INIT(16);
	bool is_text;

	check_page("abc", 3, 1, 3, true);
	check_page("", 0, 1, 0, true);
	CHECK_INT(page_show(NULL, &none, 0, 1, &shown, &is_text), 0);
	CHECK_INT(page_show(NULL, &data, 0, 3, &shown, &is_text), 3);
	CHECK(!is_text);
}

static void check_redacted(const char *text, size_t from, size_t max, size_t end, const char *want)
{
	struct redact_patterns *p = redact_patterns_new(VALUES("s3cret", "\xC3\xA9t\xC3\xA9"));
	AUTO_BUF struct buf data = all_of(text, strlen(text));
	AUTO_BUF struct buf shown = BUF_INIT(4096);
	bool is_text;

	CHECK_INT(page_show(p, &data, from, max, &shown, &is_text), end);
	CHECK_STR(buf_text(&shown), want);
	CHECK(is_text);
	(void)redact_patterns_free(p);
}

TEST("page: no part of a value is shown, whichever edge it lies across")
{
	check_redacted("a s3cret b", 0, 10, 10, "a [REDACTED] b");
	check_redacted("a s3cret b", 0, 5, 2, "a ");
	check_redacted("a s3cret b", 2, 5, 7, "[REDACTED]");
	check_redacted("a s3cret b", 7, 5, 10, "[REDACTED] b");
	check_redacted("a s3crets3cret b", 0, 9, 2, "a ");
	check_redacted("a s3cre", 0, 9, 7, "a s3cre");
	check_redacted("\xC3\xA9t\xC3\xA9.", 0, 4, 3, "[REDACTED]");
	check_redacted("\xC3\xA9t\xC3\xA9.", 1, 9, 6, "[REDACTED].");
}

/* As it is read: only so much around each page as page_margin() says. */
static void read_in_pages(const struct redact_patterns *p, const char *text, size_t len, size_t max,
			  struct buf *out)
{
	size_t margin = page_margin(p), at = 0;

	while (at < len) {
		size_t from = at < margin ? 0 : at - margin;
		size_t to = at + max + margin < len ? at + max + margin : len;
		AUTO_BUF struct buf data = all_of(text + from, to - from);
		bool is_text;
		size_t end = from + page_show(p, &data, at - from, max, out, &is_text);

		CHECK(end > at && end - at <= max);
		at = end;
	}
}

TEST("page: pages one after the other show what the whole shows")
{
	static const char *const pieces[] = {"a",  "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x94\xA5",
					     "ab", "ba\n",     "\xFF",         "\x80"};
	struct redact_patterns *p = redact_patterns_new(VALUES("ab\xC3\xA9", "a\nb"));

	for (uint32_t round = 1; round < 5000; round++) {
		AUTO_BUF struct buf text = BUF_INIT(4096), want = BUF_INIT(65536);
		AUTO_BUF struct buf plain = BUF_INIT(4096), shown = BUF_INIT(65536);
		size_t max;

		seed = round;
		for (uint32_t n = random_below(60); n; n--)
			buf_puts(&text, pieces[random_below(ARRAY_SIZE(pieces))]);
		max = 1 + random_below(20);
		read_in_pages(NULL, buf_text(&text), text.len, max, &plain);
		CHECK_STR(buf_text(&plain), buf_text(&text));
		/* Pages that have room for all that is covered in one piece. */
		read_in_pages(p, buf_text(&text), text.len, max + text.len, &shown);
		redact_bytes(p, buf_text(&text), text.len, &want);
		CHECK_STR(buf_text(&shown), buf_text(&want));
	}
	(void)redact_patterns_free(p);
}

TEST("page: small pages show no value, and all that is none")
{
	struct redact_patterns *p = redact_patterns_new(VALUES("abc", "cab"));

	for (uint32_t round = 1; round < 5000; round++) {
		AUTO_BUF struct buf text = BUF_INIT(4096), whole = BUF_INIT(65536);
		AUTO_BUF struct buf shown = BUF_INIT(65536);
		size_t i = 0, j = 0;

		seed = round;
		for (uint32_t n = random_below(60); n; n--)
			buf_puts(&text, VALUES("a", "b", "c", "abc", "x")[random_below(5)]);
		read_in_pages(p, buf_text(&text), text.len, 1 + random_below(9), &shown);
		redact_bytes(p, buf_text(&text), text.len, &whole);
		/* The same but for marks that pages repeat. */
		while (i < whole.len) {
			bool is_mark = buf_text(&whole)[i] == '[';

			CHECK(buf_text(&shown)[j] == buf_text(&whole)[i]);
			if (!is_mark) {
				i++, j++;
				continue;
			}
			i += strlen(REDACT_MARK);
			while (buf_text(&shown)[j] == '[')
				j += strlen(REDACT_MARK);
		}
		CHECK_INT(j, shown.len);
	}
	(void)redact_patterns_free(p);
}
