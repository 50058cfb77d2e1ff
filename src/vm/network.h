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
 * Starts both for a machine, while that starts too; fd, our end of its device, is taken. They end
 * with the device, with this process, or with network_free().
 */
struct network *network_start(struct loop *loop, const struct vm_spec *spec, int fd,
			      struct pyro_error *err);
/* Waits until packets would be carried, and tells the guest its addresses and resolvers. */
int network_configure(struct vm *vm, int64_t deadline, struct pyro_error *err);
/* Whether it still runs. When it does not, the machine goes on with a device without a carrier. */
bool network_is_up(const struct network *n);
/* NULL is fine; returns NULL. */
struct network *network_free(struct network *n);

#endif
