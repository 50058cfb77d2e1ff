/*
 * Environments: what there is, installing, removing.
 */
#include "api/handle.h"
#include "api/install.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "image/image.h"
#include "image/pull.h"
#include "image/store.h"
#include "ops/ops.h"
#include "vm/template.h"
#include "workspace/records.h"
#include "workspace/state.h"

#include <limits.h>
#include <stdlib.h>

char *install_cache_dir(struct pyro_error *err)
{
	return store_root(err);
}

struct watch {
	struct pyro *p;
	const char *environment;
};

static void tell_phase(void *ctx, const char *phase)
{
	struct watch *watch = ctx;

	handle_phase(watch->p, "pull", "phase=%s environment=%s", phase, watch->environment);
}

static void tell_progress(void *ctx, const char *what, int64_t done, int64_t total,
			  const char *unit)
{
	const struct pyro_observer *observer = &((struct watch *)ctx)->p->observer;

	if (observer->on_progress)
		observer->on_progress(observer->ctx, what, done, total, unit);
}

static int pull(struct pyro *p, const char *name, struct pyro_error *err)
{
	AUTO_FREE char *builder = handle_program("image", pull_builder(name), err);
	struct watch watch = {p, name};
	const struct pull_hooks hooks = {
		.on_phase = tell_phase,
		.on_progress = tell_progress,
		.ctx = &watch,
		.cancel_fd = p->cancel.fd,
	};

	return builder ? image_pull(name, builder, &hooks, err) : -1;
}

int install_open(struct pyro *p, const char *name, const char *agent_path, struct image *ret,
		 struct pyro_error *err)
{
	struct pyro_error why;

	if (image_open(name, agent_path, ret, &why) == 0)
		return 0;
	if (why.code != PYRO_E_NOT_FOUND && why.code != PYRO_E_ENVIRONMENT_BROKEN) {
		if (err)
			*err = why;
		return -1;
	}
	if (pull(p, name, err) < 0)
		return -1;
	return image_open(name, agent_path, ret, err);
}

int pyro_list_environments(struct pyro *p, const struct pyro_list_environments_args *given,
			   struct pyro_environment_list *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	return image_list(ret, err);
}

static int pull_environment(struct pyro *p, const struct pyro_pull_environment_args *given,
			    struct pyro_environment *ret, struct pyro_error *err)
{
	struct pyro_pull_environment_args a;
	int result;

	if (ops_apply_defaults(OP_pull_environment, given, &a, err) < 0)
		return -1;
	result = pull(p, a.environment, err);
	if (result < 0)
		return -1;
	handle_phase(p, "pull", "phase=ready environment=%s", a.environment);
	return image_inspect(a.environment, ret, err);
}

int pyro_pull_environment(struct pyro *p, const struct pyro_pull_environment_args *given,
			  struct pyro_environment *ret, struct pyro_error *err)
{
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, pull_environment(p, given, ret, err));
}

int pyro_inspect_environment(struct pyro *p, const struct pyro_inspect_environment_args *given,
			     struct pyro_environment *ret, struct pyro_error *err)
{
	struct pyro_inspect_environment_args a;

	(void)p;
	if (ops_apply_defaults(OP_inspect_environment, given, &a, err) < 0)
		return -1;
	return image_inspect(a.environment, ret, err);
}

/* The installs that the disks of existing VMs lie over. NULL-terminated. */
static int list_used(struct pyro *p, char ***ret, struct pyro_error *err)
{
	AUTO_STRV char **ids = NULL;
	size_t used = 0;

	if (records_list_ids(p->records, &ids, err) < 0)
		return -1;
	*ret = mem_zalloc(strv_len((const char *const *)ids) + 1, sizeof(**ret));
	for (size_t i = 0; ids[i]; i++) {
		AUTO_FREE char *path = state_vm_file(p->state, ids[i], "base");
		AUTO_BUF struct buf base = BUF_INIT(PATH_MAX);

		if (file_read(path, &base, NULL) == 0)
			(*ret)[used++] = mem_strdup(buf_text(&base));
	}
	return 0;
}

int pyro_prune_environments(struct pyro *p, const struct pyro_prune_environments_args *given,
			    struct pyro_pruned *ret, struct pyro_error *err)
{
	AUTO_FREE char *cache_dir = install_cache_dir(err);
	AUTO_STRV char **used = NULL;

	(void)given;
	if (!cache_dir || handle_open(p, err) < 0 || list_used(p, &used, err) < 0 ||
	    image_prune((const char *const *)used, ret, err) < 0)
		return -1;
	ret->freed_bytes += template_prune(cache_dir);
	return 0;
}
