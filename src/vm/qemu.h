/*
 * qemu: one QEMU process in its jail, from the command line to the kill.
 *
 * The machine is `microvm` with a virtio-mmio disk and a virtio-serial port to the agent, nothing
 * else. QEMU gets three sockets (control, agent, console) and files at fixed places under /vm, so
 * its arguments are the same for every VM of one shape; that is what a template is named by.
 */
#ifndef VM_QEMU_H
#define VM_QEMU_H

#include "base/proc.h"
#include "vm/engine.h"

enum qemu_purpose {
	QEMU_BOOT,    /* boots; memory is private */
	QEMU_SAVE,    /* boots; memory is ram_path, shared, to become a template */
	QEMU_RESTORE, /* waits for a saved state; memory is ram_path, mapped privately */
};

/* The arguments behind the program's name. */
void qemu_arguments(const struct vm_spec *spec, enum qemu_purpose purpose, struct argv *argv);

/* Full path of QEMU, or NULL with PYRO_E_MISSING_DEPENDENCY. Owned by the caller. */
char *qemu_program(struct pyro_error *err);

/*
 * Starts QEMU for vm->spec, paused, and talks to it: fills vm's child, qmp, console, channel_fd.
 * ram_path is NULL for QEMU_BOOT. On failure the caller frees the vm.
 */
int qemu_launch(struct vm *vm, enum qemu_purpose purpose, const char *ram_path,
		struct pyro_error *err);

/* Takes what there is on the console now, which also has what the jail and QEMU complain of. */
void qemu_read_console(struct vm *vm);

/* Lets the machine run. */
int qemu_run(struct vm *vm, struct pyro_error *err);
/* Pauses the machine and writes all but its memory to state_path; QEMU is of no use afterwards. */
int qemu_save(struct vm *vm, const char *state_path, struct pyro_error *err);
/* Reads what qemu_save wrote into a machine that was launched with QEMU_RESTORE. */
int qemu_restore(struct vm *vm, const char *state_path, struct pyro_error *err);
/* The disk's content as it is now becomes a snapshot in it; the caller sees to it that it is whole.
 */
int qemu_snapshot(struct vm *vm, const char *tag, struct pyro_error *err);
/* Missing is fine. */
int qemu_delete_snapshot(struct vm *vm, const char *tag, struct pyro_error *err);
/* Ends QEMU in order, with its disk closed, and waits until it is gone. */
int qemu_quit(struct vm *vm, struct pyro_error *err);

#endif
