#include "vm/vm.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/proc.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "vm/network.h"
#include "vm/qmp.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROTOCOL_VERSION 1
#define TCG_FACTOR 4 /* translation makes guests slower by about this, and hosts busier */
#define REAP_MS 10000

int64_t vm_patience_ms(enum vm_accel accel, int64_t ms)
{
	int slowness = vm_host_slowness();

	if (accel == VM_ACCEL_TCG && slowness < TCG_FACTOR)
		slowness = TCG_FACTOR;
	return ms * slowness;
}

struct vm *vm_new(struct loop *loop, const struct engine *engine, const struct vm_spec *spec,
		  const struct vm_hooks *hooks)
{
	struct vm *vm = mem_zalloc(1, sizeof(*vm));

	vm->engine = engine;
	vm->loop = loop;
	vm->spec = *spec;
	vm->hooks = *hooks;
	vm->channel_fd = -1;
	vm->net_fd = -1;
	vm->console.fd = -1;
	vm->child.pidfd.fd = -1;
	return vm;
}

void vm_phase(const struct vm_hooks *hooks, const char *phase, const char *detail)
{
	if (hooks->on_phase)
		hooks->on_phase(hooks->ctx, phase, detail);
}

/* A machine whose agent hung up is of no use any more. */
static void agent_down(struct mux *mux, const struct pyro_error *error)
{
	struct vm *vm = mux_ctx(mux);

	(void)error;
	if (!vm->is_ending && vm->hooks.on_gone)
		vm->hooks.on_gone(vm->hooks.ctx);
}

int vm_greet(struct vm *vm, int64_t deadline, struct pyro_error *err)
{
	static const struct mux_ops ops = {.on_down = agent_down};
	json_t *hello;

	vm->agent = mux_new(vm->loop, vm->channel_fd, vm->channel_fd, MUX_CLIENT, &ops, vm, err);
	if (!vm->agent)
		return -1;
	hello = call_wait(vm->loop, vm->agent, "hello",
			  json_pack("{s:i}", "version", PROTOCOL_VERSION), deadline, err);
	log_debug("agent: hello: %s", hello ? "done" : "failed");
	json_decref(hello);
	return hello ? 0 : err_wrap(err, "greet the guest agent");
}

void vm_hang_up(struct vm *vm)
{
	vm->agent = mux_free(vm->agent);
	fd_close(&vm->channel_fd);
}

int vm_call(struct vm *vm, const char *name, json_t *args, int64_t deadline, struct pyro_error *err)
{
	json_t *result = call_wait(vm->loop, vm->agent, name, args, deadline, err);

	log_debug("agent: %s: %s", name, result ? "done" : "failed");
	json_decref(result);
	return result ? 0 : -1;
}

/* Kills its first process and lets go of it. What is below that one is our own child then. */
static void hang_up_and_kill(struct vm *vm)
{
	pid_t pid = vm->child.pid;

	vm->is_ending = true;
	loop_remove_child(vm->loop, &vm->child);
	if (!vm->is_gone)
		proc_kill(pid);
	vm_hang_up(vm);
	vm->qmp = qmp_free(vm->qmp);
	vm->network = network_free(vm->network);
	fd_close(&vm->net_fd);
	loop_remove_fd(vm->loop, &vm->console);
	fd_close(&vm->console.fd);
	capture_done(&vm->console_text);
}

struct vm *vm_free(struct vm *vm)
{
	if (vm) {
		hang_up_and_kill(vm);
		/* What the jail started is our child by now (we are a subreaper), or in a moment:
		   gone means that none is left, and with them their memory and files. */
		proc_end_children(deadline_in(REAP_MS));
		free(vm);
	}
	return NULL;
}

struct vm *vm_leave(struct vm *vm)
{
	if (vm) {
		hang_up_and_kill(vm);
		proc_kill_children();
		/* Also those that were left before and have ended since. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		free(vm);
	}
	return NULL;
}
