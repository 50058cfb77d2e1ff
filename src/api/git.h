/*
 * git: the user's own git as a child process, for what it knows best: which files it tracks, and
 * how to fetch.
 *
 * A checkout may be hostile and its configuration names programs, so hooks, the file system
 * monitor, prompts and every protocol that was not asked for are off; variables that would send git
 * elsewhere are not passed on. The user's own configuration holds: safe.directory, credential
 * helpers, proxies. git and all that it starts end with us.
 */
#ifndef API_GIT_H
#define API_GIT_H

#include <stdint.h>

struct buf;
struct pyro;
struct pyro_error;

struct git_call {
	const char *const *words; /* "ls-files", "-z", NULL */
	const char *cwd;
	const char *protocols; /* it may fetch with, as "https:ssh"; "": none */
	int out_fd;            /* what it prints, to a file of at most out_max bytes; -1: dropped */
	int64_t out_max;
	int64_t deadline;
	struct buf *errors; /* the end of what it complains of */
};

/*
 * Returns git's exit status, 0 to 255, or -1 with err: PYRO_E_MISSING_DEPENDENCY where there is no
 * git, PYRO_E_LIMIT beyond out_max, PYRO_E_TIMEOUT, PYRO_E_CANCELLED. Nothing of it runs then.
 */
int git_run(struct pyro *p, const struct git_call *call, struct pyro_error *err);

/* The one line that says why git failed. Owned by the caller. */
char *git_reason(const struct buf *errors);

#endif
