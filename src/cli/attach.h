/*
 * attach: the user's terminal while it is a shell's: raw, its size told to the shell, and given
 * back as it was, whatever happens.
 */
#ifndef CLI_ATTACH_H
#define CLI_ATTACH_H

struct pyro;
struct pyro_error;
struct pyro_shell;

/* -1 with err where standard input or output is no terminal. */
int attach_begin(struct pyro *p, struct pyro_error *err);
/* Gives the terminal back, and says what became of the shell, or NULL: nothing is known. */
void attach_end(const struct pyro_shell *shell);

#endif
