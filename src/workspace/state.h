/*
 * The state directory: where it is, and what the directory of one VM holds.
 *
 *	$XDG_STATE_HOME/pyro, by default ~/.local/state/pyro      0700
 *	    pyro.db            records (records.h)
 *	    vms/<vm_id>/       one directory per VM, 0700
 *	        disk.qcow2     what differs from the environment's root
 *	        base           where that root is
 *	        reverting      as long as disk.qcow2 is being brought back to a snapshot
 *	        alive          locked by the VM's supervisor as long as it lives
 *	        change         locked by whoever starts, stops or deletes the VM
 *	        sock           the supervisor listens here
 *	        clone/         of a workspace being made: the repository it is made from
 *	        manifest       of a workspace: metadata of its baseline (tree.h)
 *	        empty-baseline   of a workspace: its baseline is that of any new disk
 *	        snapshotting   as long as a snapshot is made or deleted: its name
 *	        outputs/       of a workspace: what commands printed (output.h)
 *	        shells/        of a workspace: what its shells printed (ring.h)
 *
 * Sockets are here and not under XDG_RUNTIME_DIR, because chat hosts start pyro with that variable
 * removed and must find the same VMs.
 */
#ifndef WORKSPACE_STATE_H
#define WORKSPACE_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct pyro_error;

#define STATE_EMPTY_BASELINE "empty-baseline"
#define STATE_SECRETS "secrets"
#define STATE_SNAPSHOTTING "snapshotting"

/* Makes the state directory if needed. Its path, owned by the caller, or NULL with err. */
char *state_dir(struct pyro_error *err);

/* The same if there is one of ours; makes and changes nothing. NULL: there is none. */
char *state_find(void);

/* The directory of a VM; it need not exist. Owned by the caller. */
char *state_vm_dir(const char *state, const char *vm_id);
/* A file in it. Owned by the caller. */
char *state_vm_file(const char *state, const char *vm_id, const char *name);

/* "vm-" and 16 random hex digits. Owned by the caller. */
char *state_new_id(const char *prefix);
/* Whether text has the form that state_new_id gives: ids from outside become paths. */
bool state_is_id(const char *text);
/* Whether such an id is a workspace's, which began with STATE_WORKSPACE_PREFIX. */
#define STATE_WORKSPACE_PREFIX "ws"
bool state_is_workspace_id(const char *id);

/* A unix socket at path, which may be longer than sun_path: -1 with err. */
int state_listen(const char *path, struct pyro_error *err);
/* Connects; -1 with err, PYRO_E_BAD_STATE if nobody listens. */
int state_connect(const char *path, struct pyro_error *err);

#endif
