#include "workspace/shells.h"

#include "base/err.h"
#include "base/file.h"
#include "workspace/db.h"

int shells_add(struct records *r, const struct pyro_shell *shell, struct pyro_error *err)
{
	return db_run(
		r, err,
		"INSERT INTO shell (workspace_id, shell_id, cwd, cols, rows, state, started_at) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		"tttiitd", shell->workspace_id, shell->shell_id, shell->cwd, shell->cols,
		shell->rows, shell->state, shell->started_at);
}

int shells_update(struct records *r, const struct pyro_shell *shell, struct pyro_error *err)
{
	return db_run(
		r, err,
		"UPDATE shell SET cols = ?3, rows = ?4, state = ?5, ended_at = nullif(?6, ?8), "
		"exit_code = nullif(?7, ?8) WHERE workspace_id = ?1 AND shell_id = ?2",
		"ttiitdii", shell->workspace_id, shell->shell_id, shell->cols, shell->rows,
		shell->state, shell->ended_at, shell->exit_code, PYRO_NONE);
}

int shells_remove(struct records *r, const char *id, const char *shell_id, struct pyro_error *err)
{
	return db_run(r, err, "DELETE FROM shell WHERE workspace_id = ?1 AND shell_id = ?2", "tt",
		      id, shell_id);
}

int shells_clear(struct records *r, const char *dir, const char *id, struct pyro_error *err)
{
	AUTO_FREE char *outputs = mem_printf("%s/shells", dir);

	if (db_run(r, err, "DELETE FROM shell WHERE workspace_id = ?1", "t", id) < 0)
		return -1;
	return dir_remove(outputs, err);
}

/* A shell that is NULL asks for all. */
static sqlite3_stmt *query(struct records *r, const char *id, const char *shell_id,
			   struct pyro_error *err)
{
	return db_query(r, err,
			"SELECT workspace_id, shell_id, cwd, cols, rows, state, started_at, "
			"ended_at, exit_code FROM shell WHERE workspace_id = ?1 AND "
			"(?2 IS NULL OR shell_id = ?2) ORDER BY started_at, shell_id",
			"tt", id, shell_id);
}

static struct pyro_shell row_to_shell(sqlite3_stmt *stmt)
{
	return (struct pyro_shell){
		.workspace_id = db_text(stmt, 0),
		.shell_id = db_text(stmt, 1),
		.cwd = db_text(stmt, 2),
		.cols = db_int(stmt, 3),
		.rows = db_int(stmt, 4),
		.state = db_text(stmt, 5),
		.started_at = db_real(stmt, 6),
		.ended_at = db_real(stmt, 7),
		.exit_code = db_int(stmt, 8),
	};
}

int shells_unknown(const char *id, const char *shell_id, struct pyro_error *err)
{
	(void)err_set(err, PYRO_E_NOT_FOUND, "workspace '%s' has no shell '%.80s'", id, shell_id);
	return err_hint(err, "pyro workspace shell list %s", id);
}

int shells_get(struct records *r, const char *id, const char *shell_id, struct pyro_shell *ret,
	       struct pyro_error *err)
{
	sqlite3_stmt *stmt = query(r, id, shell_id, err);
	int row = stmt ? db_step(r, stmt, err) : -1;

	if (row == 1)
		*ret = row_to_shell(stmt);
	db_end(stmt);
	return row == 0 ? shells_unknown(id, shell_id, err) : row < 0 ? -1 : 0;
}

int shells_list(struct records *r, const char *id, struct pyro_shell **ret, size_t *ret_count,
		struct pyro_error *err)
{
	sqlite3_stmt *stmt = query(r, id, NULL, err);
	int row = -1;

	*ret = NULL;
	*ret_count = 0;
	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		*ret = mem_resize(*ret, *ret_count + 1, sizeof(**ret));
		(*ret)[(*ret_count)++] = row_to_shell(stmt);
	}
	db_end(stmt);
	return row;
}

char *shells_path(const char *dir, const char *shell_id)
{
	return mem_printf("%s/shells/%s", dir, shell_id);
}
