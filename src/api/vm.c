/*
 * The life cycle of single VMs: create, start, exec, stop, delete, and what can be asked of them.
 */
#include "api/egress.h"
#include "api/handle.h"
#include "api/life.h"
#include "api/machine.h"
#include "api/reap.h"
#include "api/remote.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "image/image.h"
#include "net/link.h"
#include "ops/ops.h"
#include "workspace/records.h"
#include "workspace/state.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define END_MS 120000

/* A workspace has operations of its own. */
static int get_vm(struct pyro *p, const char *vm_id, struct pyro_vm *ret, struct pyro_error *err)
{
	if (strncmp(vm_id, "vm-", 3) == 0 && state_is_id(vm_id))
		return life_get(p, vm_id, ret, err);
	(void)err_set(err, PYRO_E_NOT_FOUND, "there is no VM '%s'", vm_id);
	return err_hint(err, "pyro vm list");
}

/*
 * The directory, the record and, for a VM that starts at once, the `alive` lock (in *ret_alive_fd
 * if not NULL). A reaper cannot come in between.
 */
static int make_vm(struct pyro *p, const struct pyro_vm *vm, bool is_ephemeral, int *ret_alive_fd,
		   struct pyro_error *err)
{
	AUTO_FD int hold = reap_hold_off(p, err);
	AUTO_FREE char *dir = state_vm_dir(p->state, vm->vm_id);
	AUTO_FD int alive = -1;

	if (hold < 0 || life_make_dir(p, vm->vm_id, err) < 0)
		return -1;
	if (ret_alive_fd)
		alive = machine_lock(p, vm->vm_id, err);
	if ((ret_alive_fd && alive < 0) || records_add_vm(p->records, vm, is_ephemeral, err) < 0) {
		(void)dir_remove(dir, NULL);
		return -1;
	}
	if (ret_alive_fd)
		*ret_alive_fd = TAKE_FD(alive);
	return 0;
}

int pyro_create_vm(struct pyro *p, const struct pyro_create_vm_args *given, struct pyro_vm *ret,
		   struct pyro_error *err)
{
	struct pyro_create_vm_args a;
	struct pyro_vm vm;

	if (ops_apply_defaults(OP_create_vm, given, &a, err) < 0 ||
	    image_check_name(a.environment, err) < 0 || egress_check(a.network, err) < 0 ||
	    handle_open(p, err) < 0)
		return -1;
	vm = life_new("vm", a.environment, a.vcpu_count, a.mem_mib, a.ttl_seconds);
	vm.allow_host_compat = a.allow_host_compat;
	vm.network_enabled = a.network;
	vm.state = mem_strdup("stopped");
	if (make_vm(p, &vm, false, NULL, err) < 0) {
		pyro_vm_done(&vm);
		return -1;
	}
	*ret = vm;
	return 0;
}

static int start_vm(struct pyro *p, const struct pyro_start_vm_args *given, struct pyro_vm *ret,
		    struct pyro_error *err)
{
	struct pyro_start_vm_args a;
	AUTO_FD int change = -1;
	struct pyro_vm vm = {0};
	int result;

	if (ops_apply_defaults(OP_start_vm, given, &a, err) < 0 || handle_open(p, err) < 0 ||
	    get_vm(p, a.vm_id, &vm, err) < 0)
		return -1;
	pyro_vm_done(&vm);
	change = life_lock(p, a.vm_id, err);
	result = change < 0 ? -1 : life_start(p, "start", a.vm_id, err);
	if (result == 0)
		result = get_vm(p, a.vm_id, ret, err);
	return result;
}

int pyro_start_vm(struct pyro *p, const struct pyro_start_vm_args *given, struct pyro_vm *ret,
		  struct pyro_error *err)
{
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, start_vm(p, given, ret, err));
}

static int stop_vm(struct pyro *p, const struct pyro_stop_vm_args *given, struct pyro_vm *ret,
		   struct pyro_error *err)
{
	struct pyro_stop_vm_args a;
	AUTO_FD int change = -1;
	struct pyro_vm vm = {0};
	int result;

	if (ops_apply_defaults(OP_stop_vm, given, &a, err) < 0 || handle_open(p, err) < 0 ||
	    get_vm(p, a.vm_id, &vm, err) < 0)
		return -1;
	pyro_vm_done(&vm);
	change = life_lock(p, a.vm_id, err);
	result = change < 0 ? -1 : life_end(p, a.vm_id, "stop", err);
	if (result == 0)
		result = get_vm(p, a.vm_id, ret, err);
	return result;
}

int pyro_stop_vm(struct pyro *p, const struct pyro_stop_vm_args *given, struct pyro_vm *ret,
		 struct pyro_error *err)
{
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, stop_vm(p, given, ret, err));
}

static int delete_vm(struct pyro *p, const struct pyro_delete_vm_args *given,
		     struct pyro_vm_deleted *ret, struct pyro_error *err)
{
	struct pyro_delete_vm_args a;
	AUTO_FD int change = -1;
	struct pyro_vm vm = {0};
	int result;

	if (ops_apply_defaults(OP_delete_vm, given, &a, err) < 0 || handle_open(p, err) < 0 ||
	    get_vm(p, a.vm_id, &vm, err) < 0)
		return -1;
	pyro_vm_done(&vm);
	change = life_lock(p, a.vm_id, err);
	result = change < 0 ? -1 : life_delete(p, a.vm_id, err);
	if (result == 0)
		*ret = (struct pyro_vm_deleted){.vm_id = mem_strdup(a.vm_id), .deleted = true};
	return result;
}

int pyro_delete_vm(struct pyro *p, const struct pyro_delete_vm_args *given,
		   struct pyro_vm_deleted *ret, struct pyro_error *err)
{
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, delete_vm(p, given, ret, err));
}

int pyro_status_vm(struct pyro *p, const struct pyro_status_vm_args *given, struct pyro_vm *ret,
		   struct pyro_error *err)
{
	struct pyro_status_vm_args a;

	if (ops_apply_defaults(OP_status_vm, given, &a, err) < 0 || handle_open(p, err) < 0)
		return -1;
	return get_vm(p, a.vm_id, ret, err);
}

int pyro_list_vms(struct pyro *p, const struct pyro_list_vms_args *given, struct pyro_vm_list *ret,
		  struct pyro_error *err)
{
	struct pyro_vm_list list = {0};

	(void)given;
	if (handle_open(p, err) < 0 ||
	    records_list_vms(p->records, &list.vms, &list.vms_count, err) < 0)
		return -1;
	list.count = (int64_t)list.vms_count;
	for (size_t i = 0; i < list.vms_count; i++) {
		struct pyro_vm now = {0};

		if (get_vm(p, list.vms[i].vm_id, &now, NULL) < 0)
			continue; /* went away just now; what we read was true */
		pyro_vm_done(&list.vms[i]);
		list.vms[i] = now;
	}
	*ret = list;
	return 0;
}

/* Whether packets pass, which only the supervisor knows. */
static int ask_network(struct pyro *p, const char *vm_id, bool *ret, struct pyro_error *err)
{
	struct remote *remote = remote_connect(p, vm_id, err);
	json_t *result = NULL;

	if (!remote)
		return -1;
	if (remote_call(remote, "network-info", "network", json_object(), deadline_in(END_MS),
			&result, err) == 0)
		*ret = json_is_true(json_object_get(result, "up"));
	(void)remote_free(remote);
	if (!result)
		return -1;
	json_decref(result);
	return 0;
}

static void fill_network(struct pyro_vm_network *network, bool is_started, bool is_up)
{
	if (!is_started) {
		network->reason = mem_strdup("the VM is not running");
	} else if (!is_up) {
		network->reason = mem_strdup("pyro-net ended; stop and start the VM");
	} else {
		network->guest_ip = mem_strdup(LINK_GUEST4);
		network->gateway_ip = mem_strdup(LINK_GATEWAY4);
	}
}

int pyro_network_info_vm(struct pyro *p, const struct pyro_network_info_vm_args *given,
			 struct pyro_vm_network *ret, struct pyro_error *err)
{
	struct pyro_network_info_vm_args a;
	bool is_started, is_up = false;
	struct pyro_vm vm = {0};
	int result = 0;

	if (ops_apply_defaults(OP_network_info_vm, given, &a, err) < 0 || handle_open(p, err) < 0 ||
	    get_vm(p, a.vm_id, &vm, err) < 0)
		return -1;
	*ret = (struct pyro_vm_network){
		.vm_id = mem_strdup(vm.vm_id),
		.network_enabled = vm.network_enabled,
		.policy = mem_strdup(vm.network_enabled ? "egress" : "off"),
	};
	is_started = vm.network_enabled && strcmp(vm.state, "started") == 0;
	if (is_started)
		result = ask_network(p, vm.vm_id, &is_up, err);
	if (vm.network_enabled && result == 0)
		fill_network(ret, is_started, is_up);
	if (result < 0)
		pyro_vm_network_done(ret);
	pyro_vm_done(&vm);
	return result;
}

int pyro_reap_expired(struct pyro *p, const struct pyro_reap_expired_args *given,
		      struct pyro_reaped *ret, struct pyro_error *err)
{
	char **ids = NULL;

	(void)given;
	if (handle_open_quietly(p, err) < 0 || reap_dead(p, &ids, err) < 0) {
		strv_free(ids);
		return -1;
	}
	*ret = (struct pyro_reaped){
		.deleted_vm_ids = ids,
		.count = (int64_t)strv_len((const char *const *)ids),
	};
	return 0;
}

/* Runs the command, destroys the machine whatever came of it, and fills *ret. */
static int exec_and_destroy(struct pyro *p, struct machine *m, const struct pyro_vm *vm,
			    const char *const *command, int64_t timeout_seconds,
			    struct pyro_run *ret, struct pyro_error *err)
{
	struct pyro_run run = {0};

	handle_phase(p, "run", "phase=execute vm_id=%s", vm->vm_id);
	if (machine_exec(m, command, timeout_seconds, &run, err) < 0) {
		machine_give_up(p, m, true);
		return -1;
	}
	run.vm_id = mem_strdup(vm->vm_id);
	run.environment = mem_strdup(vm->environment);
	loop_resume(p->loop); /* the command has run: its result is not thrown away any more */
	if (machine_destroy(m, err) < 0) {
		pyro_run_done(&run);
		machine_done(m);
		return -1;
	}
	machine_done(m);
	run.cleanup = (struct pyro_cleanup){
		.deleted = true,
		.reason = mem_strdup("post_exec_cleanup"),
		.vm_id = mem_strdup(vm->vm_id),
	};
	run.has_cleanup = true;
	*ret = run;
	return 0;
}

static int exec_vm(struct pyro *p, const struct pyro_exec_vm_args *given, struct pyro_run *ret,
		   struct pyro_error *err)
{
	struct pyro_exec_vm_args a;
	struct machine m = {0};
	struct pyro_vm vm = {0};
	int result = -1;

	if (ops_apply_defaults(OP_exec_vm, given, &a, err) < 0 || handle_open(p, err) < 0 ||
	    get_vm(p, a.vm_id, &vm, err) < 0)
		return -1;
	m.remote = remote_connect(p, a.vm_id, err);
	if (!m.remote && err && err->code == PYRO_E_BAD_STATE) {
		(void)err_set(err, PYRO_E_BAD_STATE, "VM '%s' is %s", a.vm_id, vm.state);
		(void)err_hint(err, "pyro vm start %s", a.vm_id);
	}
	if (m.remote) {
		m.execution_mode = mem_strdup(vm.execution_mode);
		m.accel = mem_strdup(vm.accel);
		result = remote_call(m.remote, "run", "own", json_object(), deadline_in(END_MS),
				     NULL, err);
	}
	if (result == 0)
		result = exec_and_destroy(p, &m, &vm, a.command, a.timeout_seconds, ret, err);
	machine_done(&m);
	pyro_vm_done(&vm);
	return result;
}

int pyro_exec_vm(struct pyro *p, const struct pyro_exec_vm_args *given, struct pyro_run *ret,
		 struct pyro_error *err)
{
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, exec_vm(p, given, ret, err));
}

static int run_once(struct pyro *p, const struct pyro_run_in_vm_args *a, const struct pyro_vm *vm,
		    struct pyro_run *ret, struct pyro_error *err)
{
	AUTO_FD int alive = -1;
	struct machine m;

	handle_phase(p, "run", "phase=create environment=%s", a->environment);
	if (make_vm(p, vm, true, &alive, err) < 0 ||
	    machine_start(p, "run", vm, alive, MACHINE_EPHEMERAL, &m, err) < 0)
		return -1;
	return exec_and_destroy(p, &m, vm, a->command, a->timeout_seconds, ret, err);
}

static int run_in_vm(struct pyro *p, const struct pyro_run_in_vm_args *given, struct pyro_run *ret,
		     struct pyro_error *err)
{
	struct pyro_run_in_vm_args a;
	struct pyro_vm vm;
	int result;

	if (ops_apply_defaults(OP_run_in_vm, given, &a, err) < 0 ||
	    image_check_name(a.environment, err) < 0 || egress_check(a.network, err) < 0 ||
	    handle_open(p, err) < 0)
		return -1;
	vm = life_new("vm", a.environment, a.vcpu_count, a.mem_mib, a.ttl_seconds);
	vm.allow_host_compat = a.allow_host_compat;
	vm.network_enabled = a.network;
	vm.state = mem_strdup("started");
	result = run_once(p, &a, &vm, ret, err);
	if (result < 0)
		(void)reap_dead(p, NULL, NULL); /* what the supervisor could not remove itself */
	pyro_vm_done(&vm);
	return result;
}

int pyro_run_in_vm(struct pyro *p, const struct pyro_run_in_vm_args *given, struct pyro_run *ret,
		   struct pyro_error *err)
{
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, run_in_vm(p, given, ret, err));
}
