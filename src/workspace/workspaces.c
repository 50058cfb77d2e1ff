#include "workspace/workspaces.h"

#include "base/err.h"
#include "base/parse.h"
#include "base/utf8.h"
#include "workspace/db.h"
#include "workspace/records.h"
#include "workspace/secrets.h"
#include "workspace/state.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64
#define LABELS_MAX 64
#define VALUE_MAX_LEN 256
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/*
 * Checks.
 */

int workspaces_check_name(const char *name, struct pyro_error *err)
{
	size_t len = strlen(name);

	if (len >= 1 && len <= NAME_MAX_LEN && strspn(name, LETTERS "._-") == len &&
	    strchr(LETTERS, name[0]) && !state_is_id(name))
		return 0;
	(void)err_set(err, PYRO_E_INVALID, "name '%.80s' is not one for a workspace", name);
	return err_hint(err, "1 to 64 letters, digits, dots, dashes and underscores, the first a "
			     "letter or digit");
}

static int check_label(const char *label, struct pyro_error *err)
{
	size_t len = strcspn(label, "=");
	const char *value = label + len + 1;
	AUTO_FREE char *clean = NULL;

	if (!label[len] || len < 1 || len > NAME_MAX_LEN || strspn(label, LETTERS "._-/") != len) {
		(void)err_set(err, PYRO_E_INVALID, "label '%.80s' has no good key", label);
		return err_hint(err, "KEY=VALUE, the key of 1 to 64 letters, digits and . _ - /");
	}
	clean = mem_strdup(value);
	utf8_clean_line(clean);
	if (strlen(value) <= VALUE_MAX_LEN && strcmp(clean, value) == 0)
		return 0;
	(void)err_set(err, PYRO_E_INVALID, "label '%.*s' has no good value", (int)len, label);
	return err_hint(err, "up to 256 bytes of text on one line");
}

int workspaces_check_labels(const char *const *labels, struct pyro_error *err)
{
	if (labels && strv_len(labels) > LABELS_MAX)
		return err_set(err, PYRO_E_LIMIT, "there are more than %d labels", LABELS_MAX);
	for (; labels && *labels; labels++)
		if (check_label(*labels, err) < 0)
			return -1;
	return 0;
}

static int check_name_is_free(struct records *r, const char *id, const char *name,
			      struct pyro_error *err)
{
	sqlite3_stmt *stmt;
	int row;

	if (!name)
		return 0;
	stmt = db_query(r, err,
			"SELECT workspace_id FROM workspace WHERE name = ?1 AND workspace_id <> ?2",
			"tt", name, id);
	row = stmt ? db_step(r, stmt, err) : -1;
	if (row == 1) {
		AUTO_FREE char *other = db_text(stmt, 0);

		(void)err_set(err, PYRO_E_INVALID, "there is a workspace named '%s' already", name);
		(void)err_hint(err, "choose another name, or pyro workspace delete %s", other);
	}
	db_end(stmt);
	return row == 0 ? 0 : -1;
}

/*
 * Changes.
 */

static int set_labels(struct records *r, const char *id, const char *const *labels,
		      struct pyro_error *err)
{
	for (; labels && *labels; labels++) {
		AUTO_FREE char *key = mem_strndup(*labels, strcspn(*labels, "="));

		if (db_run(r, err, "INSERT OR REPLACE INTO label VALUES (?1, ?2, ?3)", "ttt", id,
			   key, *labels + strlen(key) + 1) < 0)
			return -1;
	}
	return 0;
}

static int add(struct records *r, const struct pyro_workspace *ws, struct pyro_error *err)
{
	const struct pyro_workspace_seed *seed = &ws->workspace_seed;
	const struct pyro_vm vm = {
		.vm_id = ws->workspace_id,
		.environment = ws->environment,
		.state = ws->state,
		.vcpu_count = ws->vcpu_count,
		.mem_mib = ws->mem_mib,
		.created_at = ws->created_at,
		.expires_at = ws->expires_at,
		.network_enabled = strcmp(ws->network_policy, "off") != 0,
		.allow_host_compat = ws->allow_host_compat,
	};

	if (check_name_is_free(r, ws->workspace_id, ws->name, err) < 0 ||
	    records_add_vm(r, &vm, true, err) < 0 ||
	    db_run(r, err,
		   "INSERT INTO workspace (workspace_id, name, last_activity_at, network_policy, "
		   "seed_mode, seed_path, seed_origin_kind, seed_origin_ref, seed_entry_count, "
		   "seed_bytes) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,0,0)",
		   "ttdttttt", ws->workspace_id, ws->name, ws->last_activity_at, ws->network_policy,
		   seed->mode, seed->seed_path, seed->origin_kind, seed->origin_ref) < 0 ||
	    secrets_record(r, ws->workspace_id, ws->secrets, ws->secrets_count, err) < 0)
		return -1;
	return set_labels(r, ws->workspace_id, (const char *const *)ws->labels, err);
}

int workspaces_add(struct records *r, const struct pyro_workspace *ws, struct pyro_error *err)
{
	return db_begin(r, err) < 0 ? -1 : db_commit(r, add(r, ws, err), err);
}

static char *words_json(char *const *words)
{
	json_t *list = json_array();
	char *text;

	for (; words && *words; words++)
		json_array_append_new(list, json_string(*words));
	text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return text;
}

static int set_ready(struct records *r, const struct pyro_workspace *ws, const char *execution_mode,
		     const char *accel, double now, struct pyro_error *err)
{
	const struct pyro_workspace_seed *seed = &ws->workspace_seed;
	AUTO_FREE char *skipped = words_json(seed->skipped);

	if (db_run(r, err,
		   "UPDATE workspace SET baseline_at = ?2, last_activity_at = ?2, "
		   "seed_entry_count = ?3, seed_bytes = ?4, seed_skipped_count = ?5, "
		   "seed_skipped = ?6 WHERE workspace_id = ?1",
		   "tdiiit", ws->workspace_id, now, seed->entry_count, seed->bytes_written,
		   seed->skipped_count, skipped) < 0)
		return -1;
	return db_run(r, err,
		      "UPDATE vm SET is_ephemeral = 0, state = 'started', execution_mode = ?2, "
		      "accel = ?3, expires_at = ?4 WHERE vm_id = ?1",
		      "tttd", ws->workspace_id, execution_mode, accel, ws->expires_at);
}

int workspaces_set_ready(struct records *r, const struct pyro_workspace *ws,
			 const char *execution_mode, const char *accel, double now,
			 struct pyro_error *err)
{
	if (db_begin(r, err) < 0)
		return -1;
	return db_commit(r, set_ready(r, ws, execution_mode, accel, now, err), err);
}

int workspaces_touch(struct records *r, const char *id, double now, struct pyro_error *err)
{
	return db_run(r, err, "UPDATE workspace SET last_activity_at = ?2 WHERE workspace_id = ?1",
		      "td", id, now);
}

static int check_label_count(struct records *r, const char *id, struct pyro_error *err)
{
	int64_t count;

	if (db_number(r, err, 0, &count, "SELECT count(*) FROM label WHERE workspace_id = ?1", "t",
		      id) < 0)
		return -1;
	return count <= LABELS_MAX
		       ? 0
		       : err_set(err, PYRO_E_LIMIT, "there are more than %d labels", LABELS_MAX);
}

static int keep(struct records *r, const char *id, double until, double now, struct pyro_error *err)
{
	if (db_run(r, err,
		   "UPDATE vm SET expires_at = max(expires_at, ?2) WHERE vm_id = ?1 AND "
		   "expires_at > ?3",
		   "tdd", id, until, now) < 0)
		return -1;
	return db_changes(r) ? 0
			     : err_set(err, PYRO_E_NOT_FOUND,
				       "the time to live of workspace '%s' is over", id);
}

static int update(struct records *r, const char *id, const char *name, bool clear_name,
		  const char *const *labels, const char *const *clear_labels, double now,
		  struct pyro_error *err)
{
	if (check_name_is_free(r, id, name, err) < 0)
		return -1;
	if ((name || clear_name) &&
	    db_run(r, err, "UPDATE workspace SET name = ?2 WHERE workspace_id = ?1", "tt", id,
		   name) < 0)
		return -1;
	for (; clear_labels && *clear_labels; clear_labels++)
		if (db_run(r, err, "DELETE FROM label WHERE workspace_id = ?1 AND key = ?2", "tt",
			   id, *clear_labels) < 0)
			return -1;
	if (set_labels(r, id, labels, err) < 0 || check_label_count(r, id, err) < 0)
		return -1;
	return workspaces_touch(r, id, now, err);
}

int workspaces_update(struct records *r, const char *id, const char *name, bool clear_name,
		      const char *const *labels, const char *const *clear_labels, double keep_until,
		      double now, struct pyro_error *err)
{
	int result;

	if (db_begin(r, err) < 0)
		return -1;
	result = keep(r, id, keep_until, now, err);
	if (result == 0)
		result = update(r, id, name, clear_name, labels, clear_labels, now, err);
	return db_commit(r, result, err);
}

static int reset(struct records *r, const char *id, double now, struct pyro_error *err)
{
	if (db_run(r, err, "DELETE FROM command WHERE workspace_id = ?1", "t", id) < 0 ||
	    db_run(r, err, "DELETE FROM event WHERE workspace_id = ?1", "t", id) < 0 ||
	    db_run(r, err, "DELETE FROM service WHERE workspace_id = ?1", "t", id) < 0)
		return -1;
	return db_run(r, err,
		      "UPDATE workspace SET reset_count = reset_count + 1, last_reset_at = ?2, "
		      "last_activity_at = ?2 WHERE workspace_id = ?1",
		      "td", id, now);
}

int workspaces_reset(struct records *r, const char *id, double now, struct pyro_error *err)
{
	return db_begin(r, err) < 0 ? -1 : db_commit(r, reset(r, id, now, err), err);
}

/*
 * Reading.
 */

#define SELECT_WORKSPACE                                                                      \
	"SELECT w.workspace_id, w.name, vm.environment, vm.state, vm.reason, vm.vcpu_count, " \
	"vm.mem_mib, vm.created_at, vm.expires_at, w.last_activity_at, w.network_policy, "    \
	"vm.allow_host_compat, vm.execution_mode, vm.accel, w.seed_mode, w.seed_path, "       \
	"w.seed_origin_kind, w.seed_origin_ref, w.seed_entry_count, w.seed_bytes, "           \
	"w.reset_count, w.last_reset_at, "                                                    \
	"(SELECT count(*) FROM command c WHERE c.workspace_id = w.workspace_id), "            \
	"(SELECT count(*) FROM shell s WHERE s.workspace_id = w.workspace_id AND "            \
	"s.state = 'running'), "                                                              \
	"(SELECT count(*) FROM service s WHERE s.workspace_id = w.workspace_id), "            \
	"(SELECT count(*) FROM service s WHERE s.workspace_id = w.workspace_id "              \
	"AND s.state = 'running'), w.seed_skipped_count, w.seed_skipped "                     \
	"FROM workspace w JOIN vm ON vm.vm_id = w.workspace_id WHERE NOT vm.is_ephemeral "

static struct pyro_workspace row_to_workspace(sqlite3_stmt *stmt)
{
	return (struct pyro_workspace){
		.workspace_id = db_text(stmt, 0),
		.name = db_text(stmt, 1),
		.environment = db_text(stmt, 2),
		.state = db_text(stmt, 3),
		.reason = db_text(stmt, 4),
		.vcpu_count = db_int(stmt, 5),
		.mem_mib = db_int(stmt, 6),
		.created_at = db_real(stmt, 7),
		.expires_at = db_real(stmt, 8),
		.last_activity_at = db_real(stmt, 9),
		.network_policy = db_text(stmt, 10),
		.allow_host_compat = db_int(stmt, 11) != 0,
		.execution_mode = db_text(stmt, 12),
		.accel = db_text(stmt, 13),
		.workspace_path = mem_strdup("/workspace"),
		.has_workspace_seed = true,
		.workspace_seed = {db_text(stmt, 14), db_text(stmt, 15), db_text(stmt, 16),
				   db_text(stmt, 17), db_int(stmt, 18), db_int(stmt, 19),
				   db_int(stmt, 26), db_words(stmt, 27)},
		.reset_count = db_int(stmt, 20),
		.last_reset_at = db_real(stmt, 21),
		.command_count = db_int(stmt, 22),
		.running_shell_count = db_int(stmt, 23),
		.service_count = db_int(stmt, 24),
		.running_service_count = db_int(stmt, 25),
	};
}

static int add_labels(struct records *r, struct pyro_workspace *ws, struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		db_query(r, err,
			 "SELECT key, value FROM label WHERE workspace_id = ?1 ORDER BY key", "t",
			 ws->workspace_id);
	size_t n = 0;
	int row = -1;

	ws->labels = mem_zalloc(1, sizeof(*ws->labels));
	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		AUTO_FREE char *key = db_text(stmt, 0);
		AUTO_FREE char *value = db_text(stmt, 1);

		ws->labels = mem_resize(ws->labels, n + 2, sizeof(*ws->labels));
		ws->labels[n++] = mem_printf("%s=%s", key, value);
		ws->labels[n] = NULL;
	}
	db_end(stmt);
	return row;
}

static int add_parts(struct records *r, struct pyro_workspace *ws, struct pyro_error *err)
{
	return add_labels(r, ws, err) < 0
		       ? -1
		       : secrets_list(r, ws->workspace_id, &ws->secrets, &ws->secrets_count, err);
}

/* Who mistypes a name is told the nearest one. */
static int not_found(struct records *r, const char *id_or_name, struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		db_query(r, err, "SELECT name FROM workspace WHERE name IS NOT NULL LIMIT 256", "");
	AUTO_STRV char **names = mem_zalloc(257, sizeof(*names));
	const char *nearest;

	for (size_t n = 0; stmt && n < 256 && db_step(r, stmt, NULL) == 1; n++)
		names[n] = db_text(stmt, 0);
	db_end(stmt);
	(void)err_set(err, PYRO_E_NOT_FOUND, "there is no workspace '%.120s'", id_or_name);
	nearest = parse_nearest(id_or_name, (const char *const *)names);
	return nearest ? err_hint(err, "did you mean '%s'? pyro workspace list shows all", nearest)
		       : err_hint(err, "it was deleted, its time to live is over, or it never was: "
				       "pyro workspace list");
}

int workspaces_get(struct records *r, const char *id_or_name, struct pyro_workspace *ret,
		   struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		db_query(r, err, SELECT_WORKSPACE "AND (w.workspace_id = ?1 OR w.name = ?1)", "t",
			 id_or_name);
	int row = stmt ? db_step(r, stmt, err) : -1;

	if (row == 1)
		*ret = row_to_workspace(stmt);
	db_end(stmt);
	if (row == 0)
		return not_found(r, id_or_name, err);
	if (row < 0)
		return -1;
	if (add_parts(r, ret, err) == 0)
		return 0;
	pyro_workspace_done(ret);
	return -1;
}

static void free_list(struct pyro_workspace *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pyro_workspace_done(&list[i]);
	free(list);
}

int workspaces_list(struct records *r, struct pyro_workspace **ret, size_t *ret_count,
		    struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		db_query(r, err,
			 SELECT_WORKSPACE "ORDER BY w.last_activity_at DESC, w.workspace_id", "");
	struct pyro_workspace *list = NULL;
	size_t count = 0;
	int row = -1;

	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		list = mem_resize(list, count + 1, sizeof(*list));
		list[count++] = row_to_workspace(stmt);
		if (add_parts(r, &list[count - 1], err) < 0) {
			row = -1;
			break;
		}
	}
	db_end(stmt);
	if (row < 0) {
		free_list(list, count);
		return -1;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}
