#include "cli/args.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/parse.h"
#include "cli/command.h"

#include <string.h>

bool args_has(char *const *argv, const char *option)
{
	for (; *argv && strcmp(*argv, "--") != 0; argv++)
		if (strcmp(*argv, option) == 0)
			return true;
	return false;
}

static int usage_hint(const struct command *command, struct pyro_error *err)
{
	(void)err_hint(err, "pyro %s --help", command->words);
	return -1;
}

void args_hint(const struct command *command, struct pyro_error *err)
{
	if (command_rest(command->op) && strstr(err->message, " is missing"))
		(void)err_hint(err, "for example: %s", command->op->examples[0].command);
	else
		(void)usage_hint(command, err);
}

static int unknown_option(const struct command *command, const char *option, size_t len,
			  struct pyro_error *err)
{
	char labels[64][OPS_LABEL_MAX];
	const char *candidates[67] = {"--json", "--help"};
	AUTO_FREE char *name = mem_strndup(option, len);
	const char *nearest;
	size_t n = 0;

	for (const struct op_input *in = command->op->inputs; in->name && n < 64; in++)
		if (!(in->flags & (POS | REST))) {
			command_option(in, labels[n]);
			candidates[2 + n] = labels[n];
			n++;
		}
	(void)err_set(err, PYRO_E_USAGE, "pyro %s has no option '%s'", command->words, name);
	nearest = parse_nearest(name, candidates);
	if (nearest)
		return err_hint(err, "did you mean '%s'? pyro %s --help lists all", nearest,
				command->words);
	return usage_hint(command, err);
}

static const struct op_input *find_option(const struct op_row *op, const char *option, size_t len)
{
	char label[OPS_LABEL_MAX];

	for (const struct op_input *in = op->inputs; in->name; in++) {
		if (in->flags & (POS | REST))
			continue;
		command_option(in, label);
		if (strlen(label) == len && strncmp(label, option, len) == 0)
			return in;
	}
	return NULL;
}

static int set_text(json_t *object, const struct op_input *in, const char *text,
		    struct pyro_error *err)
{
	char label[OPS_LABEL_MAX];
	json_t *value;
	int64_t n;

	command_option(in, label);
	if (in->kind == KIND_INT) {
		if (!parse_int(text, INT64_MIN, INT64_MAX, &n))
			return err_set(err, PYRO_E_USAGE, "%s: expected an integer, got '%s'",
				       label, text);
		value = json_integer(n);
	} else {
		value = json_string(text);
		if (!value)
			return err_set(err, PYRO_E_USAGE, "%s: not valid UTF-8", label);
	}
	json_object_set_new(object, in->name, value);
	return 0;
}

/* Returns how many words it took, or -1. */
static int parse_option(const struct command *command, char *const *argv, json_t *object,
			struct pyro_error *err)
{
	const char *word = argv[0];
	size_t len = strcspn(word, "=");
	const char *inlined = word[len] ? word + len + 1 : NULL;
	const struct op_input *in = find_option(command->op, word, len);

	if (strcmp(word, "--json") == 0) /* main() has seen it */
		return 1;
	if (!in)
		return unknown_option(command, word, len, err);
	if (in->kind == KIND_BOOL) {
		if (inlined)
			return err_set(err, PYRO_E_USAGE, "%.*s takes no value", (int)len, word);
		json_object_set_new(object, in->name, json_true());
		return 1;
	}
	if (!inlined && !argv[1])
		return err_set(err, PYRO_E_USAGE, "%s needs a value: %s %s", word, word,
			       in->metavar);
	if (set_text(object, in, inlined ? inlined : argv[1], err) < 0)
		return -1;
	return inlined ? 1 : 2;
}

/* The n-th positional input, or NULL. */
static const struct op_input *positional(const struct op_row *op, size_t n)
{
	for (const struct op_input *in = op->inputs; in->name; in++)
		if (in->flags & POS && n-- == 0)
			return in;
	return NULL;
}

/* A command is the usual thing to follow the last argument; the `--` is easily forgotten. */
static int unexpected(const struct command *command, char *const *argv, const json_t *given,
		      struct pyro_error *err)
{
	AUTO_BUF struct buf line = BUF_INIT(160);
	const struct op_input *first = positional(command->op, 0);

	(void)err_set(err, PYRO_E_USAGE, "unexpected argument '%s'", *argv);
	if (!command_rest(command->op) || !first)
		return usage_hint(command, err);
	buf_printf(&line, "pyro %s %s --", command->words,
		   json_string_value(json_object_get(given, first->name)));
	for (; *argv; argv++)
		buf_printf(&line, " %s", *argv);
	return err_hint(err, "put -- before the command: %s", buf_text(&line));
}

static int parse_rest(const struct op_input *in, char *const *argv, json_t *object,
		      struct pyro_error *err)
{
	json_t *words = json_array();

	json_object_set_new(object, in->name, words);
	for (; *argv; argv++)
		if (json_array_append_new(words, json_string(*argv)) < 0)
			return err_set(err, PYRO_E_USAGE, "%s: not valid UTF-8", in->metavar);
	if (json_array_size(words) == 0)
		json_object_del(object, in->name);
	return 0;
}

static int parse(const struct command *command, char *const *argv, json_t *object,
		 struct pyro_error *err)
{
	const struct op_input *rest = command_rest(command->op);
	bool only_positionals = false;
	size_t n = 0;

	while (*argv) {
		const struct op_input *in;
		int taken;

		if (!only_positionals && strcmp(*argv, "--") == 0) {
			if (rest)
				return parse_rest(rest, argv + 1, object, err);
			only_positionals = true;
			argv++;
			continue;
		}
		if (!only_positionals && argv[0][0] == '-' && argv[0][1]) {
			taken = parse_option(command, argv, object, err);
			if (taken < 0)
				return -1;
			argv += taken;
			continue;
		}
		in = positional(command->op, n++);
		if (!in)
			return unexpected(command, argv, object, err);
		if (set_text(object, in, *argv++, err) < 0)
			return -1;
	}
	return 0;
}

json_t *args_parse(const struct command *command, char *const *argv, struct pyro_error *err)
{
	json_t *object = json_object();

	if (parse(command, argv, object, err) == 0)
		return object;
	if (strcmp(err->hint, err_default_hint(PYRO_E_USAGE)) == 0)
		args_hint(command, err);
	json_decref(object);
	return NULL;
}
