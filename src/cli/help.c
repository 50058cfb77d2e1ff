#include "cli/help.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/parse.h"
#include "cli/command.h"

#include <ctype.h>
#include <string.h>

#define WIDTH 80
#define OPTION_COLUMN 29
#define COMMAND_COLUMN 22

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

/* Collects what stands in the brackets behind a text. */
static void remark(struct buf *remarks, const char *text)
{
	buf_printf(remarks, "%s%s", remarks->len ? ", " : " (", text);
}

void help_argument(const struct op_input *in, struct buf *out)
{
	AUTO_BUF struct buf remarks = BUF_INIT(512);
	AUTO_FREE char *bounds = mem_printf("%lld to %lld", (long long)in->min, (long long)in->max);
	AUTO_FREE char *def = mem_printf("default %s", in->def ? in->def : "");

	if (command_is_option(in) && in->flags & REQUIRED)
		remark(&remarks, in->flags & OR_FILE ? "this or the next is required" : "required");
	if (in->kind == KIND_INT)
		remark(&remarks, bounds);
	if (in->def)
		remark(&remarks, def);
	if (in->kind == KIND_STRV || in->kind == KIND_MAP)
		remark(&remarks, "may be repeated");
	if (in->kind == KIND_ON)
		buf_printf(out, "Do not %c%s", tolower(in->text[0]), in->text + 1);
	else
		buf_printf(out, "%s%s%s", in->text, buf_text(&remarks), remarks.len ? ")" : "");
}

void help_option(const struct command_option *option, struct buf *out)
{
	if (option->form && option->in->kind == KIND_LIST)
		buf_printf(out, "%s (may be repeated)", option->text);
	else if (option->is_content || option->form)
		buf_puts(out, option->text);
	else
		help_argument(option->in, out);
}

static void arguments(struct buf *out, const struct op_row *op)
{
	bool is_first = true;

	for (const struct op_input *in = op->inputs; in->name; in++) {
		AUTO_BUF struct buf text = BUF_INIT(1024);

		if (command_is_option(in))
			continue;
		if (is_first)
			buf_puts(out, "Arguments:\n");
		is_first = false;
		help_argument(in, &text);
		row(out, in->metavar, OPTION_COLUMN, buf_text(&text));
	}
	if (!is_first)
		buf_puts(out, "\n");
}

static void options(struct buf *out, const struct command *command)
{
	struct command_option all[COMMAND_OPTIONS_MAX];
	size_t n = command_options(command->op, all);

	buf_puts(out, "Options:\n");
	for (size_t i = 0; i < n; i++) {
		AUTO_BUF struct buf text = BUF_INIT(1024);
		AUTO_FREE char *form = mem_printf("%s%s%s", all[i].name, all[i].metavar ? " " : "",
						  all[i].metavar ? all[i].metavar : "");

		help_option(&all[i], &text);
		row(out, form, OPTION_COLUMN, buf_text(&text));
	}
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

	paragraph(out, command->summary);
	buf_puts(out, "Usage: ");
	command_usage(command, out);
	buf_puts(out, "\n\n");
	if (!op) {
		wrap(out, command->details, 0, 0);
		return;
	}
	paragraph(out, op->usage);
	arguments(out, op);
	options(out, command);
	if (command_rest(op) && op->hints & STREAMS)
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

/* Whether `whole` is `words` and one word more. */
static bool is_next_word(const char *whole, const char *words)
{
	return command_starts_with(whole, words) && !strchr(whole + strlen(words) + 1, ' ');
}

/* The commands right below `words`, without their first `skip` characters. */
static void list_commands(struct buf *out, const char *words, size_t skip)
{
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].words && is_next_word(commands[i].words, words))
			row(out, commands[i].words + skip, COMMAND_COLUMN, commands[i].summary);
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
		if (strchr(g->words, ' ')) {
			row(out, g->words, COMMAND_COLUMN, g->text);
			continue;
		}
		buf_printf(out, "\n%s:\n", g->text);
		list_commands(out, g->words, 0);
	}
	buf_puts(out, "\nOther commands:\n");
	list_plain(out, false);
	buf_puts(out, "\nOptions:\n");
	row(out, "--version", COMMAND_COLUMN, "Print the version");
	row(out, "-h, --help", COMMAND_COLUMN, "Show help; after a command: the command's");
	buf_puts(out, "\n"
		      "Exit codes: 0 done, 2 wrong usage, 125 pyro's own failure, 128+n ended by\n"
		      "signal n; run, vm exec and workspace exec end with the exit code of their\n"
		      "command, 124 if it timed out, 127 if it was not found.\n");
}

void help_group(const char *words, struct buf *out)
{
	size_t skip = strlen(words) + 1;

	if (!*words) {
		help_top(out);
		return;
	}
	if (*group_text(words))
		buf_printf(out, "%s\n\n", group_text(words));
	buf_printf(out, "Usage: pyro %s COMMAND [ARGUMENTS] [OPTIONS]\n", words);
	buf_puts(out, "\nCommands:\n");
	list_commands(out, words, skip);
	for (const struct op_group *g = ops_groups; g->words; g++)
		if (command_starts_with(g->words, words)) {
			buf_printf(out, "\n%s:\n", g->text);
			list_commands(out, g->words, skip);
		}
	buf_printf(out, "\nMore about one: pyro %s COMMAND --help\n", words);
}

/* What stands directly in a group: "snapshot" and "exec" of "workspace". */
static bool is_child(const char *whole, const char *group, size_t skip)
{
	return whole && command_starts_with(whole, group) && !strchr(whole + skip, ' ');
}

/* The nearest of all that stands in the same group. NULL if nothing is near. */
static const char *nearest_sibling(const char *group, const char *word)
{
	const char *candidates[256] = {NULL};
	size_t skip = *group ? strlen(group) + 1 : 0, n = 0;

	for (size_t i = 0; i < commands_count && n + 1 < ARRAY_SIZE(candidates); i++)
		if (is_child(commands[i].words, group, skip))
			candidates[n++] = commands[i].words + skip;
	for (const struct op_group *g = ops_groups; g->words && n + 1 < ARRAY_SIZE(candidates); g++)
		if (is_child(g->words, group, skip))
			candidates[n++] = g->words + skip;
	return parse_nearest(word, candidates);
}

/* The command that has this as its last word, of one group: `push` is `workspace sync push`. */
static const char *ends_with(const char *group, const char *word)
{
	for (size_t i = 0; i < commands_count; i++) {
		const char *words = commands[i].words;
		const char *last = words ? strrchr(words, ' ') : NULL;

		if (last && command_starts_with(words, group) && strcmp(last + 1, word) == 0)
			return words;
	}
	return NULL;
}

/*
 * A right word in a wrong place is known for sure, a mistyped one is guessed. Whoever leaves the
 * group out means a workspace, which is what most commands are about.
 */
static int unknown(const char *group, const char *word, struct pyro_error *err)
{
	const char *space = *group ? " " : "";
	const char *whole = ends_with(*group ? group : "workspace", word);
	const char *near = whole ? NULL : nearest_sibling(group, word);

	(void)err_set(err, PYRO_E_USAGE, "there is no command '%s%s%s'", group, space, word);
	if (whole)
		return err_hint(err, "did you mean 'pyro %s'? pyro %s%s--help lists all", whole,
				group, space);
	if (near)
		return err_hint(err, "did you mean 'pyro %s%s%s'? pyro %s%s--help lists all", group,
				space, near, group, space);
	return err_hint(err, "pyro %s%s--help lists all commands", group, space);
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

		if (words.len && strcmp(*argv, "help") == 0)
			break;
		if (!command_is_group(group))
			return unknown(buf_text(&words), *argv, err);
		buf_reset(&words);
		buf_puts(&words, group);
	}
	if (*argv && **argv == '-' && strcmp(*argv, "--help") != 0 && strcmp(*argv, "-h") != 0) {
		(void)err_set(err, PYRO_E_USAGE, "there is no option '%s' here", *argv);
		(void)err_hint(err, "options stand behind the whole command; pyro --help");
		return -1;
	}
	help_group(buf_text(&words), out);
	return 0;
}
