#include "cli/command.h"

#include "base/buf.h"
#include "cli/builtin.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
const struct command commands[] = {
#define OP(op, cli, mcp, rec, hints, title, summary, usage) \
	{cli, summary, &ops_rows[OP_##op], NULL, NULL, NULL},
#include "ops/ops.def"
	{"completion", "Print a completion script for a shell", NULL, "bash|zsh|fish",
	 "Completes commands, options and names: of workspaces and what they have, of VMs, "
	 "environments and chat hosts. For the running shell: source <(pyro completion bash). make "
	 "install puts the scripts where the shells look for them.",
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

bool command_is_option(const struct op_input *in)
{
	return !(in->flags & (POS | REST));
}

static void add_option(const struct op_input *in, bool is_content, struct command_option *ret)
{
	char label[OPS_LABEL_MAX];

	ops_input_label(in, NAMING_CLI, label);
	*ret = (struct command_option){
		.metavar = is_content ? "PATH" : ops_metavar(in),
		.text = is_content ? "The same from a file of the host; - is standard input"
				   : in->text,
		.in = in,
		.is_content = is_content,
	};
	(void)snprintf(ret->name, sizeof(ret->name), "%.80s%s", label, is_content ? "-file" : "");
}

/* The options that give an object: returns how many. */
static size_t add_forms(const struct op_row *op, const struct op_input *in,
			struct command_option *ret, size_t room)
{
	size_t n = 0;

	for (const struct op_option *o = op->options; o->input && n < room; o++) {
		if (strcmp(o->input, in->name) != 0)
			continue;
		ret[n] = (struct command_option){
			.metavar = strchr(o->form, ' ') + 1,
			.text = o->text,
			.in = in,
			.form = o,
		};
		(void)snprintf(ret[n].name, sizeof(ret[n].name), "%.*s", (int)strcspn(o->form, " "),
			       o->form);
		n++;
	}
	return n;
}

size_t command_options(const struct op_row *op, struct command_option ret[COMMAND_OPTIONS_MAX])
{
	size_t n = 0;

	for (const struct op_input *in = op->inputs; in->name && n + 2 <= COMMAND_OPTIONS_MAX;
	     in++) {
		if (!command_is_option(in))
			continue;
		if (in->of) {
			n += add_forms(op, in, &ret[n], COMMAND_OPTIONS_MAX - n);
			continue;
		}
		add_option(in, /* is_content= */ false, &ret[n++]);
		if (in->flags & OR_FILE)
			add_option(in, /* is_content= */ true, &ret[n++]);
	}
	return n;
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

/* " --output PATH", " (--text TEXT | --text-file PATH)" */
static void required_options(const struct op_row *op, struct buf *out)
{
	struct command_option options[COMMAND_OPTIONS_MAX];
	size_t n = command_options(op, options);

	for (size_t i = 0; i < n; i++) {
		const struct command_option *o = &options[i];

		if (!(o->in->flags & REQUIRED))
			continue;
		if (!(o->in->flags & OR_FILE))
			buf_printf(out, " %s %s", o->name, o->metavar);
		else
			buf_printf(out, o->is_content ? " | %s %s)" : " (%s %s", o->name,
				   o->metavar);
	}
}

void command_usage(const struct command *command, struct buf *out)
{
	const struct op_row *op = command->op;

	buf_printf(out, "pyro %s", command->words);
	if (!op) {
		if (*command->synopsis)
			buf_printf(out, " %s", command->synopsis);
		return;
	}
	for (const struct op_input *in = op->inputs; in->name; in++)
		if (in->flags & POS)
			buf_printf(out, in->flags & REQUIRED ? " %s" : " [%s]", in->metavar);
	required_options(op, out);
	buf_puts(out, " [OPTIONS]");
	if (command_rest(op))
		buf_printf(out, " -- %s", command_rest(op)->metavar);
}
