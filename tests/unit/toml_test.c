#include "api/toml.h"
#include "pyro/error.h"
#include "tests/test.h"

static const char *const table[] = {"servers", "pyro", NULL};

static void check_set(const char *text, const char *wanted)
{
	char *made = toml_set(text, table, "args", "[1]", NULL);

	if (!made || strcmp(made, wanted) != 0)
		test_fail(__FILE__, __LINE__, "of '%s' became '%s'", text, made ? made : "nothing");
	free(made);
}

static void check_refused(const char *text, const char *message)
{
	struct pyro_error err;
	char *made = toml_set(text, table, "args", "[1]", &err);

	if (made || strcmp(err.message, message) != 0)
		test_fail(__FILE__, __LINE__, "'%s': %s", text, made ? made : err.message);
	CHECK_INT(err.code, PYRO_E_INVALID);
}

TEST("a value in a table of TOML is replaced, whatever stands around it")
{
	check_set("[servers.pyro]\nargs = 5", "[servers.pyro]\nargs = [1]");
	check_set("# top\na = 1\n[servers.\"pyro\"] # head\r\n\"args\"=[ # one\n \"]\", '#' ] # "
		  "two\r\nb = 2\n",
		  "# top\na = 1\n[servers.\"pyro\"] # head\r\n\"args\"=[1] # two\r\nb = 2\n");
	check_set("[ servers . 'pyro' ]\nx.args = 3\nargs = { a = \"}\", b = [{}] }\n[other]\nargs "
		  "= 2\n",
		  "[ servers . 'pyro' ]\nx.args = 3\nargs = [1]\n[other]\nargs = 2\n");
	check_set("[servers.pyro]\nd = 1979-05-27 07:32:00Z # day\nargs = -1.5e3#x",
		  "[servers.pyro]\nd = 1979-05-27 07:32:00Z # day\nargs = [1]#x");
}

TEST("a value that a table of TOML lacks becomes its first line")
{
	check_set("[servers.pyro] # x\ncommand = 'y'\n",
		  "[servers.pyro] # x\nargs = [1]\ncommand = 'y'\n");
	check_set("[servers.pyro]", "[servers.pyro]\nargs = [1]\n");
	check_set("[servers.pyro.env]\nargs = 2\n[servers.pyro]\n[[servers.pyro.more]]\nargs = 3\n",
		  "[servers.pyro.env]\nargs = 2\n[servers.pyro]\nargs = "
		  "[1]\n[[servers.pyro.more]]\nargs = 3\n");
}

TEST("what only looks like a table of TOML, in a string or a list, is none")
{
	check_set("a = \"\"\"\n[servers.pyro]\nargs = 2 \\\"\"\"\\\n\"\"\"\"\nb = "
		  "'''\n[servers.pyro]'''\n"
		  "c = [\n[\"servers.pyro\"],\n[2] ]\n[servers.pyro]\nargs = 1\n",
		  "a = \"\"\"\n[servers.pyro]\nargs = 2 \\\"\"\"\\\n\"\"\"\"\nb = "
		  "'''\n[servers.pyro]'''\n"
		  "c = [\n[\"servers.pyro\"],\n[2] ]\n[servers.pyro]\nargs = [1]\n");
	CHECK(!toml_has_table("a = '''\n[servers.pyro]\n'''\n", table));
	CHECK(!toml_has_table("[[servers.pyro]]\n[servers.pyro.env]\n[servers]\npyro = { a = 1 }\n",
			      table));
	CHECK(toml_has_table("\xef\xbb\xbf[servers.pyro]\n", table));
}

TEST("what is no TOML is refused with its line, and a missing table is named as that")
{
	check_refused("", "it has no table of that name");
	check_refused("servers.pyro.args = 1\n", "it has no table of that name");
	check_refused("[servers.pyro\n", "line 1 is not TOML");
	check_refused("[servers.pyro]\nargs =\n", "line 2 is not TOML");
	check_refused("[servers.pyro]\na = [1,\n\n2\n", "line 2 is not TOML");
	check_refused("[servers.pyro]\n\na = \"x\ny\"\n", "line 3 is not TOML");
	check_refused("a = \"\"\"x\n\n[servers.pyro]\n", "line 1 is not TOML");
	check_refused("[servers.pyro]\n= 1\n", "line 2 is not TOML");
	check_refused("[servers.pyro]\na = 'x' y\n", "line 2 is not TOML");
	check_refused("[]\n", "line 1 is not TOML");
}

TEST("JSON values become values of TOML on one line")
{
	json_t *value = json_pack("{s:s, s:s}", "A", "b\n\"\\", "a b", "\xc3\xa4");
	char *text = toml_value(value);

	CHECK_STR(text, "{ \"A\" = \"b\\n\\\"\\\\\", \"a b\" = \"\xc3\xa4\" }");
	free(text);
	json_decref(value);
	value = json_pack("[s, s]", "mcp", "serve");
	text = toml_value(value);
	CHECK_STR(text, "[\"mcp\", \"serve\"]");
	free(text);
	json_decref(value);
}
