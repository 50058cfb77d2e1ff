#include "peer.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <sys/socket.h>

void peer_init(struct peer *p, enum mux_role role, const struct mux_ops *ops)
{
	*p = (struct peer){.loop = loop_new()};
	if (!p->loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->fd) < 0)
		mem_exhausted();
	p->mux = mux_new(p->loop, p->fd[1], p->fd[1], role, ops, p, NULL);
	assert(p->mux);
}

static void on_time(struct loop_timer *timer)
{
	*(bool *)timer->ctx = true;
}

/* One round of the loop: what is there to be read is read, and a timer that was due has fired. */
static void turn(struct peer *p)
{
	bool is_over = false;
	struct loop_timer timer = {.on_time = on_time, .ctx = &is_over};

	loop_set_timer(p->loop, &timer, clock_ms());
	(void)loop_until(p->loop, &is_over, DEADLINE_NONE, "one round", NULL);
}

void peer_feed(struct peer *p, const void *data, size_t len)
{
	(void)send(p->fd[0], data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	turn(p);
	turn(p);
}

void peer_done(struct peer *p)
{
	(void)shutdown(p->fd[0], SHUT_WR);
	for (int i = 0; i < 100 && !mux_is_down(p->mux); i++)
		turn(p);
	turn(p);
	assert(mux_is_down(p->mux));
	assert(p->open == 0);
	assert(p->down == 1);
	mux_free(p->mux);
	fd_close(&p->fd[0]);
	fd_close(&p->fd[1]);
	loop_free(p->loop);
}
