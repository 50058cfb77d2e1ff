/*
 * Completion scripts for shells, from the tables. Words are static; environment names come from
 * `pyro env list` when they are asked for.
 */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

struct buf;

/* shell: bash, zsh or fish; -1 for any other. */
int completion_script(const char *shell, struct buf *out);

#endif
