#include "workspace/names.h"

#include "base/buf.h"
#include "base/mem.h"
#include "workspace/db.h"

#include <string.h>

#define OF_WORKSPACE                                                                            \
	" WHERE workspace_id = (SELECT workspace_id FROM workspace WHERE ?1 IN (workspace_id, " \
	"name)) "

/* Names and what they are, those that are likely to be meant first. */
static const struct {
	const char *input;
	const char *sql;
} lists[] = {
	{"vm_id", "SELECT vm_id, state || ', ' || environment FROM vm WHERE vm_id NOT IN "
		  "(SELECT workspace_id FROM workspace) ORDER BY created_at DESC"},
	{"workspace_id",
	 "WITH ready AS (SELECT workspace_id, name, last_activity_at, "
	 "vm.state || ', ' || environment AS what FROM workspace "
	 "JOIN vm ON vm_id = workspace_id WHERE NOT is_ephemeral ORDER BY last_activity_at DESC) "
	 "SELECT name, what FROM ready WHERE name IS NOT NULL UNION ALL "
	 "SELECT workspace_id, coalesce(name || ', ', '') || what FROM ready"},
	{"snapshot", "SELECT 'baseline', '' WHERE ?1 IS NOT NULL UNION ALL "
		     "SELECT name, '' FROM snapshot" OF_WORKSPACE},
	{"snapshot_name", "SELECT name, '' FROM snapshot" OF_WORKSPACE "ORDER BY created_at"},
	{"service_name",
	 "SELECT service_name, state FROM service" OF_WORKSPACE "ORDER BY service_name"},
	{"shell_id", "SELECT shell_id, state FROM shell" OF_WORKSPACE "ORDER BY started_at"},
};

static void add_rows(struct records *r, const char *sql, const char *workspace, struct buf *out)
{
	AUTO_FREE char *limited = mem_printf("%s LIMIT 1000", sql);
	bool has_workspace = strstr(sql, "?1");
	sqlite3_stmt *stmt = db_query(r, NULL, limited, has_workspace ? "t" : "", workspace);

	while (stmt && db_step(r, stmt, NULL) == 1) {
		AUTO_FREE char *name = db_text(stmt, 0);
		AUTO_FREE char *what = db_text(stmt, 1);

		buf_printf(out, "%s\t%s\n", name, what);
	}
	db_end(stmt);
}

void names_list(struct records *r, const char *input, const char *workspace, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (strcmp(lists[i].input, input) == 0)
			add_rows(r, lists[i].sql, workspace, out);
}
