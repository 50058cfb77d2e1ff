/*
 * mux: many calls at once over one byte stream (a virtio-serial port or a unix socket).
 *
 * The wire is HTTP/2 (RFC 9113, by nghttp2), so calls are multiplexed, flow-controlled and can be
 * cancelled; docs/protocol.md is the page about it. One call is one request: its name is the path,
 * and both directions carry records (one byte kind, three bytes length, payload):
 *
 *	MUX_JSON    to the server: the arguments, first; to the client: events, and last the result
 *	MUX_IN      to the server: bytes of the input stream; an empty record ends the stream
 *	MUX_OUT     to the client: bytes of the first output stream; an empty record ends it
 *	MUX_ERR     to the client: bytes of the second output stream; an empty record ends it
 *
 * Either side may be the guest, so nothing that arrives is believed: sizes, order and number of
 * calls are limited here, and a peer that breaks the rules loses the connection.
 *
 * Ownership: a mux borrows its descriptors. A call belongs to its mux and is gone after on_close,
 * which is called exactly once for each call, also when the connection dies or the mux is freed.
 * Callbacks run from the loop, or from mux_free or mux_cancel; each may be NULL, and may call
 * anything: cancel its own call, free the mux, run the loop. What arrived before the end of a call
 * or of the connection is told before that end.
 *
 * Flow control: received bytes of streams count against the peer's window until mux_consume(call,
 * n) says that n payload bytes were dealt with; JSON is consumed by itself. mux_send() always takes
 * what it is given; a sender keeps mux_queued() below what it is willing to hold and goes on in
 * on_drained.
 *
 * The end of a call: the server has the last word. When it has finished, the call is over, and what
 * the client would still send is dropped; the client's end alone is only the end of its input.
 * Errors of on_close: PYRO_E_CANCELLED (either side cancelled, or the mux was freed),
 * PYRO_E_VM_DIED (the connection broke), PYRO_E_PROTOCOL (the peer broke the rules), PYRO_E_LIMIT
 * (arguments longer than MUX_JSON_MAX).
 */
#ifndef CHANNEL_MUX_H
#define CHANNEL_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct mux;
struct mux_call;
struct pyro_error;

#define MUX_RECORD_MAX (256 * 1024)    /* payload of one record */
#define MUX_JSON_MAX (4 * 1024 * 1024) /* a JSON text may span records: see mux_send */
#define MUX_QUEUE_GOAL (512 * 1024)    /* a sender pauses above this */

enum mux_kind {
	MUX_JSON = 'J',
	MUX_IN = 'I',
	MUX_OUT = 'O',
	MUX_ERR = 'E',
};

enum mux_role {
	MUX_CLIENT, /* makes calls */
	MUX_SERVER, /* answers calls */
};

struct mux_call_ops {
	/* A whole record (for MUX_JSON: a whole text); data is borrowed. */
	void (*on_record)(struct mux_call *call, enum mux_kind kind, const char *data, size_t len);
	/* The peer finished its direction in order. */
	void (*on_finish)(struct mux_call *call);
	/* The send queue fell below MUX_QUEUE_GOAL again. */
	void (*on_drained)(struct mux_call *call);
	/* The call is over: both sides finished (error NULL), or it was cancelled or broke off. */
	void (*on_close)(struct mux_call *call, const struct pyro_error *error);
};

struct mux_ops {
	/*
	 * Server: a call came in. Set its ops and context with mux_accept(), or refuse it with
	 * mux_fail(); a call that neither happens to is refused as not found. The name, letters
	 * and underscores, is borrowed.
	 */
	void (*on_call)(struct mux *mux, struct mux_call *call, const char *name);
	/* The connection ended; every call was closed before. Not called by mux_free. */
	void (*on_down)(struct mux *mux, const struct pyro_error *error);
};

/*
 * rfd and wfd may be the same descriptor; both are set non-blocking. A process that gives a pipe as
 * wfd ignores SIGPIPE. A server writes nothing before the first byte arrives. A hang-up of rfd
 * means that the connection is down: wait for the host before making a mux on a guest's port. NULL
 * with err on failure.
 */
struct mux *mux_new(struct loop *loop, int rfd, int wfd, enum mux_role role,
		    const struct mux_ops *ops, void *ctx, struct pyro_error *err);
/* Closes every call first. NULL is fine; returns NULL. */
struct mux *mux_free(struct mux *mux);
void *mux_ctx(const struct mux *mux);
bool mux_is_down(const struct mux *mux);
/* Whether anything still waits to be written, in the mux or in any call. */
bool mux_is_flushed(const struct mux *mux);

/*
 * Client: starts a call; NULL if the connection is down. `args` is sent as the first JSON. When too
 * many calls are under way, it waits for its turn.
 */
struct mux_call *mux_start(struct mux *mux, const char *name, const char *args,
			   const struct mux_call_ops *ops, void *ctx);
/* Server: takes a call that on_call brought. */
void mux_accept(struct mux_call *call, const struct mux_call_ops *ops, void *ctx);

void *mux_call_ctx(const struct mux_call *call);
struct mux *mux_call_mux(const struct mux_call *call);

/*
 * Queues bytes, split into records as needed. len 0 ends that stream. A JSON text is sent whole by
 * one call; longer than MUX_JSON_MAX, a server's becomes an error, a client's ends its call.
 */
void mux_send(struct mux_call *call, enum mux_kind kind, const void *data, size_t len);
size_t mux_queued(const struct mux_call *call);
/* More than was received is taken as all of it. */
void mux_consume(struct mux_call *call, size_t len);
/* Ends our direction in order, after what is queued. */
void mux_finish(struct mux_call *call);
/* Server: sends `error` as {"error": {...}} and finishes. */
void mux_fail(struct mux_call *call, const struct pyro_error *error);
/* Breaks the call off in both directions; on_close follows before this returns. */
void mux_cancel(struct mux_call *call);
/* The same without on_close: whoever would hear of it is gone. */
void mux_abandon(struct mux_call *call);

#endif
