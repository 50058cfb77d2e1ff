/*
 * exec: one process tree whose three standard streams go over one call.
 *
 * Two kinds share everything but what the child does: a command, and a function of the agent
 * itself (put, scan and so on), which may block as it likes because it runs in a process of its
 * own.
 *
 * A command may have a terminal (guest/terminal.h) instead of pipes.
 *
 * Ownership: an exec belongs to itself: it is gone when its first process ended and its call is
 * closed. exec_start hands it out for the call's events; after exec_abandon nobody may use it.
 */
#ifndef GUEST_EXEC_H
#define GUEST_EXEC_H

#include "channel/mux.h"
#include "guest/command.h"

#include <jansson.h>
#include <stdbool.h>

struct exec;
struct loop;
struct pyro_error;

#define EXEC_MAX 256 /* at once */

struct exec_config {
	struct loop *loop;
	struct command_config command;
};

/* Once; what the configuration points to stays the caller's, for ever. */
void exec_init(const struct exec_config *config);

/* The command that the arguments describe (guest/command.h). */
struct exec *exec_command(struct mux_call *call, json_t *args, struct pyro_error *err);

struct exec_function {
	/* In the child, which has copies of all that arg leads to; NULL with err. */
	json_t *(*run)(const void *arg, struct pyro_error *err);
	/* In another child, when the first one was killed; the result waits for it. May be NULL. */
	int (*undo)(struct pyro_error *err);
	/* In the agent, when all that is over, however it went. May be NULL. is_wanted: somebody
	   waits for the result. */
	void (*on_end)(bool is_wanted);
};

/*
 * Runs a function, static, in a child. Its standard output is streamed, its input is the call's;
 * the call's result is what it returns.
 */
struct exec *exec_function(struct mux_call *call, const struct exec_function *function,
			   const void *arg, struct pyro_error *err);

/* The call's events: input that came, an empty one ends it; and the call's queue has drained. */
void exec_input(struct exec *exec, const char *data, size_t len);
void exec_drained(struct exec *exec);
/*
 * What the client says meanwhile: {"kill": true} kills the whole tree; {"signal": NAME} and
 * {"resize": {cols, rows}} are for commands. Anything else is ignored.
 */
void exec_message(struct exec *exec, json_t *message);
/* The call is closed: kills the tree unless the result was sent. */
void exec_abandon(struct exec *exec);

#endif
