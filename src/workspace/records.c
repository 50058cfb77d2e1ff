#include "workspace/records.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_TIMEOUT_MS 10000

/* Entry i takes a database from version i to i + 1. Released entries are never edited. */
static const char *const migrations[] = {
	"CREATE TABLE vm ("
	" vm_id TEXT PRIMARY KEY,"
	" environment TEXT NOT NULL,"
	" state TEXT NOT NULL,"
	" reason TEXT,"
	" vcpu_count INTEGER NOT NULL,"
	" mem_mib INTEGER NOT NULL,"
	" created_at REAL NOT NULL,"
	" expires_at REAL NOT NULL,"
	" network_enabled INTEGER NOT NULL,"
	" allow_host_compat INTEGER NOT NULL,"
	" execution_mode TEXT,"
	" accel TEXT,"
	" is_ephemeral INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE INDEX vm_expires_at ON vm (expires_at);",
};

struct records {
	sqlite3 *db;
};

static int db_error(struct records *r, const char *what, struct pyro_error *err)
{
	int code = sqlite3_errcode(r->db) & 0xff;

	if (code == SQLITE_FULL)
		return err_set(err, PYRO_E_NO_SPACE, "%s: the disk is full", what);
	if (code == SQLITE_BUSY)
		return err_set(err, PYRO_E_BUSY, "%s: the records are in use for too long", what);
	return err_set(err, PYRO_E_SYSTEM, "%s: %s", what, sqlite3_errmsg(r->db));
}

static int run_sql(struct records *r, const char *sql, const char *what, struct pyro_error *err)
{
	if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(r, what, err);
	return 0;
}

static int read_version(struct records *r, int *ret, struct pyro_error *err)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(r->db, "PRAGMA user_version", -1, &stmt, NULL) != SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_ROW) {
		(void)sqlite3_finalize(stmt);
		return db_error(r, "read the version of the records", err);
	}
	*ret = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return 0;
}

/* Inside a transaction, so that two processes that meet an old database do not both change it. */
static int migrate_locked(struct records *r, struct pyro_error *err)
{
	int version = 0;

	if (read_version(r, &version, err) < 0)
		return -1;
	for (; version < (int)ARRAY_SIZE(migrations); version++) {
		AUTO_FREE char *sql = mem_printf("%s PRAGMA user_version = %d;",
						 migrations[version], version + 1);

		if (run_sql(r, sql, "bring the records up to date", err) < 0)
			return -1;
	}
	return 0;
}

/*
 * Only one process at a time: of two that change to the log's mode at once, SQLite tells one that
 * the other is in its way without waiting.
 */
static int migrate(struct records *r, const char *path, struct pyro_error *err)
{
	AUTO_FREE char *lock_path = mem_printf("%s-setup", path);
	AUTO_FD int lock = -1;
	int version = 0;

	if (read_version(r, &version, err) < 0)
		return -1;
	if (version > (int)ARRAY_SIZE(migrations))
		return err_set(err, PYRO_E_STATE_VERSION,
			       "the records have version %d, this pyro knows %d", version,
			       (int)ARRAY_SIZE(migrations));
	if (version == (int)ARRAY_SIZE(migrations))
		return 0;
	lock = file_lock(lock_path, deadline_in(BUSY_TIMEOUT_MS), err);
	if (lock < 0 || run_sql(r, "PRAGMA journal_mode = WAL", "set up the records", err) < 0 ||
	    run_sql(r, "BEGIN IMMEDIATE", "set up the records", err) < 0)
		return -1;
	if (migrate_locked(r, err) < 0) {
		(void)sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return run_sql(r, "COMMIT", "set up the records", err);
}

struct records *records_open(const char *state_dir, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/pyro.db", state_dir);
	struct records *r = mem_zalloc(1, sizeof(*r));

	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK) {
		(void)db_error(r, "open the records", err);
		return records_close(r);
	}
	(void)sqlite3_busy_timeout(r->db, BUSY_TIMEOUT_MS);
	/* Every call opens and closes the records: the log is merged when it is long, not each
	 * time. */
	(void)sqlite3_db_config(r->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	/* Commits survive the death of any process; an OS crash may undo the very last ones. */
	if (run_sql(r, "PRAGMA synchronous = NORMAL", "set up the records", err) < 0 ||
	    migrate(r, path, err) < 0)
		return records_close(r);
	return r;
}

struct records *records_close(struct records *r)
{
	if (r) {
		(void)sqlite3_close(r->db);
		free(r);
	}
	return NULL;
}

static sqlite3_stmt *prepare(struct records *r, const char *sql, struct pyro_error *err)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		(void)db_error(r, "read the records", err);
	return stmt;
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	(void)sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

/* Runs a statement that changes something and finalises it. */
static int finish(struct records *r, sqlite3_stmt *stmt, struct pyro_error *err)
{
	int code = sqlite3_step(stmt);
	int result = code == SQLITE_DONE ? 0 : db_error(r, "write the records", err);

	(void)sqlite3_finalize(stmt);
	return result;
}

int records_add_vm(struct records *r, const struct pyro_vm *vm, bool is_ephemeral,
		   struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		prepare(r, "INSERT INTO vm VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
			err);

	if (!stmt)
		return -1;
	bind_text(stmt, 1, vm->vm_id);
	bind_text(stmt, 2, vm->environment);
	bind_text(stmt, 3, vm->state);
	bind_text(stmt, 4, vm->reason);
	(void)sqlite3_bind_int64(stmt, 5, vm->vcpu_count);
	(void)sqlite3_bind_int64(stmt, 6, vm->mem_mib);
	(void)sqlite3_bind_double(stmt, 7, vm->created_at);
	(void)sqlite3_bind_double(stmt, 8, vm->expires_at);
	(void)sqlite3_bind_int(stmt, 9, vm->network_enabled);
	(void)sqlite3_bind_int(stmt, 10, vm->allow_host_compat);
	bind_text(stmt, 11, vm->execution_mode);
	bind_text(stmt, 12, vm->accel);
	(void)sqlite3_bind_int(stmt, 13, is_ephemeral);
	return finish(r, stmt, err);
}

#define VM_COLUMNS                                                                         \
	"vm_id, environment, state, reason, vcpu_count, mem_mib, created_at, expires_at, " \
	"network_enabled, allow_host_compat, execution_mode, accel"

static char *column_text(sqlite3_stmt *stmt, int at)
{
	return mem_strdup((const char *)sqlite3_column_text(stmt, at));
}

static struct pyro_vm row_to_vm(sqlite3_stmt *stmt)
{
	return (struct pyro_vm){
		.vm_id = column_text(stmt, 0),
		.environment = column_text(stmt, 1),
		.state = column_text(stmt, 2),
		.reason = column_text(stmt, 3),
		.vcpu_count = sqlite3_column_int64(stmt, 4),
		.mem_mib = sqlite3_column_int64(stmt, 5),
		.created_at = sqlite3_column_double(stmt, 6),
		.expires_at = sqlite3_column_double(stmt, 7),
		.network_enabled = sqlite3_column_int(stmt, 8) != 0,
		.allow_host_compat = sqlite3_column_int(stmt, 9) != 0,
		.execution_mode = column_text(stmt, 10),
		.accel = column_text(stmt, 11),
	};
}

int records_get_vm(struct records *r, const char *vm_id, struct pyro_vm *ret,
		   struct pyro_error *err)
{
	sqlite3_stmt *stmt = prepare(r, "SELECT " VM_COLUMNS " FROM vm WHERE vm_id = ?1", err);
	int result = 0;

	if (!stmt)
		return -1;
	bind_text(stmt, 1, vm_id);
	switch (sqlite3_step(stmt)) {
	case SQLITE_ROW:
		*ret = row_to_vm(stmt);
		break;
	case SQLITE_DONE:
		result = err_set(err, PYRO_E_NOT_FOUND, "there is no VM '%s'", vm_id);
		(void)err_hint(err, "pyro vm list");
		break;
	default:
		result = db_error(r, "read the records", err);
	}
	(void)sqlite3_finalize(stmt);
	return result;
}

int records_set_vm_state(struct records *r, const char *vm_id, const char *state,
			 const char *reason, const char *execution_mode, const char *accel,
			 struct pyro_error *err)
{
	sqlite3_stmt *stmt = prepare(
		r,
		"UPDATE vm SET state = ?2, reason = ?3, execution_mode = "
		"coalesce(?4, execution_mode), accel = coalesce(?5, accel) WHERE vm_id = ?1",
		err);

	if (!stmt)
		return -1;
	bind_text(stmt, 1, vm_id);
	bind_text(stmt, 2, state);
	bind_text(stmt, 3, reason);
	bind_text(stmt, 4, execution_mode);
	bind_text(stmt, 5, accel);
	return finish(r, stmt, err);
}

int records_fail_vm(struct records *r, const char *vm_id, const char *reason,
		    struct pyro_error *err)
{
	sqlite3_stmt *stmt = prepare(r,
				     "UPDATE vm SET state = 'failed', reason = ?2 "
				     "WHERE vm_id = ?1 AND state = 'started'",
				     err);

	if (!stmt)
		return -1;
	bind_text(stmt, 1, vm_id);
	bind_text(stmt, 2, reason);
	return finish(r, stmt, err);
}

int records_delete_vm(struct records *r, const char *vm_id, struct pyro_error *err)
{
	sqlite3_stmt *stmt = prepare(r, "DELETE FROM vm WHERE vm_id = ?1", err);

	if (!stmt)
		return -1;
	bind_text(stmt, 1, vm_id);
	return finish(r, stmt, err);
}

int records_list_vms(struct records *r, struct pyro_vm **ret, size_t *ret_count,
		     struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		prepare(r, "SELECT " VM_COLUMNS " FROM vm ORDER BY created_at DESC, vm_id", err);
	int code;

	if (!stmt)
		return -1;
	*ret = NULL;
	*ret_count = 0;
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		*ret = mem_resize(*ret, *ret_count + 1, sizeof(**ret));
		(*ret)[(*ret_count)++] = row_to_vm(stmt);
	}
	(void)sqlite3_finalize(stmt);
	return code == SQLITE_DONE ? 0 : db_error(r, "read the records", err);
}

int records_list_doomed(struct records *r, double now, char ***ret, struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		prepare(r, "SELECT vm_id FROM vm WHERE expires_at <= ?1 OR is_ephemeral", err);
	size_t n = 0;
	int code;

	if (!stmt)
		return -1;
	(void)sqlite3_bind_double(stmt, 1, now);
	*ret = mem_zalloc(1, sizeof(**ret));
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		*ret = mem_resize(*ret, n + 2, sizeof(**ret));
		(*ret)[n++] = column_text(stmt, 0);
		(*ret)[n] = NULL;
	}
	(void)sqlite3_finalize(stmt);
	return code == SQLITE_DONE ? 0 : db_error(r, "read the records", err);
}
