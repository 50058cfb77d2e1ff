/*
 * pyro-oci: makes environments of OCI images. A program of its own: it speaks to registries and
 * reads what they send, and its libraries would cost every other call their loading time.
 *
 *	pyro-oci build NAME CACHE_DIR
 *	pyro-oci export NAME CACHE_DIR oci:DIR[:TAG]	an installed environment becomes an image
 *	pyro-oci push oci:DIR[:TAG] REFERENCE
 *
 * NAME is an install name (reference.h). Events go to standard output (builder/event.h), nothing
 * else does. A build ends with 0 when what the name stands for now is installed, and leaves nothing
 * half-made behind but beginnings of blobs, which the next pull continues.
 */
#include "base/err.h"
#include "image/builder/bootstrap.h"
#include "image/builder/build.h"
#include "image/builder/event.h"
#include "image/builder/ext4.h"
#include "image/catalog.h"
#include "image/oci/export.h"
#include "image/oci/fetch.h"
#include "image/oci/layers.h"
#include "image/oci/local.h"
#include "image/oci/login.h"
#include "image/oci/push.h"
#include "image/oci/registry.h"
#include "image/oci/spec.h"
#include "image/reference.h"
#include "image/store.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define OVERHEAD_MIB 200 /* of the file system, beside what is in it */
#define VERSION_DIGITS 12
#define CONFIG_MAX 65536
#define CONFIG_DIR "etc/pyro"
#define CONFIG_FILE CONFIG_DIR "/image.json"

struct job {
	struct reference reference;
	const char *name;
	struct spec spec;
	struct layers layers;
	int64_t layer_bytes; /* uncompressed */
	struct registry *registry;
};

/* --- the file system -------------------------------------------------------------------- */

/* The variables of the configuration, each NAME=VALUE. */
static json_t *config_env(const json_t *config)
{
	json_t *env = json_object();
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(config, "Env"), i, item)
	{
		const char *text = json_string_value(item),
			   *equals = text ? strchr(text, '=') : NULL;
		AUTO_FREE char *name = NULL;

		if (!equals || equals == text)
			continue;
		name = mem_strndup(text, (size_t)(equals - text));
		(void)json_object_set_new(env, name, json_string(equals + 1));
	}
	return env;
}

/* What the image says about how its programs run, where the guest's agent looks for it. */
static int add_config(struct ext4 *fs, const struct spec *spec, struct pyro_error *err)
{
	const json_t *config = json_object_get(spec->config, "config");
	const char *dir = json_string_value(json_object_get(config, "WorkingDir"));
	json_t *json = json_pack("{s:o, s:s}", "env", config_env(config), "working_dir",
				 dir && *dir == '/' ? dir : "");
	AUTO_FREE char *text = json_dumps(json, JSON_INDENT(2));
	const struct ext4_entry entries[] = {
		{.path = CONFIG_DIR, .mode = S_IFDIR | 0755},
		{.path = CONFIG_FILE, .mode = S_IFREG | 0644},
	};
	size_t len = strlen(text);

	/* Container engines make it, too. One behind a symbolic link is left to the image. */
	if (dir && *dir == '/' && ext4_need_dir(fs, dir + strspn(dir, "/"), err) < 0 &&
	    err->code != PYRO_E_INVALID)
		return -1;
	if (len > CONFIG_MAX)
		return err_set(err, PYRO_E_LIMIT, "the image sets more than %d bytes of variables",
			       CONFIG_MAX);
	if (ext4_add(fs, &entries[0], err) < 0 || ext4_add(fs, &entries[1], err) < 0 ||
	    ext4_write(fs, text, len, 0, err) < 0)
		return -1;
	return ext4_finish(fs, (int64_t)len, err);
}

static int fill(const struct build *b, const struct build_root *root, struct ext4 *fs,
		json_t *notes, struct pyro_error *err)
{
	const struct job *job = root->ctx;

	(void)b;
	if (layers_write(&job->layers, fs, notes, err) < 0)
		return -1;
	return add_config(fs, &job->spec, err);
}

/* What the manifest of the install remembers. */
static json_t *make_texts(const struct job *job)
{
	json_t *blobs = json_array();

	for (size_t i = 0; i < job->spec.n_layers; i++)
		if (job->spec.layers[i].digest && job->registry)
			(void)json_array_append_new(
				blobs, json_string(strchr(job->spec.layers[i].digest, ':') + 1));
	return json_pack("{s:s, s:s, s:o}", "digest", job->spec.digest, "source", job->name,
			 "blobs", blobs);
}

static int install(const struct build *b, struct job *job, struct pyro_error *err)
{
	AUTO_FREE char *version = mem_printf("%.*s", VERSION_DIGITS + 7, job->spec.digest);
	json_t *texts = make_texts(job);
	const struct build_root root = {
		.name = job->name,
		.version = version,
		.identity = job->spec.digest,
		.need_mib = (job->layer_bytes >> 20) + OVERHEAD_MIB,
		.suite = catalog_entries()->suite,
		.keeps_kernel = true,
		.is_confined = true,
		.fill = fill,
		.texts = texts,
		.ctx = job,
	};
	int r = build_install(b, &root, err);

	json_decref(texts);
	return r;
}

/* --- the image -------------------------------------------------------------------------- */

/* Whether what the name stands for now is what is installed. */
static bool is_current(const char *root, const struct job *job)
{
	AUTO_INSTALL struct install old = INSTALL_INIT;

	return store_open(&old, root, job->name, NULL) == 0 &&
	       strcmp(manifest_text(&old.image, "digest"), job->spec.digest) == 0;
}

/* What is on this machine, with the store locked, which gives a place for copies. */
static int find_local(const struct build *b, struct job *job, struct pyro_error *err)
{
	switch (job->reference.kind) {
	case REFERENCE_LAYOUT:
		return local_layout(&job->reference, &job->spec, err);
	case REFERENCE_ARCHIVE:
		return local_archive(&job->reference, b->tmp, &job->spec, err);
	case REFERENCE_REGISTRY:
		break;
	}
	return 0;
}

static int unpack_layers(void *ctx, json_t *notes, struct pyro_error *err)
{
	const struct job *job = ctx;
	int64_t bytes = 0;

	if (layers_unpack(&job->layers, &bytes, err) < 0)
		return -1;
	return json_object_set_new(notes, "bytes", json_integer(bytes));
}

static int unpack(const struct build *b, struct job *job, struct pyro_error *err)
{
	json_t *notes = json_object();
	int r = build_apart(unpack_layers, job, notes, err);

	job->layer_bytes = json_integer_value(json_object_get(notes, "bytes"));
	json_decref(notes);
	return r < 0 && err->code == PYRO_E_NO_SPACE ? err_wrap(err, "'%s'", b->tmp) : r;
}

static int make_image(const struct build *b, struct job *job, struct pyro_error *err)
{
	if (find_local(b, job, err) < 0)
		return -1;
	if (is_current(b->root, job)) /* by another pull in the meantime, too */
		return 0;
	event_phase("unpack");
	if (layers_open(&job->spec, b->tmp, &job->layers, err) < 0 || unpack(b, job, err) < 0)
		return -1;
	return install(b, job, err);
}

static int build_image(struct job *job, const char *root, struct pyro_error *err)
{
	struct build b;
	int r;

	if (build_begin(&b, root, err) < 0)
		return -1;
	r = make_image(&b, job, err);
	layers_done(&job->layers);
	return build_end(&b, r, err);
}

/* The network is waited for without the store's lock, so one pull does not wait for another. */
static int pull_image(struct job *job, const char *root, struct pyro_error *err)
{
	AUTO_FD int blobs_fd = store_lock_blobs(root, true, err);
	AUTO_FREE char *helper = NULL;
	char *login;

	if (blobs_fd < 0)
		return -1;
	login = login_find(job->reference.registry, &helper);
	job->registry = registry_new(&job->reference, login, helper);
	if (fetch_spec(job->registry, &job->reference, &job->spec, err) < 0)
		return -1;
	if (is_current(root, job))
		return 0;
	event_phase("download");
	if (fetch_layers(job->registry, root, &job->spec, err) < 0)
		return -1;
	return build_image(job, root, err);
}

static int run(const char *name, const char *root, struct pyro_error *err)
{
	struct job job = {.name = name};
	int r = reference_parse(name, &job.reference, err);

	if (r == 0)
		r = job.reference.kind == REFERENCE_REGISTRY ? pull_image(&job, root, err)
							     : build_image(&job, root, err);
	spec_done(&job.spec);
	(void)registry_free(job.registry);
	reference_done(&job.reference);
	return r < 0 ? err_wrap(err, "image '%.200s'", name) : 0;
}

/* --- the other way ---------------------------------------------------------------------- */

static int parse_layout(const char *text, struct reference *ret, struct pyro_error *err)
{
	if (reference_parse(text, ret, err) < 0)
		return -1;
	return ret->kind == REFERENCE_LAYOUT
		       ? 0
		       : err_set(err, PYRO_E_INVALID, "'%s' is no oci:DIR[:TAG]", text);
}

static int export(const char *name, const char *root, const char *layout, struct pyro_error *err)
{
	AUTO_REFERENCE struct reference to = REFERENCE_INIT;
	AUTO_INSTALL struct install from = INSTALL_INIT;
	AUTO_FREE char *path = NULL;

	if (parse_layout(layout, &to, err) < 0 || store_open(&from, root, name, err) < 0)
		return -1;
	event_phase("export");
	path = mem_printf("%s/root.ext4", from.dir);
	return export_layout(path, to.path, to.tag ? to.tag : "latest", err);
}

static int push(const char *layout, const char *name, struct pyro_error *err)
{
	AUTO_REFERENCE struct reference from = REFERENCE_INIT, to = REFERENCE_INIT;

	if (parse_layout(layout, &from, err) < 0 || reference_parse(name, &to, err) < 0)
		return -1;
	if (to.kind != REFERENCE_REGISTRY || to.digest)
		return err_set(err, PYRO_E_INVALID, "'%s' is no tag of a registry", name);
	return push_layout(&from, &to, err);
}

static void on_signal(int sig)
{
	(void)sig;
	bootstrap_cancel();
}

static void set_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct pyro_error err;
	int r;

	if (!(argc == 4 && (strcmp(verb, "build") == 0 || strcmp(verb, "push") == 0)) &&
	    !(argc == 5 && strcmp(verb, "export") == 0)) {
		(void)fputs("usage: pyro-oci build NAME CACHE_DIR\n"
			    "       pyro-oci export NAME CACHE_DIR oci:DIR[:TAG]\n"
			    "       pyro-oci push oci:DIR[:TAG] REFERENCE\n",
			    stderr);
		return 2;
	}
	set_signals();
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	if (strcmp(verb, "build") == 0)
		r = run(argv[2], argv[3], &err);
	else if (strcmp(verb, "push") == 0)
		r = push(argv[2], argv[3], &err);
	else
		r = export(argv[2], argv[3], argv[4], &err);
	if (r < 0)
		event_error(&err);
	return r < 0;
}
