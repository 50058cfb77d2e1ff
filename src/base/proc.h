/*
 * Child processes: argument vectors built item by item, never a shell string.
 *
 *	struct argv a = ARGV_INIT;
 *	argv_add(&a, "mke2fs", "-q", path, NULL);
 *	r = proc_run(&a, &(struct proc_options){ .deadline = deadline_in(60000) }, err);
 *	argv_done(&a);
 *
 * A child gets only the descriptors it is given; every other one is closed on exec.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct buf;
struct pyro_error;

struct argv {
	char **v; /* NULL-terminated once anything was added */
	size_t n;
};

#define ARGV_INIT \
	{         \
		0 \
	}
#define AUTO_ARGV __attribute__((cleanup(argv_done)))

/* Appends copies of the strings up to NULL. */
void argv_add(struct argv *a, ...) __attribute__((sentinel));
void argv_addf(struct argv *a, const char *fmt, ...) PRINTF(2, 3);
void argv_done(struct argv *a);

struct proc_fd {
	int fd; /* here, borrowed */
	int as; /* the number it has in the child */
};

struct proc_limit {
	int resource; /* RLIMIT_… */
	rlim_t value; /* soft and hard */
};

struct proc_options {
	char *const *env;          /* NULL: this process's environment */
	const char *cwd;           /* NULL: this process's */
	const struct proc_fd *fds; /* 0, 1 and 2 not named here are /dev/null */
	size_t n_fds;
	const struct proc_limit *limits;
	size_t n_limits;
	bool new_session;     /* setsid */
	bool die_with_parent; /* SIGKILL when the thread that spawned it ends */
	bool is_jail;         /* so does all that it started, when this process ends */
	int64_t deadline;     /* proc_run only */
	struct buf *out;      /* proc_run only: the beginning of stdout; NULL discards */
	struct buf *errout;   /* proc_run only: the end of stderr; max >= 8 KiB; NULL discards */
};

/*
 * Starts a->v[0], looked up in PATH. Returns the pid, or -1 with err, PYRO_E_MISSING_DEPENDENCY if
 * there is no such program. Signal dispositions and mask are the default ones in the child.
 */
pid_t proc_spawn(const struct argv *a, const struct proc_options *opt, struct pyro_error *err);

/*
 * Runs to the end. Returns the exit status 0–255 (128 + n after signal n), or -1 with err; at the
 * deadline the child (with new_session: all of its session's first group) is killed and the error
 * is PYRO_E_TIMEOUT.
 */
int proc_run(const struct argv *a, const struct proc_options *opt, struct pyro_error *err);

/* As proc_run; an exit status other than 0 is an error that quotes the last line of stderr. */
int proc_check(const struct argv *a, const struct proc_options *opt, struct pyro_error *err);

/*
 * Reaps a child if it has ended: false if it has not. Where the rest of the program took its end
 * away, its exit status counts as PROC_LOST.
 */
bool proc_reap(pid_t pid, int *ret_status);
#define PROC_LOST 255

/* SIGKILL to all children of this thread that there are now. */
void proc_kill_children(void);
/* The same, and again for what is left to us by those, until there are none or it is the deadline.
 */
void proc_end_children(int64_t deadline);

/* The exit status 0–255 of a wait status; 128 + n for signal n. */
int proc_exit_code(int wait_status);

/* SIGKILL and reap; pid <= 0 is fine. */
void proc_kill(pid_t pid);

/*
 * From now on this process leaves no core file, and other processes of its user can neither debug
 * it nor read its memory. Programs that it starts can be debugged again, and leave no core.
 */
int proc_hide_memory(struct pyro_error *err);

/* Start time of a process in clock ticks after boot; 0 if there is none. Names it with its pid. */
uint64_t proc_start_time(pid_t pid);

/* Full path of an executable in PATH, or NULL. Owned by the caller. */
char *proc_find(const char *name);

#endif
