/*
 * terminal: the pseudo-terminal of a command.
 *
 * The agent has the master, which does not block; the command has the slave as its controlling
 * terminal and its three streams. It begins with the kernel's settings (echo, whole lines, signals
 * by control characters), and knows that its input is UTF-8.
 *
 * When the command, which leads the session, ends, the kernel hangs the terminal up: what was
 * written to it is still there to be read, background processes can no more write to it. The same
 * happens when the master is closed.
 */
#ifndef GUEST_TERMINAL_H
#define GUEST_TERMINAL_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct pyro_error;

#define TERMINAL_SIDE_MAX 1000

struct terminal_size {
	int cols; /* 1 to TERMINAL_SIDE_MAX, both */
	int rows;
};

/* {"cols", "rows"}; false if it is not just that, in these limits. */
bool terminal_parse_size(json_t *json, struct terminal_size *ret);
/* Both descriptors are the caller's. */
int terminal_open(const struct terminal_size *size, int *ret_master, int *ret_slave,
		  struct pyro_error *err);
/* In a session's first process: makes the slave its controlling terminal. */
int terminal_adopt(int slave);
/* The foreground processes hear of it by SIGWINCH. */
void terminal_resize(int master, const struct terminal_size *size);
/*
 * Sends a signal to the foreground process group; to that of the session's leader where there is
 * none, as between the end of a shell's job and the moment when the shell notices.
 */
void terminal_signal(int master, pid_t leader, int number);

#endif
