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
 * Callbacks run from the loop, or from mux_free; each may call anything here but mux_free.
 *
 * Flow control: received bytes count against the peer's window until mux_consume(call, n) says
 * that n payload bytes were dealt with. mux_send() always takes what it is given; a sender keeps
 * mux_queued() below what it is willing to hold and goes on in on_drained.
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
	 * mux_fail(). The name is borrowed.
	 */
	void (*on_call)(struct mux *mux, struct mux_call *call, const char *name);
	/* The connection ended; every call was closed before. Free the mux later, not here. */
	void (*on_down)(struct mux *mux, const struct pyro_error *error);
};

/* rfd and wfd may be the same descriptor; both are set non-blocking. NULL with err on failure. */
struct mux *mux_new(struct loop *loop, int rfd, int wfd, enum mux_role role,
		    const struct mux_ops *ops, void *ctx, struct pyro_error *err);
struct mux *mux_free(struct mux *mux);
void *mux_ctx(const struct mux *mux);
bool mux_is_down(const struct mux *mux);
/* Whether anything still waits to be written, in the mux or in any call. */
bool mux_is_flushed(const struct mux *mux);

/* Client: starts a call; NULL if the connection is down. `args` is sent as the first JSON. */
struct mux_call *mux_start(struct mux *mux, const char *name, const char *args,
			   const struct mux_call_ops *ops, void *ctx);
/* Server: takes a call that on_call brought. */
void mux_accept(struct mux_call *call, const struct mux_call_ops *ops, void *ctx);

void *mux_call_ctx(const struct mux_call *call);
struct mux *mux_call_mux(const struct mux_call *call);

/* Queues bytes, split into records as needed. len 0 ends that stream. */
void mux_send(struct mux_call *call, enum mux_kind kind, const void *data, size_t len);
size_t mux_queued(const struct mux_call *call);
void mux_consume(struct mux_call *call, size_t len);
/* Ends our direction in order, after what is queued. */
void mux_finish(struct mux_call *call);
/* Server: sends `error` as {"error": {...}} and finishes. */
void mux_fail(struct mux_call *call, const struct pyro_error *error);
/* Breaks the call off in both directions; on_close follows before this returns. */
void mux_cancel(struct mux_call *call);

#endif
