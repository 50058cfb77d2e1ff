#include "workspace/services.h"

#include "base/file.h"
#include "base/mem.h"
#include "unit/workspace_sample.h"

#include <sys/stat.h>

#define PORTS "[{\"host\":\"127.0.0.1\",\"host_port\":8080,\"guest_port\":80,\"protocol\":\"tcp\"}]"

static struct records *records;

static struct records *open_sample(void)
{
	records = sample_open();
	sample_add(records, SAMPLE_ID, "web", NULL, 100);
	return records;
}

static char *begin(const char *name, const char *readiness, double now)
{
	const struct services_new service = {
		.name = name,
		.command = "[\"sleep\",\"9\"]",
		.cwd = "/workspace",
		.readiness = readiness,
		.published_ports = PORTS,
	};
	struct pyro_error err;
	char *dropped;

	CHECK_OK(services_begin(records, SAMPLE_ID, &service, now, &dropped, &err), err);
	return dropped;
}

static void end(const char *name, const char *state, int64_t exit_code, double now)
{
	const struct services_result result = {state, exit_code, NULL};
	struct pyro_error err;

	CHECK_OK(services_end(records, SAMPLE_ID, name, &result, now, &err), err);
}

static struct pyro_service get(const char *name)
{
	struct pyro_service service;
	struct pyro_error err;

	CHECK_OK(services_get(records, SAMPLE_ID, name, &service, &err), err);
	return service;
}

TEST("a service's name is 1 to 64 plain characters that are no path")
{
	struct pyro_error err;
	char longest[66] = {0};

	memset(longest, 's', 64);
	CHECK_OK(services_check_name("web-1.0_x", &err), err);
	CHECK_OK(services_check_name(longest, &err), err);
	longest[64] = 's';
	CHECK(services_check_name(longest, &err) < 0);
	CHECK(services_check_name("", &err) < 0 && services_check_name("-a", &err) < 0);
	CHECK(services_check_name("..", &err) < 0 && services_check_name("a/b", &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
}

TEST("a service's record has what it was started with and what became of it")
{
	struct pyro_service s;
	struct pyro_error err;

	(void)open_sample();
	CHECK(!begin("web", "{\"type\":\"command\",\"command\":[\"a\",\"b\"]}", 110));
	CHECK_OK(services_set_pid(records, SAMPLE_ID, "web", 77, &err), err);
	CHECK_OK(services_set_ready(records, SAMPLE_ID, "web", 111, &err), err);
	s = get("web");
	CHECK_STR(s.state, "running");
	CHECK_STR(s.command[0], "sleep");
	CHECK_STR(s.command[1], "9");
	CHECK_STR(s.cwd, "/workspace");
	CHECK_STR(s.readiness.type, "command");
	CHECK_STR(s.readiness.command[1], "b");
	CHECK(!s.readiness.path);
	CHECK_INT(s.published_ports_count, 1);
	CHECK_INT(s.published_ports[0].host_port, 8080);
	CHECK_INT(s.published_ports[0].guest_port, 80);
	CHECK_INT(s.pid, 77);
	CHECK(s.started_at == 110 && s.ready_at == 111 && s.ended_at == (double)PYRO_NONE);
	CHECK_INT(s.exit_code, PYRO_NONE);
	pyro_service_done(&s);
	end("web", "exited", 3, 120);
	s = get("web");
	CHECK_STR(s.state, "exited");
	CHECK_INT(s.exit_code, 3);
	CHECK_INT(s.pid, PYRO_NONE);
	CHECK(s.ended_at == 120 && !s.stop_reason);
	pyro_service_done(&s);
	(void)records_close(records);
}

TEST("a service that is started again replaces the one of its name")
{
	struct pyro_service s;

	(void)open_sample();
	CHECK(!begin("web", "{\"type\":\"file\",\"path\":\"x\"}", 110));
	end("web", "exited", 1, 111);
	CHECK(!begin("web", NULL, 112));
	s = get("web");
	CHECK_STR(s.state, "running");
	CHECK_INT(s.exit_code, PYRO_NONE);
	CHECK(!s.has_readiness && s.ended_at == (double)PYRO_NONE);
	pyro_service_done(&s);
	(void)records_close(records);
}

TEST("services that seem to run when their machine is gone have failed, and no others")
{
	struct pyro_service s;
	struct pyro_error err;

	(void)open_sample();
	CHECK(!begin("a", NULL, 110));
	CHECK(!begin("b", NULL, 110));
	end("b", "stopped", 0, 111);
	CHECK_OK(services_fail(records, SAMPLE_ID, "it was killed", 120, &err), err);
	s = get("a");
	CHECK_STR(s.state, "failed");
	CHECK_STR(s.stop_reason, "it was killed");
	CHECK(s.ended_at == 120);
	pyro_service_done(&s);
	s = get("b");
	CHECK_STR(s.state, "stopped");
	pyro_service_done(&s);
	(void)records_close(records);
}

TEST("an unknown service is not found, and those that exist are named")
{
	struct pyro_service s;
	struct pyro_error err;

	(void)open_sample();
	CHECK(services_get(records, SAMPLE_ID, "web", &s, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	CHECK(strstr(err.hint, "service start"));
	CHECK(!begin("web", NULL, 110));
	CHECK(!begin("api", NULL, 110));
	CHECK(services_get(records, SAMPLE_ID, "wbe", &s, &err) < 0);
	CHECK_STR(err.hint, "there is 'api', 'web'");
	(void)records_close(records);
}

TEST("beyond the limit of names the service that ended first goes, and none that runs")
{
	const struct services_new one_more = {"more", "\"x\"", "/workspace", NULL, "[]"};
	struct pyro_workspace ws;
	struct pyro_error err;
	char *dropped;

	(void)open_sample();
	for (int i = 0; i < SERVICES_MAX; i++) {
		AUTO_FREE char *name = mem_printf("s%d", i);

		CHECK(!begin(name, NULL, 110));
	}
	CHECK(services_begin(records, SAMPLE_ID, &one_more, 111, &dropped, &err) < 0);
	CHECK_INT(err.code, PYRO_E_LIMIT);
	CHECK(!begin("s5", NULL, 112));
	end("s7", "exited", 0, 121);
	end("s3", "stopped", 0, 120);
	dropped = begin("more", NULL, 122);
	CHECK_STR(dropped, "s3");
	free(dropped);
	CHECK_OK(workspaces_get(records, SAMPLE_ID, &ws, &err), err);
	CHECK_INT(ws.service_count, SERVICES_MAX);
	CHECK_INT(ws.running_service_count, SERVICES_MAX - 1);
	pyro_workspace_done(&ws);
	(void)records_close(records);
}

TEST("a reset forgets services, and logs go with their directory")
{
	struct pyro_service *list;
	struct pyro_error err;
	size_t count;
	AUTO_FREE char *dir = mem_printf("%s/services", test_dir());
	AUTO_FREE char *log = services_log_path(test_dir(), "web", SERVICES_STDERR);

	(void)open_sample();
	CHECK(!begin("web", NULL, 110));
	CHECK_OK(workspaces_reset(records, SAMPLE_ID, 120, &err), err);
	CHECK_OK(services_list(records, SAMPLE_ID, &list, &count, &err), err);
	CHECK_INT(count, 0);
	free(list);
	CHECK(mkdir(dir, 0700) == 0);
	CHECK_OK(file_write_atomic(log, "x", 1, 0600, &err), err);
	services_remove_logs(test_dir(), "web");
	CHECK(!file_exists(log));
	CHECK_OK(file_write_atomic(log, "x", 1, 0600, &err), err);
	services_remove_all_logs(test_dir());
	CHECK(!file_exists(dir));
	(void)records_close(records);
}
