/*
 * What mux.c and http2.c share, and nobody else includes.
 *
 * mux.c faces the callers and the descriptors: calls, their queues, callbacks, reading, writing.
 * http2.c faces nghttp2: it turns bytes into events of calls and queues into frames.
 */
#ifndef CHANNEL_MUX_IMPL_H
#define CHANNEL_MUX_IMPL_H

#include "base/loop.h"
#include "channel/record.h"
#include "pyro/error.h"

#include <sys/queue.h>

#define MUX_CALLS_MAX 512                 /* under way at once; more wait at the client */
#define MUX_CALL_WINDOW (512 * 1024)      /* bytes of one call that may wait to be consumed */
#define MUX_NAME_MAX 64                   /* bytes of a call's name */
#define MUX_OUT_GOAL ((size_t)256 * 1024) /* frames are made until this much waits for write() */
#define MUX_FRAME_MAX (128 * 1024)

/* A whole record that waits for its callback. */
struct mux_record {
	STAILQ_ENTRY(mux_record) next;
	enum mux_kind kind;
	struct buf payload;
};

struct mux_call {
	struct mux *mux;
	TAILQ_ENTRY(mux_call) next;
	TAILQ_ENTRY(mux_call) ready_next;
	const struct mux_call_ops *ops;
	void *ctx;
	int32_t stream_id;
	char name[MUX_NAME_MAX + 1]; /* server; empty if it was no name */

	struct record_reader reader;
	STAILQ_HEAD(, mux_record) records;
	size_t uncredited; /* bytes of the body that the peer has not got back for its window */
	size_t owed;       /* of these, what the user has to consume */

	struct buf out; /* encoded; bytes before out_at were sent */
	size_t out_at;

	struct pyro_error error; /* why it broke off, once is_closed; code PYRO_OK: it did not */
	unsigned hold;           /* frames on the stack that use this call */
	bool is_ready;           /* in the list of calls with events */
	bool is_requested;       /* server: the request's header is complete */
	bool is_announced;       /* client: always; server: on_call was called */
	bool is_deferred;        /* nghttp2 waits for more to send */
	bool is_over_goal;       /* the queue passed MUX_QUEUE_GOAL: on_drained is due some time */
	bool is_finishing;       /* mux_finish was called */
	bool is_finished;        /* our end of stream was given to nghttp2 */
	bool peer_finished;      /* the peer's end of stream arrived */
	bool told_finish;
	bool is_closed; /* the HTTP/2 stream is over; on_close is due after what is queued */
	bool is_gone;   /* on_close was called */
};

struct mux {
	struct loop *loop;
	int rfd;
	int wfd;
	bool is_socket; /* wfd */
	enum mux_role role;
	const struct mux_ops *ops;
	void *ctx;
	struct loop_fd in;
	struct loop_fd blocked;          /* wfd, where it is not rfd, while it takes nothing */
	struct loop_timer soon;          /* armed when something is to be sent or told */
	struct nghttp2_session *session; /* server: NULL until the first bytes came */
	TAILQ_HEAD(, mux_call) calls;
	TAILQ_HEAD(, mux_call) ready;
	struct buf out; /* frames; bytes before out_at were written */
	size_t out_at;
	char *read_buf;
	struct pyro_error error; /* why it is down, or what a callback of nghttp2 found wrong */
	unsigned hold;
	bool is_deaf; /* writing failed: what would be written is dropped */
	bool is_down;
	bool told_down;
	bool is_freed;
};

/* mux.c, for http2.c */
struct mux_call *mux__new_call(struct mux *mux, int32_t stream_id);
/* Something happened with the call; its user is told soon. */
void mux__set_ready(struct mux_call *call);
/* Moves the first len bytes of the call's queue to mux->out. */
void mux__move_out(struct mux_call *call, size_t len);

/* http2.c, for mux.c; err is not NULL. -1 with err when the connection cannot go on. */
void http2_open(struct mux *mux);
void http2_close(struct mux *mux);
bool http2_wants_write(const struct mux *mux);
int http2_receive(struct mux *mux, const char *data, size_t len, struct pyro_error *err);
/* Turns what is queued into frames at the end of mux->out. */
int http2_make_frames(struct mux *mux, struct pyro_error *err);
/* The id of a new stream with that name, or -1 if there can be no more. */
int http2_request(struct mux_call *call, const char *name);
void http2_respond(struct mux_call *call);
/* There is something to send, or to finish. */
void http2_resume(struct mux_call *call);
/* Gives the peer len bytes of its window back. */
void http2_consume(struct mux_call *call, size_t len);
/* Breaks the stream off, if it is not over, and forgets the call. */
void http2_abandon(struct mux_call *call);

#endif
