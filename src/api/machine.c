#include "api/machine.h"

#include "api/handle.h"
#include "api/install.h"
#include "api/remote.h"
#include "api/workspace.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/utf8.h"
#include "channel/outcome.h"
#include "image/image.h"
#include "vm/engine.h"
#include "vm/network.h"
#include "workspace/state.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* As MACHINE_START_MS, for calls that end one. */
#define END_MS 60000
#define LOCK_MS 10000             /* a supervisor on its way out needs less */
#define OUTPUT_KEPT (1024 * 1024) /* per stream, in results */
#define RECORDED_WORD_MAX 4096
#define RECORDED_WORDS_MAX 64

void machine_done(struct machine *m)
{
	m->remote = remote_free(m->remote);
	free(m->execution_mode);
	free(m->accel);
	*m = (struct machine){0};
}

int machine_lock(struct pyro *p, const char *vm_id, struct pyro_error *err)
{
	AUTO_FREE char *path = state_vm_file(p->state, vm_id, "alive");

	return file_lock(path, deadline_in(LOCK_MS), err);
}

/*
 * The environment of a VM. The first start writes down, before there is a disk, which install the
 * disk will lie over: over another one it would be garbage, whatever the name stands for by then.
 */
static int open_image(struct pyro *p, const struct pyro_vm *vm, enum machine_kind kind,
		      const char *agent, struct image *ret, struct pyro_error *err)
{
	AUTO_FREE char *path = state_vm_file(p->state, vm->vm_id, "base");
	AUTO_BUF struct buf base = BUF_INIT(PATH_MAX);

	if (file_exists(path))
		return file_read(path, &base, err) < 0
			       ? -1
			       : image_open_dir(buf_text(&base), agent, ret, err);
	if (install_open(p, vm->environment, agent, ret, err) < 0)
		return -1;
	if (kind == MACHINE_EPHEMERAL)
		return 0;
	return file_write_atomic(path, ret->dir, strlen(ret->dir), 0600, err);
}

static int add_network(json_t *spec, struct pyro_error *err)
{
	AUTO_FREE char *program = handle_program("net", "pyro-net", err);

	if (!program || network_check(err) < 0)
		return -1;
	return json_object_set_new(spec, "net_path", json_string(program));
}

/* What a guest needs; json_pack copies the strings. */
static int add_guest(struct pyro *p, const struct pyro_vm *vm, enum machine_kind kind,
		     const char *cache_dir, const char *agent, json_t *spec, struct pyro_error *err)
{
	AUTO_FREE char *shim = handle_program("vm", "pyro-ram-shim.so", err);
	AUTO_FREE char *disk = state_vm_file(p->state, vm->vm_id, "disk.qcow2");
	AUTO_IMAGE struct image image = IMAGE_INIT;
	struct vm_host host;

	if (vm->network_enabled && add_network(spec, err) < 0)
		return -1;
	/* Where a fallback is allowed, the jail is tried: it may be forbidden here. */
	if (!shim || (vm->allow_host_compat ? engine_qemu_try(err) : engine_qemu_check(err)) < 0 ||
	    vm_host_examine(cache_dir, &host, err) < 0 ||
	    open_image(p, vm, kind, agent, &image, err) < 0)
		return -1;
	return json_object_update_new(
		spec,
		json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "accel",
			  vm_accel_name(host.accel), "tsc_khz", (json_int_t)host.tsc_khz,
			  "shim_path", shim, "disk_path", disk, "kernel_path", image.kernel_path,
			  "initrd_path", image.initrd_path, "root_path", image.root_path,
			  "blank_path", image.blank_path, "root_id", image.root_digest, "kernel_id",
			  image.kernel_digest, "initrd_id", image.initrd_digest,
			  "is_accel_demanded", host.is_demanded));
}

/* What a host could not keep apart from its own processes; NULL if there is none of it. */
static const char *needs_guest(struct pyro *p, const struct pyro_vm *vm)
{
	AUTO_FREE char *secrets = state_vm_file(p->state, vm->vm_id, STATE_SECRETS);

	if (file_exists(secrets))
		return "a workspace with secrets";
	return vm->network_enabled ? "a VM with a network policy" : NULL;
}

static bool is_no_guest(const struct pyro_error *error)
{
	return error->code == PYRO_E_MISSING_DEPENDENCY || error->code == PYRO_E_NO_GUEST;
}

/* What the supervisor is told to start; NULL with err. */
static json_t *make_spec(struct pyro *p, const char *op, const struct pyro_vm *vm,
			 enum machine_kind kind, struct pyro_error *err)
{
	AUTO_FREE char *cache_dir = install_cache_dir(err);
	AUTO_FREE char *agent = cache_dir ? handle_program("guest", "pyro-agent", err) : NULL;
	const char *guest_only = needs_guest(p, vm);
	struct pyro_error why;
	json_t *spec;

	if (!agent)
		return NULL;
	spec = json_pack("{s:I, s:I, s:f, s:s, s:s, s:b}", "vcpu_count", (json_int_t)vm->vcpu_count,
			 "mem_mib", (json_int_t)vm->mem_mib, "expires_at", vm->expires_at,
			 "cache_dir", cache_dir, "agent_path", agent, "allow_host_compat",
			 vm->allow_host_compat && !guest_only);
	if (add_guest(p, vm, kind, cache_dir, agent, spec, &why) == 0)
		return spec;
	if (vm->allow_host_compat && is_no_guest(&why) && guest_only) {
		(void)err_wrap(&why, "%s needs a guest", guest_only);
	} else if (vm->allow_host_compat && is_no_guest(&why)) {
		handle_phase(p, op, "phase=fallback %s", why.message);
		(void)json_object_set_new(spec, "host_compat", json_true());
		return spec;
	}
	json_decref(spec);
	if (err)
		*err = why;
	return NULL;
}

int machine_start(struct pyro *p, const char *op, const struct pyro_vm *vm, int alive_fd,
		  enum machine_kind kind, struct machine *ret, struct pyro_error *err)
{
	json_t *spec = make_spec(p, op, vm, kind, err);
	bool is_owned = kind != MACHINE_KEPT;
	struct machine m = {0};
	json_t *result = NULL;

	if (!spec)
		return -1;
	handle_phase(p, op, "phase=start %s=%s",
		     state_is_workspace_id(vm->vm_id) ? "workspace_id" : "vm_id", vm->vm_id);
	m.remote = remote_spawn(p, vm->vm_id, alive_fd, err);
	if (!m.remote) {
		json_decref(spec);
		return -1;
	}
	if (is_owned &&
	    remote_call(m.remote, op, "own", json_object(), deadline_in(END_MS), NULL, err) < 0) {
		json_decref(spec);
		machine_give_up(p, &m, is_owned);
		return -1;
	}
	if (remote_call(m.remote, op, "start", spec, deadline_in(MACHINE_START_MS), &result, err) <
	    0) {
		machine_give_up(p, &m, is_owned);
		return -1;
	}
	m.execution_mode = mem_strdup(json_string_value(json_object_get(result, "execution_mode")));
	m.accel = mem_strdup(json_string_value(json_object_get(result, "accel")));
	m.has_baseline = json_is_true(json_object_get(result, "has_baseline"));
	json_decref(result);
	*ret = m;
	return 0;
}

void machine_give_up(struct pyro *p, struct machine *m, bool is_owned)
{
	loop_resume(p->loop);
	(void)remote_call(m->remote, "undo", is_owned ? "destroy" : "stop", json_object(),
			  deadline_in(END_MS), NULL, NULL);
	(void)remote_await_end(m->remote, deadline_in(END_MS), NULL);
	machine_done(m);
}

void machine_add_command(json_t *args, const char *const *command)
{
	json_t *argv;

	if (command[0] && !command[1]) {
		(void)json_object_set_new(args, "shell", json_string(command[0]));
		return;
	}
	argv = json_array();
	for (size_t i = 0; command[i]; i++)
		(void)json_array_append_new(argv, json_string(command[i]));
	(void)json_object_set_new(args, "argv", argv);
}

static json_t *exec_args(const char *const *command, int64_t timeout_seconds)
{
	json_t *args = json_pack("{s:I}", "timeout_ms", (json_int_t)timeout_seconds * 1000);

	machine_add_command(args, command);
	return args;
}

static void fill_output(const struct capture *c, char **text, int64_t *bytes, bool *truncated)
{
	*text = capture_text(c);
	*bytes = c->total;
	*truncated = capture_is_truncated(c);
}

static int fill_run(const struct machine *m, const char *const *command, const json_t *result,
		    const struct remote_output *output, struct pyro_run *ret,
		    struct pyro_error *err)
{
	struct outcome outcome;

	if (outcome_take(result, &outcome, err) < 0)
		return -1;
	ret->exit_code = outcome.exit_code;
	ret->duration_ms = outcome.duration_ms;
	ret->timed_out = outcome.timed_out;
	ret->command = strv_dup(command);
	ret->execution_mode = mem_strdup(m->execution_mode);
	ret->accel = mem_strdup(m->accel);
	fill_output(&output->out, &ret->stdout, &ret->stdout_bytes, &ret->stdout_truncated);
	fill_output(&output->err, &ret->stderr, &ret->stderr_bytes, &ret->stderr_truncated);
	return 0;
}

/* args are taken. *ret_state is NULL for a machine without a history. */
static int run(struct machine *m, json_t *args, const char *const *command, struct pyro_run *ret,
	       int64_t *ret_sequence, char **ret_state, struct pyro_error *err)
{
	struct remote_output output;
	json_t *result = NULL;
	const char *state;
	int r;

	capture_init(&output.out, OUTPUT_KEPT);
	capture_init(&output.err, OUTPUT_KEPT);
	r = remote_exec(m->remote, args, &output, &result, err);
	state = json_string_value(json_object_get(result, "state"));
	if (r == 0 && !(state && strcmp(state, "running") == 0))
		r = fill_run(m, command, result, &output, ret, err);
	if (r == 0) {
		*ret_sequence = json_integer_value(json_object_get(result, "sequence"));
		*ret_state = mem_strdup(state);
	}
	json_decref(result);
	capture_done(&output.out);
	capture_done(&output.err);
	return r;
}

int machine_exec(struct machine *m, const char *const *command, int64_t timeout_seconds,
		 struct pyro_run *ret, struct pyro_error *err)
{
	AUTO_FREE char *no_state = NULL;
	int64_t no_sequence;

	return run(m, exec_args(command, timeout_seconds), command, ret, &no_sequence, &no_state,
		   err);
}

/* A history remembers what was run, not programs of megabytes that were handed over as a word. */
static json_t *recorded_word(const char *word)
{
	AUTO_FREE char *cut = NULL;
	AUTO_FREE char *marked = NULL;

	if (strlen(word) <= RECORDED_WORD_MAX)
		return json_string(word);
	cut = mem_strndup(word, RECORDED_WORD_MAX);
	utf8_clean_line(cut);
	marked = mem_printf("%s…", cut);
	return json_string(marked);
}

json_t *machine_recorded_command(const char *const *command)
{
	json_t *words;

	if (command[0] && !command[1])
		return recorded_word(command[0]);
	words = json_array();
	for (size_t i = 0; command[i] && i < RECORDED_WORDS_MAX; i++)
		(void)json_array_append_new(words, recorded_word(command[i]));
	return words;
}

int machine_exec_recorded(struct machine *m, const struct machine_command *c, struct pyro_run *ret,
			  int64_t *ret_sequence, char **ret_state, struct pyro_error *err)
{
	json_t *args = exec_args(c->command, c->timeout_seconds);

	if (workspace_add_secret_env(c->secret_env, args, err) < 0) {
		json_decref(args);
		return -1;
	}
	(void)json_object_set_new(args, "cwd", json_string(c->cwd));
	(void)json_object_set_new(args, "record",
				  json_pack("{s:o, s:s, s:I}", "command",
					    machine_recorded_command(c->shown), "cwd", c->cwd,
					    "wait_ms", (json_int_t)c->wait_seconds * 1000));
	if (run(m, args, c->shown, ret, ret_sequence, ret_state, err) < 0)
		return -1;
	if (!*ret_state) /* a supervisor from before there were others */
		*ret_state = mem_strdup("finished");
	return 0;
}

int machine_destroy(struct machine *m, struct pyro_error *err)
{
	if (remote_call(m->remote, "delete", "destroy", json_object(), deadline_in(END_MS), NULL,
			err) < 0)
		return -1;
	return remote_await_end(m->remote, deadline_in(END_MS), err);
}
