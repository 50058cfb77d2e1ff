/*
 * Snapshots: names in the records, content in the disk. The content comes first and goes last, so
 * whatever is interrupted, a name always stands for something. What is content without a name then
 * is named by a file, which is there as long as the two may differ.
 */
#include "api/handle.h"
#include "api/life.h"
#include "api/remote.h"
#include "api/workspace.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "ops/ops.h"
#include "vm/disk.h"
#include "workspace/snapshots.h"
#include "workspace/state.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Started: by its supervisor; else on the disk that lies there. Under the life's lock. */
static int change_disk(struct pyro *p, const struct pyro_workspace *ws, const char *call,
		       const char *name, struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, ws->workspace_id);
	AUTO_FREE char *tag = disk_tag(name);
	struct remote *remote;
	int result;

	if (strcmp(ws->state, "started") != 0)
		return strcmp(call, "snapshot") == 0
			       ? disk_snapshot(ws->workspace_id, dir, tag, err)
			       : disk_delete_snapshot(ws->workspace_id, dir, tag, err);
	remote = remote_connect(p, ws->workspace_id, err);
	if (!remote)
		return -1;
	result = remote_call(remote, call, call, json_pack("{s:s}", "name", name),
			     deadline_in(WORKSPACE_CALL_MS), NULL, err);
	(void)remote_free(remote);
	return result;
}

static int mark(const char *path, const char *name, struct pyro_error *err)
{
	return file_write_atomic(path, name, strlen(name), 0600, err);
}

/* Takes away what a call that was killed has left in the disk. */
static int settle(struct pyro *p, const struct pyro_workspace *ws, const char *mark_path,
		  struct pyro_error *err)
{
	AUTO_BUF struct buf name = BUF_INIT(NAME_MAX);
	struct pyro_error why;

	if (!file_exists(mark_path))
		return 0;
	if (file_read(mark_path, &name, err) < 0)
		return -1;
	if (snapshots_check(p->records, ws->workspace_id, buf_text(&name), &why) == 0 ||
	    (why.code == PYRO_E_NOT_FOUND &&
	     change_disk(p, ws, "delete_snapshot", buf_text(&name), &why) == 0)) {
		(void)unlink(mark_path);
		return 0;
	}
	if (err)
		*err = why;
	return -1;
}

static int create(struct pyro *p, const struct pyro_workspace *ws, const char *name,
		  struct pyro_snapshot_created *ret, struct pyro_error *err)
{
	AUTO_FREE char *path = state_vm_file(p->state, ws->workspace_id, STATE_SNAPSHOTTING);
	double now = clock_wall();

	if (strcmp(ws->state, "failed") == 0) {
		(void)err_set(err, PYRO_E_BAD_STATE, "workspace '%s' is failed: %s",
			      ws->workspace_id, ws->reason ? ws->reason : "its machine is gone");
		return err_hint(err, "pyro workspace start %s", ws->workspace_id);
	}
	if (snapshots_check_new(p->records, ws->workspace_id, name, err) < 0 ||
	    settle(p, ws, path, err) < 0 || mark(path, name, err) < 0 ||
	    change_disk(p, ws, "snapshot", name, err) < 0 ||
	    snapshots_add(p->records, ws->workspace_id, name, now, err) < 0)
		return -1;
	(void)unlink(path);
	if (workspace_note(p, ws->workspace_id, "snapshot_create", name, NULL, err) < 0)
		return -1;
	*ret = (struct pyro_snapshot_created){
		.workspace_id = mem_strdup(ws->workspace_id),
		.has_snapshot = true,
		.snapshot = {mem_strdup(name), mem_strdup("named"), now},
	};
	return 0;
}

/* The workspace with the lock of its life; the record may have changed while we waited. */
static int lock(struct pyro *p, const char *id_or_name, struct pyro_workspace *ret, int *ret_lock,
		struct pyro_error *err)
{
	AUTO_FREE char *id = NULL;

	if (workspace_find(p, id_or_name, ret, err) < 0)
		return -1;
	id = TAKE_PTR(ret->workspace_id);
	pyro_workspace_done(ret);
	*ret_lock = life_lock(p, id, err);
	return *ret_lock < 0 ? -1 : workspace_reload(p, id, ret, err);
}

static int create_locked(struct pyro *p, const struct pyro_create_snapshot_args *a,
			 struct pyro_snapshot_created *ret, struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	AUTO_FD int held = -1;
	int result = lock(p, a->workspace_id, &ws, &held, err);

	if (result == 0)
		result = create(p, &ws, a->snapshot_name, ret, err);
	pyro_workspace_done(&ws);
	return result;
}

int pyro_create_snapshot(struct pyro *p, const struct pyro_create_snapshot_args *given,
			 struct pyro_snapshot_created *ret, struct pyro_error *err)
{
	struct pyro_create_snapshot_args a;

	if (ops_apply_defaults(OP_create_snapshot, given, &a, err) < 0 ||
	    snapshots_check_name(a.snapshot_name, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, create_locked(p, &a, ret, err));
}

int pyro_list_snapshots(struct pyro *p, const struct pyro_list_snapshots_args *given,
			struct pyro_snapshot_list *ret, struct pyro_error *err)
{
	struct pyro_list_snapshots_args a;
	struct pyro_snapshot_list list = {0};
	struct pyro_workspace ws = {0};
	int result;

	if (ops_apply_defaults(OP_list_snapshots, given, &a, err) < 0 ||
	    workspace_find(p, a.workspace_id, &ws, err) < 0)
		return -1;
	result = snapshots_list(p->records, ws.workspace_id, &list.snapshots, &list.snapshots_count,
				err);
	if (result == 0) {
		list.workspace_id = TAKE_PTR(ws.workspace_id);
		list.count = (int64_t)list.snapshots_count;
		*ret = list;
	}
	pyro_workspace_done(&ws);
	return result;
}

static int remove_it(struct pyro *p, const struct pyro_workspace *ws, const char *name,
		     struct pyro_error *err)
{
	AUTO_FREE char *path = state_vm_file(p->state, ws->workspace_id, STATE_SNAPSHOTTING);

	if (snapshots_check(p->records, ws->workspace_id, name, err) < 0 ||
	    settle(p, ws, path, err) < 0)
		return -1;
	(void)mark(path, name, NULL); /* on a full disk, what frees it goes on */
	if (snapshots_delete(p->records, ws->workspace_id, name, err) < 0 ||
	    change_disk(p, ws, "delete_snapshot", name, err) < 0)
		return -1;
	(void)unlink(path);
	return workspace_note(p, ws->workspace_id, "snapshot_delete", name, NULL, err);
}

static int delete (struct pyro *p, const struct pyro_delete_snapshot_args *a,
		   struct pyro_snapshot_deleted *ret, struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	AUTO_FD int held = -1;
	int result = lock(p, a->workspace_id, &ws, &held, err);

	if (result == 0)
		result = remove_it(p, &ws, a->snapshot_name, err);
	if (result == 0)
		*ret = (struct pyro_snapshot_deleted){
			.workspace_id = TAKE_PTR(ws.workspace_id),
			.snapshot_name = mem_strdup(a->snapshot_name),
			.deleted = true,
		};
	pyro_workspace_done(&ws);
	return result;
}

int pyro_delete_snapshot(struct pyro *p, const struct pyro_delete_snapshot_args *given,
			 struct pyro_snapshot_deleted *ret, struct pyro_error *err)
{
	struct pyro_delete_snapshot_args a;

	if (ops_apply_defaults(OP_delete_snapshot, given, &a, err) < 0)
		return -1;
	if (strcmp(a.snapshot_name, WORKSPACE_BASELINE) == 0) {
		(void)err_set(err, PYRO_E_REFUSED, "the baseline of a workspace cannot be deleted");
		return err_hint(err, "it goes with the workspace: pyro workspace delete %s",
				a.workspace_id);
	}
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, delete (p, &a, ret, err));
}
