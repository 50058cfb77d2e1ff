/*
 * The commands of `pyro`: every operation that has command-line words, then the few that are no
 * operations. One table, so parsing, help, completion and reference pages see the same.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "ops/ops.h"

struct buf;

struct command {
	const char *words; /* NULL: an operation without a command; those are skipped */
	const char *summary;
	const struct op_row *op; /* NULL: built in */
	/* Of built-in commands: what follows the words, what --help says, and what it does. */
	const char *synopsis;
	const char *details;
	int (*run)(char **args);
};

extern const struct command commands[];
extern const size_t commands_count;

/*
 * The command with the most leading words in common with argv, and how many words those are; NULL
 * if there is none.
 */
const struct command *command_match(char *const *argv, size_t *ret_words);
/* Whether these are the first words of longer commands: "env". Empty: yes. */
bool command_is_group(const char *words);
/* Whether `words` are the first words of a longer `whole`; "" is of everything. */
bool command_starts_with(const char *whole, const char *words);

struct command_option {
	char name[OPS_LABEL_MAX]; /* "--timeout-seconds" */
	const char *metavar;      /* NULL: takes no value */
	const char *text;
	const struct op_input *in;    /* NULL: no input, such as --help */
	const struct op_option *form; /* of an input that is an object or a list of them, or NULL */
	bool is_content;              /* an OR_FILE's second: a file whose content is the value */
};
#define COMMAND_OPTIONS_MAX 32
/* The options that an operation's inputs have, in the order of the rows. Returns how many. */
size_t command_options(const struct op_row *op, struct command_option ret[COMMAND_OPTIONS_MAX]);
/* Whether an input is an option: "--name", not an argument in its place. */
bool command_is_option(const struct op_input *in);
/* Whether a command that is an operation has the option --json. */
bool command_has_json(const struct command *command);
/* The input that takes everything behind `--`, or NULL. */
const struct op_input *command_rest(const struct op_row *op);
/* Appends "pyro run ENVIRONMENT [OPTIONS] -- COMMAND", and options that must be given. */
void command_usage(const struct command *command, struct buf *out);

#endif
