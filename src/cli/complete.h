/*
 * complete: what may stand where the cursor is, for the completion scripts (completion.h).
 *
 *	pyro __complete WORDS… WORD
 *
 * WORDS are those behind `pyro` and before the cursor's, WORD is the beginning of that one, also
 * where it is empty. One candidate a line, and behind a tab what it is; or the line ":files", where
 * a file of the host is meant. It only reads, and has no errors: who presses a key wants no
 *message.
 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

/* Prints. `words` are as above and may be changed. Returns the exit code. */
int complete_words(char **words);

#endif
