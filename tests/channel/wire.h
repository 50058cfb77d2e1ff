/*
 * Both ends of a channel for tests: a server that answers the calls below, and a client's view of
 * one call. Pieces can be used alone: the server in another process, the client against bytes.
 *
 *	echo   the arguments come back as an event, IN comes back as OUT; the result is {"echoed":n}
 *	sink   eats IN as it comes; the result is {"eaten":n}
 *	source sends {"bytes":n} bytes as OUT, never more queued than the goal
 *	sloth  takes IN and never consumes it
 *	hang   never answers
 *	fail   answers with an error
 *	drop   is cancelled by the server
 *	speak  answers with a text of {"bytes":n} bytes
 *	leave  frees the server's mux from within the callback
 */
#ifndef TESTS_CHANNEL_WIRE_H
#define TESTS_CHANNEL_WIRE_H

#include "base/loop.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "pyro/error.h"

struct server {
	struct mux *mux;
	struct pyro_error down;
	bool is_down;
	int calls;  /* that began */
	int closes; /* that ended */
	bool called_any;
	bool closed_any;
	size_t queued_max;
};

void server_start(struct server *s, struct loop *loop, int rfd, int wfd);
/* Serves until the connection is down; for a process of its own. */
void server_run(int fd) __attribute__((noreturn));

/* What a client sees of one call. */
struct seen {
	struct mux_call *call; /* NULL after on_close */
	char *json;            /* the last text */
	size_t json_len;
	int texts;
	size_t out_len;
	bool is_kept; /* leave received bytes unconsumed */
	bool has_finished;
	bool is_closed;
	int closes;
	struct pyro_error error; /* code PYRO_OK: it ended in order */
	size_t to_send; /* bytes of IN still to be sent; then the end of stream, and finish */
};

struct seen *seen_start(struct seen *seen, struct mux *mux, const char *name, const char *args);
void seen_done(struct seen *seen);

extern const struct mux_ops client_ops;

struct pair {
	struct loop *loop;
	int fd[2];
	struct mux *client;
	struct server server;
	bool client_down;
};

/* Both ends over a socket pair in one loop. */
void pair_init(struct pair *p);
void pair_done(struct pair *p);
/* Runs the loop until *flag, or fails the test after a while. */
void run_until(struct loop *loop, const bool *flag);
/* Runs the loop for about ms milliseconds, at least one round. */
void run_for(struct loop *loop, int ms);

#endif
