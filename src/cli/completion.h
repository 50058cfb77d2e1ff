/*
 * Completion scripts for shells. Each asks `pyro __complete` (complete.h) what fits, and puts it
 * onto the line as its shell quotes it.
 */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

struct buf;

/* shell: bash, zsh or fish; -1 for any other. */
int completion_script(const char *shell, struct buf *out);

#endif
