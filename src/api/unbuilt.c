/* Stands in until the operations are there. */
#include "base/err.h"
#include "pyro.h"

int pyro_create_workspace(struct pyro *p, const struct pyro_create_workspace_args *given,
			  struct pyro_workspace *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_list_workspaces(struct pyro *p, const struct pyro_list_workspaces_args *given,
			 struct pyro_workspace_list *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_update_workspace(struct pyro *p, const struct pyro_update_workspace_args *given,
			  struct pyro_workspace *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_status_workspace(struct pyro *p, const struct pyro_status_workspace_args *given,
			  struct pyro_workspace *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_summarize_workspace(struct pyro *p, const struct pyro_summarize_workspace_args *given,
			     struct pyro_workspace_summary *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_logs_workspace(struct pyro *p, const struct pyro_logs_workspace_args *given,
			struct pyro_workspace_logs *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_start_workspace(struct pyro *p, const struct pyro_start_workspace_args *given,
			 struct pyro_workspace *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_stop_workspace(struct pyro *p, const struct pyro_stop_workspace_args *given,
			struct pyro_workspace *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_delete_workspace(struct pyro *p, const struct pyro_delete_workspace_args *given,
			  struct pyro_workspace_deleted *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_reset_workspace(struct pyro *p, const struct pyro_reset_workspace_args *given,
			 struct pyro_workspace *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_exec_workspace(struct pyro *p, const struct pyro_exec_workspace_args *given,
			struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_cancel_workspace_exec(struct pyro *p, const struct pyro_cancel_workspace_exec_args *given,
			       struct pyro_workspace_cancelled *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_diff_workspace(struct pyro *p, const struct pyro_diff_workspace_args *given,
			struct pyro_workspace_diff *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_export_workspace(struct pyro *p, const struct pyro_export_workspace_args *given,
			  struct pyro_workspace_export *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_push_workspace_sync(struct pyro *p, const struct pyro_push_workspace_sync_args *given,
			     struct pyro_workspace_synced *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_list_workspace_files(struct pyro *p, const struct pyro_list_workspace_files_args *given,
			      struct pyro_file_list *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_read_workspace_file(struct pyro *p, const struct pyro_read_workspace_file_args *given,
			     struct pyro_file_read *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_write_workspace_file(struct pyro *p, const struct pyro_write_workspace_file_args *given,
			      struct pyro_file_written *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_apply_workspace_patch(struct pyro *p, const struct pyro_apply_workspace_patch_args *given,
			       struct pyro_patch_applied *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_create_snapshot(struct pyro *p, const struct pyro_create_snapshot_args *given,
			 struct pyro_snapshot_created *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_list_snapshots(struct pyro *p, const struct pyro_list_snapshots_args *given,
			struct pyro_snapshot_list *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_delete_snapshot(struct pyro *p, const struct pyro_delete_snapshot_args *given,
			 struct pyro_snapshot_deleted *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_export_workspace_disk(struct pyro *p, const struct pyro_export_workspace_disk_args *given,
			       struct pyro_disk_export *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_list_workspace_disk(struct pyro *p, const struct pyro_list_workspace_disk_args *given,
			     struct pyro_file_list *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}

int pyro_read_workspace_disk(struct pyro *p, const struct pyro_read_workspace_disk_args *given,
			     struct pyro_file_read *ret, struct pyro_error *err)
{
	(void)p;
	(void)given;
	(void)ret;
	return err_set(err, PYRO_E_REFUSED, "not in this version");
}
