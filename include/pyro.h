/*
 * pyro: disposable microVM workspaces.
 *
 *	struct pyro *p = pyro_new();
 *	struct pyro_run run;
 *	struct pyro_error err;
 *	const char *argv[] = { "git", "--version", NULL };
 *
 *	if (pyro_run_in_vm(p, &(struct pyro_run_in_vm_args){ .environment = "debian:12",
 *			   .command = argv }, &run, &err) < 0)
 *		fprintf(stderr, "%s\n", err.message);
 *	else
 *		pyro_run_done(&run);
 *	pyro_free(p);
 *
 * Threads: a handle is used by one thread at a time; pyro_cancel() may be called from any thread
 * and from a signal handler. Handles share nothing, so several threads use several handles.
 * Memory: when the machine has none left for a small allocation, the process ends with a message.
 */
#ifndef PYRO_H
#define PYRO_H

#include "pyro/error.h"
#include "pyro/ops.h"

#define PYRO_VERSION "0.1.0"

/* What an operation tells while it works. Every callback may be NULL. */
struct pyro_observer {
	/*
	 * A phase began: `op` is "pull", "run", … and `detail` is "phase=install
	 * environment=debian:12". Borrowed for the call.
	 */
	void (*on_phase)(void *ctx, const char *op, const char *detail);
	/* Progress of a long phase: done of total (0: unknown), in `unit` ("packages", "bytes"). */
	void (*on_progress)(void *ctx, const char *what, int64_t done, int64_t total,
			    const char *unit);
	/* Output of the guest's command as it is produced; stream 1 or 2. Borrowed. */
	void (*on_output)(void *ctx, int stream, const void *data, size_t len);
	void *ctx;
};

/* A handle; NULL only when the system refuses descriptors. It touches nothing on disk. */
struct pyro *pyro_new(void);
/* NULL is fine. */
void pyro_free(struct pyro *p);
/* The observer is copied; NULL removes it. */
void pyro_observe(struct pyro *p, const struct pyro_observer *observer);
/*
 * Standard input for the commands that run_in_vm, exec_vm and exec_workspace run, and the keys of
 * attach_shell: a readable descriptor, borrowed
 * until the call returns, or -1 (the default) for an empty input.
 */
void pyro_set_input(struct pyro *p, int fd);
/*
 * Makes the call under way, or the next one, return PYRO_E_CANCELLED after undoing what it began.
 * Async-signal-safe.
 */
void pyro_cancel(struct pyro *p);
/*
 * The size of the caller's terminal, in cells, for attach_shell: before the call, and whenever it
 * changes. Async-signal-safe.
 */
void pyro_resize(struct pyro *p, int cols, int rows);

#endif
