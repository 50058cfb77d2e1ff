/*
 * Whether KVM on this machine can really run a guest.
 *
 * That /dev/kvm opens proves little: there are software-assisted KVMs which run simple code and
 * then stop at instructions that every kernel uses. So a guest of a few instructions, without QEMU,
 * does in 64-bit mode what has been seen to fail: `lock cmpxchg16b`, an `int3` through its own
 * interrupt table, `cpuid`, `rdtsc`, and an `out` with the result. It runs in a child process that
 * is killed at a deadline, so a KVM that hangs costs its caller nothing more than that.
 *
 * One such KVM (a Firecracker guest without nested virtualisation) runs cpuid, rdtsc, out and an
 * endless loop, answers a wrong opcode with a crash as it should, and gives up with an internal
 * error (suberror 1, emulation) on the cmpxchg16b, and on the int3 where that is all it is asked:
 * it says so within 3 ms. Upstream's kvm_amd, itself on an emulated processor, passes in 40 ms,
 * 220 ms when it is the machine's first guest; hence the deadline.
 */
#ifndef VM_KVM_PROBE_H
#define VM_KVM_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#define KVM_PROBE_TIMEOUT_MS 800

struct kvm_probe {
	bool is_usable;
	bool is_final;    /* asking again before the next boot would give the same answer */
	char reason[160]; /* why it is not usable; empty if it is */
};

/* Always fills *ret. Takes a few milliseconds, and timeout_ms at the most. */
void kvm_probe(int timeout_ms, struct kvm_probe *ret);

/* The same with another guest, for tests: 64-bit code, at most a page, that stands anywhere. */
void kvm_probe__code(const void *code, size_t len, int timeout_ms, struct kvm_probe *ret);

#endif
