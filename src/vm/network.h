/*
 * network: the way from a machine's network device to the world, under the policy `egress`:
 * pyro-net and passt, in a jail of their own that keeps the host's network. docs/design/network.md.
 */
#ifndef VM_NETWORK_H
#define VM_NETWORK_H

#include "vm/engine.h"

struct network;

/* Whether passt is installed: PYRO_E_MISSING_DEPENDENCY. */
int network_check(struct pyro_error *err);

/*
 * Starts both for a machine, while that starts too: vm->net_fd is taken, vm->network is set. They
 * end with the device, with this process, or with network_free().
 */
int network_start(struct vm *vm, struct pyro_error *err);
/* Waits until packets would be carried, and tells the guest its addresses and resolvers. */
int network_configure(struct vm *vm, int64_t deadline, struct pyro_error *err);
bool network_is_up(const struct network *n);
/* When it does not run any more the machine goes on; this tells the guest that the wire is cut. */
void network_cut_off(struct vm *vm, int64_t deadline);
/* NULL is fine; returns NULL. */
struct network *network_free(struct network *n);

#endif
