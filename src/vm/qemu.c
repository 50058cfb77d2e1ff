#include "vm/qemu.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "net/link.h"
#include "vm/jail.h"
#include "vm/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define QMP_FD 3
#define AGENT_FD 4
#define CONSOLE_FD 5
#define NET_FD 6
#define SOCKETS 4
#define CONSOLE_KEPT (64 * 1024)
#define SNAPSHOT_MS 10000
#define COMMAND_MS 5000 /* QEMU answers in milliseconds; this is for a machine under great load */

static void add_kernel_line(const struct vm_spec *spec, struct argv *a)
{
	AUTO_FREE char *tsc = NULL;

	/*
	 * Without its frequency the guest measures the TSC against an emulated timer, and one boot
	 * in five hangs there. tsc=reliable: without it the kernel checks the TSC against its own
	 * count of timer interrupts, some of which a busy host loses, believes the count, and its
	 * clock falls behind. norandmaps: QEMU translates code per address, so programs at the
	 * same addresses each time run from what is translated already (5 times as fast to start).
	 */
	if (spec->accel == VM_ACCEL_TCG)
		tsc = spec->tsc_khz ? mem_printf(" norandmaps tsc=reliable tsc_early_khz=%u",
						 spec->tsc_khz)
				    : mem_strdup(" norandmaps");
	argv_add(a, "-kernel", "/vm/kernel", "-initrd", "/vm/initrd", "-append", NULL);
	argv_addf(a, "console=ttyS0 quiet panic=-1 reboot=t mitigations=off random.trust_cpu=on%s",
		  tsc ? tsc : "");
}

static void add_machine(const struct vm_spec *spec, enum qemu_purpose purpose, struct argv *a)
{
	bool is_kvm = spec->accel == VM_ACCEL_KVM;

	argv_add(a, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", NULL);
	/* Told that "rep movsb" is fast, guests copy with it, and translated it is twice as slow.
	 */
	argv_add(a, "-accel", is_kvm ? "kvm" : "tcg", "-cpu", is_kvm ? "host" : "max,-erms,-fsrm",
		 NULL);
	/* mem-merge=off: the kernel must not compare one guest's pages with another's. */
	argv_add(a, "-M",
		 "microvm,acpi=on,rtc=on,isa-serial=on,mem-merge=off,dump-guest-core=off,"
		 "memory-backend=ram",
		 "-global", "virtio-mmio.force-legacy=false", "-m", NULL);
	argv_addf(a, "%dM", spec->mem_mib);
	argv_add(a, "-smp", NULL);
	argv_addf(a, "%d", spec->vcpu_count);
	argv_add(a, "-object", NULL);
	if (purpose == QEMU_BOOT)
		argv_addf(a, "memory-backend-ram,id=ram,size=%dM", spec->mem_mib);
	else
		argv_addf(a, "memory-backend-file,id=ram,size=%dM,mem-path=/vm/ram,share=%s",
			  spec->mem_mib, purpose == QEMU_SAVE ? "on" : "off");
}

static void add_network(struct argv *a)
{
	argv_add(a, "-netdev", NULL);
	argv_addf(a, "stream,id=net,addr.type=fd,addr.str=%d", NET_FD);
	argv_add(a, "-device", "virtio-net-device,netdev=net,mac=" LINK_GUEST_MAC, NULL);
}

static void add_devices(struct argv *a)
{
	argv_add(a, "-blockdev",
		 "driver=qcow2,node-name=disk,discard=unmap,file.driver=file,"
		 "file.filename=/vm/disk,backing.driver=raw,backing.read-only=on,"
		 "backing.file.driver=file,backing.file.filename=/vm/root",
		 "-device", "virtio-blk-device,drive=disk,werror=report", NULL);
	argv_add(a, "-device", "virtio-serial-device", "-chardev", NULL);
	argv_addf(a, "socket,id=agent,fd=%d", AGENT_FD);
	argv_add(a, "-device", "virtserialport,id=agent,chardev=agent,name=pyro.agent", "-chardev",
		 NULL);
	argv_addf(a, "socket,id=console,fd=%d", CONSOLE_FD);
	argv_add(a, "-serial", "chardev:console", "-chardev", NULL);
	argv_addf(a, "socket,id=qmp,fd=%d", QMP_FD);
	argv_add(a, "-mon", "chardev=qmp,mode=control", NULL);
}

void qemu_arguments(const struct vm_spec *spec, enum qemu_purpose purpose, struct argv *a)
{
	add_machine(spec, purpose, a);
	add_kernel_line(spec, a);
	add_devices(a);
	if (spec->net_path)
		add_network(a);
	argv_add(a, "-sandbox",
		 "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", NULL);
	argv_add(a, purpose == QEMU_RESTORE ? "-incoming" : "-S",
		 purpose == QEMU_RESTORE ? "defer" : NULL, NULL);
}

char *qemu_program(struct pyro_error *err)
{
	AUTO_FREE char *found = proc_find("qemu-system-x86_64");
	char *real = found ? realpath(found, NULL) : NULL;

	if (!real) {
		(void)err_set(err, PYRO_E_MISSING_DEPENDENCY,
			      "'qemu-system-x86_64' is not installed");
		(void)err_hint(err, "apt install qemu-system-x86");
	}
	return real;
}

static void machine_exited(struct loop_child *child, int wait_status)
{
	struct vm *vm = child->ctx;

	log_debug("qemu: exited with %d", proc_exit_code(wait_status));
	vm->is_gone = true;
	if (!vm->is_ending && vm->hooks.on_gone)
		vm->hooks.on_gone(vm->hooks.ctx);
}

void qemu_read_console(struct vm *vm)
{
	char chunk[4096];
	ssize_t n;

	while (vm->console.fd >= 0 && (n = read(vm->console.fd, chunk, sizeof(chunk))) > 0)
		capture_add(&vm->console_text, chunk, (size_t)n);
}

static void console_ready(struct loop_fd *src, uint32_t events)
{
	struct vm *vm = src->ctx;
	char chunk[4096];
	ssize_t n = read(src->fd, chunk, sizeof(chunk));

	(void)events;
	if (n > 0) {
		capture_add(&vm->console_text, chunk, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		loop_remove_fd(vm->loop, src);
		fd_close(&src->fd);
	}
}

/* Socket pairs: our ends, and QEMU's. The last one is the wire of a network device. */
static int make_sockets(int ours[SOCKETS], int theirs[SOCKETS], struct pyro_error *err)
{
	for (int i = 0; i < SOCKETS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return err_sys(err, errno, "create a socket pair");
		ours[i] = pair[0];
		theirs[i] = pair[1];
		(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

static int spawn_jailed(struct vm *vm, enum qemu_purpose purpose, const char *ram_path,
			const int theirs[SOCKETS], struct pyro_error *err)
{
	const struct vm_spec *spec = &vm->spec;
	const struct jail_file files[] = {
		{spec->disk_path, "/vm/disk", true},
		{spec->root_path, "/vm/root", false},
		{spec->kernel_path, "/vm/kernel", false},
		{spec->initrd_path, "/vm/initrd", false},
		{ram_path, "/vm/ram", purpose == QEMU_SAVE},
		{spec->shim_path, "/vm/ram.so", false},
	};
	static const size_t n_files[] = {[QEMU_BOOT] = 4, [QEMU_SAVE] = 5, [QEMU_RESTORE] = 6};
	AUTO_FREE char *program = qemu_program(err);
	AUTO_FREE char *kvm = NULL;
	AUTO_ARGV struct argv argv = ARGV_INIT;
	/* What the jail and QEMU complain of is found where the guest's last words are. */
	int errors = log_is_on() ? STDERR_FILENO : theirs[2];
	struct proc_limit limits[JAIL_MAX_LIMITS];
	struct jail jail = {
		.program = program,
		.files = files,
		.n_files = n_files[purpose],
		.uid = jail_uid(spec->vm_id),
		.preload = purpose == QEMU_RESTORE ? "/vm/ram.so" : NULL,
		.ram_bytes = (uint64_t)spec->mem_mib << 20,
	};

	if (program && spec->accel == VM_ACCEL_KVM && !(kvm = jail_kvm(spec->dir, jail.uid, err)))
		return -1;
	jail.kvm = kvm;
	if (!program || jail_command(&jail, &argv, err) < 0)
		return -1;
	/* Who stays who he is owns the files already. */
	for (size_t i = 0; jail.uid != (uid_t)-1 && i < jail.n_files; i++)
		if (files[i].is_writable && chown(files[i].path, jail.uid, jail.uid) < 0)
			return err_sys(err, errno, "give '%s' to the jail", files[i].path);
	qemu_arguments(spec, purpose, &argv);
	return proc_spawn(&argv,
			  &(struct proc_options){
				  .fds = (const struct proc_fd[]){{theirs[0], QMP_FD},
								  {theirs[1], AGENT_FD},
								  {theirs[2], CONSOLE_FD},
								  {errors, STDERR_FILENO},
								  {theirs[3], NET_FD}},
				  .n_fds = spec->net_path ? 5 : 4,
				  .limits = limits,
				  .n_limits = jail_limits(&jail, limits),
				  .is_jail = true,
			  },
			  err);
}

static int64_t command_deadline(const struct vm *vm)
{
	return deadline_in(vm_patience_ms(vm->spec.accel, COMMAND_MS));
}

int qemu_launch(struct vm *vm, enum qemu_purpose purpose, const char *ram_path,
		struct pyro_error *err)
{
	int ours[SOCKETS] = {-1, -1, -1, -1}, theirs[SOCKETS] = {-1, -1, -1, -1};
	int result = make_sockets(ours, theirs, err);
	pid_t pid = -1;

	if (result == 0)
		pid = spawn_jailed(vm, purpose, ram_path, theirs, err);
	for (int i = 0; i < SOCKETS; i++)
		fd_close(&theirs[i]);
	vm->channel_fd = ours[1];
	vm->net_fd = ours[3];
	capture_init(&vm->console_text, CONSOLE_KEPT);
	vm->console.on_ready = console_ready;
	vm->console.ctx = vm;
	vm->child.on_exit = machine_exited;
	vm->child.ctx = vm;
	if (pid < 0) {
		fd_close(&ours[0]);
		fd_close(&ours[2]);
		return -1;
	}
	vm->console.fd = ours[2];
	if (loop_add_fd(vm->loop, &vm->console, ours[2], EPOLLIN, err) < 0)
		result = -1;
	vm->qmp = qmp_new(vm->loop, ours[0], err);
	if (!vm->qmp || loop_add_child(vm->loop, &vm->child, pid, err) < 0) {
		proc_kill(pid);
		return -1;
	}
	return result < 0 ? -1 : qmp_handshake(vm->qmp, command_deadline(vm), err);
}

int qemu_run(struct vm *vm, struct pyro_error *err)
{
	return qmp_call(vm->qmp, "cont", NULL, command_deadline(vm), err);
}

/* The memory is in a file of its own and stays out of the state. */
static int leave_memory_out(struct vm *vm, struct pyro_error *err)
{
	return qmp_call(vm->qmp, "migrate-set-capabilities",
			json_pack("{s:[{s:s, s:b}, {s:s, s:b}]}", "capabilities", "capability",
				  "x-ignore-shared", "state", 1, "capability", "events", "state",
				  1),
			command_deadline(vm), err);
}

/* Moves the state through fd: QEMU's sandbox lets it open nothing for the purpose. */
static int migrate(struct vm *vm, const char *command, int fd, struct pyro_error *err)
{
	int64_t deadline = command_deadline(vm);

	if (leave_memory_out(vm, err) < 0 || qmp_give_fd(vm->qmp, "state", fd, deadline, err) < 0 ||
	    qmp_call(vm->qmp, command, json_pack("{s:s}", "uri", "fd:state"), deadline, err) < 0)
		return -1;
	return qmp_await_migration(vm->qmp, deadline, err);
}

int qemu_save(struct vm *vm, const char *state_path, struct pyro_error *err)
{
	AUTO_FD int fd = open(state_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "create '%s'", state_path);
	if (qmp_call(vm->qmp, "stop", NULL, command_deadline(vm), err) < 0 ||
	    migrate(vm, "migrate", fd, err) < 0)
		return -1;
	return fsync(fd) < 0 ? err_sys(err, errno, "write '%s'", state_path) : 0;
}

int qemu_restore(struct vm *vm, const char *state_path, struct pyro_error *err)
{
	AUTO_FD int fd = open(state_path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "open '%s'", state_path);
	return migrate(vm, "migrate-incoming", fd, err);
}

static int change_snapshot(struct vm *vm, const char *command, const char *tag,
			   struct pyro_error *err)
{
	return qmp_call(vm->qmp, command, json_pack("{s:s, s:s}", "device", "disk", "name", tag),
			deadline_in(vm_patience_ms(vm->spec.accel, SNAPSHOT_MS)), err);
}

int qemu_snapshot(struct vm *vm, const char *tag, struct pyro_error *err)
{
	return change_snapshot(vm, "blockdev-snapshot-internal-sync", tag, err);
}

int qemu_delete_snapshot(struct vm *vm, const char *tag, struct pyro_error *err)
{
	struct pyro_error why;

	/* The one way in which it fails on a sound disk. */
	if (change_snapshot(vm, "blockdev-snapshot-delete-internal-sync", tag, &why) == 0 ||
	    strstr(why.message, "does not exist"))
		return 0;
	if (err)
		*err = why;
	return -1;
}

int qemu_quit(struct vm *vm, struct pyro_error *err)
{
	struct pyro_error ignored;

	vm->is_ending = true;
	/* The answer races with the end of the process; the end is what counts. */
	(void)qmp_call(vm->qmp, "quit", NULL, command_deadline(vm), &ignored);
	return loop_until(vm->loop, &vm->is_gone, command_deadline(vm), "QEMU to end", err);
}
