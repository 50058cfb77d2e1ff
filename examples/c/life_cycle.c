/* The life of one VM, step by step, with output as it comes and Ctrl-C that cleans up. */
#include <pyro.h>

#include <signal.h>
#include <stdio.h>

static struct pyro *p;

static void on_interrupt(int number)
{
	(void)number;
	pyro_cancel(p);
}

static void on_phase(void *ctx, const char *op, const char *detail)
{
	(void)ctx;
	fprintf(stderr, "[%s] %s\n", op, detail);
}

static void on_output(void *ctx, int stream, const void *data, size_t len)
{
	(void)ctx;
	(void)fwrite(data, 1, len, stream == 1 ? stdout : stderr);
}

static int use(const char *vm_id, struct pyro_error *err)
{
	const char *const command[] = {"uname -s; nproc", NULL}; /* one word: a shell's line */
	const struct pyro_exec_vm_args args = {.vm_id = vm_id, .command = command};
	struct pyro_vm vm;
	struct pyro_run run;

	if (pyro_start_vm(p, &(struct pyro_start_vm_args){.vm_id = vm_id}, &vm, err) < 0)
		return -1;
	pyro_vm_done(&vm);
	if (pyro_exec_vm(p, &args, &run, err) < 0) /* and deletes the VM */
		return -1;
	pyro_run_done(&run);
	return 0;
}

int main(void)
{
	const struct pyro_create_vm_args args = {.environment = "debian:12", .vcpu_count = 2};
	struct pyro_error err;
	struct pyro_vm vm;
	int result;

	p = pyro_new();
	if (!p)
		return 125;
	pyro_observe(p, &(struct pyro_observer){.on_phase = on_phase, .on_output = on_output});
	(void)signal(SIGINT, on_interrupt);
	result = pyro_create_vm(p, &args, &vm, &err);
	if (result == 0) {
		result = use(vm.vm_id, &err);
		if (result < 0) {
			struct pyro_vm_deleted deleted;

			if (pyro_delete_vm(p, &(struct pyro_delete_vm_args){.vm_id = vm.vm_id},
					   &deleted, NULL) == 0)
				pyro_vm_deleted_done(&deleted);
		}
		pyro_vm_done(&vm);
	}
	if (result < 0)
		fprintf(stderr, "%s: %s\n", pyro_code_name(err.code), err.message);
	pyro_free(p);
	return result < 0 ? 125 : 0;
}
