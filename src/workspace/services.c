#include "workspace/services.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "workspace/db.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_LEN 64
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

int services_check_name(const char *name, struct pyro_error *err)
{
	size_t len = strlen(name);

	if (len >= 1 && len <= NAME_MAX_LEN && strspn(name, LETTERS "._-") == len &&
	    strchr(LETTERS, name[0]))
		return 0;
	(void)err_set(err, PYRO_E_INVALID, "name '%.80s' is not one for a service", name);
	return err_hint(err, "1 to 64 letters, digits, dots, dashes and underscores, the first a "
			     "letter or digit");
}

/*
 * Changes.
 */

/* Room for one more name; *ret_dropped is who had to go. */
static int make_room(struct records *r, const char *id, const char *name, char **ret_dropped,
		     struct pyro_error *err)
{
	sqlite3_stmt *stmt;
	int64_t others;
	int row;

	if (db_number(r, err, 0, &others,
		      "SELECT count(*) FROM service WHERE workspace_id = ?1 AND service_name <> ?2",
		      "tt", id, name) < 0)
		return -1;
	if (others < SERVICES_MAX)
		return 0;
	stmt = db_query(r, err,
			"SELECT service_name FROM service WHERE workspace_id = ?1 AND "
			"service_name <> ?2 AND state <> 'running' ORDER BY ended_at LIMIT 1",
			"tt", id, name);
	row = stmt ? db_step(r, stmt, err) : -1;
	if (row == 1)
		*ret_dropped = db_text(stmt, 0);
	db_end(stmt);
	if (row == 0) {
		(void)err_set(err, PYRO_E_LIMIT, "%d services run already", SERVICES_MAX);
		return err_hint(err, "stop one: pyro workspace service list %s", id);
	}
	return row < 0 ? -1
		       : db_run(r, err,
				"DELETE FROM service WHERE workspace_id = ?1 AND service_name = ?2",
				"tt", id, *ret_dropped);
}

static int begin(struct records *r, const char *id, const struct services_new *service, double now,
		 char **ret_dropped, struct pyro_error *err)
{
	if (make_room(r, id, service->name, ret_dropped, err) < 0)
		return -1;
	return db_run(r, err,
		      "INSERT OR REPLACE INTO service (workspace_id, service_name, state, command, "
		      "cwd, readiness, published_ports, started_at) "
		      "VALUES (?1, ?2, 'running', ?3, ?4, ?5, ?6, ?7)",
		      "ttttttd", id, service->name, service->command, service->cwd,
		      service->readiness, service->published_ports, now);
}

int services_begin(struct records *r, const char *id, const struct services_new *service,
		   double now, char **ret_dropped, struct pyro_error *err)
{
	char *dropped = NULL;

	if (db_begin(r, err) < 0)
		return -1;
	if (db_commit(r, begin(r, id, service, now, &dropped, err), err) < 0) {
		free(dropped);
		return -1;
	}
	*ret_dropped = dropped;
	return 0;
}

int services_set_pid(struct records *r, const char *id, const char *name, int64_t pid,
		     struct pyro_error *err)
{
	return db_run(r, err,
		      "UPDATE service SET pid = ?3 WHERE workspace_id = ?1 AND service_name = ?2",
		      "tti", id, name, pid);
}

int services_set_ready(struct records *r, const char *id, const char *name, double now,
		       struct pyro_error *err)
{
	return db_run(r, err,
		      "UPDATE service SET ready_at = ?3 WHERE workspace_id = ?1 AND "
		      "service_name = ?2",
		      "ttd", id, name, now);
}

int services_end(struct records *r, const char *id, const char *name,
		 const struct services_result *result, double now, struct pyro_error *err)
{
	return db_run(
		r, err,
		"UPDATE service SET state = ?3, exit_code = nullif(?4, ?5), stop_reason = ?6, "
		"ended_at = ?7, pid = NULL, published_ports = '[]' "
		"WHERE workspace_id = ?1 AND service_name = ?2 AND state = 'running'",
		"tttiitd", id, name, result->state, result->exit_code, PYRO_NONE,
		result->stop_reason, now);
}

int services_fail(struct records *r, const char *id, const char *reason, double now,
		  struct pyro_error *err)
{
	return db_run(r, err,
		      "UPDATE service SET state = 'failed', stop_reason = ?2, ended_at = ?3, "
		      "pid = NULL, published_ports = '[]' "
		      "WHERE workspace_id = ?1 AND state = 'running'",
		      "ttd", id, reason, now);
}

/*
 * Reading.
 */

#define SELECT_SERVICE                                                                   \
	"SELECT workspace_id, service_name, state, command, cwd, started_at, ended_at, " \
	"exit_code, "                                                                    \
	"pid, readiness, ready_at, stop_reason, published_ports FROM service "

/* A member's text, owned by the caller; NULL if there is none. */
static char *member(const json_t *object, const char *key)
{
	return mem_strdup(json_string_value(json_object_get(object, key)));
}

static void take_readiness(const char *text, struct pyro_service *ret)
{
	json_t *object = text ? json_loads(text, 0, NULL) : NULL;
	const json_t *command = json_object_get(object, "command");

	ret->has_readiness = json_is_object(object);
	if (ret->has_readiness)
		ret->readiness = (struct pyro_readiness){
			.type = member(object, "type"),
			.path = member(object, "path"),
			.address = member(object, "address"),
			.url = member(object, "url"),
			.command = command ? db_json_words(command) : NULL,
		};
	json_decref(object);
}

static void take_ports(const char *text, struct pyro_service *ret)
{
	json_t *list = text ? json_loads(text, 0, NULL) : NULL;
	size_t n = json_array_size(list);

	ret->published_ports = mem_zalloc(n + 1, sizeof(*ret->published_ports));
	for (size_t i = 0; i < n; i++) {
		const json_t *port = json_array_get(list, i);

		ret->published_ports[ret->published_ports_count++] = (struct pyro_published_port){
			.host = member(port, "host"),
			.host_port = json_integer_value(json_object_get(port, "host_port")),
			.guest_port = json_integer_value(json_object_get(port, "guest_port")),
			.protocol = member(port, "protocol"),
		};
	}
	json_decref(list);
}

static struct pyro_service row_to_service(sqlite3_stmt *stmt)
{
	AUTO_FREE char *readiness = db_text(stmt, 9);
	AUTO_FREE char *ports = db_text(stmt, 12);
	struct pyro_service service = {
		.workspace_id = db_text(stmt, 0),
		.service_name = db_text(stmt, 1),
		.state = db_text(stmt, 2),
		.command = db_words(stmt, 3),
		.cwd = db_text(stmt, 4),
		.started_at = db_real(stmt, 5),
		.ended_at = db_real(stmt, 6),
		.exit_code = db_int(stmt, 7),
		.pid = db_int(stmt, 8),
		.ready_at = db_real(stmt, 10),
		.stop_reason = db_text(stmt, 11),
	};

	take_readiness(readiness, &service);
	take_ports(ports, &service);
	return service;
}

/* Who mistypes a name is told which there are. */
static int not_found(struct records *r, const char *id, const char *name, struct pyro_error *err)
{
	sqlite3_stmt *stmt = db_query(
		r, err,
		"SELECT service_name FROM service WHERE workspace_id = ?1 ORDER BY service_name",
		"t", id);
	AUTO_BUF struct buf names = BUF_INIT(200);

	while (stmt && db_step(r, stmt, NULL) == 1) {
		AUTO_FREE char *other = db_text(stmt, 0);

		buf_printf(&names, "%s'%s'", names.len ? ", " : "", other);
	}
	db_end(stmt);
	(void)err_set(err, PYRO_E_NOT_FOUND, "there is no service '%.120s' in workspace '%s'", name,
		      id);
	return names.len ? err_hint(err, "there is %s%s", buf_text(&names),
				    names.is_full ? " and more" : "")
			 : err_hint(err, "pyro workspace service start %s NAME -- COMMAND", id);
}

int services_get(struct records *r, const char *id, const char *name, struct pyro_service *ret,
		 struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		db_query(r, err, SELECT_SERVICE "WHERE workspace_id = ?1 AND service_name = ?2",
			 "tt", id, name);
	int row = stmt ? db_step(r, stmt, err) : -1;

	if (row == 1)
		*ret = row_to_service(stmt);
	db_end(stmt);
	return row == 0 ? not_found(r, id, name, err) : row < 0 ? -1 : 0;
}

int services_list(struct records *r, const char *id, struct pyro_service **ret, size_t *ret_count,
		  struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		db_query(r, err, SELECT_SERVICE "WHERE workspace_id = ?1 ORDER BY service_name",
			 "t", id);
	int row = -1;

	*ret = NULL;
	*ret_count = 0;
	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		*ret = mem_resize(*ret, *ret_count + 1, sizeof(**ret));
		(*ret)[(*ret_count)++] = row_to_service(stmt);
	}
	db_end(stmt);
	return row;
}

/*
 * Logs.
 */

char *services_log_path(const char *dir, const char *name, enum services_stream stream)
{
	return mem_printf("%s/services/%s.%s", dir, name,
			  stream == SERVICES_STDOUT ? "out" : "err");
}

void services_remove_logs(const char *dir, const char *name)
{
	AUTO_FREE char *out = services_log_path(dir, name, SERVICES_STDOUT);
	AUTO_FREE char *err = services_log_path(dir, name, SERVICES_STDERR);

	(void)unlink(out);
	(void)unlink(err);
}

void services_remove_all_logs(const char *dir)
{
	AUTO_FREE char *path = mem_printf("%s/services", dir);

	(void)dir_remove(path, NULL);
}
