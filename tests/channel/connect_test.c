/*
 * Connections and probes, by the real agent on this host; the services are this process's own.
 */
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A listener on a port that was free; -1 if this host has no such address. */
static int listen_on(int family, int *ret_port)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 address = {.sin6_family = (sa_family_t)family};
	struct sockaddr_in *in4 = (struct sockaddr_in *)&address;
	socklen_t len = family == AF_INET ? sizeof(*in4) : sizeof(address);

	if (family == AF_INET)
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		address.sin6_addr = in6addr_loopback;
	if (bind(fd, (struct sockaddr *)&address, len) < 0) {
		(void)close(fd);
		return -1;
	}
	CHECK_INT(listen(fd, 300), 0);
	CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin6_port); /* where IPv4 has it, too */
	return fd;
}

/* A port where nothing listens, and nobody else can: it stays bound. */
static int closed_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(address);

	CHECK_INT(bind(fd, (struct sockaddr *)&address, len), 0);
	CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin_port);
}

static struct run *start_connect(struct agent *agent, int port)
{
	return start(agent, "connect", json_pack("{s:i}", "port", port));
}

static void await_event(const struct run *run)
{
	int64_t deadline = deadline_in(PATIENCE_MS);

	while (!run->result && deadline_left(deadline) > 0)
		pause_ms(run->agent, 2);
	CHECK_STR(json_string_value(json_object_get(run->result, "event")), "connected");
}

/* Until there is something to be had from the connection, be it its end. */
static void await_readable(struct agent *agent, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t deadline = deadline_in(PATIENCE_MS);

	while (poll(&p, 1, 0) == 0 && deadline_left(deadline) > 0)
		pause_ms(agent, 2);
}

static void check_over(const struct run *run)
{
	CHECK_STR(code_of(run), "");
	CHECK_INT(json_object_size(run->result), 0);
}

TEST("a connection carries both directions and ends each by itself")
{
	struct agent *agent = start_agent();
	int port, listener = listen_on(AF_INET, &port), fd;
	struct run *run = start_connect(agent, port);
	char text[16] = "";

	mux_send(run->call, MUX_IN, "early", 5);
	await_event(run);
	fd = accept(listener, NULL, NULL);
	CHECK_INT(recv(fd, text, 5, MSG_WAITALL), 5);
	CHECK_STR(text, "early");
	mux_send(run->call, MUX_IN, NULL, 0);
	await_readable(agent, fd);
	CHECK_INT(recv(fd, text, 1, 0), 0);
	CHECK_INT(send(fd, "late", 4, 0), 4);
	await_bytes(run, 4);
	CHECK(!run->is_over);
	(void)close(fd);
	finish(run);
	CHECK_STR(buf_text(&run->out), "late");
	check_over(run);
}

TEST("a service that ends its direction first still hears the rest")
{
	struct agent *agent = start_agent();
	int port, listener = listen_on(AF_INET, &port), fd;
	struct run *run = start_connect(agent, port);
	char text[16] = "";

	await_event(run);
	fd = accept(listener, NULL, NULL);
	CHECK_INT(send(fd, "bye", 3, 0), 3);
	CHECK_INT(shutdown(fd, SHUT_WR), 0);
	await_bytes(run, 3);
	pause_ms(agent, 50);
	CHECK(!run->is_over);
	mux_send(run->call, MUX_IN, "rest", 4);
	finish(run);
	CHECK_INT(recv(fd, text, sizeof(text), MSG_WAITALL), 4);
	CHECK_STR(text, "rest");
	check_over(run);
}

TEST("a connection leads to ::1 where nothing listens on 127.0.0.1")
{
	int port, listener = listen_on(AF_INET6, &port);
	struct run *run;

	if (listener < 0)
		test_skip("ipv6", "this host has no ::1");
	run = start_connect(start_agent(), port);
	await_event(run);
	mux_cancel(run->call);
}

TEST("a port where nothing listens is not found")
{
	int port = closed_port();
	AUTO_FREE char *want = mem_printf("nothing listens on port %d", port);
	struct run *run = call(start_agent(), "connect", json_pack("{s:i}", "port", port));

	CHECK_STR(code_of(run), "not_found");
	CHECK_STR(message_of(run), want);
}

/* Closing answers with a reset, and not with an end. */
static void reset(int fd)
{
	const struct linger now = {.l_onoff = 1};

	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	(void)close(fd);
}

TEST("a connection that is reset is an error, behind what came before")
{
	struct agent *agent = start_agent();
	int port, listener = listen_on(AF_INET, &port), fd;
	struct run *run = start_connect(agent, port);

	await_event(run);
	fd = accept(listener, NULL, NULL);
	CHECK_INT(send(fd, "some", 4, 0), 4);
	await_bytes(run, 4);
	reset(fd);
	finish(run);
	CHECK_STR(code_of(run), "system_error");
	CHECK(strstr(message_of(run), "reset"));
}

TEST("a call that is cancelled is a reset for the service")
{
	struct agent *agent = start_agent();
	int port, listener = listen_on(AF_INET, &port), fd;
	struct run *run = start_connect(agent, port);
	char c;

	await_event(run);
	fd = accept(listener, NULL, NULL);
	mux_cancel(run->call);
	await_readable(agent, fd);
	CHECK(recv(fd, &c, 1, 0) < 0 && errno == ECONNRESET);
}

/* An echo in a process of its own: it reads at its own pace. */
static void serve_echo(int listener)
{
	if (fork() == 0) {
		int fd = accept(listener, NULL, NULL);
		char chunk[65536];
		ssize_t n;

		while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
			if (send(fd, chunk, (size_t)n, MSG_NOSIGNAL) != n)
				break;
		_exit(0);
	}
}

TEST("64 MiB come back from an echo unchanged")
{
	size_t len = 64 * MIB;
	AUTO_FREE char *data = mem_resize(NULL, len, 1);
	struct agent *agent = start_agent();
	int port, listener = listen_on(AF_INET, &port);
	struct run *run;

	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 2654435761U >> 11);
	serve_echo(listener);
	run = start_with(agent, "connect", json_pack("{s:i}", "port", port), data, len);
	finish(run);
	check_over(run);
	CHECK_INT(run->out.len, len);
	CHECK(memcmp(run->out.data, data, len) == 0);
}

TEST("a service that reads nothing, and a client that does not, hold up nobody else")
{
	size_t len = 16 * MIB;
	AUTO_FREE char *data = mem_zalloc(len, 1);
	struct agent *agent = start_agent();
	int port, listener = listen_on(AF_INET, &port), fd;
	struct run *run = start_with(agent, "connect", json_pack("{s:i}", "port", port), data, len);
	ssize_t sent, total = 0;

	run->is_stalled = true;
	await_event(run);
	fd = accept(listener, NULL, NULL);
	for (int i = 0; i < 30; i++) {
		pause_ms(agent, 5);
		while ((sent = send(fd, data, len, MSG_DONTWAIT)) > 0)
			total += sent;
	}
	CHECK(total < 14 * MIB && run->out_bytes < 2 * MIB && run->input_len > 0);
	CHECK_INT(number(sh(agent, "true"), "exit_code"), 0);
	mux_cancel(run->call);
}

TEST("240 connections are open at once, and no more")
{
	struct agent *agent = start_agent();
	int port, listener = listen_on(AF_INET, &port), fds[240];
	int64_t deadline = deadline_in(PATIENCE_MS);
	struct run *runs[240];

	for (int i = 0; i < 240; i++)
		runs[i] = start_connect(agent, port);
	for (int i = 0; i < 240; i++) {
		await_event(runs[i]);
		fds[i] = accept(listener, NULL, NULL);
		CHECK_INT(send(fds[i], "x", 1, 0), 1);
		(void)shutdown(fds[i], SHUT_WR);
	}
	CHECK_STR(code_of(call(agent, "connect", json_pack("{s:i}", "port", port))),
		  "limit_exceeded");
	CHECK_INT(number(sh(agent, "true"), "exit_code"), 0);
	for (int i = 0; i < 240; i++) {
		finish(runs[i]);
		CHECK_STR(buf_text(&runs[i]->out), "x");
	}
	do {
		CHECK(deadline_left(deadline) > 0);
		runs[0] = start_connect(agent, port);
		while (!runs[0]->result && deadline_left(deadline) > 0)
			pause_ms(agent, 2);
	} while (strcmp(code_of(runs[0]), "limit_exceeded") ==
		 0); /* the last ends are on their way */
	await_event(runs[0]);
}

static struct run *probe(struct agent *agent, const char *type, const char *what,
			 const char *target)
{
	return call(agent, "probe",
		    json_pack("{s:s,s:s,s:i}", "type", type, what, target, "timeout_ms",
			      PATIENCE_MS));
}

static void check_probe(const struct run *run, bool is_ready, const char *message)
{
	CHECK_STR(code_of(run), "");
	CHECK_STR(json_string_value(json_object_get(run->result, "message")), message);
	CHECK_INT(json_is_true(json_object_get(run->result, "ready")), is_ready);
}

TEST("a probe of a file says whether it exists; relative paths are the workspace's")
{
	struct agent *agent = start_agent();

	check_probe(probe(agent, "file", "path", "sub/ready"), false,
		    "/workspace/sub/ready does not exist");
	(void)sh(agent, "mkdir workspace/sub && touch workspace/sub/ready");
	check_probe(probe(agent, "file", "path", "sub/ready"), true, "/workspace/sub/ready exists");
	check_probe(probe(agent, "file", "path", "/workspace/sub/ready"), true,
		    "/workspace/sub/ready exists");
	check_probe(probe(agent, "file", "path", "/workspace"), true, "/workspace exists");
	check_probe(probe(agent, "file", "path", "/etc/passwd/x"), false,
		    "/etc/passwd/x does not exist");
	(void)sh(agent, "mkfifo workspace/pipe");
	check_probe(probe(agent, "file", "path", "pipe"), true, "/workspace/pipe exists");
}

TEST("a probe of an address says whether it takes connections")
{
	struct agent *agent = start_agent();
	int port, listener = listen_on(AF_INET, &port), closed = closed_port();
	AUTO_FREE char *open = mem_printf("localhost:%d", port);
	AUTO_FREE char *ready = mem_printf("localhost:%d takes connections", port);
	AUTO_FREE char *none = mem_printf("127.0.0.1:%d", closed);
	AUTO_FREE char *refused = mem_printf("connection to 127.0.0.1:%d refused", closed);

	check_probe(probe(agent, "tcp", "address", open), true, ready);
	check_probe(probe(agent, "tcp", "address", none), false, refused);
	check_probe(probe(agent, "tcp", "address", "no-such-host.invalid:80"), false,
		    "no-such-host.invalid is no address, and not in /etc/hosts");
	(void)close(listener);
}

/* Answers every connection with the same bytes, and tells the request's first line in a file. */
static int serve_answer(const char *answer)
{
	int port, listener = listen_on(AF_INET, &port);
	AUTO_FREE char *path = mem_printf("%s/request", test_dir());

	if (fork() == 0) {
		for (;;) {
			int fd = accept(listener, NULL, NULL);
			char chunk[4096];
			ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

			(void)file_write_atomic(path, chunk, n > 0 ? (size_t)n : 0, 0600, NULL);
			for (const char *at = answer; *at; at++)
				(void)send(fd, at, 1, MSG_NOSIGNAL); /* in small pieces */
			if (!*answer)
				(void)pause();
			(void)close(fd);
		}
	}
	(void)close(listener);
	return port;
}

static void check_http(const char *answer, bool is_ready, const char *outcome)
{
	struct agent *agent = start_agent();
	AUTO_FREE char *url = mem_printf("http://127.0.0.1:%d/a?b", serve_answer(answer));
	AUTO_FREE char *message = mem_printf("%s %s", url, outcome);

	check_probe(probe(agent, "http", "url", url), is_ready, message);
}

TEST("a probe of a URL is ready when it is answered with 2xx")
{
	AUTO_FREE char *path = mem_printf("%s/request", test_dir());
	AUTO_BUF struct buf request = BUF_INIT(4096);

	check_http("HTTP/1.0 204 No Content\r\n\r\n", true, "answered 204");
	CHECK_OK(file_read(path, &request, NULL), (struct pyro_error){0});
	CHECK(strncmp(buf_text(&request), "GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:", 35) == 0);
	CHECK(strstr(buf_text(&request), "\r\nConnection: close\r\n\r\n"));
	check_http("HTTP/1.1 200 OK\r\n\r\n", true, "answered 200");
}

TEST("a probe of a URL says with what it was answered, and follows nothing")
{
	check_http("HTTP/1.1 503 Service Unavailable\r\n\r\n", false, "answered 503");
	check_http("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", false, "answered 302");
	check_http("SSH-2.0-OpenSSH\r\n", false, "answered with something else than HTTP");
	check_http("HTTP/1.1 2000 Big\r\n", false, "answered with something else than HTTP");
	check_http("HTTP/1.1", false, "did not answer");
}

TEST("a probe keeps its timeout")
{
	AUTO_FREE char *url = mem_printf("http://127.0.0.1:%d/", serve_answer(""));
	AUTO_FREE char *message = mem_printf("%s did not answer", url);
	int64_t begun = clock_ms();

	check_probe(call(start_agent(), "probe",
			 json_pack("{s:s,s:s,s:i}", "type", "http", "url", url, "timeout_ms", 500)),
		    false, message);
	CHECK(clock_ms() - begun >= 490);
}
