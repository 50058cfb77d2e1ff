#include "base/buf.h"
#include "base/err.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/form.h"
#include "cli/help.h"
#include "tests/test.h"

/* What a test makes lives until its process ends. */
static void *keep(void *p)
{
	static void *kept[128];
	static size_t n;

	CHECK(n < ARRAY_SIZE(kept));
	kept[n++] = p;
	return p;
}

/* "a|b" as the vector {a, b}, "" as one empty word, NULL as none. */
static char **words(const char *text)
{
	char **v = keep(mem_zalloc(16, sizeof(*v)));

	for (size_t n = 0; text && n < 15; n++) {
		size_t len = strcspn(text, "|");

		v[n] = mem_strndup(text, len);
		text = text[len] ? text + len + 1 : NULL;
	}
	return v;
}

static const struct command *command_named(const char *name)
{
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].words && strcmp(commands[i].words, name) == 0)
			return &commands[i];
	test_fail(__FILE__, __LINE__, "there is no command '%s'", name);
}

static char *parsed_for(const char *command, char **argv)
{
	struct pyro_error err;
	json_t *object = args_parse(command_named(command), argv, &err);
	char *text = object ? json_dumps(object, JSON_COMPACT) : mem_strdup(err.message);

	json_decref(object);
	return keep(text);
}

static char *parsed(char **argv)
{
	return parsed_for("run", argv);
}

TEST("the command with the most words in common is meant")
{
	size_t n;

	CHECK(command_match(words("env|pull|x"), &n) == command_named("env pull"));
	CHECK_INT(n, 2);
	CHECK(command_match(words("demo|--network"), &n) == command_named("demo"));
	CHECK_INT(n, 1);
	CHECK(!command_match(words("env"), &n));
	CHECK(!command_match(words("en|pull"), &n));
	CHECK(!command_match(words(NULL), &n));
}

TEST("options are taken in both forms, anywhere before --")
{
	CHECK_STR(parsed(words("--mem-mib|256|e|--vcpu-count=2|--network")),
		  "{\"mem_mib\":256,\"environment\":\"e\",\"vcpu_count\":2,\"network\":true}");
}

TEST("everything behind -- is the command, word by word")
{
	CHECK_STR(parsed(words("e|--|ls|-l|--|")),
		  "{\"environment\":\"e\",\"command\":[\"ls\",\"-l\",\"--\",\"\"]}");
	CHECK_STR(parsed(words("e|--")), "{\"environment\":\"e\"}");
}

TEST("a value may begin with a dash or be empty")
{
	CHECK_STR(parsed(words("--timeout-seconds|-1")), "{\"timeout_seconds\":-1}");
	CHECK_STR(parsed(words("")), "{\"environment\":\"\"}");
}

TEST("the last of an option counts")
{
	CHECK_STR(parsed(words("--mem-mib|256|--mem-mib=512")), "{\"mem_mib\":512}");
}

TEST("labels collect, and of one key the last value counts; a value may hold =")
{
	CHECK_STR(parsed_for("workspace create", words("--label|a=1|--label=b=x=y|--label|a=2")),
		  "{\"labels\":{\"a\":\"2\",\"b\":\"x=y\"}}");
	CHECK_STR(parsed_for("workspace create", words("--label|a=")), "{\"labels\":{\"a\":\"\"}}");
}

TEST("a list collects its texts in their order")
{
	CHECK_STR(parsed_for("workspace update", words("w|--clear-label|b|--clear-label=a")),
		  "{\"workspace_id\":\"w\",\"clear_labels\":[\"b\",\"a\"]}");
}

TEST("a label that is no pair is shown the form")
{
	CHECK_STR(parsed_for("workspace create", words("--label|a")),
		  "--label: expected KEY=VALUE, got 'a'");
	CHECK_STR(parsed_for("workspace create", words("--label|=a")),
		  "--label: expected KEY=VALUE, got '=a'");
	CHECK_STR(parsed_for("workspace create", words("--label")),
		  "--label needs a value: --label KEY=VALUE");
	CHECK_STR(parsed_for("workspace create", words("--label|a=\xff")),
		  "--label: not valid UTF-8");
}

TEST("an option with a name of its own is only known by that")
{
	CHECK_STR(parsed_for("workspace export", words("w|p|--output|x")),
		  "{\"workspace_id\":\"w\",\"path\":\"p\",\"output_path\":\"x\"}");
	CHECK_STR(parsed_for("workspace export", words("--output-path|x")),
		  "pyro workspace export has no option '--output-path'");
}

TEST("a text is given once, by itself or as a file")
{
	const char *once = "--text and --text-file: give one of them, once";

	CHECK_STR(parsed_for("workspace file write", words("w|p|--text|")),
		  "{\"workspace_id\":\"w\",\"path\":\"p\",\"text\":\"\"}");
	CHECK_STR(parsed_for("workspace file write", words("--text|a|--text-file|/dev/null")),
		  once);
	CHECK_STR(parsed_for("workspace file write", words("--text-file|/dev/null|--text|a")),
		  once);
	CHECK_STR(parsed_for("workspace file write", words("--text|a|--text|b")), once);
}

TEST("the usage of a command shows what must be given")
{
	AUTO_BUF struct buf out = BUF_INIT(1024);

	command_usage(command_named("workspace export"), &out);
	buf_puts(&out, "\n");
	command_usage(command_named("workspace patch apply"), &out);
	CHECK_STR(buf_text(&out),
		  "pyro workspace export WORKSPACE_ID PATH --output PATH [OPTIONS]\n"
		  "pyro workspace patch apply WORKSPACE_ID (--patch PATCH | --patch-file PATH) "
		  "[OPTIONS]");
}

TEST("words that cannot be meant are named")
{
	CHECK_STR(parsed(words("--mem-mib|much")),
		  "--mem-mib: expected MiB, such as 2048, got 'much'");
	CHECK_STR(parsed(words("--mem-mib=")), "--mem-mib: expected MiB, such as 2048, got ''");
	CHECK_STR(parsed(words("--mem-mib")), "--mem-mib needs a value: --mem-mib MIB");
	CHECK_STR(parsed(words("--network=yes")), "--network takes no value");
	CHECK_STR(parsed(words("--net")), "pyro run has no option '--net'");
	CHECK_STR(parsed(words("-q")), "pyro run has no option '-q'");
	CHECK_STR(parsed(words("e|ls")), "unexpected argument 'ls'");
	CHECK_STR(parsed(words("\xff")), "ENVIRONMENT: not valid UTF-8");
	CHECK_STR(parsed(words("e|--|\xff")), "COMMAND: not valid UTF-8");
}

TEST("help of every command fits into 100 columns and shows every option")
{
	for (size_t i = 0; i < commands_count; i++) {
		AUTO_BUF struct buf out = BUF_INIT(HELP_MAX);
		struct command_option options[COMMAND_OPTIONS_MAX];

		if (!commands[i].words)
			continue;
		help_command(&commands[i], &out);
		for (const char *line = buf_text(&out); *line;) {
			size_t len = strcspn(line, "\n");

			CHECK(len <= 100);
			line += len + (line[len] == '\n');
		}
		if (!commands[i].op)
			continue;
		for (size_t n = command_options(commands[i].op, options); n-- > 0;)
			CHECK(strstr(buf_text(&out), options[n].name) != NULL);
		CHECK(strstr(buf_text(&out), commands[i].op->examples[0].command) != NULL);
	}
}

TEST("no operation has more options than there is room for")
{
	for (int i = 0; i < OP_COUNT; i++) {
		struct command_option options[COMMAND_OPTIONS_MAX];

		CHECK(command_options(&ops_rows[i], options) < COMMAND_OPTIONS_MAX - 1);
	}
}

TEST("the help of a group shows every command below it, by the words that follow")
{
	AUTO_BUF struct buf out = BUF_INIT(HELP_MAX);
	const char *group = "workspace";

	help_group(group, &out);
	for (size_t i = 0; i < commands_count; i++) {
		if (!commands[i].words || !command_starts_with(commands[i].words, group))
			continue;
		CHECK(strstr(buf_text(&out),
			     keep(mem_printf("\n  %s ", commands[i].words + strlen(group) + 1))));
	}
}

TEST("all words of a command but the last are a command, or a group with a text of its own")
{
	for (size_t i = 0; i < commands_count; i++) {
		const char *blank = commands[i].words ? strrchr(commands[i].words, ' ') : NULL;
		bool is_known = !blank;

		for (const struct op_group *g = ops_groups; g->words; g++)
			if (blank && strlen(g->words) == (size_t)(blank - commands[i].words) &&
			    strncmp(g->words, commands[i].words, strlen(g->words)) == 0)
				is_known = true;
		for (size_t j = 0; blank && j < commands_count; j++)
			if (commands[j].words &&
			    strlen(commands[j].words) == (size_t)(blank - commands[i].words) &&
			    command_starts_with(commands[i].words, commands[j].words))
				is_known = true;
		CHECK(is_known);
	}
}

TEST("text is as wide as a terminal shows it, in any locale")
{
	CHECK_INT(form_width(""), 0);
	CHECK_INT(form_width("plain"), 5);
	CHECK_INT(form_width("fix-\u00e9"), 5);
	CHECK_INT(form_width("e\u0301tude"), 5);
	CHECK_INT(form_width("\u65e5\u672c\u8a9e"), 6);
	CHECK_INT(form_width("\U0001f525!"), 3);
}

TEST("the columns of a table meet below wide and combining characters")
{
	static const char *const names[] = {"NAME", "STATE", NULL};
	AUTO_BUF struct buf out = BUF_INIT(1024);
	struct form_table table = {0};

	form_headings(&table, names);
	form_cell(&table, "\u65e5\u672c\u8a9e");
	form_cell(&table, "one");
	form_cell(&table, "e\u0301tude");
	form_cell(&table, "two");
	form_table_end(&table, false, &out);
	CHECK_STR(buf_text(&out), "NAME    STATE\n\u65e5\u672c\u8a9e  one\ne\u0301tude   two\n");
}

TEST("a command is shown with its words' boundaries, and nothing in it moves the cursor")
{
	char **command = words("ls|it's a \033[2J\302\2332J|-l");
	AUTO_BUF struct buf out = BUF_INIT(1024);

	form_command(&out, command);
	CHECK_STR(buf_text(&out), "ls 'it'\\''s a  [2J  2J' -l");
}

TEST("what follows --secret is overwritten in the words, and nothing else")
{
	char **argv =
		words("e|--secret|A=hush=hush|--secret=B=hush|--secret-file|C=/d|--name|n=m|--|"
		      "--secret|D=x");

	args_hide(argv);
	CHECK_STR(argv[2], "A=*********");
	CHECK_STR(argv[3], "--secret=B=****");
	CHECK_STR(argv[5], "C=/d");
	CHECK_STR(argv[7], "n=m");
	CHECK_STR(argv[10], "D=x");
}
