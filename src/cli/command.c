#include "cli/command.h"

#include "base/buf.h"
#include "cli/builtin.h"

#include <string.h>

/* clang-format off */
const struct command commands[] = {
#define OP(op, cli, mcp, rec, hints, title, summary, usage) \
	{cli, summary, &ops_rows[OP_##op], NULL, NULL, NULL},
#define IN(...)
#define EXAMPLE(...)
#define NEXT(...)
#define END(op)
#include "ops/ops.def"
	{"mcp serve", "Serve the tools to a chat host over standard input and output", NULL,
	 "[OPTIONS]", "Speaks the Model Context Protocol. It is started by a chat host.",
	 builtin_mcp_serve},
	{"completion", "Print a completion script for a shell", NULL, "bash|zsh|fish",
	 "For the running shell: source <(pyro completion bash). make install puts the scripts "
	 "where the shells look for them.",
	 builtin_completion},
	{"help", "Show the help of a command", NULL, "[COMMAND]",
	 "The same as the command with --help.", builtin_help},
	{"version", "Print the version", NULL, "", "The same as pyro --version.", builtin_version},
};
/* clang-format on */
const size_t commands_count = ARRAY_SIZE(commands);

/* How many elements of argv the words match as a whole; 0: they do not. */
static size_t matched(const char *words, char *const *argv)
{
	size_t n = 0;

	while (argv[n]) {
		size_t len = strcspn(words, " ");

		if (strlen(argv[n]) != len || strncmp(words, argv[n], len) != 0)
			return 0;
		n++;
		if (!words[len])
			return n;
		words += len + 1;
	}
	return 0;
}

const struct command *command_match(char *const *argv, size_t *ret_words)
{
	const struct command *best = NULL;

	*ret_words = 0;
	for (size_t i = 0; i < commands_count; i++) {
		size_t n = commands[i].words ? matched(commands[i].words, argv) : 0;

		if (n > *ret_words) {
			*ret_words = n;
			best = &commands[i];
		}
	}
	return best;
}

bool command_starts_with(const char *whole, const char *words)
{
	size_t len = strlen(words);

	return len == 0 || (strncmp(whole, words, len) == 0 && whole[len] == ' ');
}

bool command_is_group(const char *words)
{
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].words && command_starts_with(commands[i].words, words))
			return true;
	return false;
}

void command_option(const struct op_input *in, char option[OPS_LABEL_MAX])
{
	ops_input_label(in, NAMING_CLI, option);
}

bool command_has_json(const struct command *command)
{
	return command->op && !(command->op->hints & JSON_RESULT);
}

const struct op_input *command_rest(const struct op_row *op)
{
	for (const struct op_input *in = op->inputs; in->name; in++)
		if (in->flags & REST)
			return in;
	return NULL;
}

void command_usage(const struct command *command, struct buf *out)
{
	buf_printf(out, "pyro %s", command->words);
	if (!command->op) {
		if (*command->synopsis)
			buf_printf(out, " %s", command->synopsis);
		return;
	}
	for (const struct op_input *in = command->op->inputs; in->name; in++)
		if (in->flags & POS)
			buf_printf(out, in->flags & REQUIRED ? " %s" : " [%s]", in->metavar);
	buf_puts(out, " [OPTIONS]");
	if (command_rest(command->op))
		buf_printf(out, " -- %s", command_rest(command->op)->metavar);
}
