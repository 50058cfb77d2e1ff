/*
 * Help at every level, from the tables: `pyro --help`, `pyro env --help`, `pyro env pull --help`.
 * Lines are at most 80 columns wide wherever the texts allow it.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

struct buf;
struct command;
struct command_option;
struct op_input;
struct pyro_error;

#define HELP_MAX (1024 * 1024)

void help_command(const struct command *command, struct buf *out);
/* `words` may be empty: all of pyro. */
void help_group(const char *words, struct buf *out);
/*
 * The help of the command or group that the words of argv (up to the first option) name. -1 with
 * err where there is no such command; the hint names the nearest.
 */
int help_find(char *const *argv, struct buf *out, struct pyro_error *err);

/* Appends what an input is: "Virtual CPUs (1 to 16, default 1)". */
void help_argument(const struct op_input *in, struct buf *out);
/* The same of an operation's option: "Labels, by key (may be repeated)". */
void help_option(const struct command_option *option, struct buf *out);

#endif
