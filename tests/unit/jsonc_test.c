#include "api/jsonc.h"
#include "base/mem.h"
#include "pyro/error.h"
#include "tests/test.h"

static const char *const path[] = {"mcp", "pyro", "command", NULL};

/* What jsonc_set() makes of a text, checked to be readable and to have the value. */
static void check_set(const char *text, const char *wanted)
{
	json_t *value = json_pack("[s]", "new");
	char *made = jsonc_set(text, path, value, NULL);
	json_t *root, *at;

	if (!made || strcmp(made, wanted) != 0)
		test_fail(__FILE__, __LINE__, "of '%s' became '%s'", text, made ? made : "nothing");
	root = at = jsonc_load(made, NULL);
	for (int i = 0; path[i]; i++)
		at = json_object_get(at, path[i]);
	CHECK(json_equal(at, value));
	json_decref(root);
	json_decref(value);
	free(made);
}

TEST("comments and commas behind the last member are read over, strings that look like them are "
     "not")
{
	json_t *root = jsonc_load("\xef\xbb\xbf// head\n{ /* {\" */ \"a\": [1, 2, /* x */ ], // }\n"
				  "\"u\": \"http://x/*,}\\\",]\", \"a\": [\"last\",],\r\n} // end",
				  NULL);

	CHECK(root);
	CHECK_STR(json_string_value(json_object_get(root, "u")), "http://x/*,}\",]");
	CHECK_STR(json_string_value(json_array_get(json_object_get(root, "a"), 0)), "last");
	json_decref(root);
}

TEST("what is no JSON is refused with its line")
{
	static const struct {
		const char *text, *line;
	} wrong[] = {
		{"", "line 1: "},
		{"{", "line 1: "},
		{"{\n\"a\": 1\n", "line 3: "},
		{"{\n/* no end }", "line 2: "},
		{"{\"a\"\n: tru}", "line 2: "},
		{"{\"a\": \"no end}", "line 1: "},
		{"{} {}", "line 1: "},
		{"{\"a\": 1,,}", "line 1: "},
		{"{\"a\": \"\xff\"}", "line 1: "},
	};
	struct pyro_error err;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK(!jsonc_load(wrong[i].text, &err));
		if (strncmp(err.message, wrong[i].line, strlen(wrong[i].line)) != 0)
			test_fail(__FILE__, __LINE__, "'%s': %s", wrong[i].text, err.message);
	}
}

TEST("a text of a hundred thousand open brackets is refused, not followed")
{
	enum { DEPTH = 100000 };
	char *text = malloc(2 * DEPTH + 1);

	memset(text, '[', DEPTH);
	memset(text + DEPTH, ']', DEPTH);
	text[2 * DEPTH] = '\0';
	CHECK(!jsonc_load(text, NULL));
	free(text);
}

TEST("a value is replaced where it is, and nothing else changes")
{
	check_set("// a\n{ \"mcp\": { \"pyro\": { \"command\": /* b */ [\"x\", \"}\"] /* c */, }, "
		  "}, } // d",
		  "// a\n{ \"mcp\": { \"pyro\": { \"command\": /* b */ [\n  \"new\"\n] /* c */, }, "
		  "}, } // d");
	check_set("{\"mcp\":{\"pyro\":{\"command\":1},\"pyro\":{\"command\":2,\"k\":\"\\\"}\"}}}",
		  "{\"mcp\":{\"pyro\":{\"command\":1},\"pyro\":{\"command\":[\n  "
		  "\"new\"\n],\"k\":\"\\\"}\"}}}");
	check_set("{\"m\\u0063p\":{\"pyro\":{\"command\":null}}}",
		  "{\"m\\u0063p\":{\"pyro\":{\"command\":[\n  \"new\"\n]}}}");
}

TEST("a member that is missing becomes the last, behind the comments about the one before")
{
	check_set("{\n  \"mcp\": {\n    \"pyro\": {\n      \"a\": 1 // one\n    }\n  }\n}\n",
		  "{\n  \"mcp\": {\n    \"pyro\": {\n      \"a\": 1, // one\n      \"command\": "
		  "[\n        "
		  "\"new\"\n      ]\n    }\n  }\n}\n");
	check_set("{\n\t\"mcp\": {\n\t\t\"b\": {}, // two\n\t\t// three\n\t},\n}",
		  "{\n\t\"mcp\": {\n\t\t\"b\": {}, // two\n\t\t\"pyro\": {\n\t\t  \"command\": "
		  "[\n\t\t    "
		  "\"new\"\n\t\t  ]\n\t\t}\n\t\t// three\n\t},\n}");
	check_set("{\"mcp\": {\"pyro\": {\"a\": 1}}}",
		  "{\"mcp\": {\"pyro\": {\"a\": 1, \"command\": [\n  \"new\"\n]}}}");
	check_set("{\"mcp\": {\"pyro\": {\"a\": 1 /* , */ , /* } */ }}}",
		  "{\"mcp\": {\"pyro\": {\"a\": 1 /* , */ , \"command\": [\n  \"new\"\n] /* } */ "
		  "}}}");
}

TEST("objects on the way are made, and what stands in the way gives way")
{
	check_set("{}", "{\n  \"mcp\": {\n    \"pyro\": {\n      \"command\": [\n        \"new\"\n "
			"     ]\n "
			"   }\n  }\n}");
	check_set("{ // empty\n}", "{\n  \"mcp\": {\n    \"pyro\": {\n      \"command\": [\n       "
				   " \"new\"\n      ]\n    }\n "
				   " }\n // empty\n}");
	check_set("{\"mcp\": [\"x\"]}",
		  "{\"mcp\": {\n  \"pyro\": {\n    \"command\": [\n      \"new\"\n    ]\n  }\n}}");
}

TEST("a list, or what is no JSON, is not changed")
{
	json_t *value = json_true();
	struct pyro_error err;

	CHECK(!jsonc_set("[]", path, value, &err));
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK(!jsonc_set("{", path, value, &err));
	CHECK_INT(err.code, PYRO_E_INVALID);
}

TEST("a text of beginnings of comments without an end is refused at once")
{
	enum { N = 4 * 1024 * 1024 };
	char *text = mem_zalloc(N + 1, 1);

	test_deadline(100); /* in quadratic time it would take hours */
	for (size_t i = 0; i < N; i++)
		text[i] = "/* "[i % 3];
	CHECK(!jsonc_load(text, NULL));
	free(text);
}
