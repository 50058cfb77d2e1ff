/*
 * A guest that was taken over, and what outlives a call: shells, services, published ports. A real
 * supervisor, whose client is the test, with the lying agent (rogue_agent.c) in the place of that
 * of a host. The lie is the command of an exec, the directory of a shell, or a guest's port.
 */
#include "test.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/proc.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "unit/workspace_sample.h"
#include "workspace/services.h"
#include "workspace/shells.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALL_MS 100000

struct lab {
	struct loop *loop;
	struct mux *mux;
	struct records *records;
	int fd;
};

static json_t *call_for(struct lab *lab, const char *name, json_t *args, int64_t ms,
			struct pyro_error *err)
{
	return call_wait(lab->loop, lab->mux, name, args, deadline_in(ms), err);
}

static json_t *call(struct lab *lab, const char *name, json_t *args)
{
	struct pyro_error err;
	json_t *result = call_for(lab, name, args, CALL_MS, &err);

	if (!result)
		test_fail(__FILE__, __LINE__, "%s: %s", name, err.message);
	return result;
}

static void call_and_drop(struct lab *lab, const char *name, json_t *args)
{
	json_decref(call(lab, name, args));
}

static struct pyro_error refused(struct lab *lab, const char *name, json_t *args)
{
	struct pyro_error err;
	json_t *result = call_for(lab, name, args, CALL_MS, &err);

	if (result)
		test_fail(__FILE__, __LINE__, "%s is no error", name);
	return err;
}

static int make_dir(const char *id)
{
	AUTO_FREE char *dir = mem_printf("%s/vms/%s", test_dir(), id);
	AUTO_FREE char *lock = mem_printf("%s/alive", dir);
	struct pyro_error err;
	int fd;

	CHECK_OK(dir_make(dir, 0700, &err), err);
	fd = file_lock(lock, deadline_in(1000), &err);
	CHECK_OK(fd, err);
	return fd;
}

/* The machine ends with this process, whatever becomes of it. */
static struct lab begin(void)
{
	static const struct mux_ops ops;
	const char *words[] = {TEST_SUPERVISOR, test_dir(), SAMPLE_ID, NULL};
	AUTO_ARGV struct argv argv = ARGV_INIT;
	struct lab lab = {.loop = loop_new(), .records = sample_open()};
	struct pyro_error err;
	int pair[2], lock = make_dir(SAMPLE_ID);

	sample_add(lab.records, SAMPLE_ID, NULL, NULL, 100);
	(void)setenv("ROGUE", "session", 1);
	for (int i = 0; words[i]; i++)
		argv_add(&argv, words[i], NULL);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK_OK(proc_spawn(&argv,
			    &(struct proc_options){.fds = (const struct proc_fd[]){{pair[1], 3},
										   {lock, 4}},
						   .n_fds = 2},
			    &err),
		 err);
	(void)close(pair[1]);
	(void)close(lock);
	lab.fd = pair[0];
	lab.mux = mux_new(lab.loop, lab.fd, lab.fd, MUX_CLIENT, &ops, NULL, &err);
	CHECK(lab.mux);
	call_and_drop(&lab, "own", NULL);
	call_and_drop(&lab, "start",
		      json_pack("{s:b, s:s, s:s, s:f}", "host_compat", 1, "accel", "kvm",
				"agent_path", TEST_ROGUE, "expires_at", clock_wall() + 600));
	return lab;
}

static void leave(struct lab *lab)
{
	(void)mux_free(lab->mux);
	(void)close(lab->fd);
	(void)records_close(lab->records);
	(void)loop_free(lab->loop);
}

/* A supervisor that is well ends when it is told to. */
static void end(struct lab *lab)
{
	call_and_drop(lab, "destroy", NULL);
	leave(lab);
}

static json_t *service(const char *name, const char *lie, int port)
{
	json_t *args = json_pack("{s:s, s:s, s:s, s:s}", "service_name", name, "command", lie,
				 "shell", lie, "cwd", "/workspace");

	if (port)
		(void)json_object_set_new(args, "publish",
					  json_pack("[{s:i, s:i}]", "host_port", 0, "guest_port",
						    port));
	return args;
}

static struct pyro_service record_of(struct lab *lab, const char *name)
{
	struct pyro_service s;
	struct pyro_error err;

	CHECK_OK(services_get(lab->records, SAMPLE_ID, name, &s, &err), err);
	return s;
}

TEST("a service's guest that answers twice, prints after its end and lies about pids is bounded")
{
	struct lab lab = begin();
	struct pyro_error err;
	struct pyro_service s;

	err = refused(&lab, "service_start", service("a", "lie:twice", 0));
	CHECK_STR(pyro_code_name(err.code), "bad_state");
	err = refused(&lab, "service_start", service("b", "lie:absurd", 0));
	CHECK_STR(pyro_code_name(err.code), "protocol_error");
	s = record_of(&lab, "b");
	CHECK_STR(s.state, "failed");
	CHECK(s.pid == PYRO_NONE && s.exit_code == PYRO_NONE);
	pyro_service_done(&s);
	err = refused(&lab, "service_start", service("c", "lie:silent", 0));
	CHECK_STR(pyro_code_name(err.code), "protocol_error");
	end(&lab);
}

static json_t *shell(const char *lie)
{
	return json_pack("{s:s, s:i, s:i}", "cwd", lie, "cols", 80, "rows", 24);
}

static size_t shells_on_record(struct lab *lab)
{
	struct pyro_shell *list;
	struct pyro_error err;
	size_t n;

	CHECK_OK(shells_list(lab->records, SAMPLE_ID, &list, &n, &err), err);
	for (size_t i = 0; i < n; i++)
		pyro_shell_done(&list[i]);
	free(list);
	return n;
}

TEST("a guest that obeys nothing keeps no shell from its close, and no machine from its stop")
{
	static const struct mux_call_ops none;
	struct lab lab = begin();
	json_t *opened = call(&lab, "shell_open", shell("lie:deaf"));
	AUTO_FREE char *id = json_dumps(json_object_get(opened, "shell_id"), JSON_ENCODE_ANY);
	AUTO_FREE char *args = mem_printf("{\"shell_id\":%s}", id);
	struct pyro_error err;

	CHECK(mux_start(lab.mux, "shell_attach", args, &none, NULL));
	CHECK(mux_start(lab.mux, "shell_close", args, &none, NULL));
	call_and_drop(&lab, "service_start", service("web", "lie:deaf", 0));
	/* TERM now, KILL after ten seconds, and after five more the call would be dropped. */
	CHECK(!call_for(&lab, "service_stop", json_pack("{s:s}", "service_name", "web"), 11500,
			&err));
	CHECK_STR(pyro_code_name(err.code), "timeout");
	for (int64_t deadline = deadline_in(CALL_MS);
	     shells_on_record(&lab) && deadline_left(deadline);)
		(void)poll(NULL, 0, 20);
	CHECK_INT(shells_on_record(&lab), 0);
	/* The agent does not end either, and that is what the answer says. */
	CHECK_STR(pyro_code_name(refused(&lab, "stop", NULL).code), "timeout");
	json_decref(opened);
	leave(&lab);
}

TEST("a shell's guest that says nonsense opens nothing, and one that goes on printing is heard no "
     "more")
{
	struct lab lab = begin();
	json_t *opened, *closed;

	CHECK_STR(pyro_code_name(refused(&lab, "shell_open", shell("lie:silent")).code),
		  "protocol_error");
	CHECK_STR(pyro_code_name(refused(&lab, "shell_open", shell("lie:absurd-first")).code),
		  "protocol_error");
	CHECK_INT(shells_on_record(&lab), 0);
	opened = call(&lab, "shell_open", shell("lie:twice"));
	closed = call(&lab, "shell_close",
		      json_pack("{s:O}", "shell_id", json_object_get(opened, "shell_id")));
	CHECK_STR(json_string_value(json_object_get(closed, "state")), "stopped");
	json_decref(opened);
	json_decref(closed);
	end(&lab);
}

static int connect_to(int64_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(fd >= 0);
	CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	return fd;
}

static int64_t port_of(struct lab *lab, const char *name)
{
	struct pyro_service s = record_of(lab, name);
	int64_t port = s.published_ports_count ? s.published_ports[0].host_port : 0;

	pyro_service_done(&s);
	return port;
}

/* Whether it ended, or broke off, within that time. */
static bool is_over(int fd, int ms)
{
	int64_t deadline = deadline_in(ms);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char bytes[4096];
	ssize_t n = 1;

	while (n > 0 || (n < 0 && errno == EAGAIN)) {
		if (poll(&p, 1, deadline_left(deadline)) <= 0)
			return false;
		n = recv(fd, bytes, sizeof(bytes), 0);
	}
	return true;
}

TEST("connections to a guest that breaks every rule end, and its ports are free with the service")
{
	struct lab lab = begin();
	int64_t port;

	for (int lie = 1; lie <= 5; lie++) {
		AUTO_FREE char *name = mem_printf("s%d", lie);
		int fds[20];

		call_and_drop(&lab, "service_start", service(name, "lie:deaf", lie));
		port = port_of(&lab, name);
		for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
			fds[i] = connect_to(port);
		for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
			if (lie != 5)
				CHECK(is_over(fds[i], CALL_MS));
			(void)close(fds[i]);
		}
	}
	end(&lab);
	CHECK(is_over(connect_to(port), CALL_MS));
}

TEST("a supervisor has descriptors for all that its limits allow")
{
	struct rlimit before;
	struct lab lab;

	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, before.rlim_max}) == 0);
	lab = begin();
	for (int i = 0; i < 40; i++) {
		AUTO_FREE char *name = mem_printf("s%d", i);

		call_and_drop(&lab, "service_start", service(name, "lie:deaf", 5));
	}
	end(&lab);
}
