/*
 * Records: what exists, in one SQLite database that many processes use at once.
 *
 * A record says what was last known. Whether a VM is alive is not in it: that is the lock of its
 * supervisor (state.h). Writes are atomic and survive the death of the process (WAL); the file has
 * a version, and one from a newer pyro is refused, never touched.
 */
#ifndef WORKSPACE_RECORDS_H
#define WORKSPACE_RECORDS_H

#include <pyro/ops.h>

struct records;

/* Opens, making or migrating as needed. NULL with err. */
struct records *records_open(const char *state_dir, struct pyro_error *err);
/*
 * Opens what is there, in the version that this pyro knows, to read it, and does not wait for
 * whoever has it locked. NULL with err.
 */
struct records *records_open_to_read(const char *state_dir, struct pyro_error *err);
struct records *records_close(struct records *r);

/*
 * A VM, or the machine of a workspace (workspaces.h), whose id it has.
 *
 * is_ephemeral: nobody will ask for this VM again once its supervisor is gone, so it is removed
 * then (the VM of a `run`).
 */
int records_add_vm(struct records *r, const struct pyro_vm *vm, bool is_ephemeral,
		   struct pyro_error *err);
/* PYRO_E_NOT_FOUND if there is none. *ret is the caller's: pyro_vm_done(). */
int records_get_vm(struct records *r, const char *vm_id, struct pyro_vm *ret,
		   struct pyro_error *err);
/* state, reason (NULL: none), execution_mode and accel (NULL: as they were). */
int records_set_vm_state(struct records *r, const char *vm_id, const char *state,
			 const char *reason, const char *execution_mode, const char *accel,
			 struct pyro_error *err);
/* A VM that is "started" has failed; one that meanwhile is not is left alone. */
int records_fail_vm(struct records *r, const char *vm_id, const char *reason,
		    struct pyro_error *err);
/*
 * From here on it is ephemeral. To be called before anything of it is removed: what nobody got to
 * remove is not taken for a VM, and goes with the next reaping.
 */
int records_doom_vm(struct records *r, const char *vm_id, struct pyro_error *err);
/* Missing is fine. */
int records_delete_vm(struct records *r, const char *vm_id, struct pyro_error *err);

/* Without workspaces, newest first; each vms[i] is the caller's, and the array. */
int records_list_vms(struct records *r, struct pyro_vm **ret, size_t *ret_count,
		     struct pyro_error *err);
/* Ids of all VMs and workspaces, NULL-terminated. */
int records_list_ids(struct records *r, char ***ret, struct pyro_error *err);
/* Ids of VMs that are past their time, or ephemeral: candidates for reaping. NULL-terminated. */
int records_list_doomed(struct records *r, double now, char ***ret, struct pyro_error *err);

#endif
