/*
 * connect: a TCP connection inside of the guest whose two directions go over one call.
 *
 * It leads to 127.0.0.1, or, where nothing listens there, to ::1. Each direction ends by itself, as
 * in TCP; the result follows when both have ended. A connection that is reset is an error, and a
 * call that is broken off is a reset for the peer.
 *
 * Ownership: a connection is its call's: connect_abandon, with the call's end, frees it.
 */
#ifndef GUEST_CONNECT_H
#define GUEST_CONNECT_H

#include <stddef.h>

struct connect;
struct loop;
struct mux_call;
struct pyro_error;

#define CONNECT_MAX 240 /* at once */

/* Once; the loop stays the caller's. */
void connect_init(struct loop *loop);
/* Begins to connect; how that went is told to the call. NULL with err: there are too many. */
struct connect *connect_start(struct mux_call *call, int port, struct pyro_error *err);
/* The call's events: input that came, an empty one ends it; its queue has drained; its end. */
void connect_input(struct connect *c, const char *data, size_t len);
void connect_drained(struct connect *c);
void connect_abandon(struct connect *c);

#endif
