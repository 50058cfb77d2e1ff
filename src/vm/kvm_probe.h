/*
 * Whether KVM on this machine can really run a guest.
 *
 * That /dev/kvm opens proves little: there are software-assisted KVMs which run simple code and
 * then stop at instructions that every kernel uses. So a guest of a few instructions, without QEMU,
 * does in 64-bit mode what has been seen to fail: `lock cmpxchg16b`, an `int3` through its own
 * interrupt table, `cpuid`, `rdtsc`, and an `out` with the result. It runs in a child process that
 * is killed at a deadline, so a KVM that hangs costs its caller nothing more than that.
 */
#ifndef VM_KVM_PROBE_H
#define VM_KVM_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#define KVM_PROBE_TIMEOUT_MS 400

struct kvm_probe {
	bool is_usable;
	bool is_final;    /* asking again before the next boot would give the same answer */
	char reason[160]; /* why it is not usable; empty if it is */
};

/* Always fills *ret. Takes a few milliseconds, or timeout_ms. */
void kvm_probe(int timeout_ms, struct kvm_probe *ret);

/* The same with another guest, for tests: 64-bit code, at most a page, that stands anywhere. */
void kvm_probe__code(const void *code, size_t len, int timeout_ms, struct kvm_probe *ret);

#endif
