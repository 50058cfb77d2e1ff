/*
 * The guest of the KVM probe: 64-bit code that kvm_probe.c copies into the guest's memory. It
 * starts in long mode with interrupts off, a 16-byte aligned stack below 64 KiB and its code
 * segment in selector 8, and it stands anywhere below 64 KiB.
 */
#include "vm/kvm_guest.h"

	.section .rodata
	.globl	kvm_guest_code
	.globl	kvm_guest_code_end
kvm_guest_code:

	/* The 16 bytes 1, 2 become 3, 4. */
	movl	$KVM_GUEST_STEP_CMPXCHG16B, %r12d
	pushq	$2
	pushq	$1
	movl	$1, %eax
	movl	$2, %edx
	movl	$3, %ebx
	movl	$4, %ecx
	lock cmpxchg16b (%rsp)
	jne	failed
	cmpq	$3, (%rsp)
	jne	failed
	cmpq	$4, 8(%rsp)
	jne	failed

	/* An interrupt table of four gates on the stack; the fourth, vector 3, is ours. */
	movl	$KVM_GUEST_STEP_INT3, %r12d
	subq	$64, %rsp
	leaq	on_int3(%rip), %rax		/* below 64 KiB: offset bits 15..0 */
	movabsq	$0x00008e0000080000, %rdx	/* present, interrupt gate; selector 8 */
	orq	%rdx, %rax
	movq	%rax, 48(%rsp)
	movq	$0, 56(%rsp)
	movq	%rsp, %rax
	subq	$16, %rsp
	movw	$63, 6(%rsp)
	movq	%rax, 8(%rsp)
	lidt	6(%rsp)
	xorl	%esi, %esi
	int3
	cmpl	$1, %esi
	jne	failed

	/* There is a highest leaf. */
	movl	$KVM_GUEST_STEP_CPUID, %r12d
	xorl	%eax, %eax
	cpuid
	testl	%eax, %eax
	je	failed

	/* Time goes on. */
	movl	$KVM_GUEST_STEP_RDTSC, %r12d
	rdtsc
	movl	%eax, %esi
	movl	%edx, %edi
	rdtsc
	subl	%esi, %eax
	sbbl	%edi, %edx
	jb	failed
	orl	%edx, %eax
	je	failed

	movl	$KVM_GUEST_STEP_OUT, %r12d
	movl	$KVM_GUEST_OK, %eax
report:
	movl	$KVM_GUEST_PORT, %edx
	outl	%eax, %dx
	hlt
failed:
	movl	%r12d, %eax
	jmp	report
on_int3:
	incl	%esi
	iretq

kvm_guest_code_end:
	.section .note.GNU-stack, "", @progbits
