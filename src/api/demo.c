/*
 * demo: the life of one VM, shown.
 */
#include "api/egress.h"
#include "api/handle.h"
#include "base/err.h"
#include "ops/ops.h"

#define ENVIRONMENT "debian:12"

static int use_and_delete(struct pyro *p, bool network, struct pyro_demo *demo,
			  struct pyro_error *err)
{
	static const char *const command[] = {"git", "--version", NULL};
	const char *vm_id = demo->created.vm_id;

	if (pyro_start_vm(p, &(struct pyro_start_vm_args){.vm_id = vm_id}, &demo->started, err) < 0)
		return -1;
	demo->has_started = true;
	if (network) {
		handle_phase(p, "demo", "phase=probe vm_id=%s", vm_id);
		if (egress_probe(p, &demo->started, err) < 0)
			return -1;
		demo->network_ok = true;
	}
	if (handle_exec_quietly(p, &(struct pyro_exec_vm_args){.vm_id = vm_id, .command = command},
				&demo->executed, err) < 0)
		return -1;
	demo->has_executed = true;
	demo->deleted = (struct pyro_cleanup){
		.deleted = demo->executed.cleanup.deleted,
		.reason = mem_strdup(demo->executed.cleanup.reason),
		.vm_id = mem_strdup(vm_id),
	};
	demo->has_deleted = true;
	return 0;
}

static int demo(struct pyro *p, const struct pyro_demo_args *given, struct pyro_demo *ret,
		struct pyro_error *err)
{
	struct pyro_demo demo = {0};
	struct pyro_demo_args a;

	if (ops_apply_defaults(OP_demo, given, &a, err) < 0 || egress_check(a.network, err) < 0)
		return -1;
	handle_phase(p, "demo", "phase=create environment=" ENVIRONMENT);
	if (pyro_create_vm(p,
			   &(struct pyro_create_vm_args){.environment = ENVIRONMENT,
							 .network = a.network},
			   &demo.created, err) < 0)
		return -1;
	demo.has_created = true;
	if (use_and_delete(p, a.network, &demo, err) < 0) {
		struct pyro_vm_deleted gone = {0};
		struct pyro_error ignored;

		if (pyro_delete_vm(p, &(struct pyro_delete_vm_args){.vm_id = demo.created.vm_id},
				   &gone, &ignored) == 0)
			pyro_vm_deleted_done(&gone);
		pyro_demo_done(&demo);
		return -1;
	}
	*ret = demo;
	return 0;
}

int pyro_demo(struct pyro *p, const struct pyro_demo_args *given, struct pyro_demo *ret,
	      struct pyro_error *err)
{
	int result;

	if (handle_begin(p, err) < 0)
		return -1;
	p->phase_op = "demo";
	result = demo(p, given, ret, err);
	p->phase_op = NULL;
	return handle_end(p, result);
}
