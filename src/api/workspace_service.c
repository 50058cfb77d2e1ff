/*
 * Services: long-running processes of a workspace. Its supervisor runs them and keeps their records
 * and logs, which are read here without it, so also when the workspace is stopped.
 */
#include "api/handle.h"
#include "api/machine.h"
#include "api/remote.h"
#include "api/workspace.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "ops/ops.h"
#include "workspace/ring.h"
#include "workspace/services.h"
#include "workspace/state.h"

#include <stdlib.h>
#include <string.h>

#define PUBLISHING "egress+published-ports"

/*
 * The start.
 */

static bool has_port(const char *address)
{
	const char *colon = strrchr(address, ':');
	int64_t port;

	return colon && colon != address && parse_int(colon + 1, 1, UINT16_MAX, &port);
}

/* What is plainly wrong is refused before anything runs; the agent looks closer. */
static int check_readiness(const struct pyro_readiness *r, struct pyro_error *err)
{
	const struct {
		const char *type;
		const char *target;
		const char *form;
		bool is_good;
	} kinds[] = {
		{"file", r->path, "a path", r->path && *r->path},
		{"tcp", r->address, "HOST:PORT or [V6]:PORT", r->address && has_port(r->address)},
		{"http", r->url, "http://HOST[:PORT][/PATH], without TLS",
		 r->url && strncmp(r->url, "http://", 7) == 0},
		{"command", r->command ? r->command[0] : NULL, "a command",
		 r->command && r->command[0] && *r->command[0]},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool is_type = strcmp(r->type, kinds[i].type) == 0;

		if (is_type && kinds[i].is_good)
			return 0;
		if (is_type)
			return err_set(err, PYRO_E_INVALID,
				       "readiness of type '%s': '%s' is not %s", r->type,
				       kinds[i].target ? kinds[i].target : "", kinds[i].form);
	}
	(void)err_set(err, PYRO_E_INVALID, "there is no readiness of type '%.40s'", r->type);
	return err_hint(err, "file, tcp, http or command");
}

static int check_ports(const struct pyro_start_service_args *a, const struct pyro_workspace *ws,
		       struct pyro_error *err)
{
	if (!a->published_ports_count || strcmp(ws->network_policy, PUBLISHING) == 0)
		return 0;
	(void)err_set(err, PYRO_E_REFUSED,
		      "workspace '%s' publishes no ports: its network policy is '%s'",
		      ws->workspace_id, ws->network_policy);
	return err_hint(err, "pyro workspace create --network-policy " PUBLISHING);
}

/* A text for the shell, or a list. */
static json_t *command_to_json(char *const *command)
{
	json_t *list;

	if (!command[1])
		return json_string(command[0]);
	list = json_array();
	for (size_t i = 0; command[i]; i++)
		(void)json_array_append_new(list, json_string(command[i]));
	return list;
}

static json_t *readiness_to_json(const struct pyro_readiness *r)
{
	json_t *object = json_pack("{s:s}", "type", r->type);

	if (strcmp(r->type, "file") == 0)
		(void)json_object_set_new(object, "path", json_string(r->path));
	else if (strcmp(r->type, "tcp") == 0)
		(void)json_object_set_new(object, "address", json_string(r->address));
	else if (strcmp(r->type, "http") == 0)
		(void)json_object_set_new(object, "url", json_string(r->url));
	else
		(void)json_object_set_new(object, "command", command_to_json(r->command));
	return object;
}

static json_t *ports_to_json(const struct pyro_start_service_args *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->published_ports_count; i++) {
		const struct pyro_port_mapping *port = &a->published_ports[i];
		int64_t host_port = port->host_port == PYRO_NONE ? 0 : port->host_port;

		(void)json_array_append_new(list, json_pack("{s:I, s:I}", "host_port",
							    (json_int_t)host_port, "guest_port",
							    (json_int_t)port->guest_port));
	}
	return list;
}

/* The command as it is recorded: without secrets, before it is cut. NULL with err. */
static json_t *recorded(struct pyro *p, const struct pyro_workspace *ws, const char *const *command,
			struct pyro_error *err)
{
	AUTO_STRV char **shown = NULL;
	struct redact_patterns *patterns;

	if (workspace_patterns(p, ws->workspace_id, &patterns, err) < 0)
		return NULL;
	shown = workspace_redact_words(patterns, command);
	(void)redact_patterns_free(patterns);
	return machine_recorded_command((const char *const *)shown);
}

/* What the supervisor is told; NULL with err. */
static json_t *start_args(struct pyro *p, const struct pyro_workspace *ws,
			  const struct pyro_start_service_args *a, struct pyro_error *err)
{
	AUTO_FREE char *cwd =
		*a->cwd == '/' ? mem_strdup(a->cwd) : mem_printf(WORKSPACE_PATH "/%s", a->cwd);
	json_t *command = recorded(p, ws, a->command, err);
	json_t *args;

	if (!command)
		return NULL;
	args = json_pack("{s:s, s:s, s:o, s:o, s:I, s:I}", "service_name", a->service_name, "cwd",
			 cwd, "command", command, "publish", ports_to_json(a), "ready_timeout_ms",
			 (json_int_t)a->ready_timeout_seconds * 1000, "ready_interval_ms",
			 (json_int_t)a->ready_interval_ms);
	machine_add_command(args, a->command);
	if (a->readiness)
		(void)json_object_set_new(args, "readiness", readiness_to_json(a->readiness));
	if (workspace_add_secret_env(a->secret_env, args, err) == 0)
		return args;
	json_decref(args);
	return NULL;
}

/* The supervisor keeps the time. */
static int start(struct pyro *p, const struct pyro_start_service_args *a, struct pyro_service *ret,
		 struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	struct remote *remote = NULL;
	json_t *args;
	int result;

	if (workspace_connect(p, a->workspace_id, &ws, &remote, err) < 0)
		return -1;
	args = check_ports(a, &ws, err) < 0 ? NULL : start_args(p, &ws, a, err);
	if (args && a->readiness)
		handle_phase(p, "service-start", "phase=wait workspace_id=%s service_name=%s",
			     ws.workspace_id, a->service_name);
	result = args ? remote_call(remote, "service-start", "service_start", args, DEADLINE_NONE,
				    NULL, err)
		      : -1;
	(void)remote_free(remote);
	if (result == 0)
		result = services_get(p->records, ws.workspace_id, a->service_name, ret, err);
	pyro_workspace_done(&ws);
	return result;
}

int pyro_start_service(struct pyro *p, const struct pyro_start_service_args *given,
		       struct pyro_service *ret, struct pyro_error *err)
{
	struct pyro_start_service_args a;

	if (ops_apply_defaults(OP_start_service, given, &a, err) < 0 ||
	    services_check_name(a.service_name, err) < 0 ||
	    (a.readiness && check_readiness(a.readiness, err) < 0))
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, start(p, &a, ret, err));
}

/*
 * What can be asked of it.
 */

int pyro_list_services(struct pyro *p, const struct pyro_list_services_args *given,
		       struct pyro_service_list *ret, struct pyro_error *err)
{
	struct pyro_list_services_args a;
	struct pyro_service_list list = {0};
	struct pyro_workspace ws = {0};
	int result;

	if (ops_apply_defaults(OP_list_services, given, &a, err) < 0 ||
	    workspace_find(p, a.workspace_id, &ws, err) < 0)
		return -1;
	result = services_list(p->records, ws.workspace_id, &list.services, &list.services_count,
			       err);
	if (result == 0) {
		list.workspace_id = TAKE_PTR(ws.workspace_id);
		list.count = (int64_t)list.services_count;
		for (size_t i = 0; i < list.services_count; i++)
			list.running_count += strcmp(list.services[i].state, "running") == 0;
		*ret = list;
	}
	pyro_workspace_done(&ws);
	return result;
}

/* The service, and its workspace, whose state is up to date. Both are the caller's. */
static int find(struct pyro *p, const char *id_or_name, const char *service_name,
		struct pyro_workspace *ws, struct pyro_service *ret, struct pyro_error *err)
{
	if (workspace_find(p, id_or_name, ws, err) < 0)
		return -1;
	if (services_get(p->records, ws->workspace_id, service_name, ret, err) == 0)
		return 0;
	pyro_workspace_done(ws);
	return -1;
}

int pyro_status_service(struct pyro *p, const struct pyro_status_service_args *given,
			struct pyro_service *ret, struct pyro_error *err)
{
	struct pyro_status_service_args a;
	struct pyro_workspace ws = {0};

	if (ops_apply_defaults(OP_status_service, given, &a, err) < 0 ||
	    find(p, a.workspace_id, a.service_name, &ws, ret, err) < 0)
		return -1;
	pyro_workspace_done(&ws);
	return 0;
}

/* Where the last n lines begin; the last one may lack its end. */
static size_t tail_start(const char *text, size_t len, int64_t n)
{
	size_t at = len;

	if (at && text[at - 1] == '\n')
		at--;
	while (at) {
		if (text[at - 1] == '\n' && --n == 0)
			return at;
		at--;
	}
	return 0;
}

/* lines: PYRO_NONE for all. *truncated is set where earlier ones are missing. */
static int read_log(const char *dir, const char *name, enum services_stream stream, int64_t lines,
		    char **ret, bool *truncated, struct pyro_error *err)
{
	AUTO_FREE char *path = services_log_path(dir, name, stream);
	AUTO_BUF struct buf text = BUF_INIT(SERVICES_LOG_BYTES + 1);
	struct ring_span span = {0};
	struct pyro_error why;
	size_t start;

	if (ring_read_file(path, 0, SERVICES_LOG_BYTES, &text, &span, &why) < 0 &&
	    why.code != PYRO_E_NOT_FOUND) { /* it could not be started */
		if (err)
			*err = why;
		return -1;
	}
	start = lines == PYRO_NONE ? 0 : tail_start(buf_text(&text), text.len, lines);
	*truncated = *truncated || start || span.from > 0;
	*ret = utf8_repair(buf_text(&text) + start, text.len - start, NULL);
	return 0;
}

static int read_logs(struct pyro *p, const struct pyro_workspace *ws, struct pyro_service_logs *ret,
		     struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, ws->workspace_id);

	if (read_log(dir, ret->service_name, SERVICES_STDOUT, ret->tail_lines, &ret->stdout,
		     &ret->truncated, err) < 0)
		return -1;
	return read_log(dir, ret->service_name, SERVICES_STDERR, ret->tail_lines, &ret->stderr,
			&ret->truncated, err);
}

int pyro_logs_service(struct pyro *p, const struct pyro_logs_service_args *given,
		      struct pyro_service_logs *ret, struct pyro_error *err)
{
	struct pyro_logs_service_args a;
	struct pyro_service_logs logs = {0};
	struct pyro_workspace ws = {0};
	struct pyro_service service = {0};
	int result;

	if (ops_apply_defaults(OP_logs_service, given, &a, err) < 0 ||
	    find(p, a.workspace_id, a.service_name, &ws, &service, err) < 0)
		return -1;
	logs.workspace_id = TAKE_PTR(service.workspace_id);
	logs.service_name = TAKE_PTR(service.service_name);
	logs.state = TAKE_PTR(service.state);
	logs.tail_lines = a.all ? PYRO_NONE : a.tail_lines;
	result = read_logs(p, &ws, &logs, err);
	pyro_service_done(&service);
	pyro_workspace_done(&ws);
	if (result < 0)
		pyro_service_logs_done(&logs);
	else
		*ret = logs;
	return result;
}

/*
 * The end.
 */

static int stop_running(struct pyro *p, const char *id, const char *name, struct pyro_error *err)
{
	struct remote *remote = remote_connect(p, id, err);
	int result;

	if (!remote)
		return -1;
	handle_phase(p, "service-stop", "phase=stop workspace_id=%s service_name=%s", id, name);
	result = remote_call(remote, "service-stop", "service_stop",
			     json_pack("{s:s}", "service_name", name),
			     deadline_in(WORKSPACE_CALL_MS), NULL, err);
	(void)remote_free(remote);
	return result;
}

static int stop(struct pyro *p, const struct pyro_stop_service_args *a, struct pyro_service *ret,
		struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	struct pyro_service service = {0};
	int result = 0;

	if (find(p, a->workspace_id, a->service_name, &ws, &service, err) < 0)
		return -1;
	if (strcmp(service.state, "running") == 0)
		result = stop_running(p, ws.workspace_id, a->service_name, err);
	if (result == 0)
		result = services_get(p->records, ws.workspace_id, a->service_name, ret, err);
	pyro_service_done(&service);
	pyro_workspace_done(&ws);
	return result;
}

int pyro_stop_service(struct pyro *p, const struct pyro_stop_service_args *given,
		      struct pyro_service *ret, struct pyro_error *err)
{
	struct pyro_stop_service_args a;

	if (ops_apply_defaults(OP_stop_service, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, stop(p, &a, ret, err));
}
