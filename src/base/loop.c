#include "base/loop.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/proc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 32

struct loop {
	int epoll_fd;
	bool is_stopped;
	struct loop_timer *timers; /* armed ones, soonest first */
	/* The batch being dispatched: removal of a source clears its events that are still due. */
	struct epoll_event batch[BATCH];
	int batch_at;
	int batch_len;
};

struct loop *loop_new(void)
{
	struct loop *loop = mem_zalloc(1, sizeof(*loop));

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

struct loop *loop_free(struct loop *loop)
{
	if (loop) {
		fd_close(&loop->epoll_fd);
		free(loop);
	}
	return NULL;
}

int loop_add_fd(struct loop *loop, struct loop_fd *src, int fd, uint32_t events,
		struct pyro_error *err)
{
	struct epoll_event ev = {.events = events, .data.ptr = src};

	assert(!src->is_added && src->on_ready);
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_sys(err, errno, "watch file descriptor %d", fd);
	src->fd = fd;
	src->events = events;
	src->is_added = true;
	return 0;
}

void loop_set_events(struct loop *loop, struct loop_fd *src, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = src};

	if (!src->is_added || src->events == events)
		return;
	src->events = events;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, src->fd, &ev);
}

void loop_remove_fd(struct loop *loop, struct loop_fd *src)
{
	if (!src->is_added)
		return;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
	src->is_added = false;
	for (int i = loop->batch_at; i < loop->batch_len; i++)
		if (loop->batch[i].data.ptr == src)
			loop->batch[i].data.ptr = NULL;
}

void loop_clear_timer(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **at = &loop->timers;

	if (!timer->is_armed)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->is_armed = false;
}

void loop_set_timer(struct loop *loop, struct loop_timer *timer, int64_t at_ms)
{
	struct loop_timer **at = &loop->timers;

	loop_clear_timer(loop, timer);
	while (*at && (*at)->at_ms <= at_ms)
		at = &(*at)->next;
	timer->at_ms = at_ms;
	timer->next = *at;
	timer->is_armed = true;
	*at = timer;
}

static void child_ready(struct loop_fd *src, uint32_t events)
{
	struct loop_child *child = src->ctx;
	int status = 0;

	(void)events;
	if (!proc_reap(child->pid, &status))
		return;
	/* The owner may free the child in its callback: nothing here may touch it afterwards. */
	loop_remove_child(child->loop, child);
	child->pid = 0;
	child->on_exit(child, status);
}

int loop_add_child(struct loop *loop, struct loop_child *child, pid_t pid, struct pyro_error *err)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return err_sys(err, errno, "watch process %d", (int)pid);
	child->pidfd.on_ready = child_ready;
	child->pidfd.ctx = child;
	if (loop_add_fd(loop, &child->pidfd, fd, EPOLLIN, err) < 0) {
		fd_close(&fd);
		return -1;
	}
	child->loop = loop;
	child->pid = pid;
	return 0;
}

/* Closing alone would not do: a process forked meanwhile may have the pidfd, too. */
void loop_remove_child(struct loop *loop, struct loop_child *child)
{
	if (!child->pidfd.is_added)
		return;
	loop_remove_fd(loop, &child->pidfd);
	fd_close(&child->pidfd.fd);
}

static void run_timers(struct loop *loop)
{
	int64_t now = clock_ms();
	size_t due =
		0; /* those that callbacks add wait for the next round, after the descriptors */

	for (struct loop_timer *t = loop->timers; t && t->at_ms <= now; t = t->next)
		due++;
	while (due-- && loop->timers && loop->timers->at_ms <= now) {
		struct loop_timer *timer = loop->timers;

		loop->timers = timer->next;
		timer->is_armed = false;
		timer->on_time(timer);
	}
}

static void dispatch_batch(struct loop *loop)
{
	while (loop->batch_at < loop->batch_len) {
		struct epoll_event ev = loop->batch[loop->batch_at++];
		struct loop_fd *src = ev.data.ptr;

		if (src)
			src->on_ready(src, ev.events);
	}
}

static void step(struct loop *loop, int64_t deadline)
{
	int n;

	/* Inside a callback that waits: first what the outer round still has in hand. */
	if (loop->batch_at < loop->batch_len) {
		dispatch_batch(loop);
		return;
	}
	if (loop->timers && loop->timers->at_ms < deadline)
		deadline = loop->timers->at_ms;
	n = epoll_wait(loop->epoll_fd, loop->batch, BATCH, deadline_left(deadline));
	loop->batch_at = 0;
	loop->batch_len = n > 0 ? n : 0;
	dispatch_batch(loop);
	run_timers(loop);
}

int loop_until(struct loop *loop, const bool *flag, int64_t deadline, const char *what,
	       struct pyro_error *err)
{
	bool is_late = false;

	while (!*flag) {
		if (loop->is_stopped)
			return err_set(err, PYRO_E_CANCELLED, "waiting for %s: interrupted", what);
		if (is_late)
			return err_set(err, PYRO_E_TIMEOUT, "waiting for %s: timed out", what);
		/* What came while this process stood still is not late: one more look. */
		is_late = deadline_left(deadline) == 0;
		step(loop, deadline);
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->is_stopped = true;
}

bool loop_is_stopped(const struct loop *loop)
{
	return loop->is_stopped;
}

void loop_resume(struct loop *loop)
{
	loop->is_stopped = false;
}
