/*
 * No machine at all: the agent as an ordinary process of this host, in a directory of the VM. It
 * isolates nothing, and exists only behind --allow-host-compat.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "vm/disk.h"
#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define AGENT_FD 3
#define GREET_MS 10000
#define EXIT_MS 5000

static void agent_exited(struct loop_child *child, int wait_status)
{
	struct vm *vm = child->ctx;

	(void)wait_status;
	vm->is_gone = true;
	if (!vm->is_ending && vm->hooks.on_gone)
		vm->hooks.on_gone(vm->hooks.ctx);
}

static int spawn_agent(struct vm *vm, const char *dir, struct pyro_error *err)
{
	AUTO_ARGV struct argv argv = ARGV_INIT;
	AUTO_FD int ours = -1, theirs = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "create a socket pair");
	ours = pair[0];
	theirs = pair[1];
	argv_add(&argv, vm->spec.agent_path, "--host", "--channel-fd", "3", "--dir", dir, NULL);
	pid = proc_spawn(&argv,
			 &(struct proc_options){
				 .fds = &(const struct proc_fd){theirs, AGENT_FD},
				 .n_fds = 1,
				 .die_with_parent = true,
			 },
			 err);
	if (pid < 0)
		return -1;
	vm->channel_fd = TAKE_FD(ours);
	vm->child.on_exit = agent_exited;
	vm->child.ctx = vm;
	if (loop_add_child(vm->loop, &vm->child, pid, err) < 0) {
		proc_kill(pid);
		return -1;
	}
	return 0;
}

static struct vm *start(struct loop *loop, const struct vm_spec *spec, const struct vm_hooks *hooks,
			struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_printf("%s/root", spec->dir);
	struct vm *vm = vm_new(loop, &engine_host, spec, hooks);

	if (dir_make(dir, 0700, err) < 0 || spawn_agent(vm, dir, err) < 0 ||
	    vm_greet(vm, deadline_in(GREET_MS), err) < 0)
		return vm_free(vm);
	return vm;
}

/* The agent ends, and ends what it started, when its client hangs up. */
static int stop(struct vm *vm, struct pyro_error *err)
{
	vm->is_ending = true;
	vm_hang_up(vm);
	return loop_until(vm->loop, &vm->is_gone, deadline_in(EXIT_MS), "the agent to end", err);
}

static int snapshot(struct vm *vm, const char *tag, struct pyro_error *err)
{
	return disk_snapshot(vm->spec.vm_id, vm->spec.dir, tag, err);
}

static int delete_snapshot(struct vm *vm, const char *tag, struct pyro_error *err)
{
	return disk_delete_snapshot(vm->spec.vm_id, vm->spec.dir, tag, err);
}

const struct engine engine_host = {
	.execution_mode = "host_compat",
	.start = start,
	.stop = stop,
	.snapshot = snapshot,
	.delete_snapshot = delete_snapshot,
};
