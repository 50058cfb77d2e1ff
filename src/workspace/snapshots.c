#include "workspace/snapshots.h"

#include "base/err.h"
#include "workspace/db.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

int snapshots_check_name(const char *name, struct pyro_error *err)
{
	size_t len = strlen(name);

	if (strcmp(name, "baseline") == 0) {
		(void)err_set(err, PYRO_E_INVALID,
			      "snapshot name 'baseline' is taken by the one of "
			      "the creation");
		return err_hint(err, "choose another name");
	}
	if (len >= 1 && len <= NAME_MAX_LEN && strspn(name, LETTERS "._-") == len &&
	    strchr(LETTERS, name[0]))
		return 0;
	(void)err_set(err, PYRO_E_INVALID, "'%.80s' is no name for a snapshot", name);
	return err_hint(err, "1 to 64 letters, digits, dots, dashes and underscores, the first a "
			     "letter or digit");
}

static int count(struct records *r, const char *id, const char *name, int64_t *ret,
		 struct pyro_error *err)
{
	return db_number(r, err, 0, ret,
			 "SELECT count(*) FROM snapshot WHERE workspace_id = ?1 AND "
			 "(?2 IS NULL OR name = ?2)",
			 "tt", id, name);
}

int snapshots_count(struct records *r, const char *id, int64_t *ret, struct pyro_error *err)
{
	return count(r, id, NULL, ret, err);
}

int snapshots_check_new(struct records *r, const char *id, const char *name, struct pyro_error *err)
{
	int64_t same, all;

	if (count(r, id, name, &same, err) < 0 || count(r, id, NULL, &all, err) < 0)
		return -1;
	if (same) {
		(void)err_set(err, PYRO_E_INVALID, "there is a snapshot '%s' already", name);
		return err_hint(err, "choose another name, or pyro workspace snapshot delete %s %s",
				id, name);
	}
	if (all < SNAPSHOTS_MAX)
		return 0;
	(void)err_set(err, PYRO_E_LIMIT, "the workspace has %d snapshots, which is the most",
		      SNAPSHOTS_MAX);
	return err_hint(err, "pyro workspace snapshot delete %s NAME", id);
}

int snapshots_check(struct records *r, const char *id, const char *name, struct pyro_error *err)
{
	AUTO_FREE char *names = NULL;
	sqlite3_stmt *stmt;
	int64_t same;

	if (count(r, id, name, &same, err) < 0)
		return -1;
	if (same)
		return 0;
	stmt = db_query(r, err,
			"SELECT coalesce(group_concat(', ''' || name || ''''), '') FROM "
			"(SELECT name FROM snapshot WHERE workspace_id = ?1 ORDER BY created_at)",
			"t", id);
	if (stmt && db_step(r, stmt, NULL) == 1)
		names = db_text(stmt, 0);
	db_end(stmt);
	(void)err_set(err, PYRO_E_NOT_FOUND, "the workspace has no snapshot '%.80s'", name);
	return err_hint(err, "there is 'baseline'%s", names ? names : "");
}

int snapshots_add(struct records *r, const char *id, const char *name, double now,
		  struct pyro_error *err)
{
	return db_run(r, err, "INSERT OR REPLACE INTO snapshot VALUES (?1, ?2, ?3)", "ttd", id,
		      name, now);
}

int snapshots_delete(struct records *r, const char *id, const char *name, struct pyro_error *err)
{
	return db_run(r, err, "DELETE FROM snapshot WHERE workspace_id = ?1 AND name = ?2", "tt",
		      id, name);
}

int snapshots_list(struct records *r, const char *id, struct pyro_snapshot **ret, size_t *ret_count,
		   struct pyro_error *err)
{
	sqlite3_stmt *stmt = db_query(
		r, err,
		"SELECT 'baseline', 'baseline', baseline_at AS at, 0 AS rank FROM workspace "
		"WHERE workspace_id = ?1 UNION ALL "
		"SELECT name, 'named', created_at, 1 FROM snapshot WHERE workspace_id = ?1 "
		"ORDER BY rank, at",
		"t", id);
	int row = -1;

	*ret = NULL;
	*ret_count = 0;
	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		*ret = mem_resize(*ret, *ret_count + 1, sizeof(**ret));
		(*ret)[(*ret_count)++] = (struct pyro_snapshot){db_text(stmt, 0), db_text(stmt, 1),
								db_real(stmt, 2)};
	}
	db_end(stmt);
	return row;
}
