/*
 * life: what VMs and workspaces share between their creation and their end.
 *
 * A workspace's machine is a VM of the same id, so both have the same directory, locks and
 * supervisor. Functions that change a life are called with its lock (life_lock) held.
 */
#ifndef API_LIFE_H
#define API_LIFE_H

#include "pyro.h"

/* The machine of a new VM or workspace, in no state yet; the caller's, pyro_vm_done(). */
struct pyro_vm life_new(const char *prefix, const char *environment, int64_t vcpu_count,
			int64_t mem_mib, int64_t ttl_seconds);
/* Its directory. A reaper must be held off (reap_hold_off) until its record is there, too. */
int life_make_dir(struct pyro *p, const char *id, struct pyro_error *err);

/*
 * The lock of whoever starts, stops, resets or deletes it: PYRO_E_BUSY after half a minute,
 * PYRO_E_NOT_FOUND if it was deleted meanwhile. A descriptor, the caller's, or -1.
 */
int life_lock(struct pyro *p, const char *id, struct pyro_error *err);

/*
 * The record of a machine, brought up to date: one that says started although no supervisor holds
 * its lock has failed, and what ran in it was interrupted.
 */
int life_get(struct pyro *p, const char *id, struct pyro_vm *ret, struct pyro_error *err);

/* Starts it if it is not started. Phases are told under the name `op`. */
int life_start(struct pyro *p, const char *op, const char *id, struct pyro_error *err);
/* Ends it by its supervisor's call "stop" or "destroy"; one that does not run is fine. */
int life_end(struct pyro *p, const char *id, const char *call, struct pyro_error *err);
/* Ends it and removes everything of it. */
int life_delete(struct pyro *p, const char *id, struct pyro_error *err);

#endif
