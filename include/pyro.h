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
 * Operations: pyro/ops.h has a function, a structure of arguments and one of results for each.
 * Arguments that are left zero have their defaults. Times are seconds since the epoch, and units
 * are in the names: timeout_seconds, mem_mib, duration_ms.
 *
 * Errors: a function that can fail returns a negative number and fills err (pyro/error.h).
 *
 * Memory: arguments are borrowed for the call, and NULL stands for none; a result is the caller's,
 * who hands it to the _done() of its type, and must have a place. When the machine has no memory
 * left for a small allocation, the process ends with a message and exit status 125.
 *
 * Threads: a handle is used by one thread at a time; pyro_cancel() and pyro_resize() may be called
 * from any thread and from a signal handler. Handles share nothing, so several threads use several
 * handles, also on one workspace.
 *
 * Cancelling: a call that is cancelled undoes what it began, which takes as long as it takes, and
 * returns PYRO_E_CANCELLED. A command that runs in a workspace is ended, too.
 *
 * Processes: calls start children of their own, wait for no others, raise no signal but SIGCHLD,
 * and change nothing of the process: no handler, mask, umask, directory or variable. The program
 * must not ignore SIGCHLD, and must wait for its own children only: a child whose end it takes away
 * counts as failed. After a fork the child makes a handle of its own; calls with the old one are
 * PYRO_E_BAD_STATE there. VMs live on when the program ends, except for those of run_in_vm and
 * exec_vm, which end with the call.
 */
#ifndef PYRO_H
#define PYRO_H

#include "pyro/error.h"
#include "pyro/ops.h"

#define PYRO_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* PYRO_VERSION of the library that the program runs with. */
const char *pyro_version(void);

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

/*
 * A handle; it touches nothing on disk. NULL with errno when the system refuses descriptors, and
 * with EPERM in a program that is setuid or the like: libpyro believes PATH and other variables of
 * its environment, which there come from somebody else.
 */
struct pyro *pyro_new(void);
/* NULL is fine, and so is the handle of the process that this one was forked from. */
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

/*
 * What create_workspace without seed_path fills a workspace with: repo_url, else path, else the
 * current directory if `here`, else the first usable of roots.
 */
struct pyro_project {
	/*
	 * A directory: its Git-tracked files, with their content as it is on disk now; all of it
	 * where it is in no checkout.
	 */
	const char *path;
	/* A clean clone of this repository, at repo_ref: a branch, tag or commit; NULL: its HEAD.
	 */
	const char *repo_url, *repo_ref;
	/* The Git-tracked files of the whole checkout that the current directory is in. */
	bool here;
	/*
	 * As path, NULL-terminated. One that does not exist is passed over, and one that is in no
	 * checkout and is, or holds, the home directory.
	 */
	const char *const *roots;
};
/* Copied. NULL: nothing (the default). */
void pyro_set_project(struct pyro *p, const struct pyro_project *project);
/*
 * "the Git-tracked files of /home/u/app", "all files of /srv/data", "a clean clone of URL at REF",
 * or NULL: nothing. A line of UTF-8 that the caller frees. Cheap; what fails here fails
 * create_workspace, too.
 */
int pyro_describe_project(struct pyro *p, char **ret_text, struct pyro_error *err);

/*
 * Any operation, by its name ("run_in_vm") and with JSON: args_json is an object of its arguments
 * by their names (NULL: none), and *ret_json becomes the object that `pyro --json` prints, to be
 * freed with free(). Types are strict; an argument that is unknown is PYRO_E_INVALID. For other
 * languages.
 */
int pyro_call_json(struct pyro *p, const char *name, const char *args_json, char **ret_json,
		   struct pyro_error *err);

/*
 * What an argument may name, for the completion of a shell: "NAME\tWHAT" lines of UTF-8 that the
 * caller frees, NULL for none. operation and input are names as in pyro/ops.h, "reset_workspace"
 * and "snapshot"; workspace is the one that was chosen already, by id or name, or NULL. Cheap;
 * reads what is on record, makes and changes nothing, and does not wait for other processes.
 */
char *pyro_complete(const char *operation, const char *input, const char *workspace);

#ifdef __cplusplus
}
#endif

#endif
