/*
 * What `pyro` shows while an operation works: phase lines and the progress bar on stderr, and the
 * guest's output where it belongs. The struct is the context of a pyro_observer.
 *
 * The bar is drawn only on a terminal, at most ten times a second, and is gone before anything
 * else is written. NO_COLOR takes its colour, TERM=dumb the bar itself.
 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "pyro.h"

#include <signal.h>

struct buf;

struct show {
	bool is_quiet;    /* --json: no phases, no guest output */
	bool has_bar;     /* stderr can show a bar */
	bool is_drawn;    /* a bar is on the screen now */
	bool has_warned;  /* of host_compat */
	bool is_mid_line; /* the guest's last byte where stderr goes too was no newline */
	int64_t drawn_ms;
	int out_errnum; /* why stdout takes no more, or 0 */
	struct pyro *p; /* cancelled when nobody reads the guest's output */
	const volatile sig_atomic_t *caught;
};

/* *caught becomes true when a signal asks pyro to end, also while a reader does not read. */
void show_init(struct show *s, struct pyro *p, bool is_quiet, const volatile sig_atomic_t *caught);
/* Makes room for a line of ours: the bar goes, and it will not stick to the end of the guest's. */
void show_begin_line(struct show *s);
/* The last line of a run, on stderr. */
void show_run(struct show *s, const char *op, const struct pyro_run *run);
/* The same of a command in a workspace, and what to do about one that still runs. */
void show_exec(struct show *s, const char *op, const struct pyro_workspace_exec *exec);

/* Whether the descriptor is a terminal that shows colours. */
bool show_has_colour(int fd);
/* How wide the terminal is; 80 if it does not say. */
size_t show_columns(int fd);
/* "12.3 MiB" */
void show_bytes(struct buf *out, int64_t bytes);

#endif
