/*
 * The event loop: file descriptors, timers and child processes, one thread, small callbacks.
 *
 * Sources are the caller's storage, embedded in the caller's object, zeroed before the first use
 * and removed before that object goes away. Removing any source inside any callback is allowed.
 *
 * loop_until() runs the loop until a flag is set: it is how a sequence of steps is written as
 * straight code while everything else stays alive. loop_stop() makes every loop_until() under way
 * return with PYRO_E_CANCELLED, so a sequence unwinds by its ordinary error path.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct pyro_error;

struct loop_fd {
	int fd;
	uint32_t events; /* EPOLLIN, EPOLLOUT … that are waited for */
	bool is_added;
	void (*on_ready)(struct loop_fd *src, uint32_t events);
	void *ctx;
};

struct loop_timer {
	int64_t at_ms; /* on the clock of clock_ms() */
	bool is_armed;
	void (*on_time)(struct loop_timer *timer);
	void *ctx;
	struct loop_timer *next;
};

struct loop_child {
	struct loop *loop;
	pid_t pid;
	struct loop_fd pidfd;
	void (*on_exit)(struct loop_child *child, int wait_status);
	void *ctx;
};

struct loop *loop_new(void);
struct loop *loop_free(struct loop *loop);

/* fd stays the caller's. 0, or -1 with err. */
int loop_add_fd(struct loop *loop, struct loop_fd *src, int fd, uint32_t events,
		struct pyro_error *err);
void loop_set_events(struct loop *loop, struct loop_fd *src, uint32_t events);
void loop_remove_fd(struct loop *loop, struct loop_fd *src);

/* Arms or re-arms. Timers fire once. */
void loop_set_timer(struct loop *loop, struct loop_timer *timer, int64_t at_ms);
void loop_clear_timer(struct loop *loop, struct loop_timer *timer);

/* Watches a child of this process; on_exit runs once, after the child was reaped (proc_reap()). */
int loop_add_child(struct loop *loop, struct loop_child *child, pid_t pid, struct pyro_error *err);
void loop_remove_child(struct loop *loop, struct loop_child *child);

/*
 * Runs until *flag is true. Returns 0, or -1 with PYRO_E_TIMEOUT at the deadline or
 * PYRO_E_CANCELLED after loop_stop(). `what` names the wait in the message ("the guest agent").
 */
int loop_until(struct loop *loop, const bool *flag, int64_t deadline, const char *what,
	       struct pyro_error *err);
void loop_stop(struct loop *loop);
bool loop_is_stopped(const struct loop *loop);
/* Makes loop_until() usable again after loop_stop(), for cleaning up with deadlines. */
void loop_resume(struct loop *loop);

#endif
