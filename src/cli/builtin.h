/*
 * The commands that are no operations. Each gets what follows its words and returns the exit code.
 */
#ifndef CLI_BUILTIN_H
#define CLI_BUILTIN_H

int builtin_help(char **args);
int builtin_version(char **args);
int builtin_completion(char **args);

#endif
