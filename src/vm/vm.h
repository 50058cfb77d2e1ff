/*
 * vm: what both engines do with a machine once its process runs. For the engines only; everybody
 * else includes engine.h.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include "vm/engine.h"

#include <jansson.h>

/* A vm with nothing started yet. */
struct vm *vm_new(struct loop *loop, const struct engine *engine, const struct vm_spec *spec,
		  const struct vm_hooks *hooks);

/* Opens the channel on vm->channel_fd and exchanges versions with the agent. */
int vm_greet(struct vm *vm, int64_t deadline, struct pyro_error *err);
/* Closes the channel; the agent drops what it was told and waits for the next client. */
void vm_hang_up(struct vm *vm);

/* One call to the agent whose result does not matter; args is taken. */
int vm_call(struct vm *vm, const char *name, json_t *args, int64_t deadline,
	    struct pyro_error *err);

/* Tells of a phase, if anybody listens. */
void vm_phase(const struct vm_hooks *hooks, const char *phase, const char *detail);

#endif
