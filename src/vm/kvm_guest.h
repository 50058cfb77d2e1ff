/*
 * What the guest of the KVM probe (kvm_guest.S) and kvm_probe.c agree on. Read by the assembler
 * too, so it has nothing but numbers.
 */
#ifndef VM_KVM_GUEST_H
#define VM_KVM_GUEST_H

/* The guest writes its result, 32 bits, to this I/O port: KVM_GUEST_OK, or the step that failed. */
#define KVM_GUEST_PORT 0x7079
#define KVM_GUEST_OK 0x6f727970

/* The step that runs is in r12, so that it is known where the guest stopped. */
#define KVM_GUEST_STEP_START 0
#define KVM_GUEST_STEP_CMPXCHG16B 1
#define KVM_GUEST_STEP_INT3 2
#define KVM_GUEST_STEP_CPUID 3
#define KVM_GUEST_STEP_RDTSC 4
#define KVM_GUEST_STEP_OUT 5

#endif
