#include "base/mem.h"
#include "base/parse.h"
#include "tests/test.h"

TEST("parse_percent decodes what is coded, and nothing else")
{
	static const char *const texts[][2] = {
		{"/home/u/a%20b%c3%A9", "/home/u/a b\xc3\xa9"},
		{"100%", "100%"},
		{"%2", "%2"},
		{"%zz%00%25", "%zz%00%"},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO_FREE char *decoded = parse_percent(texts[i][0]);

		CHECK_STR(decoded, texts[i][1]);
	}
}

TEST("parse_int reads whole decimal numbers up to the bounds")
{
	int64_t n = 0;

	CHECK(parse_int("0", 0, 100, &n) && n == 0);
	CHECK(parse_int("100", 0, 100, &n) && n == 100);
	CHECK(parse_int("-5", -5, 100, &n) && n == -5);
	CHECK(parse_int("9223372036854775807", 0, INT64_MAX, &n) && n == INT64_MAX);
	CHECK(parse_int("-9223372036854775808", INT64_MIN, 0, &n) && n == INT64_MIN);
}

TEST("parse_int refuses what is not a whole number and leaves the result alone")
{
	static const char *const wrong[] = {"",    " 1",  "1 ", "+1",  "1.0", "0x10",
					    "12x", "abc", "-",  "--1", "1e3", "- 1"};
	int64_t n = 77;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (parse_int(wrong[i], INT64_MIN, INT64_MAX, &n))
			test_fail(__FILE__, __LINE__, "'%s' was taken", wrong[i]);
	CHECK(!parse_int(NULL, 0, 1, &n));
	CHECK_INT(n, 77);
}

TEST("parse_int refuses numbers outside the bounds and outside 64 bits")
{
	int64_t n;

	CHECK(!parse_int("101", 0, 100, &n));
	CHECK(!parse_int("-1", 0, 100, &n));
	CHECK(!parse_int("9223372036854775808", 0, INT64_MAX, &n));
	CHECK(!parse_int("99999999999999999999999999", 0, INT64_MAX, &n));
}

TEST("parse_nearest finds what was meant and stays silent when nothing is near")
{
	static const char *const names[] = {"debian:12", "debian:12-base", "debian:12-build", NULL};
	static const char *const none[] = {NULL};

	CHECK_STR(parse_nearest("debain:12", names), "debian:12");
	CHECK_STR(parse_nearest("debian12-build", names), "debian:12-build");
	CHECK(!parse_nearest("x", names));
	CHECK(!parse_nearest("windows", names));
	CHECK(!parse_nearest("debian:12", none));
}

TEST("parse_nearest takes words of any length")
{
	static const char *const names[] = {"run", NULL};
	char word[5000];

	memset(word, 'r', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	CHECK(!parse_nearest(word, names) || strcmp(parse_nearest(word, names), "run") == 0);
	CHECK(!parse_nearest("", names));
}
