/*
 * What this machine offers to guests: whether its KVM works, and how fast its time stamp counter
 * runs. Measured once per boot (a second at worst) and remembered in <cache_dir>/host.json, so
 * that later calls cost one small file.
 *
 * The memory holds for one boot of one kernel, and for /dev/kvm and our right to it as they were.
 * An answer that may have been chance (the probe timed out on a busy machine, another hypervisor
 * held the processor) is asked for again after ten minutes. Whatever is wrong with the file, the
 * machine is measured again; a directory that cannot be written only means that nothing is
 * remembered.
 */
#ifndef VM_HOST_H
#define VM_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct pyro_error;

enum vm_accel {
	VM_ACCEL_TCG, /* QEMU's own translator: works everywhere, slowly */
	VM_ACCEL_KVM,
};

struct vm_host {
	bool kvm_exists;
	bool kvm_readable;
	bool kvm_writable;
	bool kvm_usable;      /* a probe guest ran correctly in it (vm/kvm_probe.h) */
	char kvm_reason[160]; /* why it is not usable; empty if it is */
	enum vm_accel accel;  /* the one to use */
	bool is_demanded;     /* by PYRO_ACCEL: no other will do */
	uint32_t tsc_khz;     /* of the host's time stamp counter; 0: not to be relied on */
};

/*
 * Fills *ret, always. PYRO_ACCEL=auto|kvm|tcg in the environment overrides accel; only that can
 * fail: PYRO_E_NO_GUEST where kvm is demanded and not usable, PYRO_E_INVALID for another value
 * (accel is then as if it were not set). cache_dir is made if missing; NULL: nothing is remembered.
 */
int vm_host_examine(const char *cache_dir, struct vm_host *ret, struct pyro_error *err);

/*
 * How much longer than on hardware to wait for a guest under this machine's KVM: 1, on a virtual
 * machine 4, for each exit of the guest passes through two hypervisors, and on an emulated one 16.
 */
int vm_host_slowness(void);

/* "kvm" or "tcg". */
const char *vm_accel_name(enum vm_accel accel);

#endif
