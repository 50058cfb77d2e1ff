#include "workspace/db.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "workspace/records.h"

#include <jansson.h>
#include <pyro/ops.h>
#include <stdlib.h>

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

	"CREATE TABLE workspace ("
	" workspace_id TEXT PRIMARY KEY REFERENCES vm (vm_id) ON DELETE CASCADE,"
	" name TEXT UNIQUE,"
	" last_activity_at REAL NOT NULL,"
	" network_policy TEXT NOT NULL,"
	" seed_mode TEXT NOT NULL,"
	" seed_path TEXT,"
	" seed_origin_kind TEXT NOT NULL,"
	" seed_origin_ref TEXT,"
	" seed_entry_count INTEGER NOT NULL,"
	" seed_bytes INTEGER NOT NULL,"
	" baseline_at REAL,"
	" reset_count INTEGER NOT NULL DEFAULT 0,"
	" last_reset_at REAL,"
	" last_sequence INTEGER NOT NULL DEFAULT 0"
	") WITHOUT ROWID;"
	"CREATE TABLE label ("
	" workspace_id TEXT NOT NULL REFERENCES workspace ON DELETE CASCADE,"
	" key TEXT NOT NULL,"
	" value TEXT NOT NULL,"
	" PRIMARY KEY (workspace_id, key)"
	") WITHOUT ROWID;"
	"CREATE TABLE command ("
	" workspace_id TEXT NOT NULL REFERENCES workspace ON DELETE CASCADE,"
	" sequence INTEGER NOT NULL,"
	" command TEXT NOT NULL,"
	" cwd TEXT NOT NULL,"
	" started_at REAL NOT NULL,"
	" state TEXT NOT NULL,"
	" exit_code INTEGER,"
	" duration_ms INTEGER,"
	" timed_out INTEGER NOT NULL DEFAULT 0,"
	" execution_mode TEXT NOT NULL,"
	" PRIMARY KEY (workspace_id, sequence)"
	") WITHOUT ROWID;"
	"CREATE TABLE event ("
	" event_id INTEGER PRIMARY KEY,"
	" workspace_id TEXT NOT NULL REFERENCES workspace ON DELETE CASCADE,"
	" kind TEXT NOT NULL,"
	" at REAL NOT NULL,"
	" path TEXT,"
	" detail TEXT"
	");"
	"CREATE INDEX event_workspace_id ON event (workspace_id, event_id);"
	"CREATE TABLE snapshot ("
	" workspace_id TEXT NOT NULL REFERENCES workspace ON DELETE CASCADE,"
	" name TEXT NOT NULL,"
	" created_at REAL NOT NULL,"
	" PRIMARY KEY (workspace_id, name)"
	") WITHOUT ROWID;",

	"CREATE TABLE secret ("
	" workspace_id TEXT NOT NULL REFERENCES workspace ON DELETE CASCADE,"
	" name TEXT NOT NULL,"
	" source_kind TEXT NOT NULL,"
	" PRIMARY KEY (workspace_id, name)"
	") WITHOUT ROWID;"
	"CREATE TABLE shell ("
	" workspace_id TEXT NOT NULL REFERENCES workspace ON DELETE CASCADE,"
	" shell_id TEXT NOT NULL,"
	" cwd TEXT NOT NULL,"
	" cols INTEGER NOT NULL,"
	" rows INTEGER NOT NULL,"
	" state TEXT NOT NULL,"
	" started_at REAL NOT NULL,"
	" ended_at REAL,"
	" exit_code INTEGER,"
	" PRIMARY KEY (workspace_id, shell_id)"
	") WITHOUT ROWID;"
	"CREATE TABLE service ("
	" workspace_id TEXT NOT NULL REFERENCES workspace ON DELETE CASCADE,"
	" service_name TEXT NOT NULL,"
	" state TEXT NOT NULL,"
	" command TEXT NOT NULL,"
	" cwd TEXT NOT NULL,"
	" readiness TEXT,"
	" published_ports TEXT NOT NULL DEFAULT '[]',"
	" pid INTEGER,"
	" started_at REAL NOT NULL,"
	" ready_at REAL,"
	" ended_at REAL,"
	" exit_code INTEGER,"
	" stop_reason TEXT,"
	" PRIMARY KEY (workspace_id, service_name)"
	") WITHOUT ROWID;",

	("ALTER TABLE workspace ADD COLUMN seed_skipped_count INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE workspace ADD COLUMN seed_skipped TEXT NOT NULL DEFAULT '[]';"),
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

static int run_script(struct records *r, const char *sql, const char *what, struct pyro_error *err)
{
	if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(r, what, err);
	return 0;
}

/*
 * Opening.
 */

/* Inside a transaction, so that two processes that meet an old database do not both change it. */
static int migrate_locked(struct records *r, struct pyro_error *err)
{
	int64_t version = 0;

	if (db_number(r, err, 0, &version, "PRAGMA user_version", "") < 0)
		return -1;
	for (; version < (int64_t)ARRAY_SIZE(migrations); version++) {
		AUTO_FREE char *sql = mem_printf("%s PRAGMA user_version = %d;",
						 migrations[version], (int)version + 1);

		if (run_script(r, sql, "bring the records up to date", err) < 0)
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
	int64_t version = 0;

	if (db_number(r, err, 0, &version, "PRAGMA user_version", "") < 0)
		return -1;
	if (version > (int64_t)ARRAY_SIZE(migrations))
		return err_set(err, PYRO_E_STATE_VERSION,
			       "the records have version %d, this pyro knows %d", (int)version,
			       (int)ARRAY_SIZE(migrations));
	if (version == (int64_t)ARRAY_SIZE(migrations))
		return 0;
	lock = file_lock(lock_path, deadline_in(BUSY_TIMEOUT_MS), err);
	if (lock < 0 || run_script(r, "PRAGMA journal_mode = WAL", "set up the records", err) < 0 ||
	    db_begin(r, err) < 0)
		return -1;
	return db_commit(r, migrate_locked(r, err), err);
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
	if (run_script(r, "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON",
		       "set up the records", err) < 0 ||
	    migrate(r, path, err) < 0)
		return records_close(r);
	return r;
}

struct records *records_open_to_read(const char *state_dir, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/pyro.db", state_dir);
	struct records *r = mem_zalloc(1, sizeof(*r));
	int64_t version = 0;

	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
		(void)db_error(r, "open the records", err);
		return records_close(r);
	}
	if (db_number(r, err, 0, &version, "PRAGMA user_version", "") < 0)
		return records_close(r);
	if (version == (int64_t)ARRAY_SIZE(migrations))
		return r;
	(void)err_set(err, PYRO_E_STATE_VERSION, "the records have version %d", (int)version);
	return records_close(r);
}

struct records *records_close(struct records *r)
{
	if (r) {
		(void)sqlite3_close(r->db);
		free(r);
	}
	return NULL;
}

/*
 * Statements.
 */

static sqlite3_stmt *prepare(struct records *r, const char *sql, const char *format, va_list ap,
			     struct pyro_error *err)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL) != SQLITE_OK) {
		(void)db_error(r, "read the records", err);
		return NULL;
	}
	for (int at = 1; *format; at++, format++) {
		if (*format == 't')
			(void)sqlite3_bind_text(stmt, at, va_arg(ap, const char *), -1,
						SQLITE_TRANSIENT);
		else if (*format == 'i')
			(void)sqlite3_bind_int64(stmt, at, va_arg(ap, int64_t));
		else
			(void)sqlite3_bind_double(stmt, at, va_arg(ap, double));
	}
	return stmt;
}

int db_run(struct records *r, struct pyro_error *err, const char *sql, const char *format, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;
	int result;

	va_start(ap, format);
	stmt = prepare(r, sql, format, ap, err);
	va_end(ap);
	if (!stmt)
		return -1;
	result = sqlite3_step(stmt) == SQLITE_DONE ? 0 : db_error(r, "write the records", err);
	(void)sqlite3_finalize(stmt);
	return result;
}

int db_changes(struct records *r)
{
	return sqlite3_changes(r->db);
}

sqlite3_stmt *db_query(struct records *r, struct pyro_error *err, const char *sql,
		       const char *format, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, format);
	stmt = prepare(r, sql, format, ap, err);
	va_end(ap);
	return stmt;
}

int db_step(struct records *r, sqlite3_stmt *stmt, struct pyro_error *err)
{
	int code = sqlite3_step(stmt);

	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : db_error(r, "read the records", err);
}

void db_end(sqlite3_stmt *stmt)
{
	(void)sqlite3_finalize(stmt);
}

int db_number(struct records *r, struct pyro_error *err, int64_t none, int64_t *ret,
	      const char *sql, const char *format, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;
	int row;

	va_start(ap, format);
	stmt = prepare(r, sql, format, ap, err);
	va_end(ap);
	if (!stmt)
		return -1;
	row = db_step(r, stmt, err);
	*ret = row == 1 ? sqlite3_column_int64(stmt, 0) : none;
	db_end(stmt);
	return row < 0 ? -1 : 0;
}

char *db_text(sqlite3_stmt *stmt, int column)
{
	return mem_strdup((const char *)sqlite3_column_text(stmt, column));
}

char **db_json_words(const json_t *command)
{
	bool is_list = json_is_array(command);
	size_t n = is_list ? json_array_size(command) : 1;
	char **words = mem_zalloc(n + 1, sizeof(*words));

	for (size_t i = 0; i < n; i++) {
		const char *word =
			json_string_value(is_list ? json_array_get(command, i) : command);

		words[i] = mem_strdup(word ? word : "");
	}
	return words;
}

char **db_words(sqlite3_stmt *stmt, int column)
{
	AUTO_FREE char *text = db_text(stmt, column);
	json_t *command = json_loads(text ? text : "", JSON_DECODE_ANY, NULL);
	char **words = db_json_words(command);

	json_decref(command);
	return words;
}

int64_t db_int(sqlite3_stmt *stmt, int column)
{
	return sqlite3_column_type(stmt, column) == SQLITE_NULL
		       ? PYRO_NONE
		       : sqlite3_column_int64(stmt, column);
}

double db_real(sqlite3_stmt *stmt, int column)
{
	return sqlite3_column_type(stmt, column) == SQLITE_NULL
		       ? (double)PYRO_NONE
		       : sqlite3_column_double(stmt, column);
}

int db_begin(struct records *r, struct pyro_error *err)
{
	return run_script(r, "BEGIN IMMEDIATE", "write the records", err);
}

int db_commit(struct records *r, int result, struct pyro_error *err)
{
	if (result == 0 && run_script(r, "COMMIT", "write the records", err) == 0)
		return 0;
	(void)sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}
