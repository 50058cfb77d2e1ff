/*
 * The proof is made with a workspace that is owned by this call from the moment it exists: its
 * supervisor destroys it when our connection ends, however that comes. Between its creation and
 * the word "own" only its time to live stands for that.
 */
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
#include "base/loop.h"
#include "image/digest.h"
#include "image/image.h"
#include "image/reference.h"
#include "ops/ops.h"
#include "vm/host.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT 2
#define COMMAND_SECONDS 60
#define PROOF_TTL_SECONDS 300 /* when it would go by itself */
#define PROOF_MAX (64 * 1024)
#define OWN_MS 30000

static char *proof_path(struct pyro *p, const char *environment)
{
	AUTO_FREE char *name = reference_install_name(environment);
	char hex[DIGEST_HEX];

	if (reference_is(environment)) { /* the name of an image is none of a file */
		digest_bytes(name, strlen(name), hex);
		return mem_printf("%s/daily/image-%.32s.json", p->state, hex);
	}
	for (char *c = name; *c; c++)
		if (*c == ':')
			*c = '_';
	return mem_printf("%s/daily/%s.json", p->state, name);
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
	AUTO_FREE char *cache_dir = install_cache_dir(NULL);
	AUTO_IMAGE struct image image = IMAGE_INIT;
	AUTO_FREE char *path = NULL;
	json_t *proof, *now = NULL;
	struct pyro_error why;
	struct vm_host host;

	if (image_check_name(environment, err) < 0)
		return -1;
	path = p->state ? proof_path(p, environment) : mem_strdup("");
	proof = read_proof(path);
	*ret = (struct pyro_daily_loop){
		.environment = mem_strdup(environment),
		.prepared_at = (double)PYRO_NONE,
		.manifest_path = mem_strdup(path),
		.cache_dir = mem_strdup(cache_dir ? cache_dir : ""),
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

/* The throw-away workspace. */
struct trial {
	struct pyro *p;
	const char *environment;
	bool has_network;
	struct pyro_workspace ws;
	struct machine owner; /* only its connection */
};

static int create(struct trial *t, struct pyro_error *err)
{
	static const char *const labels[] = {"made-by=pyro-prepare", NULL};
	const struct pyro_create_workspace_args args = {
		.environment = t->environment,
		.labels = labels,
		.ttl_seconds = PROOF_TTL_SECONDS,
		.network_policy = t->has_network ? "egress" : "off",
	};

	if (pyro_create_workspace(t->p, &args, &t->ws, err) < 0)
		return -1;
	t->owner.remote = remote_connect(t->p, t->ws.workspace_id, err);
	if (!t->owner.remote)
		return -1;
	return remote_call(t->owner.remote, "prepare", "own", json_object(), deadline_in(OWN_MS),
			   NULL, err);
}

static int run(struct trial *t, const char *line, const char *wrong, struct pyro_error *err)
{
	const char *const command[] = {line, NULL};
	const struct pyro_exec_workspace_args args = {.workspace_id = t->ws.workspace_id,
						      .command = command,
						      .timeout_seconds = COMMAND_SECONDS};
	struct pyro_workspace_exec exec = {0};
	int result = pyro_exec_workspace(t->p, &args, &exec, err);

	if (result == 0 && exec.exit_code != 0)
		result = err_set(err, PYRO_E_BOOT_FAILED, "%s (exit %lld): %.200s", wrong,
				 (long long)exec.exit_code, exec.stderr);
	pyro_workspace_exec_done(&exec);
	return result;
}

static int exec(struct trial *t, struct pyro_error *err)
{
	return run(t, "echo pyro >proof && echo pyro >/root/proof", "the guest could not write",
		   err);
}

static int try_network(struct trial *t, struct pyro_error *err)
{
	const struct pyro_vm vm = {
		.vm_id = t->ws.workspace_id,
		.execution_mode = t->ws.execution_mode,
		.accel = t->ws.accel,
	};

	return egress_probe(t->p, &vm, err);
}

static int reset(struct trial *t, struct pyro_error *err)
{
	const struct pyro_reset_workspace_args args = {.workspace_id = t->ws.workspace_id};
	struct pyro_workspace ws = {0};

	if (pyro_reset_workspace(t->p, &args, &ws, err) < 0)
		return -1;
	pyro_workspace_done(&ws);
	return run(t, "test ! -e proof && test ! -e /root/proof",
		   "what the guest wrote was still there after a reset", err);
}

static int delete (struct trial *t, struct pyro_error *err)
{
	const struct pyro_delete_workspace_args args = {.workspace_id = t->ws.workspace_id};
	struct pyro_workspace_deleted gone = {0};

	if (pyro_delete_workspace(t->p, &args, &gone, err) < 0)
		return -1;
	pyro_workspace_deleted_done(&gone);
	return 0;
}

static const struct {
	const char *name;
	int (*take)(struct trial *t, struct pyro_error *err);
	bool needs_network;
} steps[] = {
	{"create", create, false}, {"exec", exec, false},     {"network", try_network, true},
	{"reset", reset, false},   {"delete", delete, false},
};

/* It does not stay, also where we were interrupted. */
static void clean_up(struct trial *t)
{
	struct pyro_error ignored;

	if (t->owner.remote) {
		machine_give_up(t->p, &t->owner, true);
	} else if (t->ws.workspace_id) {
		loop_resume(t->p->loop);
		(void)delete (t, &ignored);
	}
}

/* Takes every step; returns how long each took, or NULL with err. */
static json_t *take_steps(struct trial *t, struct pyro_error *err)
{
	json_t *took = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int64_t begun = clock_ms();

		if (steps[i].needs_network && !t->has_network)
			continue;
		handle_phase(t->p, "prepare", "phase=%s environment=%s", steps[i].name,
			     t->environment);
		if (steps[i].take(t, err) < 0) {
			(void)err_wrap(err, "prove '%s' in %s", steps[i].name, t->environment);
			json_decref(took);
			return NULL;
		}
		(void)json_array_append_new(took, json_pack("{s:s, s:I}", "name", steps[i].name,
							    "duration_ms",
							    (json_int_t)(clock_ms() - begun)));
	}
	return took;
}

static json_t *prove(struct pyro *p, const struct pyro_prepare_args *a, struct pyro_error *err)
{
	const struct pyro_observer observer = p->observer;
	struct trial t = {.p = p, .environment = a->environment, .has_network = a->network};
	json_t *took;

	p->observer.on_output = NULL;
	took = take_steps(&t, err);
	if (!took)
		clean_up(&t);
	p->observer = observer;
	machine_done(&t.owner);
	pyro_workspace_done(&t.ws);
	return took;
}

static int write_proof(const char *path, const json_t *proof, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
	AUTO_FREE char *text = json_dumps(proof, JSON_INDENT(2));

	if (dir_make(dir, 0700, err) < 0)
		return -1;
	return file_write_atomic(path, text, strlen(text), 0600, err);
}

/* Proves it and records that; NULL with err. `now` is borrowed. */
static json_t *make_proof(struct pyro *p, const struct pyro_prepare_args *a, const char *path,
			  json_t *now, struct pyro_error *err)
{
	json_t *took = prove(p, a, err), *proof;

	if (!took)
		return NULL;
	proof = json_pack("{s:i, s:O, s:b, s:f, s:o}", "format", FORMAT, "circumstances", now,
			  "network", a->network, "prepared_at", clock_wall(), "steps", took);
	if (write_proof(path, proof, err) == 0)
		return proof;
	json_decref(proof);
	return NULL;
}

static bool holds(const json_t *proof, const json_t *now, const struct pyro_prepare_args *a)
{
	return proof && !a->force && !why_stale(proof, now) &&
	       (!a->network || json_is_true(json_object_get(proof, "network")));
}

static void take_proof(const json_t *proof, struct pyro_prepared *ret)
{
	const json_t *took = json_object_get(proof, "steps"), *step;
	size_t i;

	ret->prepared_at = json_number_value(json_object_get(proof, "prepared_at"));
	ret->network_prepared = json_is_true(json_object_get(proof, "network"));
	ret->steps = mem_zalloc(json_array_size(took) + 1, sizeof(*ret->steps));
	json_array_foreach((json_t *)(uintptr_t)took, i, step)
	{
		const char *name = json_string_value(json_object_get(step, "name"));

		ret->steps[ret->steps_count++] = (struct pyro_prepared_step){
			.name = mem_strdup(name ? name : ""),
			.duration_ms = json_integer_value(json_object_get(step, "duration_ms")),
		};
	}
}

static int prepare(struct pyro *p, const struct pyro_prepare_args *a, struct pyro_prepared *ret,
		   struct pyro_error *err)
{
	AUTO_FREE char *cache_dir = install_cache_dir(err);
	AUTO_FREE char *agent = cache_dir ? handle_program("guest", "pyro-agent", err) : NULL;
	AUTO_FREE char *path = proof_path(p, a->environment);
	AUTO_IMAGE struct image image = IMAGE_INIT;
	json_t *now, *proof;
	struct vm_host host;
	bool is_warm;

	if (!agent || install_open(p, a->environment, agent, &image, err) < 0 ||
	    vm_host_examine(cache_dir, &host, err) < 0)
		return -1;
	now = circumstances(&image, &host);
	proof = read_proof(path);
	is_warm = holds(proof, now, a);
	if (!is_warm) {
		json_decref(proof);
		proof = make_proof(p, a, path, now, err);
	}
	json_decref(now);
	if (!proof)
		return -1;
	*ret = (struct pyro_prepared){
		.environment = mem_strdup(a->environment),
		.executed = !is_warm,
		.accel = mem_strdup(vm_accel_name(host.accel)),
		.manifest_path = TAKE_PTR(path),
		.next_step = mem_strdup("pyro host connect claude-code"),
	};
	take_proof(proof, ret);
	json_decref(proof);
	return 0;
}

int pyro_prepare(struct pyro *p, const struct pyro_prepare_args *given, struct pyro_prepared *ret,
		 struct pyro_error *err)
{
	struct pyro_prepare_args a;
	int64_t begun = clock_ms();

	if (ops_apply_defaults(OP_prepare, given, &a, err) < 0 ||
	    image_check_name(a.environment, err) < 0 || egress_check(a.network, err) < 0 ||
	    handle_open(p, err) < 0)
		return -1;
	if (handle_begin(p, err) < 0 || handle_end(p, prepare(p, &a, ret, err)) < 0)
		return -1;
	ret->duration_ms = clock_ms() - begun;
	return 0;
}
