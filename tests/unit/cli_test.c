#include "base/buf.h"
#include "base/err.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/completion.h"
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

static char *parsed(char **argv)
{
	struct pyro_error err;
	json_t *object = args_parse(command_named("run"), argv, &err);
	char *text = object ? json_dumps(object, JSON_COMPACT) : mem_strdup(err.message);

	json_decref(object);
	return keep(text);
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

TEST("words that cannot be meant are named")
{
	CHECK_STR(parsed(words("--mem-mib|much")), "--mem-mib: expected an integer, got 'much'");
	CHECK_STR(parsed(words("--mem-mib=")), "--mem-mib: expected an integer, got ''");
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
		char option[OPS_LABEL_MAX];

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
		for (const struct op_input *in = commands[i].op->inputs; in->name; in++) {
			ops_input_label(in, NAMING_CLI, option);
			CHECK(strstr(buf_text(&out), option) != NULL);
		}
		CHECK(strstr(buf_text(&out), commands[i].op->examples[0].command) != NULL);
	}
}

TEST("every first word of longer commands has a text of its own")
{
	for (size_t i = 0; i < commands_count; i++) {
		const char *blank = commands[i].words ? strchr(commands[i].words, ' ') : NULL;
		bool is_known = !blank;

		for (const struct op_group *g = ops_groups; g->words; g++)
			if (blank && strlen(g->words) == (size_t)(blank - commands[i].words) &&
			    strncmp(g->words, commands[i].words, strlen(g->words)) == 0)
				is_known = true;
		CHECK(is_known);
	}
}

TEST("every command is in every completion script")
{
	static const char *const shells[] = {"bash", "zsh", "fish"};

	for (size_t s = 0; s < ARRAY_SIZE(shells); s++) {
		AUTO_BUF struct buf out = BUF_INIT(HELP_MAX);

		CHECK_INT(completion_script(shells[s], &out), 0);
		for (size_t i = 0; i < commands_count; i++)
			CHECK(!commands[i].words || strstr(buf_text(&out), commands[i].words));
	}
}
