/*
 * The child builds the smallest machine that 64-bit code runs in: one memory slot with page tables,
 * a segment table, a stack and the code, and one processor whose registers say that long mode is
 * already on. It writes down what happened in memory that it shares with its parent, which turns
 * it into words; a child that was killed at the deadline has written nothing.
 */
#include "vm/kvm_probe.h"

#include "base/clock.h"
#include "base/mem.h"
#include "vm/kvm_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/kvm.h>

#define KVM_DEVICE "/dev/kvm"
#define KVM_API 12
#define CPUID_ENTRIES 256
#define KILL_WAIT_MS 1000

/* Where things are in the guest's memory. */
#define GUEST_PML4 0x0000
#define GUEST_PDPT 0x1000
#define GUEST_PD 0x2000
#define GUEST_GDT 0x3000
#define GUEST_STACK_TOP 0x5000 /* a page */
#define GUEST_CODE 0x5000      /* a page */
#define GUEST_SIZE 0x6000
#define GUEST_TSS 0xfffbd000 /* three pages that Intel's KVM wants for itself, far from ours */

#define PAGE_PRESENT_WRITABLE 0x3
#define PAGE_IS_LARGE 0x80
#define CR0_PE_MP_ET_NE_WP_PG 0x80010033
#define CR4_PAE 0x20
#define EFER_LME_LMA 0x500
#define GDT_CODE64 0x00af9b000000ffff /* ring 0, 64 bit, accessed */
#define GDT_DATA 0x00cf93000000ffff   /* ring 0, writable, accessed */
#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10

extern const unsigned char kvm_guest_code[], kvm_guest_code_end[];

static const char *const step_names[] = {
	[KVM_GUEST_STEP_START] = "first instruction",
	[KVM_GUEST_STEP_CMPXCHG16B] = "lock cmpxchg16b",
	[KVM_GUEST_STEP_INT3] = "int3",
	[KVM_GUEST_STEP_CPUID] = "cpuid",
	[KVM_GUEST_STEP_RDTSC] = "rdtsc",
	[KVM_GUEST_STEP_OUT] = "out",
};

struct outcome {
	enum {
		STILL_RUNNING,
		REFUSED, /* a system call failed: call, errnum */
		STOPPED, /* the guest stopped where it should not: exit_reason, suberror, step */
		WRONG,   /* the guest computed nonsense: step */
		USABLE,
	} what;
	const char *call; /* a literal, so it is the same in parent and child */
	int errnum;
	uint32_t exit_reason;
	uint32_t suberror;
	uint64_t step;
};

struct vm {
	int kvm, vm, cpu;
	unsigned char *memory;
	struct kvm_run *run;
	struct outcome *outcome;
};

/* An ioctl that must work; its name is what the user is told. */
#define MUST(m, fd, request, arg) must((m), ioctl((fd), (request), (arg)), #request)

static int must(struct vm *m, int result, const char *call)
{
	if (result < 0) {
		m->outcome->errnum = errno;
		m->outcome->call = call;
		m->outcome->what = REFUSED;
	}
	return result;
}

static int map(struct vm *m, size_t size, int fd, void *ret)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		return must(m, -1, "mmap");
	memcpy(ret, &p, sizeof(p));
	return 0;
}

static int open_machine(struct vm *m)
{
	int version, run_size;

	m->kvm = must(m, open(KVM_DEVICE, O_RDWR | O_CLOEXEC), "open");
	if (m->kvm < 0)
		return -1;
	version = MUST(m, m->kvm, KVM_GET_API_VERSION, 0);
	if (version >= 0 && version != KVM_API) {
		errno = EPROTO;
		return must(m, -1, "KVM_GET_API_VERSION");
	}
	m->vm = MUST(m, m->kvm, KVM_CREATE_VM, 0);
	if (m->vm < 0 || MUST(m, m->vm, KVM_SET_TSS_ADDR, GUEST_TSS) < 0)
		return -1;
	m->cpu = MUST(m, m->vm, KVM_CREATE_VCPU, 0);
	if (m->cpu < 0)
		return -1;
	run_size = MUST(m, m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	return run_size < 0 ? -1 : map(m, (size_t)run_size, m->cpu, &m->run);
}

/* The processor's features are those of the host, as QEMU would set them. */
static int set_features(struct vm *m)
{
	union {
		struct kvm_cpuid2 head; /* the entries lie behind it */
		char room[sizeof(struct kvm_cpuid2) +
			  CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2)];
	} cpuid = {.head.nent = CPUID_ENTRIES};

	if (MUST(m, m->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0)
		return -1;
	return MUST(m, m->cpu, KVM_SET_CPUID2, &cpuid);
}

static void put64(struct vm *m, size_t at, uint64_t value)
{
	memcpy(m->memory + at, &value, sizeof(value));
}

/* One large page maps the first 2 MiB to themselves. */
static int fill_memory(struct vm *m, const void *code, size_t len)
{
	struct kvm_userspace_memory_region slot = {.memory_size = GUEST_SIZE};

	if (map(m, GUEST_SIZE, -1, &m->memory) < 0)
		return -1;
	put64(m, GUEST_PML4, GUEST_PDPT | PAGE_PRESENT_WRITABLE);
	put64(m, GUEST_PDPT, GUEST_PD | PAGE_PRESENT_WRITABLE);
	put64(m, GUEST_PD, PAGE_PRESENT_WRITABLE | PAGE_IS_LARGE);
	put64(m, GUEST_GDT + SELECTOR_CODE, GDT_CODE64);
	put64(m, GUEST_GDT + SELECTOR_DATA, GDT_DATA);
	memcpy(m->memory + GUEST_CODE, code, len);
	slot.userspace_addr = (uintptr_t)m->memory;
	return MUST(m, m->vm, KVM_SET_USER_MEMORY_REGION, &slot);
}

static int set_registers(struct vm *m)
{
	struct kvm_segment code = {.limit = 0xffffffff,
				   .selector = SELECTOR_CODE,
				   .type = 0xb,
				   .present = 1,
				   .s = 1,
				   .l = 1,
				   .g = 1};
	struct kvm_segment data = {.limit = 0xffffffff,
				   .selector = SELECTOR_DATA,
				   .type = 0x3,
				   .present = 1,
				   .s = 1,
				   .db = 1,
				   .g = 1};
	struct kvm_regs regs = {.rip = GUEST_CODE,
				.rsp = GUEST_STACK_TOP,
				.rflags = 2,
				.r12 = KVM_GUEST_STEP_START};
	struct kvm_sregs sregs;

	if (MUST(m, m->cpu, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt = (struct kvm_dtable){.base = GUEST_GDT, .limit = SELECTOR_DATA + 7};
	sregs.cr0 = CR0_PE_MP_ET_NE_WP_PG;
	sregs.cr3 = GUEST_PML4;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME_LMA;
	if (MUST(m, m->cpu, KVM_SET_SREGS, &sregs) < 0)
		return -1;
	return MUST(m, m->cpu, KVM_SET_REGS, &regs);
}

/* The guest said something at its port. */
static void note_report(struct vm *m)
{
	uint32_t value;

	memcpy(&value, (char *)m->run + m->run->io.data_offset, sizeof(value));
	m->outcome->step = value;
	m->outcome->what = value == KVM_GUEST_OK ? USABLE : WRONG;
}

static void note_stop(struct vm *m)
{
	struct kvm_regs regs;

	if (MUST(m, m->cpu, KVM_GET_REGS, &regs) < 0)
		return;
	m->outcome->step = regs.r12;
	m->outcome->exit_reason = m->run->exit_reason;
	if (m->run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		m->outcome->suberror = m->run->internal.suberror;
	m->outcome->what = STOPPED;
}

static void run_guest(struct vm *m)
{
	int r;

	do
		r = ioctl(m->cpu, KVM_RUN, 0);
	while (r < 0 && (errno == EINTR || errno == EAGAIN));
	if (must(m, r, "KVM_RUN") < 0)
		return;
	if (m->run->exit_reason == KVM_EXIT_IO && m->run->io.port == KVM_GUEST_PORT &&
	    m->run->io.size == sizeof(uint32_t))
		note_report(m);
	else
		note_stop(m);
}

/* All of it runs after fork() in a process that may have had threads: no allocation, no locks. */
static void run_child(pid_t parent, struct outcome *outcome, const void *code, size_t len)
{
	struct vm m = {.outcome = outcome};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && open_machine(&m) == 0 && set_features(&m) == 0 &&
	    fill_memory(&m, code, len) == 0 && set_registers(&m) == 0)
		run_guest(&m);
	_exit(0);
}

/* False if the child had to be killed at the deadline. */
static bool await_child(pid_t pid, int64_t deadline)
{
	AUTO_FD int fd = pidfd_open(pid, 0);
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int r;

	do
		r = poll(&pfd, 1, deadline_left(deadline));
	while (r < 0 && errno == EINTR);
	if (r <= 0) {
		(void)kill(pid, SIGKILL);
		(void)poll(&pfd, 1, KILL_WAIT_MS); /* the kernel may be unable to let go of it */
	}
	(void)waitpid(pid, NULL, WNOHANG);
	return r > 0;
}

static const char *step_name(uint64_t step)
{
	return step < ARRAY_SIZE(step_names) ? step_names[step] : "an unknown instruction";
}

static void explain_refusal(const struct outcome *o, char *reason, size_t size)
{
	if (strcmp(o->call, "open") != 0)
		(void)snprintf(reason, size, "%s: %s", o->call, strerror(o->errnum));
	else if (o->errnum == ENOENT)
		(void)snprintf(reason, size, "no %s", KVM_DEVICE);
	else if (o->errnum == EACCES)
		(void)snprintf(reason, size, "no permission to open %s", KVM_DEVICE);
	else
		(void)snprintf(reason, size, "open %s: %s", KVM_DEVICE, strerror(o->errnum));
}

static void explain_stop(const struct outcome *o, char *reason, size_t size)
{
	const char *step = step_name(o->step);

	if (o->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		(void)snprintf(reason, size, "KVM internal error (suberror %u) on '%s'",
			       o->suberror, step);
	else if (o->exit_reason == KVM_EXIT_SHUTDOWN)
		(void)snprintf(reason, size, "the probe guest crashed on '%s'", step);
	else
		(void)snprintf(reason, size, "the probe guest stopped (KVM exit %u) on '%s'",
			       o->exit_reason, step);
}

static void judge(const struct outcome *o, struct kvm_probe *ret)
{
	ret->is_usable = o->what == USABLE;
	ret->is_final = o->what != REFUSED || o->errnum == ENOENT || o->errnum == EACCES;
	if (o->what == REFUSED)
		explain_refusal(o, ret->reason, sizeof(ret->reason));
	else if (o->what == STOPPED)
		explain_stop(o, ret->reason, sizeof(ret->reason));
	else if (o->what == WRONG)
		(void)snprintf(ret->reason, sizeof(ret->reason), "wrong result of '%s'",
			       step_name(o->step));
}

static void run_probe(struct outcome *outcome, const void *code, size_t len, int timeout_ms,
		      struct kvm_probe *ret)
{
	int64_t deadline = deadline_in(timeout_ms);
	pid_t self = getpid(), pid = fork();
	bool in_time;

	if (pid == 0)
		run_child(self, outcome, code, len);
	in_time = pid > 0 && await_child(pid, deadline);
	if (outcome->what != STILL_RUNNING)
		judge(outcome, ret);
	else if (in_time || pid < 0)
		(void)snprintf(ret->reason, sizeof(ret->reason), "the probe's process died");
	else
		(void)snprintf(ret->reason, sizeof(ret->reason), "timed out after %d ms",
			       timeout_ms);
}

void kvm_probe__code(const void *code, size_t len, int timeout_ms, struct kvm_probe *ret)
{
	struct outcome *outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*ret = (struct kvm_probe){0};
	if (outcome == MAP_FAILED)
		mem_exhausted();
	run_probe(outcome, code, len, timeout_ms, ret);
	(void)munmap(outcome, sizeof(*outcome));
}

void kvm_probe(int timeout_ms, struct kvm_probe *ret)
{
	kvm_probe__code(kvm_guest_code, (size_t)(kvm_guest_code_end - kvm_guest_code), timeout_ms,
			ret);
}
