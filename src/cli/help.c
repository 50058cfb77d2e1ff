#include "cli/help.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/parse.h"
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 80
#define OPTION_COLUMN 29
#define COMMAND_COLUMN 20

/* Appends text broken at blanks; the first line begins at column `at`, others at `indent`. */
static void wrap(struct buf *out, const char *text, size_t at, size_t indent)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		if (at > indent && at + 1 + len > WIDTH) {
			buf_printf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			buf_puts(out, " ");
			at++;
		}
		buf_append(out, text, len);
		at += len;
		text += len + (text[len] == ' ');
	}
	buf_puts(out, "\n");
}

static void paragraph(struct buf *out, const char *text)
{
	wrap(out, text, 0, 0);
	buf_puts(out, "\n");
}

/* "  --mem-mib MIB   Memory in MiB", the second column at `column`. */
static void row(struct buf *out, const char *left, size_t column, const char *text)
{
	size_t used = 2 + strlen(left);

	buf_printf(out, "  %s", left);
	if (used + 2 > column) {
		buf_puts(out, "\n");
		used = 0;
	}
	buf_printf(out, "%*s", (int)(column - used), "");
	wrap(out, text, column, column);
}

void help_bounds(const struct op_input *in, struct buf *out)
{
	if (in->kind == KIND_INT)
		buf_printf(out, " (%lld to %lld", (long long)in->min, (long long)in->max);
	if (in->def)
		buf_printf(out, "%sdefault %s", in->kind == KIND_INT ? ", " : " (", in->def);
	if (in->kind == KIND_INT || in->def)
		buf_puts(out, ")");
}

static void input_row(struct buf *out, const struct op_input *in, size_t column)
{
	AUTO_BUF struct buf text = BUF_INIT(1024);
	char label[OPS_LABEL_MAX * 2];

	ops_input_label(in, NAMING_CLI, label);
	if (!(in->flags & (POS | REST)) && in->metavar) {
		size_t len = strlen(label);

		(void)snprintf(label + len, sizeof(label) - len, " %s", in->metavar);
	}
	buf_puts(&text, in->text);
	help_bounds(in, &text);
	row(out, label, column, buf_text(&text));
}

static void arguments(struct buf *out, const struct op_row *op)
{
	bool is_first = true;

	for (const struct op_input *in = op->inputs; in->name; in++) {
		if (!(in->flags & (POS | REST)))
			continue;
		if (is_first)
			buf_puts(out, "Arguments:\n");
		is_first = false;
		input_row(out, in, OPTION_COLUMN);
	}
	if (!is_first)
		buf_puts(out, "\n");
}

static void options(struct buf *out, const struct command *command)
{
	buf_puts(out, "Options:\n");
	for (const struct op_input *in = command->op->inputs; in->name; in++)
		if (!(in->flags & (POS | REST)))
			input_row(out, in, OPTION_COLUMN);
	if (command_has_json(command))
		row(out, "--json", OPTION_COLUMN, "Print one JSON object on stdout");
	row(out, "-h, --help", OPTION_COLUMN, "Show this help");
	buf_puts(out, "\n");
}

static void examples(struct buf *out, const struct op_row *op)
{
	buf_puts(out, "Examples:\n");
	for (const struct op_example *e = op->examples; e->command; e++)
		buf_printf(out, "  # %s\n  %s\n", e->text, e->command);
	buf_puts(out, "\n");
}

void help_command(const struct command *command, struct buf *out)
{
	const struct op_row *op = command->op;

	buf_printf(out, "%s\n\nUsage: ", command->summary);
	command_usage(command, out);
	buf_puts(out, "\n\n");
	if (!op) {
		wrap(out, command->details, 0, 0);
		return;
	}
	paragraph(out, op->usage);
	arguments(out, op);
	options(out, command);
	if (command_rest(op))
		paragraph(out,
			  "The command's output appears as it is produced, and pyro ends with "
			  "the command's exit code. A pipe or file on standard input is passed "
			  "to the command; a terminal is not.");
	examples(out, op);
	buf_puts(out, "Next: ");
	wrap(out, op->next, 6, 6);
}

static const char *group_text(const char *words)
{
	for (const struct op_group *g = ops_groups; g->words; g++)
		if (strcmp(g->words, words) == 0)
			return g->text;
	return "";
}

static void list_commands(struct buf *out, const char *words)
{
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].words && command_starts_with(commands[i].words, words))
			row(out, commands[i].words, COMMAND_COLUMN, commands[i].summary);
}

/* Commands of one word, by whether they are operations. */
static void list_plain(struct buf *out, bool are_ops)
{
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].words && !!commands[i].op == are_ops &&
		    !strchr(commands[i].words, ' '))
			row(out, commands[i].words, COMMAND_COLUMN, commands[i].summary);
}

static void help_top(struct buf *out)
{
	buf_puts(out, "pyro: disposable microVM workspaces for coding agents\n\n"
		      "Usage: pyro COMMAND [ARGUMENTS] [OPTIONS]\n\n"
		      "Start here:\n"
		      "  pyro doctor                            what works on this machine\n"
		      "  pyro run debian:12 -- git --version    one command in a fresh VM\n\n"
		      "Commands:\n");
	list_plain(out, true);
	for (const struct op_group *g = ops_groups; g->words; g++) {
		buf_printf(out, "\n%s:\n", g->text);
		list_commands(out, g->words);
	}
	buf_puts(out, "\nOther commands:\n");
	list_plain(out, false);
	buf_puts(out, "\nOptions:\n");
	row(out, "--version", COMMAND_COLUMN, "Print the version");
	row(out, "-h, --help", COMMAND_COLUMN, "Show help; after a command: the command's");
	buf_puts(out, "\n"
		      "Exit codes: 0 done, 2 wrong usage, 125 pyro's own failure, 128+n ended by\n"
		      "signal n; run and vm exec end with the exit code of their command.\n");
}

void help_group(const char *words, struct buf *out)
{
	if (!*words) {
		help_top(out);
		return;
	}
	if (*group_text(words))
		buf_printf(out, "%s\n\n", group_text(words));
	buf_printf(out, "Usage: pyro %s COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n", words);
	list_commands(out, words);
	buf_printf(out, "\nMore about one: pyro %s COMMAND --help\n", words);
}

static int unknown(const char *words, struct pyro_error *err)
{
	const char *candidates[256] = {NULL};
	const char *nearest;
	size_t n = 0;

	for (size_t i = 0; i < commands_count && n + 1 < ARRAY_SIZE(candidates); i++)
		if (commands[i].words)
			candidates[n++] = commands[i].words;
	for (const struct op_group *g = ops_groups; g->words && n + 1 < ARRAY_SIZE(candidates); g++)
		candidates[n++] = g->words;
	(void)err_set(err, PYRO_E_USAGE, "there is no command '%s'", words);
	nearest = parse_nearest(words, candidates);
	if (nearest)
		return err_hint(err, "did you mean 'pyro %s'? pyro --help lists all", nearest);
	return err_hint(err, "pyro --help lists all commands");
}

int help_find(char *const *argv, struct buf *out, struct pyro_error *err)
{
	AUTO_BUF struct buf words = BUF_INIT(256);
	const struct command *command;
	size_t n;

	command = command_match(argv, &n);
	if (command) {
		help_command(command, out);
		return 0;
	}
	for (; *argv && **argv != '-'; argv++) {
		AUTO_FREE char *group =
			mem_printf("%s%s%s", buf_text(&words), words.len ? " " : "", *argv);

		buf_reset(&words);
		buf_puts(&words, group);
		if (!command_is_group(group))
			return unknown(group, err);
	}
	if (*argv && strcmp(*argv, "--help") != 0 && strcmp(*argv, "-h") != 0) {
		(void)err_set(err, PYRO_E_USAGE, "there is no option '%s' here", *argv);
		(void)err_hint(err, "options stand behind the whole command; pyro --help");
		return -1;
	}
	help_group(buf_text(&words), out);
	return 0;
}
