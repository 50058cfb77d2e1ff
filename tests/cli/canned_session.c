/*
 * The shells and services of the canned libpyro. The workspace "empty" has none; the service "late"
 * never becomes ready.
 */
#include "base/clock.h"
#include "base/err.h"
#include "canned.h"

#include <string.h>

static bool is_empty(const char *workspace_id)
{
	return strcmp(workspace_id, "empty") == 0;
}

static struct pyro_shell shell(const char *id, bool is_running)
{
	double now = clock_wall();

	return (struct pyro_shell){
		.workspace_id = mem_strdup("ws-1"),
		.shell_id = mem_strdup(id),
		.cwd = mem_strdup("/workspace"),
		.cols = 120,
		.rows = 30,
		.state = mem_strdup(is_running ? "running" : "stopped"),
		.started_at = now - 125,
		.ended_at = is_running ? (double)PYRO_NONE : now - 60,
		.exit_code = is_running ? PYRO_NONE : 130,
	};
}

int pyro_open_shell(struct pyro *p, const struct pyro_open_shell_args *args, struct pyro_shell *ret,
		    struct pyro_error *err)
{
	(void)p, (void)args, (void)err;
	*ret = shell("sh-1", true);
	return 0;
}

int pyro_list_shells(struct pyro *p, const struct pyro_list_shells_args *args,
		     struct pyro_shell_list *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	ret->workspace_id = mem_strdup("ws-1");
	if (is_empty(args->workspace_id))
		return 0;
	ret->shells = mem_zalloc(2, sizeof(*ret->shells));
	ret->count = 2;
	ret->shells_count = 2;
	ret->shells[0] = shell("sh-1", true);
	ret->shells[1] = shell("sh-2", false);
	return 0;
}

int pyro_attach_shell(struct pyro *p, const struct pyro_attach_shell_args *args,
		      struct pyro_shell *ret, struct pyro_error *err)
{
	(void)p, (void)args, (void)err;
	*ret = shell("sh-1", true);
	return 0;
}

int pyro_read_shell(struct pyro *p, const struct pyro_read_shell_args *args,
		    struct pyro_shell_read *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_shell_read){
		.workspace_id = mem_strdup("ws-1"),
		.shell_id = mem_strdup(args->shell_id),
		.state = mem_strdup("running"),
		.exit_code = PYRO_NONE,
		.cursor = args->cursor,
		.next_cursor = args->cursor + 14,
		.output = mem_strdup(args->plain ? "/workspace # " : "\033[1m/workspace #\033[0m "),
		.plain = args->plain,
		.skipped_bytes = strcmp(args->shell_id, "sh-long") == 0 ? 2048 : 0,
		.truncated = strcmp(args->shell_id, "sh-long") == 0,
	};
	return 0;
}

int pyro_write_shell(struct pyro *p, const struct pyro_write_shell_args *args,
		     struct pyro_shell_written *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_shell_written){
		.workspace_id = mem_strdup("ws-1"),
		.shell_id = mem_strdup(args->shell_id),
		.input_bytes = (int64_t)strlen(args->input) + (args->append_newline == PYRO_ON),
	};
	return 0;
}

int pyro_signal_shell(struct pyro *p, const struct pyro_signal_shell_args *args,
		      struct pyro_shell *ret, struct pyro_error *err)
{
	(void)p, (void)args, (void)err;
	*ret = shell("sh-1", true);
	return 0;
}

int pyro_close_shell(struct pyro *p, const struct pyro_close_shell_args *args,
		     struct pyro_shell *ret, struct pyro_error *err)
{
	(void)p, (void)args, (void)err;
	*ret = shell("sh-1", false);
	return 0;
}

static struct pyro_service service(const char *name, const char *state, const char *const *command)
{
	double now = clock_wall();
	bool is_running = strcmp(state, "running") == 0;

	return (struct pyro_service){
		.workspace_id = mem_strdup("ws-1"),
		.service_name = mem_strdup(name),
		.state = mem_strdup(state),
		.command = strv_dup(command),
		.cwd = mem_strdup("/workspace"),
		.started_at = now - 125,
		.ended_at = is_running ? (double)PYRO_NONE : now - 60,
		.exit_code = is_running ? PYRO_NONE : 1,
		.pid = is_running ? 311 : PYRO_NONE,
		.ready_at = now - 124,
		.stop_reason = is_running ? NULL : mem_strdup("it ended by itself"),
	};
}

static void publish(struct pyro_service *s)
{
	s->published_ports = mem_zalloc(1, sizeof(*s->published_ports));
	s->published_ports_count = 1;
	s->published_ports[0] = (struct pyro_published_port){
		.host = mem_strdup("127.0.0.1"),
		.host_port = 40123,
		.guest_port = 8000,
		.protocol = mem_strdup("tcp"),
	};
	s->has_readiness = true;
	s->readiness.type = mem_strdup("tcp");
	s->readiness.address = mem_strdup("127.0.0.1:8000");
}

int pyro_start_service(struct pyro *p, const struct pyro_start_service_args *args,
		       struct pyro_service *ret, struct pyro_error *err)
{
	(void)p;
	if (strcmp(args->service_name, "late") == 0) {
		(void)err_set(err, PYRO_E_TIMEOUT,
			      "service 'late' was not ready after 30 s: tcp 127.0.0.1:8000: "
			      "connection refused");
		return err_hint(err, "pyro workspace service logs ws-1 late");
	}
	*ret = service(args->service_name, "running", args->command);
	publish(ret);
	return 0;
}

static void fill_list(struct pyro_service_list *list)
{
	list->services = mem_zalloc(2, sizeof(*list->services));
	list->count = 2;
	list->running_count = 1;
	list->services_count = 2;
	list->services[0] =
		service("api", "exited", (const char *const[]){"./api", "--port", "80 80", NULL});
	list->services[1] =
		service("web", "running", (const char *const[]){"python3 -m http.server", NULL});
	publish(&list->services[1]);
}

int pyro_list_services(struct pyro *p, const struct pyro_list_services_args *args,
		       struct pyro_service_list *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	ret->workspace_id = mem_strdup("ws-1");
	if (!is_empty(args->workspace_id))
		fill_list(ret);
	return 0;
}

int pyro_status_service(struct pyro *p, const struct pyro_status_service_args *args,
			struct pyro_service *ret, struct pyro_error *err)
{
	bool is_web = strcmp(args->service_name, "web") == 0;

	(void)p, (void)err;
	*ret = service(args->service_name, is_web ? "running" : "exited",
		       (const char *const[]){"python3", "-m", "http.server", NULL});
	if (is_web) {
		publish(ret);
	} else {
		ret->has_readiness = true;
		ret->readiness.type = mem_strdup("file");
		ret->readiness.path = mem_strdup("ok");
		ret->ready_at = (double)PYRO_NONE;
	}
	return 0;
}

int pyro_logs_service(struct pyro *p, const struct pyro_logs_service_args *args,
		      struct pyro_service_logs *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_service_logs){
		.workspace_id = mem_strdup("ws-1"),
		.service_name = mem_strdup(args->service_name),
		.state = mem_strdup("running"),
		.stdout = mem_strdup(is_empty(args->service_name) ? "" : "line\nescape \033[2J\n"),
		.stderr = mem_strdup(is_empty(args->service_name) ? "" : "GET / 200"),
		.tail_lines = args->all ? PYRO_NONE : args->tail_lines,
		.truncated = !args->all && !is_empty(args->service_name),
	};
	return 0;
}

int pyro_stop_service(struct pyro *p, const struct pyro_stop_service_args *args,
		      struct pyro_service *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = service(args->service_name, "stopped",
		       (const char *const[]){"python3", "-m", "http.server", NULL});
	return 0;
}

/* The real ones are tested, by hosts.py. */
CANNED_REST(connect_host, host_change)
CANNED_REST(print_host_config, host_config)
CANNED_REST(doctor_host, host_list)
CANNED_REST(repair_host, host_change)
