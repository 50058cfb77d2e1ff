/*
 * The life of workspaces once they are there: start, stop, reset, delete, and what can be asked of
 * them. How they come to be is in workspace_create.c.
 */
#include "api/workspace.h"

#include "api/handle.h"
#include "api/life.h"
#include "api/machine.h"
#include "api/remote.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/redact.h"
#include "ops/ops.h"
#include "vm/disk.h"
#include "workspace/history.h"
#include "workspace/output.h"
#include "workspace/services.h"
#include "workspace/snapshots.h"
#include "workspace/state.h"
#include "workspace/tree.h"
#include "workspace/workspaces.h"

#include <stdlib.h>
#include <string.h>

static bool is_state(const struct pyro_workspace *ws, const char *state)
{
	return strcmp(ws->state, state) == 0;
}

/* What somebody does who wants to go on with it. */
static char *next_step(const struct pyro_workspace *ws)
{
	if (is_state(ws, "started"))
		return NULL;
	return mem_printf(is_state(ws, "stopped")
				  ? "pyro workspace start %s"
				  : "pyro workspace start %s goes on with its disk as it is, pyro "
				    "workspace reset %s with the files of its baseline",
			  ws->workspace_id, ws->workspace_id);
}

int workspace_reload(struct pyro *p, const char *id, struct pyro_workspace *ret,
		     struct pyro_error *err)
{
	struct pyro_vm vm = {0};

	if (workspaces_get(p->records, id, ret, err) < 0)
		return -1;
	if (life_get(p, ret->workspace_id, &vm, err) < 0) {
		pyro_workspace_done(ret);
		return -1;
	}
	free(ret->state);
	free(ret->reason);
	free(ret->next_step);
	ret->state = TAKE_PTR(vm.state);
	ret->reason = TAKE_PTR(vm.reason);
	ret->next_step = next_step(ret);
	if (!is_state(ret, "started"))
		ret->running_shell_count = 0;
	pyro_vm_done(&vm);
	return 0;
}

int workspace_find(struct pyro *p, const char *id_or_name, struct pyro_workspace *ret,
		   struct pyro_error *err)
{
	return handle_open(p, err) < 0 ? -1 : workspace_reload(p, id_or_name, ret, err);
}

static int not_started(const struct pyro_workspace *ws, struct pyro_error *err)
{
	(void)err_set(err, PYRO_E_BAD_STATE, "workspace '%s' is %s%s%s", ws->workspace_id,
		      ws->state, ws->reason ? ": " : "", ws->reason ? ws->reason : "");
	return err_hint(err, "pyro workspace start %s", ws->workspace_id);
}

int workspace_connect(struct pyro *p, const char *id_or_name, struct pyro_workspace *ret,
		      struct remote **ret_remote, struct pyro_error *err)
{
	struct remote *remote;

	if (workspace_find(p, id_or_name, ret, err) < 0)
		return -1;
	remote = is_state(ret, "started") ? remote_connect(p, ret->workspace_id, err) : NULL;
	if (!remote) {
		if (!is_state(ret, "started"))
			(void)not_started(ret, err);
		pyro_workspace_done(ret);
		return -1;
	}
	*ret_remote = remote;
	return 0;
}

/* The workspace with the lock of its life, or -1. */
static int find_locked(struct pyro *p, const char *id_or_name, struct pyro_workspace *ret,
		       int *ret_lock, struct pyro_error *err)
{
	AUTO_FREE char *id = NULL;

	if (workspace_find(p, id_or_name, ret, err) < 0)
		return -1;
	id = mem_strdup(ret->workspace_id);
	pyro_workspace_done(ret);
	*ret_lock = life_lock(p, id, err);
	if (*ret_lock < 0)
		return -1;
	if (workspace_reload(p, id, ret, err) == 0)
		return 0;
	fd_close(ret_lock);
	return -1;
}

int workspace_find_stopped(struct pyro *p, const char *id_or_name, struct pyro_workspace *ret,
			   int *ret_lock, struct pyro_error *err)
{
	if (find_locked(p, id_or_name, ret, ret_lock, err) < 0)
		return -1;
	if (is_state(ret, "stopped"))
		return 0;
	(void)err_set(err, PYRO_E_BAD_STATE,
		      "workspace '%s' is %s, and its disk is read when it is "
		      "stopped",
		      ret->workspace_id, ret->state);
	(void)err_hint(err,
		       is_state(ret, "started") ? "pyro workspace stop %s"
						: "pyro workspace start %s, then stop it",
		       ret->workspace_id);
	pyro_workspace_done(ret);
	fd_close(ret_lock);
	return -1;
}

int workspace_note(struct pyro *p, const char *id, const char *kind, const char *path,
		   const char *detail, struct pyro_error *err)
{
	AUTO_FREE char *shown_path = NULL;
	AUTO_FREE char *shown_detail = NULL;
	struct redact_patterns *patterns;
	double now = clock_wall();

	if (workspace_patterns(p, id, &patterns, err) < 0)
		return -1;
	shown_path = redact_text(patterns, path);
	shown_detail = redact_text(patterns, detail);
	(void)redact_patterns_free(patterns);
	if (history_event(p->records, id, kind, now, shown_path, shown_detail, err) < 0)
		return -1;
	return workspaces_touch(p->records, id, now, err);
}

int workspace_number(const json_t *result, const char *key, int64_t *ret, struct pyro_error *err)
{
	const json_t *value = json_object_get(result, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return err_set(err, PYRO_E_PROTOCOL, "an answer has no good '%s'", key);
	*ret = json_integer_value(value);
	return 0;
}

static int take_tree(void *ctx, int stream, const void *data, size_t len, struct pyro_error *err)
{
	return stream == 1 ? tree_add(ctx, data, len, err) : 0;
}

struct tree *workspace_scan(struct remote *r, const char *relative, bool is_recursive,
			    struct pyro_error *err)
{
	struct tree *tree = tree_new();
	const struct remote_io io = {.in_fd = -1, .on_output = take_tree, .ctx = tree};
	json_t *args = json_pack("{s:s, s:b}", "path", relative, "recursive", is_recursive);

	if (remote_stream(r, "scan", args, &io, deadline_in(WORKSPACE_TRANSFER_MS), NULL, err) ==
		    0 &&
	    tree_finish(tree, err) == 0)
		return tree;
	return tree_free(tree);
}

int pyro_list_workspaces(struct pyro *p, const struct pyro_list_workspaces_args *given,
			 struct pyro_workspace_list *ret, struct pyro_error *err)
{
	struct pyro_workspace_list list = {0};

	(void)given;
	if (handle_open(p, err) < 0 ||
	    workspaces_list(p->records, &list.workspaces, &list.workspaces_count, err) < 0)
		return -1;
	list.count = (int64_t)list.workspaces_count;
	for (size_t i = 0; i < list.workspaces_count; i++) {
		struct pyro_workspace now = {0};

		if (workspace_reload(p, list.workspaces[i].workspace_id, &now, NULL) < 0)
			continue; /* went away just now; what we read was true */
		pyro_workspace_done(&list.workspaces[i]);
		list.workspaces[i] = now;
	}
	*ret = list;
	return 0;
}

int pyro_update_workspace(struct pyro *p, const struct pyro_update_workspace_args *given,
			  struct pyro_workspace *ret, struct pyro_error *err)
{
	struct pyro_update_workspace_args a;
	struct pyro_workspace ws = {0};
	double now = clock_wall();
	int result;

	if (ops_apply_defaults(OP_update_workspace, given, &a, err) < 0)
		return -1;
	if (!a.name && !a.clear_name && !(a.labels && a.labels[0]) &&
	    !(a.clear_labels && a.clear_labels[0]) && !a.ttl_seconds) {
		(void)err_set(err, PYRO_E_INVALID, "nothing is to be updated");
		return err_hint(err, "give a name, labels or a time to live");
	}
	if (a.name && a.clear_name)
		return err_set(err, PYRO_E_INVALID, "name and clear_name exclude each other");
	if ((a.name && workspaces_check_name(a.name, err) < 0) ||
	    workspaces_check_labels(a.labels, err) < 0 ||
	    workspace_find(p, a.workspace_id, &ws, err) < 0)
		return -1;
	result = workspaces_update(p->records, ws.workspace_id, a.name, a.clear_name, a.labels,
				   a.clear_labels, now + (double)a.ttl_seconds, now, err);
	if (result == 0)
		result = workspace_reload(p, ws.workspace_id, ret, err);
	pyro_workspace_done(&ws);
	return result;
}

int pyro_status_workspace(struct pyro *p, const struct pyro_status_workspace_args *given,
			  struct pyro_workspace *ret, struct pyro_error *err)
{
	struct pyro_status_workspace_args a;

	if (ops_apply_defaults(OP_status_workspace, given, &a, err) < 0)
		return -1;
	return workspace_find(p, a.workspace_id, ret, err);
}

typedef int change_fn(struct pyro *p, const struct pyro_workspace *ws, const char *snapshot,
		      struct pyro_error *err);

/* A change of its life: under its lock, then the record as it is. ret may be NULL. */
static int change_life(struct pyro *p, const char *id_or_name, change_fn *change,
		       const char *snapshot, struct pyro_workspace *ret, struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	AUTO_FD int lock = -1;
	int result = find_locked(p, id_or_name, &ws, &lock, err);

	if (result == 0)
		result = change(p, &ws, snapshot, err);
	if (result == 0 && ret)
		result = workspace_reload(p, ws.workspace_id, ret, err);
	pyro_workspace_done(&ws);
	return result;
}

static int start_it(struct pyro *p, const struct pyro_workspace *ws, const char *snapshot,
		    struct pyro_error *err)
{
	(void)snapshot;
	if (is_state(ws, "started"))
		return 0;
	if (life_start(p, "workspace-start", ws->workspace_id, err) < 0)
		return -1;
	return workspaces_touch(p->records, ws->workspace_id, clock_wall(), err);
}

int pyro_start_workspace(struct pyro *p, const struct pyro_start_workspace_args *given,
			 struct pyro_workspace *ret, struct pyro_error *err)
{
	struct pyro_start_workspace_args a;

	if (ops_apply_defaults(OP_start_workspace, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0
		       ? -1
		       : handle_end(p, change_life(p, a.workspace_id, start_it, NULL, ret, err));
}

static int stop_it(struct pyro *p, const struct pyro_workspace *ws, const char *snapshot,
		   struct pyro_error *err)
{
	(void)snapshot;
	if (is_state(ws, "stopped"))
		return 0;
	if (is_state(ws, "failed"))
		return not_started(ws, err);
	if (life_end(p, ws->workspace_id, "stop", err) < 0)
		return -1;
	return workspaces_touch(p->records, ws->workspace_id, clock_wall(), err);
}

int pyro_stop_workspace(struct pyro *p, const struct pyro_stop_workspace_args *given,
			struct pyro_workspace *ret, struct pyro_error *err)
{
	struct pyro_stop_workspace_args a;

	if (ops_apply_defaults(OP_stop_workspace, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0
		       ? -1
		       : handle_end(p, change_life(p, a.workspace_id, stop_it, NULL, ret, err));
}

static int delete_it(struct pyro *p, const struct pyro_workspace *ws, const char *snapshot,
		     struct pyro_error *err)
{
	(void)snapshot;
	return life_delete(p, ws->workspace_id, err);
}

static int delete_workspace(struct pyro *p, const char *id_or_name,
			    struct pyro_workspace_deleted *ret, struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	int result;

	if (workspace_find(p, id_or_name, &ws, err) < 0)
		return -1;
	result = change_life(p, ws.workspace_id, delete_it, NULL, NULL, err);
	if (result == 0)
		*ret = (struct pyro_workspace_deleted){
			.workspace_id = TAKE_PTR(ws.workspace_id),
			.deleted = true,
		};
	pyro_workspace_done(&ws);
	return result;
}

int pyro_delete_workspace(struct pyro *p, const struct pyro_delete_workspace_args *given,
			  struct pyro_workspace_deleted *ret, struct pyro_error *err)
{
	struct pyro_delete_workspace_args a;

	if (ops_apply_defaults(OP_delete_workspace, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0
		       ? -1
		       : handle_end(p, delete_workspace(p, a.workspace_id, ret, err));
}

/* Nothing runs: the disk is brought back here, and then started. */
static int reset_stopped(struct pyro *p, const struct pyro_workspace *ws, const char *snapshot,
			 struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, ws->workspace_id);
	AUTO_FREE char *tag = disk_tag(snapshot);

	if (disk_revert(ws->workspace_id, dir, tag, err) < 0 ||
	    workspaces_reset(p->records, ws->workspace_id, clock_wall(), err) < 0)
		return -1;
	output_remove_all(dir);
	services_remove_all_logs(dir);
	return life_start(p, "workspace-reset", ws->workspace_id, err);
}

static int reset_started(struct pyro *p, const struct pyro_workspace *ws, const char *snapshot,
			 struct pyro_error *err)
{
	struct remote *remote = remote_connect(p, ws->workspace_id, err);
	int result;

	if (!remote)
		return -1;
	result = remote_call(remote, "workspace-reset", "reset",
			     json_pack("{s:s}", "name", snapshot), deadline_in(MACHINE_START_MS),
			     NULL, err);
	(void)remote_free(remote);
	return result;
}

static int reset_it(struct pyro *p, const struct pyro_workspace *ws, const char *snapshot,
		    struct pyro_error *err)
{
	if (strcmp(snapshot, WORKSPACE_BASELINE) != 0 &&
	    snapshots_check(p->records, ws->workspace_id, snapshot, err) < 0)
		return -1;
	handle_phase(p, "workspace-reset", "phase=reset workspace_id=%s snapshot=%s",
		     ws->workspace_id, snapshot);
	return is_state(ws, "started") ? reset_started(p, ws, snapshot, err)
				       : reset_stopped(p, ws, snapshot, err);
}

static int reset_workspace(struct pyro *p, const struct pyro_reset_workspace_args *a,
			   struct pyro_workspace *ret, struct pyro_error *err)
{
	if (change_life(p, a->workspace_id, reset_it, a->snapshot, ret, err) < 0)
		return -1;
	ret->has_workspace_reset = true;
	ret->workspace_reset = (struct pyro_workspace_reset){
		.snapshot_name = mem_strdup(a->snapshot),
		.kind = mem_strdup(strcmp(a->snapshot, WORKSPACE_BASELINE) == 0 ? "baseline"
										: "named"),
		.reset_at = ret->last_reset_at,
	};
	return 0;
}

int pyro_reset_workspace(struct pyro *p, const struct pyro_reset_workspace_args *given,
			 struct pyro_workspace *ret, struct pyro_error *err)
{
	struct pyro_reset_workspace_args a;

	if (ops_apply_defaults(OP_reset_workspace, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, reset_workspace(p, &a, ret, err));
}
