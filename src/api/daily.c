#include "api/daily.h"

#include "api/egress.h"
#include "api/handle.h"
#include "api/install.h"
#include "api/machine.h"
#include "api/remote.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "image/catalog.h"
#include "image/image.h"
#include "ops/ops.h"
#include "vm/host.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT 1
#define PROOF_SECONDS 60
#define PROOF_MAX (64 * 1024)

static char *proof_path(struct pyro *p, const char *environment)
{
	char *path = mem_printf("%s/daily/%s.json", p->state, environment);

	for (char *c = strrchr(path, '/') + 1; *c; c++)
		if (*c == ':')
			*c = '_';
	return path;
}

/* What the proof was made with; another value of any of these makes it stale. */
static json_t *circumstances(const struct image *image, const struct vm_host *host)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "pyro", PYRO_VERSION, "root", image->root_digest,
			 "kernel", image->kernel_digest, "accel", vm_accel_name(host->accel));
}

static const char *text_of_change(const char *key)
{
	if (strcmp(key, "pyro") == 0)
		return "pyro was upgraded";
	if (strcmp(key, "accel") == 0)
		return "the accelerator is another one";
	return "the environment was installed anew";
}

/* NULL if the proof holds; else why not. Static text. */
static const char *why_stale(const json_t *proof, const json_t *now)
{
	const json_t *then = json_object_get(proof, "circumstances");
	const char *key;
	json_t *value;

	if (json_integer_value(json_object_get(proof, "format")) != FORMAT)
		return "the proof is of another version of pyro";
	json_object_foreach((json_t *)(uintptr_t)now, key, value)
	{
		if (!json_equal(value, json_object_get(then, key)))
			return text_of_change(key);
	}
	return NULL;
}

static json_t *read_proof(const char *path)
{
	AUTO_BUF struct buf text = BUF_INIT(PROOF_MAX);

	if (file_read(path, &text, NULL) < 0)
		return NULL;
	return json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
}

static int open_installed(const char *environment, const char *cache_dir, struct image *image,
			  struct vm_host *host, struct pyro_error *err)
{
	AUTO_FREE char *agent = handle_program("guest", "pyro-agent", err);

	if (!agent || image_open(environment, agent, image, err) < 0)
		return -1;
	return vm_host_examine(cache_dir, host, err);
}

static void judge(struct pyro_daily_loop *loop, const json_t *proof, const json_t *now)
{
	const char *stale = why_stale(proof, now);

	loop->status = mem_strdup(stale ? "STALE" : "WARM");
	loop->reason = mem_strdup(stale);
	loop->prepared_at = json_number_value(json_object_get(proof, "prepared_at"));
	loop->network_prepared = json_is_true(json_object_get(proof, "network"));
}

int daily_examine(struct pyro *p, const char *environment, struct pyro_daily_loop *ret,
		  struct pyro_error *err)
{
	AUTO_FREE char *cache_dir = install_cache_dir(err);
	AUTO_FREE char *path = proof_path(p, environment);
	AUTO_IMAGE struct image image = IMAGE_INIT;
	json_t *proof = read_proof(path), *now = NULL;
	struct pyro_error why;
	struct vm_host host;

	if (!cache_dir || !catalog_find(environment, err)) {
		json_decref(proof);
		return -1;
	}
	*ret = (struct pyro_daily_loop){
		.environment = mem_strdup(environment),
		.prepared_at = (double)PYRO_NONE,
		.manifest_path = mem_strdup(path),
		.cache_dir = mem_strdup(cache_dir),
	};
	if (open_installed(environment, cache_dir, &image, &host, &why) < 0) {
		ret->status = mem_strdup(proof ? "STALE" : "COLD");
		ret->reason = mem_strdup(why.message);
	} else if (!proof) {
		ret->installed = true;
		ret->status = mem_strdup("COLD");
		ret->reason = mem_strdup("it was not prepared yet");
	} else {
		ret->installed = true;
		now = circumstances(&image, &host);
		judge(ret, proof, now);
	}
	json_decref(now);
	json_decref(proof);
	return 0;
}

/* Runs a line in a started VM, which lives on. */
static int leave_mark(struct pyro *p, const struct pyro_vm *vm, struct pyro_error *err)
{
	static const char *const command[] = {"echo pyro > /root/proof", NULL};
	struct machine m = {
		.remote = remote_connect(p, vm->vm_id, err),
		.execution_mode = mem_strdup(vm->execution_mode),
		.accel = mem_strdup(vm->accel),
	};
	struct pyro_run run = {0};
	int result = m.remote ? machine_exec(&m, command, PROOF_SECONDS, &run, err) : -1;

	if (result == 0 && run.exit_code != 0)
		result = err_set(err, PYRO_E_BOOT_FAILED, "the guest could not write: %s",
				 run.stderr);
	pyro_run_done(&run);
	machine_done(&m);
	return result;
}

/* Starts a VM, writes in it, stops it, finds what was written after a start, and deletes it. */
static int prove_with(struct pyro *p, const char *vm_id, bool network, struct pyro_error *err)
{
	static const char *const command[] = {"test \"$(cat /root/proof)\" = pyro", NULL};
	const struct pyro_start_vm_args start = {.vm_id = vm_id};
	struct pyro_vm vm = {0};
	struct pyro_run run = {0};
	int result;

	if (pyro_start_vm(p, &start, &vm, err) < 0)
		return -1;
	result = leave_mark(p, &vm, err);
	if (result == 0 && network)
		result = egress_probe(p, &vm, err);
	pyro_vm_done(&vm);
	if (result < 0 ||
	    pyro_stop_vm(p, &(struct pyro_stop_vm_args){.vm_id = vm_id}, &vm, err) < 0)
		return -1;
	pyro_vm_done(&vm);
	if (pyro_start_vm(p, &start, &vm, err) < 0)
		return -1;
	pyro_vm_done(&vm);
	if (handle_exec_quietly(p, &(struct pyro_exec_vm_args){.vm_id = vm_id, .command = command},
				&run, err) < 0)
		return -1;
	if (run.exit_code != 0)
		result = err_set(err, PYRO_E_BOOT_FAILED,
				 "what the guest wrote was not there after a stop and a start");
	pyro_run_done(&run);
	return result;
}

static int prove(struct pyro *p, const char *environment, bool network, struct pyro_error *err)
{
	struct pyro_vm vm = {0};
	struct pyro_vm_deleted gone = {0};
	struct pyro_error ignored;
	int result;

	const struct pyro_create_vm_args create = {.environment = environment, .network = network};

	if (pyro_create_vm(p, &create, &vm, err) < 0)
		return -1;
	result = prove_with(p, vm.vm_id, network, err);
	if (result < 0 && pyro_delete_vm(p, &(struct pyro_delete_vm_args){.vm_id = vm.vm_id}, &gone,
					 &ignored) == 0)
		pyro_vm_deleted_done(&gone);
	pyro_vm_done(&vm);
	return result;
}

static int write_proof(const char *path, const struct image *image, const struct vm_host *host,
		       bool network, double now, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
	AUTO_FREE char *text = NULL;
	json_t *proof =
		json_pack("{s:i, s:o, s:b, s:f}", "format", FORMAT, "circumstances",
			  circumstances(image, host), "network", network, "prepared_at", now);

	text = json_dumps(proof, JSON_INDENT(2));
	json_decref(proof);
	if (dir_make(dir, 0700, err) < 0)
		return -1;
	return file_write_atomic(path, text, strlen(text), 0600, err);
}

static int prepare(struct pyro *p, const struct pyro_prepare_args *a, const char *cache_dir,
		   struct pyro_prepared *ret, struct pyro_error *err)
{
	AUTO_FREE char *path = proof_path(p, a->environment);
	AUTO_IMAGE struct image image = IMAGE_INIT;
	struct pyro_daily_loop loop = {0};
	double prepared_at = clock_wall();
	struct vm_host host;
	bool is_warm, network;

	if (daily_examine(p, a->environment, &loop, err) < 0)
		return -1;
	is_warm = !a->force && strcmp(loop.status, "WARM") == 0 &&
		  (loop.network_prepared || !a->network);
	network = is_warm ? loop.network_prepared : a->network;
	if (is_warm)
		prepared_at = loop.prepared_at;
	pyro_daily_loop_done(&loop);
	if (!is_warm) {
		handle_phase(p, "prepare", "phase=prove environment=%s", a->environment);
		if (prove(p, a->environment, network, err) < 0)
			return -1;
	}
	if (open_installed(a->environment, cache_dir, &image, &host, err) < 0 ||
	    (!is_warm && write_proof(path, &image, &host, network, prepared_at, err) < 0))
		return -1;
	*ret = (struct pyro_prepared){
		.environment = mem_strdup(a->environment),
		.executed = !is_warm,
		.prepared_at = prepared_at,
		.network_prepared = network,
		.accel = mem_strdup(vm_accel_name(host.accel)),
		.manifest_path = TAKE_PTR(path),
	};
	return 0;
}

int pyro_prepare(struct pyro *p, const struct pyro_prepare_args *given, struct pyro_prepared *ret,
		 struct pyro_error *err)
{
	AUTO_FREE char *cache_dir = NULL;
	struct pyro_prepare_args a;
	int64_t begun = clock_ms();

	if (ops_apply_defaults(OP_prepare, given, &a, err) < 0)
		return -1;
	if (egress_check(a.network, err) < 0)
		return -1;
	cache_dir = install_cache_dir(err);
	if (!cache_dir || handle_open(p, err) < 0)
		return -1;
	handle_begin(p);
	if (handle_end(p, prepare(p, &a, cache_dir, ret, err)) < 0)
		return -1;
	ret->duration_ms = clock_ms() - begun;
	return 0;
}
