/*
 * remote: a conversation with the supervisor of a VM.
 */
#ifndef API_REMOTE_H
#define API_REMOTE_H

#include "base/capture.h"

#include <jansson.h>
#include <stdint.h>

struct mux;
struct pyro_observer;
struct pyro;
struct pyro_error;
struct remote;

/*
 * Starts a supervisor for the VM and talks to it. alive_fd, borrowed, is the VM's `alive` lock,
 * which the supervisor holds from then on. NULL with err.
 */
struct remote *remote_spawn(struct pyro *p, const char *vm_id, int alive_fd,
			    struct pyro_error *err);
/* Talks to the supervisor that runs. NULL with err: PYRO_E_BAD_STATE if none does. */
struct remote *remote_connect(struct pyro *p, const char *vm_id, struct pyro_error *err);
/* Talks over a mux that somebody else owns, to an agent itself: for the bench. */
struct remote *remote_over(struct pyro *p, struct mux *mux);
/* Hangs up. NULL is fine; returns NULL. */
struct remote *remote_free(struct remote *r);

/*
 * One call, as call_wait(); phases that the supervisor tells go to the observer under the name
 * `op`. args is taken; the result is the caller's (ret may be NULL).
 */
int remote_call(struct remote *r, const char *op, const char *name, json_t *args, int64_t deadline,
		json_t **ret, struct pyro_error *err);

/* The streams of a call. */
struct remote_io {
	int in_fd; /* passed in until its end, borrowed; -1: none */
	/* A byte that ends the input, too, and is not passed in; 0: none. */
	char in_end;
	int64_t *ret_in_bytes; /* counts what is passed in; may be NULL */
	/* {"resize": {cols, rows}} is sent of the caller's terminal, if known, and of its changes.
	 */
	bool tells_size;
	/* At its end: whether that was all of it. -1 with err cancels the call. NULL: it was. */
	int (*on_input_end)(void *ctx, struct pyro_error *err);
	/* stream 1 or 2; -1 with err cancels the call. NULL: output is dropped. Borrowed. */
	int (*on_output)(void *ctx, int stream, const void *data, size_t len,
			 struct pyro_error *err);
	void *ctx;
};

/* As remote_call(), with streams; only the guest speaks then, so there are no phases. */
int remote_stream(struct remote *r, const char *name, json_t *args, const struct remote_io *io,
		  int64_t deadline, json_t **ret, struct pyro_error *err);

/* Output of a command while it runs and after. */
struct remote_output {
	const struct pyro_observer *observer; /* set by remote_exec() */
	struct capture out;
	struct capture err;
};

/*
 * Runs `exec` with args (taken): the handle's input is passed in, output goes to the observer and
 * into *output. The result is the caller's.
 */
int remote_exec(struct remote *r, json_t *args, struct remote_output *output, json_t **ret,
		struct pyro_error *err);

/* Waits until the supervisor has hung up, which it does at its end. */
int remote_await_end(struct remote *r, int64_t deadline, struct pyro_error *err);

#endif
