/*
 * call: one tools/call, from its message to its reply.
 *
 * The work is done by a worker, a child process (worker.h), so that calls run side by side, each
 * can be cancelled, and one that crashes takes nothing along. A call waits (pid 0) until it is
 * started; then call_read() is due whenever `fd` is readable.
 */
#ifndef MCP_CALL_H
#define MCP_CALL_H

#include "base/buf.h"
#include "mcp/protocol.h"
#include "mcp/tool.h"

#include <stdint.h>
#include <sys/types.h>

struct batch;
struct profile_tool;
struct pyro_error;
struct setup;

struct call {
	json_t *message; /* what `request` borrows from */
	struct request request;
	const struct setup *setup; /* borrowed */
	struct tool_call tool;
	struct batch *batch; /* where the reply goes; NULL: a line of its own */
	pid_t pid;
	int fd;
	struct buf in; /* what the worker has said and nobody has taken yet */
	int64_t begun_ms;
	int64_t due_ms; /* next sign of life; once cancelled, when the worker is killed */
	json_int_t progress;
	bool awaits_roots; /* not started before the host has said what its roots are */
	bool is_cancelled;
	bool is_answered;
	struct call *next;
};

/* NULL and *ret, or the reply to a call that cannot be. The message is kept alive by the call. */
json_t *call_new(const struct setup *setup, json_t *message, const struct request *request,
		 struct call **ret);
int call_start(struct call *c, struct pyro_error *err);

/* Reads what there is from the worker; false when it has ended. */
bool call_read(struct call *c);
/*
 * Takes the worker's next line, if it is whole: WORKER_PROGRESS or WORKER_REPLY, and its text,
 * owned by the caller. 0: there is none.
 */
char call_take(struct call *c, char **ret_text);

/* The notification of what a call that asked for progress does now, or NULL. */
json_t *call_progress(struct call *c, const char *message);
/*
 * From now on the call has no reply. The worker undoes what it began; a command that runs in a
 * workspace ends if the client cancelled it, and goes on if it is only the server that ends.
 */
void call_cancel(struct call *c);
void call_leave(struct call *c);
/* What is due at due_ms: returns a sign of life, or NULL. */
json_t *call_is_due(struct call *c);

/* Also kills the worker if it lives. NULL is returned. */
struct call *call_free(struct call *c);

#endif
