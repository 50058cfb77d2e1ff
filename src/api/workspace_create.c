/*
 * How a workspace comes to be: its machine starts while its seed is packed, the seed goes in, and
 * what is there then is its baseline. Until that is complete the workspace belongs to this
 * connection: whatever kills us takes it along.
 */
#include "api/workspace.h"

#include "api/egress.h"
#include "api/handle.h"
#include "api/life.h"
#include "api/machine.h"
#include "api/project.h"
#include "api/reap.h"
#include "api/remote.h"
#include "api/transfer.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "image/image.h"
#include "ops/ops.h"
#include "workspace/records.h"
#include "workspace/secrets.h"
#include "workspace/state.h"
#include "workspace/tree.h"
#include "workspace/workspaces.h"

#include <string.h>

struct creation {
	struct pyro *p;
	struct pyro_workspace ws;
	struct project_source project;
	struct transfer *seed; /* NULL: empty */
	struct secrets secrets;
	struct machine m;
	int hold;
	int change;
	int alive;
};

bool workspace_is_policy(const char *name)
{
	return strcmp(name, "off") == 0 || strcmp(name, "egress") == 0 ||
	       strcmp(name, "egress+published-ports") == 0;
}

static int check_policy(const char *policy, struct pyro_error *err)
{
	if (!workspace_is_policy(policy))
		return err_set(err, PYRO_E_INVALID,
			       "network_policy '%s' is not one of off, egress, "
			       "egress+published-ports",
			       policy);
	return egress_check(strcmp(policy, "off") != 0, err);
}

/* What looks like a path was meant as the seed. */
static int check_environment(const char *name, struct pyro_error *err)
{
	if (image_check_name(name, err) == 0)
		return 0;
	if (*name == '.' || *name == '/')
		(void)err_hint(err, "did you mean --seed-path %s?", name);
	return -1;
}

static int check_arguments(const struct pyro_create_workspace_args *a, struct pyro_error *err)
{
	if (check_environment(a->environment, err) < 0 ||
	    check_policy(a->network_policy, err) < 0 ||
	    (a->name && workspaces_check_name(a->name, err) < 0))
		return -1;
	return workspaces_check_labels(a->labels, err);
}

/* Values are taken now: what becomes of their files later has no meaning. */
static int take_secrets(struct creation *c, const struct pyro_create_workspace_args *a,
			struct pyro_error *err)
{
	for (size_t i = 0; i < a->secrets_count; i++)
		if (secrets_add(&c->secrets, &a->secrets[i], err) < 0)
			return -1;
	c->ws.secrets = mem_zalloc(a->secrets_count + 1, sizeof(*c->ws.secrets));
	c->ws.secrets_count = a->secrets_count;
	for (size_t i = 0; i < a->secrets_count; i++)
		c->ws.secrets[i] = (struct pyro_workspace_secret){
			.name = mem_strdup(a->secrets[i].name),
			.source_kind = mem_strdup(a->secrets[i].value ? "literal" : "file"),
		};
	return 0;
}

/* The file that every start of the machine takes them from. */
static int keep_secrets(struct creation *c, struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(c->p->state, c->ws.workspace_id);
	int result = c->secrets.n ? secrets_save(&c->secrets, dir, err) : 0;

	secrets_done(&c->secrets);
	return result;
}

/* Where the files come from; what was given is packed from now on, while the machine starts. */
static int choose_seed(struct creation *c, const char *seed_path, struct pyro_error *err)
{
	struct pyro_workspace_seed *seed = &c->ws.workspace_seed;
	bool is_directory;

	c->ws.has_workspace_seed = true;
	if (!seed_path && project_choose(c->p, &c->project, err) < 0)
		return -1;
	if (!seed_path && c->project.kind == PROJECT_NONE) {
		seed->mode = mem_strdup("empty");
		seed->origin_kind = mem_strdup("empty");
		return 0;
	}
	if (!seed_path) {
		project_fill_seed(&c->project, seed);
		return 0;
	}
	if (transfer_check_source("seed path", seed_path, &seed->seed_path, &is_directory, err) < 0)
		return -1;
	seed->mode = mem_strdup(is_directory ? "directory" : "tar_archive");
	seed->origin_kind = mem_strdup("manual_seed_path");
	seed->origin_ref = mem_strdup(seed->seed_path);
	c->seed = transfer_pack(c->p, seed->seed_path, "seed", err);
	return c->seed ? 0 : -1;
}

/* A clone is in the workspace's own directory, with which it goes, whatever becomes of us. */
static char *clone_dir(const struct creation *c)
{
	return state_vm_file(c->p->state, c->ws.workspace_id, "clone");
}

/* The time to live begins when a clone is there, which can take longer than that. */
static int begin_project(struct creation *c, struct pyro_error *err)
{
	AUTO_FREE char *clone = clone_dir(c);
	double begun = clock_wall();

	if (c->project.kind == PROJECT_NONE)
		return 0;
	c->seed = project_pack(c->p, &c->project, clone, err);
	c->ws.expires_at += clock_wall() - begun;
	return c->seed ? 0 : -1;
}

static void describe(struct creation *c, const struct pyro_create_workspace_args *a)
{
	double now = clock_wall();

	c->ws.workspace_id = state_new_id("ws");
	c->ws.name = mem_strdup(a->name);
	c->ws.labels = strv_dup(a->labels);
	c->ws.environment = mem_strdup(a->environment);
	c->ws.state = mem_strdup("started");
	c->ws.vcpu_count = a->vcpu_count;
	c->ws.mem_mib = a->mem_mib;
	c->ws.created_at = c->ws.last_activity_at = now;
	c->ws.expires_at = now + (double)a->ttl_seconds;
	c->ws.last_reset_at = (double)PYRO_NONE;
	c->ws.network_policy = mem_strdup(a->network_policy);
	c->ws.allow_host_compat = a->allow_host_compat;
	c->ws.workspace_path = mem_strdup(WORKSPACE_PATH);
}

/* Directory, locks and record: a reaper cannot come in between. */
static int enter(struct creation *c, struct pyro_error *err)
{
	const char *id = c->ws.workspace_id;

	c->hold = reap_hold_off(c->p, err);
	if (c->hold < 0 || life_make_dir(c->p, id, err) < 0)
		return -1;
	c->change = life_lock(c->p, id, err);
	c->alive = c->change < 0 ? -1 : machine_lock(c->p, id, err);
	if (c->alive < 0 || keep_secrets(c, err) < 0 ||
	    workspaces_add(c->p->records, &c->ws, err) < 0) {
		AUTO_FREE char *dir = state_vm_dir(c->p->state, id);

		(void)dir_remove(dir, NULL);
		return -1;
	}
	fd_close(&c->hold);
	return 0;
}

static int start(struct creation *c, struct pyro_error *err)
{
	const struct pyro_workspace *ws = &c->ws;
	const struct pyro_vm vm = {
		.vm_id = ws->workspace_id,
		.environment = ws->environment,
		.vcpu_count = ws->vcpu_count,
		.mem_mib = ws->mem_mib,
		.expires_at = ws->expires_at,
		.network_enabled = strcmp(ws->network_policy, "off") != 0,
		.allow_host_compat = ws->allow_host_compat,
	};

	return machine_start(c->p, "workspace-create", &vm, c->alive, MACHINE_OWNED, &c->m, err);
}

static int fill(struct creation *c, struct pyro_error *err)
{
	struct pyro_workspace_seed *seed = &c->ws.workspace_seed;
	AUTO_FREE char *clone = clone_dir(c);
	struct transfer_tally tally;

	if (!c->seed)
		return 0;
	handle_phase(c->p, "workspace-create", "phase=seed path=%s", seed->origin_ref);
	if (transfer_put(c->seed, c->m.remote, "", &tally, err) < 0)
		return -1;
	seed->entry_count = tally.entries;
	seed->bytes_written = tally.bytes;
	transfer_skipped(c->seed, &seed->skipped_count, &seed->skipped);
	return c->project.kind == PROJECT_CLONE ? dir_remove(clone, err) : 0;
}

/* An empty workspace on a template's disk has a baseline already; resets go by this note. */
static int adopt_baseline(struct creation *c, struct pyro_error *err)
{
	AUTO_FREE char *manifest = state_vm_file(c->p->state, c->ws.workspace_id, "manifest");
	AUTO_FREE char *note = state_vm_file(c->p->state, c->ws.workspace_id, STATE_EMPTY_BASELINE);
	struct tree *empty = tree_new();
	int result = tree_save(empty, manifest, err);

	(void)tree_free(empty);
	return result < 0 ? -1 : file_write_atomic(note, "", 0, 0600, err);
}

/* What later diffs are made against: metadata here, content in the disk's snapshot. */
static int take_baseline(struct creation *c, struct pyro_error *err)
{
	AUTO_FREE char *path = state_vm_file(c->p->state, c->ws.workspace_id, "manifest");
	struct tree *tree;
	int result;

	if (!c->seed && c->m.has_baseline)
		return adopt_baseline(c, err);
	tree = workspace_scan(c->m.remote, "", true, err);
	result = tree ? tree_save(tree, path, err) : -1;
	(void)tree_free(tree);
	if (result < 0)
		return -1;
	return remote_call(c->m.remote, "workspace-create", "snapshot",
			   json_pack("{s:s}", "name", WORKSPACE_BASELINE),
			   deadline_in(WORKSPACE_CALL_MS), NULL, err);
}

static int complete(struct creation *c, struct pyro_error *err)
{
	if (workspaces_set_ready(c->p->records, &c->ws, c->m.execution_mode, c->m.accel,
				 clock_wall(), err) < 0)
		return -1;
	return remote_call(c->m.remote, "workspace-create", "release", json_object(),
			   deadline_in(WORKSPACE_CALL_MS), NULL, err);
}

static void creation_done(struct creation *c)
{
	(void)transfer_free(c->seed);
	project_source_done(&c->project);
	machine_done(&c->m);
	fd_close(&c->hold);
	fd_close(&c->alive);
	fd_close(&c->change);
	secrets_done(&c->secrets);
	pyro_workspace_done(&c->ws);
}

static int create(struct creation *c, const struct pyro_create_workspace_args *a,
		  struct pyro_error *err)
{
	if (choose_seed(c, a->seed_path, err) < 0)
		return -1;
	handle_phase(c->p, "workspace-create", "phase=create environment=%s", a->environment);
	describe(c, a);
	if (enter(c, err) < 0 || begin_project(c, err) < 0 || start(c, err) < 0)
		return -1;
	if (fill(c, err) < 0 || take_baseline(c, err) < 0 || complete(c, err) < 0) {
		machine_give_up(c->p, &c->m, true);
		return -1;
	}
	return 0;
}

static int create_workspace(struct pyro *p, const struct pyro_create_workspace_args *given,
			    struct pyro_workspace *ret, struct pyro_error *err)
{
	struct creation c = {.p = p, .hold = -1, .change = -1, .alive = -1};
	struct pyro_create_workspace_args a;
	int result;

	if (ops_apply_defaults(OP_create_workspace, given, &a, err) < 0 ||
	    check_arguments(&a, err) < 0 || handle_open(p, err) < 0)
		return -1;
	result = take_secrets(&c, &a, err);
	if (result == 0)
		result = create(&c, &a, err);
	if (result < 0 && c.ws.workspace_id) /* which may be a workspace already */
		(void)records_doom_vm(p->records, c.ws.workspace_id, NULL);
	if (result == 0)
		result = workspace_reload(p, c.ws.workspace_id, ret, err);
	creation_done(&c);
	if (result < 0)
		(void)reap_dead(p, NULL, NULL); /* what the supervisor could not remove itself */
	return result;
}

int pyro_create_workspace(struct pyro *p, const struct pyro_create_workspace_args *given,
			  struct pyro_workspace *ret, struct pyro_error *err)
{
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, create_workspace(p, given, ret, err));
}
