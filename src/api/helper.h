/*
 * helper: one of pyro's own programs that does a part of an operation in a process of its own,
 * because it needs a heavy library or parses what a guest made (pyro-tar, pyro-patch, pyro-disk).
 *
 * It is given pipes and reports lines of JSON on a descriptor: progress, and last {"result": …} or
 * {"error": …}. It is not killed with us: when its pipes end it cleans up and ends by itself.
 */
#ifndef API_HELPER_H
#define API_HELPER_H

#include "base/proc.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct helper;
struct pyro;
struct pyro_error;

struct helper_options {
	const char *part;    /* folder in the build tree: "tar"; NULL: a program of the system */
	const char *program; /* "pyro-tar" */
	const char *const *args;
	const struct proc_fd *fds; /* what it gets beside the report */
	size_t n_fds;
	int report_as; /* the number of the report's descriptor in it; -1: its exit status is all */
	size_t report_max;    /* bytes of its report that are taken at the most */
	bool die_with_parent; /* killed when we are: it reads what only our lock keeps as it is */
	const char *what;     /* names its progress for the observer: "seed"; NULL: not told */
};

/* NULL with err. The descriptors stay the caller's, who closes the helper's ends. */
struct helper *helper_start(struct pyro *p, const struct helper_options *options,
			    struct pyro_error *err);
/*
 * Waits for its end. *ret (may be NULL) is its result, the caller's; -1 with its error, or with
 * what happened to it.
 */
int helper_finish(struct helper *h, int64_t deadline, json_t **ret, struct pyro_error *err);
/* Whether the error is only that nobody read what the helper wrote: the reader knows why. */
bool helper_was_cut_off(const struct pyro_error *err);
/* Tells it to end if it runs, waits a little, kills. NULL is fine; returns NULL. */
struct helper *helper_free(struct helper *h);

#endif
