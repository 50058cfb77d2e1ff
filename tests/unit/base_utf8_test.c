#include "base/mem.h"
#include "base/utf8.h"
#include "tests/test.h"

static int next_of(const char *s)
{
	return utf8_next((const unsigned char *)s, strlen(s));
}

TEST("utf8_next knows the length of every form of character")
{
	CHECK_INT(next_of("a"), 1);
	CHECK_INT(next_of("\xC2\x80"), 2);
	CHECK_INT(next_of("\xDF\xBF"), 2);
	CHECK_INT(next_of("\xE0\xA0\x80"), 3);
	CHECK_INT(next_of("\xEF\xBF\xBF"), 3);
	CHECK_INT(next_of("\xF0\x90\x80\x80"), 4);
	CHECK_INT(next_of("\xF4\x8F\xBF\xBF"), 4);
}

TEST("utf8_next refuses overlong forms, surrogates and what lies above U+10FFFF")
{
	CHECK_INT(next_of("\xC0\x80"), 0);
	CHECK_INT(next_of("\xC1\xBF"), 0);
	CHECK_INT(next_of("\xE0\x9F\xBF"), 0);
	CHECK_INT(next_of("\xED\xA0\x80"), 0);
	CHECK_INT(next_of("\xF0\x8F\xBF\xBF"), 0);
	CHECK_INT(next_of("\xF4\x90\x80\x80"), 0);
	CHECK_INT(next_of("\xF5\x80\x80\x80"), 0);
	CHECK_INT(next_of("\x80"), 0);
	CHECK_INT(next_of("\xFF"), 0);
}

TEST("utf8_next tells a beginning that needs more from one that cannot become valid")
{
	CHECK_INT(next_of(""), -1);
	CHECK_INT(next_of("\xC3"), -1);
	CHECK_INT(next_of("\xE2\x82"), -1);
	CHECK_INT(next_of("\xF0\x9F\x98"), -1);
	CHECK_INT(next_of("\xE0\x80"), 0);
	CHECK_INT(next_of("\xE2\x82x"), 0);
}

/* Encodes a code point by the table of RFC 3629. */
static size_t encode(unsigned c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xC0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xE0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3F));
		out[2] = (char)(0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3F));
	out[2] = (char)(0x80 | (c >> 6 & 0x3F));
	out[3] = (char)(0x80 | (c & 0x3F));
	return 4;
}

TEST("utf8_next accepts every code point but the surrogates")
{
	for (unsigned c = 0; c <= 0x10FFFF; c++) {
		unsigned char text[4];
		size_t len = encode(c, (char *)text);
		int want = c >= 0xD800 && c <= 0xDFFF ? 0 : (int)len;

		if (utf8_next(text, len) != want)
			test_fail(__FILE__, __LINE__, "U+%04X: not %d", c, want);
	}
}

TEST("utf8_repair leaves valid text alone and says so")
{
	bool was_invalid = true;
	AUTO_FREE char *text = utf8_repair("caf\xC3\xA9", 5, &was_invalid);

	CHECK_STR(text, "caf\xC3\xA9");
	CHECK(!was_invalid);
}

TEST("utf8_repair replaces each invalid byte, NUL and a cut-off end")
{
	bool was_invalid = false;
	AUTO_FREE char *text = utf8_repair("a\0b\xFF\xC3", 5, &was_invalid);

	CHECK_STR(text, "a\xEF\xBF\xBD"
			"b\xEF\xBF\xBD\xEF\xBF\xBD");
	CHECK(was_invalid);
}

TEST("utf8_repair makes valid text of any bytes")
{
	srandom(2);
	for (int round = 0; round < 2000; round++) {
		char bytes[40];
		size_t len = (size_t)random() % sizeof(bytes);
		AUTO_FREE char *text = NULL;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)random();
		text = utf8_repair(bytes, len, NULL);
		CHECK(utf8_is_valid(text, strlen(text)));
		CHECK(strlen(text) >= len);
	}
}

TEST("utf8_clean_line makes one harmless line of anything")
{
	char text[] = "a\nb\x1B[31m\x7F\xFFz";

	utf8_clean_line(text);
	CHECK_STR(text, "a b [31m ?z");
}

TEST("utf8_clean_line blanks the control characters behind ASCII too")
{
	char text[] = "a\xC2\x9B"
		      "31mb\xC2\xA0";

	utf8_clean_line(text); /* U+009B starts an escape sequence on some terminals */
	CHECK_STR(text, "a  31mb\xC2\xA0");
}

TEST("utf8_clean_line drops a character that the end cuts off")
{
	char text[] = "price \xE2\x82";

	utf8_clean_line(text);
	CHECK_STR(text, "price ");
}

TEST("utf8_start finds the character that a place lies in, and none where there is none")
{
	const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x94\xA5z"; /* 1, 2, 3, 4 and 1 bytes */
	const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};

	for (size_t at = 0; at < sizeof(text); at++)
		CHECK_INT(utf8_start(text, sizeof(text) - 1, at), want[at]);
	for (size_t at = 0; at <= 4; at++) {
		CHECK_INT(utf8_start("\x80\x80\x80\x80", 4, at), at);
		CHECK_INT(utf8_start("\xC0\xAF\xFF\xE2", 4, at), at);
	}
	CHECK_INT(utf8_start("\xE2\x82", 2, 1), 1); /* the text ends in it */
}
