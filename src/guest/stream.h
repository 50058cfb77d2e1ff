/*
 * stream: bytes between a call and a descriptor, one direction each, with back-pressure.
 *
 * A source reads a descriptor and sends what comes; it pauses while more than MUX_QUEUE_GOAL bytes
 * of the call wait to be sent. A sink writes what the call brought, and acknowledges to the mux
 * only what was written.
 *
 * Ownership: both are the caller's storage and own their descriptors, which do not block. The call
 * is borrowed; who outlives it closes its streams first. on_end may be NULL; it is called once,
 * with the stream closed, but not by source_close and sink_close.
 */
#ifndef GUEST_STREAM_H
#define GUEST_STREAM_H

#include "base/buf.h"
#include "base/loop.h"
#include "channel/mux.h"

struct source {
	struct loop_fd src; /* fd -1: closed */
	struct loop *loop;
	struct mux_call *call;
	enum mux_kind kind;
	struct buf *kept; /* the bytes go there, and not to the call; mostly NULL */
	/* errnum 0: the end of the file. */
	void (*on_end)(struct source *source, int errnum);
	void *ctx;
};

struct sink {
	struct loop_fd dst; /* fd -1: not open yet, or closed; watched only while bytes wait */
	struct loop *loop;
	struct mux_call *call;
	struct buf waiting;
	bool is_ended;  /* nothing comes any more */
	bool is_closed; /* what comes is dropped */
	/* errnum 0: all that came was written, and no more will come. */
	void (*on_end)(struct sink *sink, int errnum);
	void *ctx;
};

/* Closed, until fd is set. */
void source_init(struct source *source, struct loop *loop, struct mux_call *call,
		 enum mux_kind kind);
/* Begins to read, or goes on when the call's queue has drained. */
void source_watch(struct source *source);
/* Sends what is there now, at most about `max` bytes of it, and closes. */
void source_finish(struct source *source, size_t max);
void source_close(struct source *source);

/* What comes waits for sink_open. */
void sink_init(struct sink *sink, struct loop *loop, struct mux_call *call);
/* Takes fd. */
void sink_open(struct sink *sink, int fd);
/* What the call brought; len 0: the end. */
void sink_take(struct sink *sink, const char *data, size_t len);
void sink_close(struct sink *sink);

#endif
