/*
 * machine: from a VM's record to a running machine.
 */
#ifndef API_MACHINE_H
#define API_MACHINE_H

#include "pyro.h"

#include <jansson.h>

struct remote;

/*
 * For calls that start a machine. The supervisor keeps finer deadlines, which add up on a slow host
 * that makes a template first; this only guards against one that is stuck.
 */
#define MACHINE_START_MS (20 * 60 * 1000)

/* A VM that is about to be started. */
struct machine {
	struct remote *remote;
	char *execution_mode;
	char *accel;       /* NULL for host_compat */
	bool has_baseline; /* its disk is new and has a snapshot DISK_BASELINE */
};

/* Hangs up and frees. */
void machine_done(struct machine *m);

/*
 * Takes the `alive` lock of a VM, whose directory exists: PYRO_E_BUSY if a supervisor holds on to
 * it. The descriptor is the caller's.
 */
int machine_lock(struct pyro *p, const char *vm_id, struct pyro_error *err);

enum machine_kind {
	MACHINE_KEPT,      /* lives until somebody ends it */
	MACHINE_OWNED,     /* ends with our connection, unless that calls "release" */
	MACHINE_EPHEMERAL, /* ends with our connection, and never starts again */
};

/*
 * Starts the VM that `vm` describes and waits until it can run commands: installs the environment
 * if it is missing, falls back to the host where the record allows it. Phases are told under the
 * name `op`.
 */
int machine_start(struct pyro *p, const char *op, const struct pyro_vm *vm, int alive_fd,
		  enum machine_kind kind, struct machine *ret, struct pyro_error *err);

/*
 * Runs one command in the machine and fills what `run` says of it: output, exit code, duration.
 * `command` is as in the operations, timeout in seconds.
 */
int machine_exec(struct machine *m, const char *const *command, int64_t timeout_seconds,
		 struct pyro_run *ret, struct pyro_error *err);

/* An operation's command in the arguments of an exec: one word is "shell", several are "argv". */
void machine_add_command(json_t *args, const char *const *command);
/* The same as records keep it, a text or a list, each cut where it is very long. The caller's. */
json_t *machine_recorded_command(const char *const *command);

struct machine_command {
	const char *const *command;
	const char *const *shown; /* the same as results and the history have it */
	const char *cwd;
	int64_t timeout_seconds;
	int64_t wait_seconds;          /* 0: until it ends */
	const char *const *secret_env; /* as in the operations; NULL: none */
};

/*
 * As machine_exec(), recorded in the history of the workspace under the number *ret_sequence. The
 * command goes on if we die; a pyro_cancel() ends it. *ret_state is the history's, the caller's;
 * where it is "running", the wait ran out and *ret is untouched.
 */
int machine_exec_recorded(struct machine *m, const struct machine_command *command,
			  struct pyro_run *ret, int64_t *ret_sequence, char **ret_state,
			  struct pyro_error *err);

/*
 * Undoes a start, or an owned machine: ends it, waits until it is gone and hangs up. Works after
 * pyro_cancel() too, because what was begun is undone before a call returns.
 */
void machine_give_up(struct pyro *p, struct machine *m, bool is_owned);

/* Destroys the machine and everything of it, and waits until it is gone. */
int machine_destroy(struct machine *m, struct pyro_error *err);

#endif
