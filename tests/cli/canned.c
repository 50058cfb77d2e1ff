/*
 * libpyro with canned answers, so that what the command line makes of each answer can be tested
 * in milliseconds: results, errors, streams, progress, cancelling. What the answers should be is
 * tested with the real library in tests/vm.
 */
#include "canned.h"

#include "base/err.h"
#include "pyro.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pyro {
	struct pyro_observer observer;
	int input;
	int cancel_pipe[2];
};

struct pyro *pyro_new(void)
{
	struct pyro *p = mem_zalloc(1, sizeof(*p));

	p->input = -1;
	if (pipe(p->cancel_pipe) < 0)
		mem_exhausted();
	return p;
}

void pyro_free(struct pyro *p)
{
	fd_close(&p->cancel_pipe[0]);
	fd_close(&p->cancel_pipe[1]);
	mem__free_ptr(&p);
}

char *pyro_complete(const char *operation, const char *input, const char *workspace)
{
	if (strcmp(input, "vm_id") == 0)
		return mem_strdup("vm-1\tstarted\nodd 'n'$(x);`y`\tquoted\n");
	return mem_printf("%s\tof %s\n%s-of-%s\t\n", input, operation, input,
			  workspace ? workspace : "none");
}

void pyro_observe(struct pyro *p, const struct pyro_observer *observer)
{
	p->observer = *observer;
}

void pyro_set_input(struct pyro *p, int fd)
{
	p->input = fd;
}

void pyro_resize(struct pyro *p, int cols, int rows)
{
	(void)p, (void)cols, (void)rows;
}

void pyro_cancel(struct pyro *p)
{
	(void)!write(p->cancel_pipe[1], "c", 1);
}

/* Whether pyro_cancel() came within the time. */
static bool was_cancelled(struct pyro *p, int ms)
{
	struct pollfd fd = {.fd = p->cancel_pipe[0], .events = POLLIN};

	while (poll(&fd, 1, ms) < 0)
		;
	return fd.revents != 0;
}

void canned_phase(struct pyro *p, const char *op, const char *detail)
{
	p->observer.on_phase(p->observer.ctx, op, detail);
}

void canned_output(struct pyro *p, int stream, const char *text)
{
	p->observer.on_output(p->observer.ctx, stream, text, strlen(text));
}

static char **packages(void)
{
	return strv_dup((const char *const[]){"git", "ca-certificates", NULL});
}

static void fill_environment(struct pyro_environment *e, const char *name, bool installed)
{
	*e = (struct pyro_environment){
		.name = mem_strdup(name),
		.version = mem_strdup("12.1"),
		.description = mem_strdup("Debian 12 with Git"),
		.distribution = mem_strdup("debian"),
		.distribution_version = mem_strdup("12"),
		.default_packages = packages(),
		.platform = mem_strdup("linux-x86_64"),
		.installed = installed,
		.install_dir = installed ? mem_strdup("/cache/debian-12") : NULL,
		.cache_dir = mem_strdup("/cache"),
		.source = mem_strdup("Debian's archive"),
		.disk_bytes = installed ? 345 * 1024 * 1024 : PYRO_NONE,
	};
}

int pyro_list_environments(struct pyro *p, const struct pyro_list_environments_args *args,
			   struct pyro_environment_list *ret, struct pyro_error *err)
{
	(void)p, (void)args, (void)err;
	ret->catalog_version = mem_strdup("2026.1");
	ret->environments = mem_zalloc(2, sizeof(*ret->environments));
	ret->environments_count = 2;
	fill_environment(&ret->environments[0], "debian:12", true);
	fill_environment(&ret->environments[1], "debian:12-base", false);
	return 0;
}

int pyro_pull_environment(struct pyro *p, const struct pyro_pull_environment_args *args,
			  struct pyro_environment *ret, struct pyro_error *err)
{
	if (strcmp(args->environment, "debian:12") != 0) {
		(void)err_set(err, PYRO_E_UNKNOWN_ENVIRONMENT, "no environment is called '%s'",
			      args->environment);
		return err_hint(err, "did you mean 'debian:12'? pyro env list shows all");
	}
	canned_phase(p, "pull", "phase=install environment=debian:12");
	for (int i = 0; i <= 20; i++) {
		p->observer.on_progress(p->observer.ctx, "packages", i * 5, 100, "packages");
		if (was_cancelled(p, 15))
			return err_set(err, PYRO_E_CANCELLED, "the pull was cancelled");
	}
	canned_phase(p, "pull", "phase=ready environment=debian:12");
	fill_environment(ret, "debian:12", true);
	return 0;
}

int pyro_inspect_environment(struct pyro *p, const struct pyro_inspect_environment_args *args,
			     struct pyro_environment *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	fill_environment(ret, args->environment, false);
	ret->reason = mem_strdup("the kernel does not match its digest");
	return 0;
}

int pyro_prune_environments(struct pyro *p, const struct pyro_prune_environments_args *args,
			    struct pyro_pruned *ret, struct pyro_error *err)
{
	(void)p, (void)args, (void)err;
	if (getenv("PYRO_CANNED_EMPTY"))
		return 0;
	ret->deleted_environment_dirs =
		strv_dup((const char *const[]){"/home/user/.cache/pyro-mcp/environments/a",
					       "/home/user/.cache/pyro-mcp/environments/b", NULL});
	ret->count = 2;
	ret->freed_bytes = 1536 * 1024;
	return 0;
}

int canned_act(struct pyro *p, const char *word, struct pyro_error *err)
{
	char data[256];
	ssize_t n;

	if (strcmp(word, "seven") == 0) {
		canned_output(p, 2, "on stderr\n");
		return 7;
	}
	if (strcmp(word, "late") == 0)
		return 124;
	if (strcmp(word, "unended") == 0)
		canned_output(p, 1, "no newline");
	if (strcmp(word, "input") == 0 && p->input < 0)
		canned_output(p, 1, "no input\n");
	if (strcmp(word, "input") == 0 && p->input >= 0)
		for (; (n = read(p->input, data, sizeof(data))) > 0;)
			p->observer.on_output(p->observer.ctx, 1, data, (size_t)n);
	if (strcmp(word, "hello") == 0)
		canned_output(p, 1, "hello\n");
	if (strcmp(word, "flood") == 0)
		while (!was_cancelled(p, 0))
			canned_output(p, 1, "flood flood flood flood flood flood flood flood\n");
	if (strcmp(word, "wait") == 0)
		(void)was_cancelled(p, 20000);
	if (strcmp(word, "deaf") == 0) /* to cancelling */
		for (;;)
			(void)poll(NULL, 0, 1000);
	if (was_cancelled(p, 0))
		return err_set(err, PYRO_E_CANCELLED, "the run was cancelled");
	return 0;
}

int pyro_run_in_vm(struct pyro *p, const struct pyro_run_in_vm_args *args, struct pyro_run *ret,
		   struct pyro_error *err)
{
	bool is_host = args->allow_host_compat;
	int code;

	canned_phase(p, "run", "phase=create environment=debian:12");
	canned_phase(p, "run", "phase=start vm_id=vm-1");
	if (is_host)
		canned_phase(p, "run", "phase=fallback no accelerator works");
	canned_phase(p, "run", "phase=execute vm_id=vm-1");
	code = canned_act(p, args->command[0], err);
	if (code < 0)
		return -1;
	*ret = (struct pyro_run){
		.vm_id = mem_strdup("vm-1"),
		.environment = mem_strdup(args->environment),
		.command = strv_dup(args->command),
		.stdout = mem_strdup("captured"),
		.stderr = mem_strdup(""),
		.exit_code = code,
		.duration_ms = 12,
		.timed_out = code == 124,
		.execution_mode = mem_strdup(is_host ? "host_compat" : "guest_serial"),
		.accel = is_host ? NULL : mem_strdup("tcg"),
	};
	ret->cleanup =
		(struct pyro_cleanup){true, mem_strdup("post_exec_cleanup"), mem_strdup("vm-1")};
	return 0;
}

static void fill_vm(struct pyro_vm *vm, const char *id)
{
	*vm = (struct pyro_vm){
		.vm_id = mem_strdup(id),
		.environment = mem_strdup("debian:12"),
		.state = mem_strdup("started"),
		.vcpu_count = 1,
		.mem_mib = 1024,
		.created_at = 1700000000.25,
		.expires_at = 1700000600.25,
		.execution_mode = mem_strdup("guest_serial"),
		.accel = mem_strdup("tcg"),
	};
}

int pyro_status_vm(struct pyro *p, const struct pyro_status_vm_args *args, struct pyro_vm *ret,
		   struct pyro_error *err)
{
	(void)p, (void)err;
	fill_vm(ret, args->vm_id);
	return 0;
}

int pyro_list_vms(struct pyro *p, const struct pyro_list_vms_args *args, struct pyro_vm_list *ret,
		  struct pyro_error *err)
{
	(void)p, (void)args, (void)err;
	if (getenv("PYRO_CANNED_EMPTY"))
		return 0;
	ret->count = 2;
	ret->vms = mem_zalloc(2, sizeof(*ret->vms));
	ret->vms_count = 2;
	fill_vm(&ret->vms[0], "vm-1");
	fill_vm(&ret->vms[1], "vm-longer");
	return 0;
}

int pyro_demo(struct pyro *p, const struct pyro_demo_args *args, struct pyro_demo *ret,
	      struct pyro_error *err)
{
	(void)args, (void)err;
	canned_phase(p, "demo", "phase=create environment=debian:12");
	ret->network_ok = true;
	return 0;
}

int pyro_demo_ollama(struct pyro *p, const struct pyro_demo_ollama_args *args,
		     struct pyro_demo_ollama *ret, struct pyro_error *err)
{
	(void)err;
	canned_phase(p, "ollama", args->verbose ? "phase=request payload={}" : "phase=ask round=1");
	*ret = (struct pyro_demo_ollama){
		.base_url = mem_strdup(args->base_url ? args->base_url : "http://localhost/v1"),
		.model = mem_strdup(args->model ? args->model : "llama"),
		.rounds = 2,
		.tool_calls = 1,
		.answer = mem_strdup("It is 2.39.5.\033[2J"),
		.has_executed = true,
		.executed = {.stdout = mem_strdup("git version 2.39.5\n"),
			     .execution_mode = mem_strdup("guest_serial"),
			     .exit_code = args->model ? 127 : 0},
	};
	return 0;
}

int pyro_doctor(struct pyro *p, const struct pyro_doctor_args *args, struct pyro_doctor *ret,
		struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_doctor){
		.platform = mem_strdup("linux-x86_64"),
		.runtime_ok = false,
		.kvm = {true, true, true, false, mem_strdup("the probe guest did not end")},
		.accel = mem_strdup("tcg"),
		.jail = mem_strdup("bubblewrap and seccomp"),
		.capabilities = {true, true, false},
		.networking = {false, mem_strdup("passt is missing")},
		.catalog = {mem_strdup("2026.1"), mem_strdup("/cache"),
			    getenv("PYRO_CANNED_EMPTY") ? NULL : packages()},
		.issues = mem_zalloc(1, sizeof(*ret->issues)),
		.issues_count = 1,
	};
	ret->issues[0] =
		(struct pyro_issue){mem_strdup("networking"), mem_strdup("passt is missing"),
				    mem_strdup("apt-get install passt")};
	if (!args->environment)
		return 0;
	ret->has_daily_loop = true;
	ret->daily_loop = (struct pyro_daily_loop){
		.environment = mem_strdup(args->environment),
		.status = mem_strdup("COLD"),
		.prepared_at = (double)PYRO_NONE,
		.manifest_path = mem_strdup("/cache/prepared"),
		.reason = mem_strdup("it was never proved"),
		.cache_dir = mem_strdup("/cache"),
	};
	return 0;
}

CANNED_REST(create_vm, vm)
CANNED_REST(start_vm, vm)
CANNED_REST(exec_vm, run)
CANNED_REST(stop_vm, vm)
CANNED_REST(delete_vm, vm_deleted)
CANNED_REST(network_info_vm, vm_network)
CANNED_REST(reap_expired, reaped)

int pyro_prepare(struct pyro *p, const struct pyro_prepare_args *args, struct pyro_prepared *ret,
		 struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_prepared){
		.environment = mem_strdup(args->environment ? args->environment : "debian:12"),
		.executed = args->force,
		.network_prepared = args->network,
		.prepared_at = 1700000000.25,
		.duration_ms = 1553,
		.accel = mem_strdup("tcg"),
		.manifest_path = mem_strdup("/state/daily/debian_12.json"),
		.steps = mem_zalloc(2, sizeof(*ret->steps)),
		.steps_count = 2,
		.next_step = mem_strdup("pyro host connect claude-code"),
	};
	ret->steps[0] = (struct pyro_prepared_step){mem_strdup("create"), 1135};
	ret->steps[1] = (struct pyro_prepared_step){mem_strdup("delete"), 10};
	return 0;
}
CANNED_REST(serve_mcp, server)
