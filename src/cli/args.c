#include "cli/args.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/utf8.h"
#include "cli/command.h"

#include <string.h>
#include <unistd.h>

#define CONTENT_MAX (1024 * 1024) /* of a file whose content is an argument */
#define SECRET_OPTION "--secret"

bool args_has(char *const *argv, const char *option)
{
	for (; *argv && strcmp(*argv, "--") != 0; argv++)
		if (strcmp(*argv, option) == 0)
			return true;
	return false;
}

static void hide_value(char *text)
{
	char *value = strchr(text, '=');

	if (value)
		memset(value + 1, '*', strlen(value + 1));
}

void args_hide(char *const *argv)
{
	const size_t len = strlen(SECRET_OPTION);

	for (; *argv && strcmp(*argv, "--") != 0; argv++) {
		if (strncmp(*argv, SECRET_OPTION "=", len + 1) == 0)
			hide_value(*argv + len + 1);
		else if (strcmp(*argv, SECRET_OPTION) == 0 && argv[1])
			hide_value(argv[1]);
	}
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
	struct command_option options[COMMAND_OPTIONS_MAX];
	const char *candidates[COMMAND_OPTIONS_MAX + 3] = {"--json", "--help"};
	AUTO_FREE char *name = mem_strndup(option, len);
	size_t n = command_options(command->op, options);
	const char *nearest;

	for (size_t i = 0; i < n; i++)
		candidates[2 + i] = options[i].name;
	if (strcmp(name, "--json") == 0 || strcmp(name, "--help") == 0)
		return err_set(err, PYRO_E_USAGE, "%s takes no value", name);
	(void)err_set(err, PYRO_E_USAGE, "pyro %s has no option '%s'", command->words, name);
	nearest = parse_nearest(name, candidates);
	if (nearest)
		return err_hint(err, "did you mean '%s'? pyro %s --help lists all", nearest,
				command->words);
	return usage_hint(command, err);
}

static bool find_option(const struct op_row *op, const char *name, size_t len,
			struct command_option *ret)
{
	struct command_option options[COMMAND_OPTIONS_MAX];
	size_t n = command_options(op, options);

	for (size_t i = 0; i < n; i++)
		if (strlen(options[i].name) == len && strncmp(options[i].name, name, len) == 0) {
			*ret = options[i];
			return true;
		}
	return false;
}

/* What an option collects when it is repeated. */
static json_t *collection(json_t *object, const char *name, json_t *empty)
{
	json_t *there = json_object_get(object, name);

	if (there) {
		json_decref(empty);
		return there;
	}
	json_object_set_new(object, name, empty);
	return empty;
}

static int set_pair(json_t *object, const struct op_input *in, const char *label, const char *text,
		    struct pyro_error *err)
{
	size_t len = strcspn(text, "=");
	AUTO_FREE char *key = mem_strndup(text, len);
	json_t *pairs;

	if (!len || (!text[len] && !strstr(in->metavar, "[=")))
		return err_set(err, PYRO_E_USAGE, "%s: expected %s, got '%s'", label,
			       ops_metavar(in), text);
	pairs = collection(object, in->name, json_object());
	/* Of a label the last value counts; a variable that was asked for would be missed. */
	if (strstr(in->metavar, "[=") && json_object_get(pairs, key))
		return err_set(err, PYRO_E_USAGE, "%s: '%s' is given twice", label, key);
	return json_object_set_new(pairs, key, json_string(text[len] ? text + len + 1 : key));
}

static int set_member(json_t *record, const struct command_option *option, const char *name,
		      const char *text, struct pyro_error *err)
{
	int64_t n;

	if (ops_field(option->in->of, name)->kind != KIND_INT)
		return json_object_set_new(record, name, json_string(text));
	if (!parse_int(text, INT64_MIN, INT64_MAX, &n))
		return err_set(err, PYRO_E_USAGE, "%s: expected %s, and '%s' is no number",
			       option->name, option->metavar, text);
	return json_object_set_new(record, name, json_integer(n));
}

/*
 * What an option says of an object: see OPTION in ops.def. The message does not repeat the text,
 * which may be a secret.
 */
static int fill_record(json_t *record, const struct command_option *option, const char *text,
		       struct pyro_error *err)
{
	const struct op_option *form = option->form;
	const char *second = form->first ? strchr(text, form->separator) : NULL;
	AUTO_FREE char *first = second ? mem_strndup(text, (size_t)(second - text)) : NULL;

	if (form->type)
		json_object_set_new(record, "type", json_string(form->type));
	if (form->first && !second && !(ops_field(option->in->of, form->first)->flags & NULLABLE))
		return err_set(err, PYRO_E_USAGE, "%s: expected %s, and there is no '%c'",
			       option->name, option->metavar, form->separator);
	if (first && set_member(record, option, form->first, first, err) < 0)
		return -1;
	return set_member(record, option, form->second, second ? second + 1 : text, err);
}

static int set_record(json_t *object, const struct command_option *option, const char *text,
		      struct pyro_error *err)
{
	const struct op_input *in = option->in;
	json_t *record;

	if (!utf8_is_valid(text, strlen(text)))
		return err_set(err, PYRO_E_USAGE, "%s: not valid UTF-8", option->name);
	if (in->kind == KIND_REC && json_object_get(object, in->name))
		return err_set(err, PYRO_E_USAGE, "%s: only one %s can be given", option->name,
			       in->name);
	record = json_object();
	if (in->kind == KIND_LIST)
		json_array_append_new(collection(object, in->name, json_array()), record);
	else
		json_object_set_new(object, in->name, record);
	return fill_record(record, option, text, err);
}

/* What an integer of that input is, for a message. */
static const char *integer_of(const struct op_input *in)
{
	if (in->metavar && strcmp(in->metavar, "SECONDS") == 0)
		return "whole seconds, such as 3600";
	return in->metavar && strcmp(in->metavar, "MIB") == 0 ? "MiB, such as 2048" : "an integer";
}

static int set_int(json_t *object, const struct op_input *in, const char *label, const char *text,
		   struct pyro_error *err)
{
	int64_t n;

	if (!parse_int(text, INT64_MIN, INT64_MAX, &n))
		return err_set(err, PYRO_E_USAGE, "%s: expected %s, got '%s'", label,
			       integer_of(in), text);
	json_object_set_new(object, in->name, json_integer(n));
	return 0;
}

static int set_text(json_t *object, const struct op_input *in, const char *label, const char *text,
		    struct pyro_error *err)
{
	if (!utf8_is_valid(text, strlen(text)))
		return err_set(err, PYRO_E_USAGE, "%s: not valid UTF-8", label);
	if (in->kind == KIND_INT)
		return set_int(object, in, label, text, err);
	if (in->kind == KIND_MAP)
		return set_pair(object, in, label, text, err);
	if (in->kind == KIND_STRV)
		json_array_append_new(collection(object, in->name, json_array()),
				      json_string(text));
	else
		json_object_set_new(object, in->name, json_string(text));
	return 0;
}

static int read_file(const char *path, struct buf *out, struct pyro_error *err)
{
	if (strcmp(path, "-") == 0)
		return file_read_fd(STDIN_FILENO, "standard input", out, err);
	return file_read(path, out, err);
}

static int given_twice(const struct op_input *in, struct pyro_error *err)
{
	char label[OPS_LABEL_MAX];

	ops_input_label(in, NAMING_CLI, label);
	return err_set(err, PYRO_E_USAGE, "%s and %s-file: give one of them, once", label, label);
}

/* The content of a file becomes the input. */
static int set_content(json_t *object, const struct command_option *option, const char *path,
		       struct pyro_error *err)
{
	AUTO_BUF struct buf content = BUF_INIT(CONTENT_MAX);

	if (read_file(path, &content, err) < 0)
		return err_wrap(err, "%s", option->name);
	if (memchr(buf_text(&content), '\0', content.len) ||
	    !utf8_is_valid(buf_text(&content), content.len)) {
		(void)err_set(err, PYRO_E_INVALID, "%s: '%s' is not UTF-8 text", option->name,
			      path);
		return err_hint(err, "pyro workspace sync push imports files of any kind");
	}
	json_object_set_new(object, option->in->name, json_string(buf_text(&content)));
	return 0;
}

static int set_option(json_t *object, const struct command_option *option, const char *value,
		      struct pyro_error *err)
{
	if (option->form)
		return set_record(object, option, value, err);
	if (option->in->flags & OR_FILE && json_object_get(object, option->in->name))
		return given_twice(option->in, err);
	if (option->is_content)
		return set_content(object, option, value, err);
	return set_text(object, option->in, option->name, value, err);
}

/* Returns how many words it took, or -1. */
static int parse_option(const struct command *command, char *const *argv, json_t *object,
			struct pyro_error *err)
{
	const char *word = argv[0];
	size_t len = strcspn(word, "=");
	const char *inlined = word[len] ? word + len + 1 : NULL;
	struct command_option option;

	if (strcmp(word, "--json") == 0) /* main() has seen it */
		return 1;
	if (!find_option(command->op, word, len, &option))
		return unknown_option(command, word, len, err);
	if (!option.metavar) {
		if (inlined)
			return err_set(err, PYRO_E_USAGE, "%s takes no value", option.name);
		json_object_set_new(object, option.in->name,
				    json_boolean(option.in->kind != KIND_ON));
		return 1;
	}
	if (!inlined && !argv[1])
		return err_set(err, PYRO_E_USAGE, "%s needs a value: %s %s", word, word,
			       option.metavar);
	if (set_option(object, &option, inlined ? inlined : argv[1], err) < 0)
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

/*
 * The option that a value without one is most likely for: the one that is missing, or else the only
 * one there is.
 */
static bool find_meant(const struct op_row *op, const json_t *given, const char *word,
		       struct command_option *ret)
{
	struct command_option options[COMMAND_OPTIONS_MAX];
	size_t n = command_options(op, options), found = 0;
	bool is_file = access(word, R_OK) == 0;

	for (size_t i = 0; i < n; i++) {
		const struct op_input *in = options[i].in;

		if (in->kind != KIND_STR || json_object_get(given, in->name) ||
		    (in->flags & OR_FILE && options[i].is_content != is_file))
			continue;
		*ret = options[i];
		if (in->flags & REQUIRED)
			return true;
		found++;
	}
	return found == 1;
}

/* A command is the usual thing to follow the last argument; the `--` is easily forgotten. */
static int unexpected(const struct command *command, char *const *argv, const json_t *given,
		      struct pyro_error *err)
{
	AUTO_BUF struct buf line = BUF_INIT(160);
	const struct op_input *in = positional(command->op, 0);
	struct command_option meant;

	(void)err_set(err, PYRO_E_USAGE, "unexpected argument '%s'", *argv);
	if (**argv == '-') /* it stands behind a `--`, which ended the options */
		return err_hint(err, "options stand before --; pyro %s --help", command->words);
	if (!command_rest(command->op) && find_meant(command->op, given, *argv, &meant))
		return err_hint(err, "did you mean %s %s? pyro %s --help lists all", meant.name,
				*argv, command->words);
	if (!command_rest(command->op) || !in)
		return usage_hint(command, err);
	buf_printf(&line, "pyro %s", command->words);
	for (size_t n = 0; (in = positional(command->op, n)); n++)
		buf_printf(&line, " %s", json_string_value(json_object_get(given, in->name)));
	buf_puts(&line, " --");
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
		if (set_text(object, in, in->metavar, *argv++, err) < 0)
			return -1;
	}
	return 0;
}

json_t *args_parse(const struct command *command, char *const *argv, struct pyro_error *err)
{
	json_t *object = json_object();

	if (parse(command, argv, object, err) == 0)
		return object;
	if (!err->hint[0] || strcmp(err->hint, err_default_hint(PYRO_E_USAGE)) == 0)
		args_hint(command, err);
	json_decref(object);
	return NULL;
}
