/*
 * Words of the command line become the arguments of an operation.
 *
 * Everything passes through JSON, so that types, bounds and required inputs are checked in one
 * place for all surfaces (values_decode). Of an option that is given twice the last counts; labels
 * and other lists collect, and a text that may also come from a file (OR_FILE) is given once: the
 * file, of up to 1 MiB, is read here.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <jansson.h>
#include <stdbool.h>

struct command;
struct pyro_error;

/*
 * The arguments as a new JSON object, or NULL with err: PYRO_E_USAGE, and a hint that names the
 * nearest option or the form; or what keeps a file from being read. `argv` is what follows the
 * command's words.
 */
json_t *args_parse(const struct command *command, char *const *argv, struct pyro_error *err);

/*
 * Overwrites the values of --secret where the system shows the command line of this process; to be
 * called once they were parsed.
 */
void args_hide(char *const *argv);

/* Makes the help of the command, or for a missing command an example, the next step. */
void args_hint(const struct command *command, struct pyro_error *err);

/* Whether one of the words before `--` is this option. */
bool args_has(char *const *argv, const char *option);

#endif
