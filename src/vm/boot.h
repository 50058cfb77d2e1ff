/*
 * boot: a QEMU machine from nothing, or from a template, to an agent that answers.
 */
#ifndef VM_BOOT_H
#define VM_BOOT_H

#include "vm/qemu.h"

struct template;

/* Boots and waits for the agent: stage "initramfs". */
int boot_cold(struct vm *vm, enum qemu_purpose purpose, const char *ram_path,
	      struct pyro_error *err);
/* Restores and waits for the agent: stage as when the template was saved. */
int boot_restored(struct vm *vm, const struct template *t, struct pyro_error *err);

/* How long one step of a boot may take before the guest counts as hung. */
int64_t boot_deadline(const struct vm *vm);

#endif
