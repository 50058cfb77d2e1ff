/*
 * The words before the cursor are read as args.c reads them, but leniently: what is wrong with them
 * is told when the line is run. Names of what exists come from pyro_complete(), by the name of the
 * input that they are for.
 */
#include "cli/complete.h"

#include "base/buf.h"
#include "base/mem.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "pyro.h"

#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX (1024 * 1024)

struct cursor {
	struct buf *out;
	const char *word; /* what is typed of the word */
	size_t before;    /* bytes of it before the value: "--environment=" */
};

static void offer(const struct cursor *c, const char *name, const char *text)
{
	const char *start = c->word + c->before;

	if (strncmp(name, start, strlen(start)) == 0)
		buf_printf(c->out, "%.*s%s%s%s\n", (int)c->before, c->word, name, *text ? "\t" : "",
			   text);
}

static void offer_files(const struct cursor *c)
{
	buf_puts(c->out, ":files\n");
}

/* What a command, or the beginning of several, is about. */
static const char *text_of(const char *path)
{
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].words && strcmp(commands[i].words, path) == 0)
			return commands[i].summary;
	for (const struct op_group *g = ops_groups; g->words; g++)
		if (strcmp(g->words, path) == 0)
			return g->text;
	return "";
}

/* Whether one of the first n commands is `path`, or begins with it. */
static bool is_among(size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (commands[i].words && (strcmp(commands[i].words, path) == 0 ||
					  command_starts_with(commands[i].words, path)))
			return true;
	return false;
}

/* The next words of the commands that begin with these, each once. */
static void offer_commands(const struct cursor *c, char *const *words)
{
	AUTO_BUF struct buf start = BUF_INIT(4096);

	for (; *words; words++)
		buf_printf(&start, "%s%s", start.len ? " " : "", *words);
	for (size_t i = 0; i < commands_count; i++) {
		size_t at = start.len ? start.len + 1 : 0;
		AUTO_FREE char *path = NULL;

		if (!commands[i].words || !command_starts_with(commands[i].words, buf_text(&start)))
			continue;
		path = mem_strndup(commands[i].words, at + strcspn(commands[i].words + at, " "));
		if (!is_among(i, path))
			offer(c, path + at, text_of(path));
	}
}

static void offer_options(const struct cursor *c, const struct command *command)
{
	struct command_option options[COMMAND_OPTIONS_MAX];
	size_t n = command && command->op ? command_options(command->op, options) : 0;

	for (size_t i = 0; i < n; i++)
		offer(c, options[i].name, options[i].text);
	if (command && command_has_json(command))
		offer(c, "--json", "Print one JSON object on stdout");
	if (!command)
		offer(c, "--version", "Print the version");
	offer(c, "--help", "Show help");
}

/* Each line of pyro_complete(). */
static void offer_names(const struct cursor *c, const struct op_row *op, const char *input,
			const char *workspace)
{
	AUTO_FREE char *names = pyro_complete(op->name, input, workspace);
	char *rest = names, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *name = strsep(&line, "\t");

		if (*name)
			offer(c, name, line ? line : "");
	}
}

/* The option of that name; `given` may go on with "=VALUE". */
static bool find_option(const struct op_row *op, const char *given, struct command_option *ret)
{
	struct command_option options[COMMAND_OPTIONS_MAX];
	size_t n = command_options(op, options), len = strcspn(given, "=");

	for (size_t i = 0; i < n; i++)
		if (strlen(options[i].name) == len && strncmp(options[i].name, given, len) == 0) {
			*ret = options[i];
			return true;
		}
	return false;
}

static void offer_value(const struct cursor *c, const struct op_row *op,
			const struct command_option *option, const char *workspace)
{
	if (option->is_content || option->in->flags & HOST_PATH)
		offer_files(c);
	else if (!option->form)
		offer_names(c, op, option->in->name, workspace);
}

static const struct op_input *next_place(const struct op_input *in)
{
	while (in->name && !(in->flags & POS))
		in++;
	return in;
}

/* The cursor's word itself, once it is known which argument it would be. */
static void offer_here(struct cursor *c, const struct command *command,
		       const struct op_input *place, const char *workspace)
{
	struct command_option option;

	if (*c->word != '-' && place->name) {
		if (place->flags & HOST_PATH)
			offer_files(c);
		else
			offer_names(c, command->op, place->name, workspace);
		return;
	}
	if (!strchr(c->word, '=')) {
		offer_options(c, command);
	} else if (find_option(command->op, c->word, &option)) {
		c->before = strcspn(c->word, "=") + 1;
		offer_value(c, command->op, &option, workspace);
	}
}

/* `words` are those behind the command's own. */
static void offer_arguments(struct cursor *c, const struct command *command, char *const *words)
{
	const struct op_input *place = next_place(command->op->inputs);
	const char *workspace = NULL;
	struct command_option option;

	for (; *words; words++) {
		if (strcmp(*words, "--") == 0) {
			offer_files(c);
			return;
		}
		if (**words == '-') {
			if (strchr(*words, '=') || !find_option(command->op, *words, &option) ||
			    !option.metavar)
				continue;
			if (!words[1]) {
				offer_value(c, command->op, &option, workspace);
				return;
			}
			words++;
		} else if (place->name) {
			if (strcmp(place->name, "workspace_id") == 0)
				workspace = *words;
			place = next_place(place + 1);
		}
	}
	offer_here(c, command, place, workspace);
}

static void offer_all(struct cursor *c, char *const *words)
{
	size_t used = 0;
	const struct command *command = command_match(words, &used);

	if (!command || !words[used])
		offer_commands(c, words);
	if (command && command->op)
		offer_arguments(c, command, words + used);
	else if (command && strcmp(command->words, "completion") == 0 && !words[used])
		for (const char *const *shell = (const char *const[]){"bash", "zsh", "fish", NULL};
		     *shell; shell++)
			offer(c, *shell, "");
	else if (command && strcmp(command->words, "help") == 0)
		offer_commands(c, words + used);
	else if (!command && *c->word == '-')
		offer_options(c, NULL);
}

int complete_words(char **words)
{
	AUTO_BUF struct buf out = BUF_INIT(OUTPUT_MAX);
	size_t n = strv_len((const char *const *)words);
	struct cursor c = {.out = &out, .word = ""};

	args_hide(words);
	if (n) {
		c.word = words[n - 1];
		words[n - 1] = NULL;
	}
	offer_all(&c, words);
	(void)exit_write(STDOUT_FILENO, buf_text(&out), out.len);
	return 0;
}
