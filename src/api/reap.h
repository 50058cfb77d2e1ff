/*
 * Removing what nobody owns any more: VMs past their time, VMs of a `run` whose supervisor died,
 * and directories that no record names because their maker was killed half-way.
 */
#ifndef API_REAP_H
#define API_REAP_H

struct pyro;
struct pyro_error;

/* ret_ids (may be NULL): which VMs went, NULL-terminated, the caller's. */
int reap_dead(struct pyro *p, char ***ret_ids, struct pyro_error *err);

/*
 * While a VM's directory and record are being made, neither is a sign of death: the maker holds
 * this lock (shared) and the reaper waits for another day. Returns a descriptor, or -1 with err.
 */
int reap_hold_off(struct pyro *p, struct pyro_error *err);

#endif
