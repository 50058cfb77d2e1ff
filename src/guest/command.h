/*
 * command: what an exec call asks to be run, checked and ready for execve.
 */
#ifndef GUEST_COMMAND_H
#define GUEST_COMMAND_H

#include "guest/terminal.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct pyro_error;

struct command_config {
	bool is_guest;
	/* Where a command runs that names no place; NULL: where the image says, /root or /. */
	const char *dir;
};

struct command {
	char **argv; /* the strings are borrowed from the arguments */
	char **env;
	int cwd_fd;
	bool has_input;
	bool has_terminal;
	bool is_whole;  /* what is left of its tree is killed when it has ended */
	bool tells_pid; /* by an event, before all else */
	struct terminal_size size;
	int64_t timeout_ms; /* 0: none */
};

#define COMMAND_INIT         \
	{                    \
		.cwd_fd = -1 \
	}
#define AUTO_COMMAND __attribute__((cleanup(command_done)))

/*
 * Fills *command, which is COMMAND_INIT before, from the arguments of the call: {"argv" | "shell" |
 * "interactive", "cwd", "env", "stdin", "timeout_ms", "pty", "whole", "tell_pid"}. An interactive
 * shell's file of settings is written where it is missing. In an environment that was made of an
 * OCI image its variables and its working directory are the defaults.
 */
int command_parse(struct command *command, const struct command_config *config, json_t *args,
		  struct pyro_error *err);
void command_done(struct command *command);

/*
 * In the child, with streams and working directory in place: becomes the command. Where that fails,
 * says so on standard error as a shell would, and returns 127 or 126.
 */
int command_run(const void *command);

#endif
