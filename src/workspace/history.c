#include "workspace/history.h"

#include "base/err.h"
#include "workspace/db.h"

#include <stdlib.h>
#include <string.h>

static int begin(struct records *r, const char *id, const char *command, const char *cwd,
		 const char *execution_mode, double now, int64_t *ret_sequence,
		 int64_t *ret_dropped, struct pyro_error *err)
{
	if (db_run(r, err,
		   "UPDATE workspace SET last_sequence = last_sequence + 1, last_activity_at = ?2 "
		   "WHERE workspace_id = ?1",
		   "td", id, now) < 0 ||
	    db_number(r, err, 0, ret_sequence,
		      "SELECT last_sequence FROM workspace WHERE workspace_id = ?1", "t", id) < 0)
		return -1;
	if (*ret_sequence == 0)
		return err_set(err, PYRO_E_NOT_FOUND, "there is no workspace '%s'", id);
	*ret_dropped = 0;
	if (db_run(r, err,
		   "DELETE FROM command WHERE workspace_id = ?1 AND sequence <= ?2 AND "
		   "state <> 'running'",
		   "ti", id, *ret_sequence - HISTORY_MAX) < 0)
		return -1;
	if (db_changes(r))
		*ret_dropped = *ret_sequence - HISTORY_MAX;
	return db_run(r, err,
		      "INSERT INTO command (workspace_id, sequence, command, cwd, started_at, "
		      "state, execution_mode) VALUES (?1, ?2, ?3, ?4, ?5, 'running', ?6)",
		      "tittdt", id, *ret_sequence, command, cwd, now, execution_mode);
}

int history_begin(struct records *r, const char *id, const char *command, const char *cwd,
		  const char *execution_mode, double now, int64_t *ret_sequence,
		  int64_t *ret_dropped, struct pyro_error *err)
{
	if (db_begin(r, err) < 0)
		return -1;
	return db_commit(
		r, begin(r, id, command, cwd, execution_mode, now, ret_sequence, ret_dropped, err),
		err);
}

int history_end(struct records *r, const char *id, int64_t sequence,
		const struct history_result *result, struct pyro_error *err)
{
	return db_run(
		r, err,
		"UPDATE command SET state = ?3, exit_code = nullif(?4, ?5), duration_ms = ?6, "
		"timed_out = ?7 WHERE workspace_id = ?1 AND sequence = ?2",
		"titiiii", id, sequence, result->state, result->exit_code, PYRO_NONE,
		result->duration_ms, (int64_t)result->timed_out);
}

int history_interrupt(struct records *r, const char *id, struct pyro_error *err)
{
	return db_run(r, err,
		      "UPDATE command SET state = 'interrupted' "
		      "WHERE workspace_id = ?1 AND state = 'running'",
		      "t", id);
}

static struct pyro_workspace_command row_to_command(sqlite3_stmt *stmt)
{
	return (struct pyro_workspace_command){
		.sequence = db_int(stmt, 0),
		.state = db_text(stmt, 1),
		.command = db_words(stmt, 2),
		.cwd = db_text(stmt, 3),
		.started_at = db_real(stmt, 4),
		.exit_code = db_int(stmt, 5),
		.duration_ms = db_int(stmt, 6),
		.timed_out = db_int(stmt, 7) != 0,
		.execution_mode = db_text(stmt, 8),
		.next_offset = PYRO_NONE,
	};
}

#define SELECT_COMMAND                                                               \
	"SELECT sequence, state, command, cwd, started_at, exit_code, duration_ms, " \
	"timed_out, execution_mode FROM command WHERE workspace_id = ?1 "

int history_command(struct records *r, const char *id, int64_t sequence,
		    struct pyro_workspace_command *ret, struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		db_query(r, err, SELECT_COMMAND "AND sequence = ?2", "ti", id, sequence);
	int row = stmt ? db_step(r, stmt, err) : -1;

	if (row == 1)
		*ret = row_to_command(stmt);
	db_end(stmt);
	if (row != 0)
		return row < 0 ? -1 : 0;
	(void)err_set(err, PYRO_E_NOT_FOUND, "workspace '%s' has no command %lld", id,
		      (long long)sequence);
	return err_hint(err, "pyro workspace logs %s", id);
}

int history_commands(struct records *r, const char *id, struct pyro_workspace_command **ret,
		     size_t *ret_count, struct pyro_error *err)
{
	sqlite3_stmt *stmt = db_query(r, err, SELECT_COMMAND "ORDER BY sequence", "t", id);
	int row = -1;

	*ret = NULL;
	*ret_count = 0;
	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		*ret = mem_resize(*ret, *ret_count + 1, sizeof(**ret));
		(*ret)[(*ret_count)++] = row_to_command(stmt);
	}
	db_end(stmt);
	return row;
}

int history_event(struct records *r, const char *id, const char *kind, double now, const char *path,
		  const char *detail, struct pyro_error *err)
{
	if (db_run(r, err,
		   "INSERT INTO event (workspace_id, kind, at, path, detail) "
		   "VALUES (?1, ?2, ?3, ?4, ?5)",
		   "ttdtt", id, kind, now, path, detail) < 0)
		return -1;
	return db_run(r, err,
		      "DELETE FROM event WHERE workspace_id = ?1 AND event_id <= "
		      "(SELECT event_id FROM event WHERE workspace_id = ?1 "
		      "ORDER BY event_id DESC LIMIT 1 OFFSET ?2)",
		      "ti", id, (int64_t)HISTORY_MAX);
}

int history_events(struct records *r, const char *id, struct pyro_review_event **ret,
		   size_t *ret_count, struct pyro_error *err)
{
	sqlite3_stmt *stmt = db_query(r, err,
				      "SELECT kind, at, path, detail FROM event "
				      "WHERE workspace_id = ?1 ORDER BY event_id",
				      "t", id);
	int row = -1;

	*ret = NULL;
	*ret_count = 0;
	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		*ret = mem_resize(*ret, *ret_count + 1, sizeof(**ret));
		(*ret)[(*ret_count)++] = (struct pyro_review_event){
			.kind = db_text(stmt, 0),
			.at = db_real(stmt, 1),
			.path = db_text(stmt, 2),
			.detail = db_text(stmt, 3),
		};
	}
	db_end(stmt);
	return row;
}
