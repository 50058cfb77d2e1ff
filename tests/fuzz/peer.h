/*
 * One mux whose peer is the fuzzer: what the targets `server` and `client` share.
 */
#ifndef TESTS_FUZZ_PEER_H
#define TESTS_FUZZ_PEER_H

#include "base/loop.h"
#include "channel/mux.h"

struct peer {
	struct loop *loop;
	struct mux *mux;
	int fd[2]; /* the fuzzer writes to fd[0] */
	int open;  /* calls that were begun and not closed */
	int down;  /* on_down was called so many times */
};

void peer_init(struct peer *p, enum mux_role role, const struct mux_ops *ops);
/* Sends bytes and lets the mux deal with them. */
void peer_feed(struct peer *p, const void *data, size_t len);
/* The peer goes away: every call must be closed then, and the connection down, once. */
void peer_done(struct peer *p);

#endif
