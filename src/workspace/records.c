#include "workspace/records.h"

#include "base/err.h"
#include "workspace/db.h"

#include <stdlib.h>

#define VM_COLUMNS                                                                         \
	"vm_id, environment, state, reason, vcpu_count, mem_mib, created_at, expires_at, " \
	"network_enabled, allow_host_compat, execution_mode, accel"

int records_add_vm(struct records *r, const struct pyro_vm *vm, bool is_ephemeral,
		   struct pyro_error *err)
{
	return db_run(r, err, "INSERT INTO vm VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
		      "ttttiiddiitti", vm->vm_id, vm->environment, vm->state, vm->reason,
		      vm->vcpu_count, vm->mem_mib, vm->created_at, vm->expires_at,
		      (int64_t)vm->network_enabled, (int64_t)vm->allow_host_compat,
		      vm->execution_mode, vm->accel, (int64_t)is_ephemeral);
}

static struct pyro_vm row_to_vm(sqlite3_stmt *stmt)
{
	return (struct pyro_vm){
		.vm_id = db_text(stmt, 0),
		.environment = db_text(stmt, 1),
		.state = db_text(stmt, 2),
		.reason = db_text(stmt, 3),
		.vcpu_count = db_int(stmt, 4),
		.mem_mib = db_int(stmt, 5),
		.created_at = db_real(stmt, 6),
		.expires_at = db_real(stmt, 7),
		.network_enabled = db_int(stmt, 8) != 0,
		.allow_host_compat = db_int(stmt, 9) != 0,
		.execution_mode = db_text(stmt, 10),
		.accel = db_text(stmt, 11),
	};
}

int records_get_vm(struct records *r, const char *vm_id, struct pyro_vm *ret,
		   struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		db_query(r, err, "SELECT " VM_COLUMNS " FROM vm WHERE vm_id = ?1", "t", vm_id);
	int row = stmt ? db_step(r, stmt, err) : -1;

	if (row == 1)
		*ret = row_to_vm(stmt);
	db_end(stmt);
	if (row != 0)
		return row == 1 ? 0 : -1;
	(void)err_set(err, PYRO_E_NOT_FOUND, "there is no VM '%s'", vm_id);
	return err_hint(err, "pyro vm list");
}

int records_set_vm_state(struct records *r, const char *vm_id, const char *state,
			 const char *reason, const char *execution_mode, const char *accel,
			 struct pyro_error *err)
{
	return db_run(r, err,
		      "UPDATE vm SET state = ?2, reason = ?3, execution_mode = "
		      "coalesce(?4, execution_mode), accel = coalesce(?5, accel) WHERE vm_id = ?1",
		      "ttttt", vm_id, state, reason, execution_mode, accel);
}

int records_fail_vm(struct records *r, const char *vm_id, const char *reason,
		    struct pyro_error *err)
{
	return db_run(r, err,
		      "UPDATE vm SET state = 'failed', reason = ?2 "
		      "WHERE vm_id = ?1 AND state = 'started'",
		      "tt", vm_id, reason);
}

int records_doom_vm(struct records *r, const char *vm_id, struct pyro_error *err)
{
	return db_run(r, err, "UPDATE vm SET is_ephemeral = 1 WHERE vm_id = ?1", "t", vm_id);
}

int records_delete_vm(struct records *r, const char *vm_id, struct pyro_error *err)
{
	return db_run(r, err, "DELETE FROM vm WHERE vm_id = ?1", "t", vm_id);
}

int records_list_vms(struct records *r, struct pyro_vm **ret, size_t *ret_count,
		     struct pyro_error *err)
{
	sqlite3_stmt *stmt = db_query(r, err,
				      "SELECT " VM_COLUMNS " FROM vm WHERE vm_id NOT IN "
				      "(SELECT workspace_id FROM workspace) "
				      "ORDER BY created_at DESC, vm_id",
				      "");
	int row = -1;

	*ret = NULL;
	*ret_count = 0;
	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		*ret = mem_resize(*ret, *ret_count + 1, sizeof(**ret));
		(*ret)[(*ret_count)++] = row_to_vm(stmt);
	}
	db_end(stmt);
	return row;
}

/* The first column of every row, NULL-terminated. stmt is ended. */
static int take_texts(struct records *r, sqlite3_stmt *stmt, char ***ret, struct pyro_error *err)
{
	size_t n = 0;
	int row = -1;

	*ret = mem_zalloc(1, sizeof(**ret));
	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		*ret = mem_resize(*ret, n + 2, sizeof(**ret));
		(*ret)[n++] = db_text(stmt, 0);
		(*ret)[n] = NULL;
	}
	db_end(stmt);
	return row;
}

int records_list_ids(struct records *r, char ***ret, struct pyro_error *err)
{
	return take_texts(r, db_query(r, err, "SELECT vm_id FROM vm", ""), ret, err);
}

int records_list_doomed(struct records *r, double now, char ***ret, struct pyro_error *err)
{
	return take_texts(r,
			  db_query(r, err,
				   "SELECT vm_id FROM vm WHERE expires_at <= ?1 OR is_ephemeral",
				   "d", now),
			  ret, err);
}
