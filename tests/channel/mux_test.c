#include "wire.h"

#include "base/clock.h"
#include "base/mem.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1024 * 1024)

TEST("a call brings arguments there and events, bytes and a result back")
{
	struct pair p;
	struct seen seen = {0};

	pair_init(&p);
	seen_start(&seen, p.client, "echo", "{\"a\":1}");
	mux_send(seen.call, MUX_IN, "hello", 5);
	mux_finish(seen.call);
	run_until(p.loop, &seen.is_closed);
	CHECK_INT(seen.error.code, PYRO_OK);
	CHECK_STR(seen.json, "{\"echoed\":5}");
	CHECK_INT(seen.texts, 2);
	CHECK_INT(seen.out_len, 5);
	CHECK(seen.has_finished);
	seen_done(&seen);
	pair_done(&p);
}

TEST("64 calls at once all get their own answer")
{
	struct pair p;
	struct seen seen[64] = {0};

	pair_init(&p);
	for (size_t i = 0; i < 64; i++) {
		seen_start(&seen[i], p.client, "echo", "{}");
		for (size_t n = 0; n < i; n++)
			mux_send(seen[i].call, MUX_IN, "0123456789", 10);
		mux_finish(seen[i].call);
	}
	for (size_t i = 0; i < 64; i++) {
		run_until(p.loop, &seen[i].is_closed);
		CHECK_INT(seen[i].out_len, 10 * i);
		seen_done(&seen[i]);
	}
	pair_done(&p);
}

/* A server in a process of its own at the other end of *ret_fd. */
static pid_t fork_server(int *ret_fd)
{
	int fd[2];
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	pid = fork();
	if (pid == 0) {
		(void)close(fd[0]);
		server_run(fd[1]);
	}
	CHECK(pid > 0);
	(void)close(fd[1]);
	*ret_fd = fd[0];
	return pid;
}

TEST("256 MiB go to another process and as much comes back, with bounded queues")
{
	struct loop *loop = loop_new();
	struct seen up = {.to_send = 256 * MIB}, down = {0};
	bool is_down = false;
	struct pyro_error err;
	struct mux *mux;
	int fd, status = -1;
	pid_t pid = fork_server(&fd);

	test_deadline(120);
	mux = mux_new(loop, fd, fd, MUX_CLIENT, &client_ops, &is_down, &err);
	CHECK(mux);
	seen_start(&up, mux, "sink", "{}");
	seen_start(&down, mux, "source", "{\"bytes\":268435456}");
	mux_finish(down.call);
	while (!up.is_closed || !down.is_closed) {
		CHECK(!up.call || mux_queued(up.call) < MUX_QUEUE_GOAL + 2 * 65536);
		run_for(loop, 1);
	}
	CHECK_STR(up.json, "{\"eaten\":268435456}");
	CHECK_INT(down.out_len, 256 * MIB);
	CHECK_STR(down.json, "{\"sent\":268435456}");
	mux_free(mux);
	(void)close(fd);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	loop_free(loop);
	seen_done(&up);
	seen_done(&down);
}

TEST("a server's queue stays near the goal while its client reads slowly")
{
	struct pair p;
	struct seen seen = {.is_kept = true};
	size_t was = 0;

	pair_init(&p);
	seen_start(&seen, p.client, "source", "{\"bytes\":16777216}");
	while (!seen.is_closed) {
		run_for(p.loop, 2);
		CHECK(seen.out_len - was <= MIB);
		if (seen.call)
			mux_consume(seen.call, seen.out_len - was);
		was = seen.out_len;
	}
	CHECK_INT(seen.out_len, 16 * MIB);
	CHECK(p.server.queued_max < MUX_QUEUE_GOAL + 2 * 65536);
	seen_done(&seen);
	pair_done(&p);
}

TEST("a call whose reader sleeps gets one window of bytes and holds up nobody")
{
	struct pair p;
	struct seen lazy[8] = {0}, busy = {.to_send = 8 * MIB};

	pair_init(&p);
	for (size_t i = 0; i < 8; i++) {
		lazy[i].is_kept = true;
		seen_start(&lazy[i], p.client, "source", "{\"bytes\":33554432}");
	}
	seen_start(&busy, p.client, "sink", "{}");
	run_until(p.loop, &busy.is_closed);
	CHECK_STR(busy.json, "{\"eaten\":8388608}");
	for (size_t i = 0; i < 8; i++) {
		while (lazy[i].out_len < MIB / 4)
			run_for(p.loop, 1);
		CHECK(lazy[i].out_len <= MIB / 2);
		mux_cancel(lazy[i].call);
	}
	busy = (struct seen){.to_send = 8 * MIB, .json = busy.json};
	seen_start(&busy, p.client, "sink", "{}");
	run_until(p.loop, &busy.is_closed);
	CHECK_INT(busy.error.code, PYRO_OK);
	seen_done(&busy);
	pair_done(&p);
}

TEST("windows of cancelled calls come back: bytes nobody consumed are not lost for others")
{
	struct pair p;
	struct seen seen = {0};

	pair_init(&p);
	for (int i = 0; i < 1100; i++) { /* more than the connection's window in all */
		seen = (struct seen){.is_kept = true};
		seen_start(&seen, p.client, "source", "{\"bytes\":33554432}");
		while (seen.out_len < MIB / 4)
			run_for(p.loop, 1);
		mux_cancel(seen.call);
	}
	seen = (struct seen){0};
	seen_start(&seen, p.client, "source", "{\"bytes\":4194304}");
	run_until(p.loop, &seen.is_closed);
	CHECK_INT(seen.out_len, 4 * MIB);
	seen_done(&seen);
	pair_done(&p);
}

TEST("a client cancels: both sides close once, with the reason, and the connection lives")
{
	struct pair p;
	struct seen seen = {0}, next = {0};

	pair_init(&p);
	seen_start(&seen, p.client, "hang", "{}");
	run_until(p.loop, &p.server.called_any);
	mux_cancel(seen.call);
	CHECK(seen.is_closed);
	CHECK_INT(seen.error.code, PYRO_E_CANCELLED);
	run_until(p.loop, &p.server.closed_any);
	seen_start(&next, p.client, "echo", "{}");
	mux_finish(next.call);
	run_until(p.loop, &next.is_closed);
	CHECK_INT(next.error.code, PYRO_OK);
	seen_done(&next);
	pair_done(&p);
}

TEST("a call that is cancelled at once never reaches the server")
{
	struct pair p;
	struct seen seen = {0};

	pair_init(&p);
	seen_start(&seen, p.client, "hang", "{}");
	mux_cancel(seen.call);
	CHECK_INT(seen.closes, 1);
	run_for(p.loop, 5);
	CHECK_INT(p.server.calls, 0);
	pair_done(&p);
}

TEST("a server cancels: the client hears that it was cancelled")
{
	struct pair p;
	struct seen seen = {0};

	pair_init(&p);
	seen_start(&seen, p.client, "drop", "{}");
	run_until(p.loop, &seen.is_closed);
	CHECK_INT(seen.error.code, PYRO_E_CANCELLED);
	CHECK_INT(p.server.closes, 1);
	pair_done(&p);
}

TEST("a server that is done ends the call though the client would go on sending")
{
	struct pair p;
	struct seen seen = {.to_send = 64 * MIB};

	pair_init(&p);
	seen_start(&seen, p.client, "fail", "{}");
	run_until(p.loop, &seen.is_closed);
	CHECK_INT(seen.error.code, PYRO_OK);
	CHECK(strstr(seen.json, "\"no_space\""));
	run_until(p.loop, &p.server.closed_any);
	CHECK_INT(p.server.closes, 1);
	seen_done(&seen);
	pair_done(&p);
}

TEST("a name that nobody serves, or that is none, is an error of that call alone")
{
	const char *const bad[] = {"nonsense", "Echo", "echo/../echo", "", "%00"};
	struct pair p;

	pair_init(&p);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct seen seen = {0};

		seen_start(&seen, p.client, bad[i], "{}");
		run_until(p.loop, &seen.is_closed);
		CHECK(strstr(seen.json, "\"not_found\""));
		seen_done(&seen);
	}
	CHECK(!mux_is_down(p.client));
	pair_done(&p);
}

TEST("when the peer dies every call closes once with an error, then the connection is down")
{
	struct loop *loop = loop_new();
	struct seen seen[20] = {0};
	bool is_down = false;
	struct pyro_error err;
	struct mux *mux;
	int fd;
	pid_t pid = fork_server(&fd);

	mux = mux_new(loop, fd, fd, MUX_CLIENT, &client_ops, &is_down, &err);
	CHECK(mux);
	for (size_t i = 0; i < 20; i++)
		seen_start(&seen[i], mux, i % 2 ? "hang" : "source", "{\"bytes\":1073741824}");
	run_for(loop, 20);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	run_until(loop, &is_down);
	for (size_t i = 0; i < 20; i++) {
		CHECK_INT(seen[i].closes, 1);
		CHECK_INT(seen[i].error.code, PYRO_E_VM_DIED);
	}
	CHECK(mux_is_down(mux));
	CHECK(!mux_start(mux, "echo", "{}", &(struct mux_call_ops){0}, NULL));
	mux_free(mux);
	(void)close(fd);
	loop_free(loop);
}

TEST("an answer that arrived before the peer died counts, also when writing fails first")
{
	struct loop *loop = loop_new(), *far_loop = loop_new();
	struct seen seen = {.to_send = 4 * MIB};
	struct server s;
	bool is_down = false;
	struct mux *mux;
	int fd[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	server_start(&s, far_loop, fd[1], fd[1]);
	mux = mux_new(loop, fd[0], fd[0], MUX_CLIENT, &client_ops, &is_down, NULL);
	seen_start(&seen, mux, "fail", "{}");
	run_for(loop, 5);
	run_until(far_loop, &s.closed_any);
	mux_free(s.mux);
	(void)close(fd[1]);
	mux_send(seen.call, MUX_IN, "more", 4);
	run_until(loop, &is_down);
	CHECK(seen.json && strstr(seen.json, "\"no_space\""));
	CHECK_INT(seen.error.code, PYRO_OK);
	seen_done(&seen);
	mux_free(mux);
	(void)close(fd[0]);
	loop_free(loop);
	loop_free(far_loop);
}

TEST("freeing a mux closes its calls once, before it returns")
{
	struct pair p;
	struct seen seen[3] = {0};

	pair_init(&p);
	for (size_t i = 0; i < 3; i++)
		seen_start(&seen[i], p.client, "hang", "{}");
	run_for(p.loop, 5);
	p.client = mux_free(p.client);
	for (size_t i = 0; i < 3; i++) {
		CHECK_INT(seen[i].closes, 1);
		CHECK_INT(seen[i].error.code, PYRO_E_CANCELLED);
	}
	CHECK(!p.client_down);
	pair_done(&p);
}

TEST("a mux may be freed in a callback of its own call")
{
	struct pair p;
	struct seen seen = {0}, other = {0};

	pair_init(&p);
	seen_start(&other, p.client, "hang", "{}");
	seen_start(&seen, p.client, "leave", "{}");
	run_until(p.loop, &p.server.closed_any);
	CHECK(!p.server.mux && p.server.closes == 2);
	CHECK(shutdown(p.fd[1], SHUT_RDWR) == 0);
	run_until(p.loop, &p.client_down);
	CHECK(seen.closes == 1 && other.closes == 1);
	pair_done(&p);
}

TEST("a server writes nothing before the first byte arrives")
{
	struct loop *loop = loop_new();
	struct server s;
	char c;
	int fd[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	server_start(&s, loop, fd[1], fd[1]);
	run_for(loop, 20);
	CHECK(recv(fd[0], &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	CHECK(send(fd[0], "PRI * HTTP", 10, 0) == 10);
	run_for(loop, 20);
	CHECK(recv(fd[0], &c, 1, MSG_DONTWAIT) == 1);
	mux_free(s.mux);
	(void)close(fd[0]);
	(void)close(fd[1]);
	loop_free(loop);
}

static void check_garbage(enum mux_role role, const char *bytes, size_t len)
{
	struct loop *loop = loop_new();
	struct server s = {0};
	struct seen seen = {0};
	bool is_down = false;
	int fd[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	if (role == MUX_SERVER) {
		server_start(&s, loop, fd[1], fd[1]);
	} else {
		s.mux = mux_new(loop, fd[1], fd[1], MUX_CLIENT, &client_ops, &is_down, NULL);
		seen_start(&seen, s.mux, "echo", "{}");
	}
	CHECK(send(fd[0], bytes, len, 0) == (ssize_t)len);
	run_until(loop, role == MUX_SERVER ? &s.is_down : &is_down);
	CHECK_INT(seen.closes, role == MUX_CLIENT);
	CHECK_INT(seen.error.code, role == MUX_CLIENT ? PYRO_E_PROTOCOL : PYRO_OK);
	CHECK(role == MUX_CLIENT || s.down.code == PYRO_E_PROTOCOL);
	mux_free(s.mux);
	(void)close(fd[0]);
	(void)close(fd[1]);
	loop_free(loop);
}

TEST("garbage brings the connection down with a protocol error, on either side")
{
	static const char http1[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	/* A SETTINGS frame, then one of DATA on a stream that does not exist. */
	static const char frames[] = "\0\0\0\4\0\0\0\0\0"
				     "\0\0\1\0\0\0\0\0\5x";

	check_garbage(MUX_SERVER, http1, sizeof(http1) - 1);
	check_garbage(MUX_CLIENT, http1, sizeof(http1) - 1);
	check_garbage(MUX_CLIENT, frames, sizeof(frames) - 1);
}

TEST("an answer ends the call for a client that is not done, whatever the server says behind it")
{
	/* SETTINGS; HEADERS of stream 1 with status 200; DATA with the end of the stream. */
	static const char answer[] = "\0\0\0\4\0\0\0\0\0"
				     "\0\0\1\1\4\0\0\0\1\x88"
				     "\0\0\6\0\1\0\0\0\1J\0\0\2{}";
	struct loop *loop = loop_new();
	struct seen seen = {0};
	bool is_down = false;
	struct mux *mux;
	int fd[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	mux = mux_new(loop, fd[1], fd[1], MUX_CLIENT, &client_ops, &is_down, NULL);
	seen_start(&seen, mux, "exec", "{}");
	run_for(loop, 2);
	CHECK(send(fd[0], answer, sizeof(answer) - 1, 0) == sizeof(answer) - 1);
	run_until(loop, &seen.is_closed);
	CHECK_STR(seen.json, "{}");
	CHECK_INT(seen.error.code, PYRO_OK);
	seen_done(&seen);
	mux_free(mux);
	(void)close(fd[0]);
	(void)close(fd[1]);
	loop_free(loop);
}

TEST("a peer that asks for answers and never reads them loses the connection, not our memory")
{
	static const char opening[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	static const char ping[] = "\0\0\10\6\0\0\0\0\0pingpong";
	struct loop *loop = loop_new();
	char pings[100 * (sizeof(ping) - 1)]; /* nghttp2 refuses 256 at once */
	struct server s;
	int fd[2];

	for (size_t i = 0; i < 100; i++)
		memcpy(pings + i * (sizeof(ping) - 1), ping, sizeof(ping) - 1);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	server_start(&s, loop, fd[1], fd[1]);
	CHECK(send(fd[0], opening, sizeof(opening) - 1, 0) == sizeof(opening) - 1);
	for (int i = 0; i < 3000 && !s.is_down; i++) {
		(void)send(fd[0], pings, sizeof(pings), MSG_DONTWAIT);
		run_for(loop, 1);
	}
	CHECK(s.is_down);
	CHECK_INT(s.down.code, PYRO_E_PROTOCOL);
	mux_free(s.mux);
	(void)close(fd[0]);
	(void)close(fd[1]);
	loop_free(loop);
}

TEST("what waits to be written stays bounded while a slow reader never lets it run dry")
{
	struct loop *loop = loop_new();
	struct seen seen = {.to_send = 64 * MIB};
	struct server s;
	struct mux *mux;
	bool is_down = false;
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, most = 0;
	int fd[2], small = 4096;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	CHECK(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
	server_start(&s, loop, fd[1], fd[1]);
	mux = mux_new(loop, fd[0], fd[0], MUX_CLIENT, &client_ops, &is_down, NULL);
	seen_start(&seen, mux, "sink", "{}");
	while (!seen.is_closed) {
		size_t now = mallinfo2().uordblks + mallinfo2().hblkhd;

		run_for(loop, 1);
		most = now > most ? now : most;
	}
	CHECK_STR(seen.json, "{\"eaten\":67108864}");
	CHECK(most - before < 8 * MIB);
	seen_done(&seen);
	mux_free(mux);
	mux_free(s.mux);
	(void)close(fd[0]);
	(void)close(fd[1]);
	loop_free(loop);
}

/* Passes bytes on from one socket to another, one at a time. */
struct dribble {
	struct loop_fd src;
	struct loop *loop;
	int to;
};

static void dribble_on(struct loop_fd *src, uint32_t events)
{
	struct dribble *d = src->ctx;
	ssize_t n;
	char c;

	(void)events;
	n = recv(src->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);
	if (n <= 0)
		loop_remove_fd(d->loop, src);
	else if (send(d->to, &c, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		CHECK(recv(src->fd, &c, 1, MSG_DONTWAIT) == 1);
}

static void dribble_start(struct dribble *d, struct loop *loop, int from, int to)
{
	*d = (struct dribble){.src = {.on_ready = dribble_on, .ctx = d}, .loop = loop, .to = to};
	CHECK(loop_add_fd(loop, &d->src, from, EPOLLIN, NULL) == 0);
}

TEST("bytes may arrive one at a time")
{
	struct loop *loop = loop_new();
	struct seen seen = {.to_send = 20000}, speech = {0};
	struct dribble there, back;
	struct server s;
	struct mux *mux;
	bool is_down = false;
	int near[2], far[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far) == 0);
	dribble_start(&there, loop, near[1], far[0]);
	dribble_start(&back, loop, far[0], near[1]);
	server_start(&s, loop, far[1], far[1]);
	mux = mux_new(loop, near[0], near[0], MUX_CLIENT, &client_ops, &is_down, NULL);
	seen_start(&seen, mux, "echo", "{\"a\":[1,2,3]}");
	seen_start(&speech, mux, "speak", "{\"bytes\":9000}");
	run_until(loop, &seen.is_closed);
	run_until(loop, &speech.is_closed);
	CHECK_STR(seen.json, "{\"echoed\":20000}");
	CHECK_INT(seen.out_len, 20000);
	CHECK_INT(speech.json_len, 9000);
	mux_free(mux);
	mux_free(s.mux);
	loop_free(loop);
	seen_done(&seen);
	seen_done(&speech);
}

TEST("the two directions may be two pipes")
{
	struct loop *loop = loop_new();
	struct seen seen = {.to_send = 4 * MIB};
	struct server s;
	struct mux *mux;
	bool is_down = false;
	int there[2], back[2];

	(void)signal(SIGPIPE, SIG_IGN);
	CHECK(pipe2(there, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0);
	server_start(&s, loop, there[0], back[1]);
	mux = mux_new(loop, back[0], there[1], MUX_CLIENT, &client_ops, &is_down, NULL);
	seen_start(&seen, mux, "echo", "{}");
	run_until(loop, &seen.is_closed);
	CHECK_INT(seen.out_len, 4 * MIB);
	mux_free(s.mux);
	(void)close(there[0]);
	(void)close(back[1]);
	run_until(loop, &is_down);
	mux_free(mux);
	loop_free(loop);
	seen_done(&seen);
}

TEST("a text may be larger than records and windows, up to the limit")
{
	struct pair p;
	struct seen seen = {0};

	pair_init(&p);
	seen_start(&seen, p.client, "speak", "{\"bytes\":4194304}");
	run_until(p.loop, &seen.is_closed);
	CHECK_INT(seen.error.code, PYRO_OK);
	CHECK_INT(seen.json_len, MUX_JSON_MAX);
	CHECK_INT(seen.texts, 1);
	seen_done(&seen);
	pair_done(&p);
}

TEST("an answer beyond the limit becomes an error that says so")
{
	struct pair p;
	struct seen seen = {0};

	pair_init(&p);
	seen_start(&seen, p.client, "speak", "{\"bytes\":4194305}");
	run_until(p.loop, &seen.is_closed);
	CHECK(strstr(seen.json, "\"limit_exceeded\""));
	seen_done(&seen);
	pair_done(&p);
}

TEST("arguments beyond the limit end that call with an error, and only it")
{
	struct pair p;
	struct seen seen = {0}, next = {0};
	char *args = mem_zalloc(MUX_JSON_MAX + 2, 1);

	memset(args, ' ', MUX_JSON_MAX + 1);
	pair_init(&p);
	seen_start(&seen, p.client, "echo", args);
	run_until(p.loop, &seen.is_closed);
	CHECK_INT(seen.error.code, PYRO_E_LIMIT);
	seen_start(&next, p.client, "fail", "{}");
	run_until(p.loop, &next.is_closed);
	CHECK_INT(next.error.code, PYRO_OK);
	CHECK_INT(p.server.calls, 1);
	free(args);
	seen_done(&next);
	pair_done(&p);
}

TEST("more calls than may be under way wait for their turn")
{
	struct pair p;
	struct seen seen[600] = {0};

	pair_init(&p);
	for (size_t i = 0; i < 600; i++)
		seen_start(&seen[i], p.client, "hang", "{}");
	while (p.server.calls < 512)
		run_for(p.loop, 1);
	run_for(p.loop, 5);
	CHECK_INT(p.server.calls, 512);
	mux_cancel(seen[599].call); /* one that waits */
	for (size_t i = 0; i < 100; i++)
		mux_cancel(seen[i].call);
	while (p.server.calls < 599)
		run_for(p.loop, 1);
	run_for(p.loop, 5);
	CHECK_INT(p.server.calls, 599);
	pair_done(&p);
}

TEST("10000 short calls leave nothing behind")
{
	struct pair p;

	pair_init(&p);
	for (int i = 0; i < 10000; i++) {
		struct seen seen = {0};

		seen_start(&seen, p.client, "echo", "{}");
		mux_finish(seen.call);
		run_until(p.loop, &seen.is_closed);
		CHECK_INT(seen.error.code, PYRO_OK);
		seen_done(&seen);
	}
	CHECK_INT(p.server.closes, 10000);
	pair_done(&p);
}

TEST("10000 calls that are cancelled do not wear the connection out")
{
	struct pair p;
	struct seen seen;

	pair_init(&p);
	for (int i = 0; i < 10000; i++) {
		seen = (struct seen){0};
		seen_start(&seen, p.client, "hang", "{}");
		p.server.called_any = false;
		run_until(p.loop, &p.server.called_any);
		mux_cancel(seen.call);
	}
	seen = (struct seen){0};
	seen_start(&seen, p.client, "fail", "{}");
	run_until(p.loop, &seen.is_closed);
	CHECK_INT(seen.error.code, PYRO_OK);
	CHECK_INT(p.server.closes, 10001);
	seen_done(&seen);
	pair_done(&p);
}

/* Cancels its call, or starts and waits for another one, at the first event. */
struct meddler {
	struct loop *loop;
	int fd;
	json_t *answer;
	int records;
	bool is_closed;
};

static void cancel_at_once(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct meddler *m = mux_call_ctx(call);

	(void)kind;
	(void)data;
	(void)len;
	m->records++;
	mux_cancel(call);
	CHECK(m->is_closed);
}

static void nest_a_call(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct meddler *m = mux_call_ctx(call);
	struct pyro_error err;

	if (m->records++ == 0) {
		mux_send(call, MUX_IN, "more", 4);
		mux_finish(call);
		m->answer = call_wait(m->loop, mux_call_mux(call), "echo", json_object(),
				      deadline_in(5000), &err);
		CHECK(m->answer);
		CHECK(strncmp(data, "{\"first\":true}", len) == 0); /* still intact */
	}
	if (kind != MUX_JSON)
		mux_consume(call, len);
}

static void meddler_close(struct mux_call *call, const struct pyro_error *error)
{
	struct meddler *m = mux_call_ctx(call);

	(void)error;
	CHECK(!m->is_closed);
	m->is_closed = true;
}

TEST("a call may be cancelled in its own callback, and hears no more")
{
	static const struct mux_call_ops ops = {.on_record = cancel_at_once,
						.on_close = meddler_close};
	struct meddler m = {0};
	struct pair p;

	pair_init(&p);
	CHECK(mux_start(p.client, "source", "{\"bytes\":4000000}", &ops, &m));
	run_until(p.loop, &m.is_closed);
	run_until(p.loop, &p.server.closed_any);
	CHECK_INT(m.records, 1);
	CHECK_INT(p.server.closes, 1);
	pair_done(&p);
}

TEST("a callback may wait for another call on the same connection")
{
	static const struct mux_call_ops ops = {.on_record = nest_a_call,
						.on_close = meddler_close};
	struct meddler m = {0};
	struct pair p;

	pair_init(&p);
	m.loop = p.loop;
	CHECK(mux_start(p.client, "echo", "{\"first\":true}", &ops, &m));
	run_until(p.loop, &m.is_closed);
	CHECK_INT(m.records, 3); /* the event, the bytes, the result */
	CHECK_INT(json_integer_value(json_object_get(m.answer, "echoed")), 0);
	json_decref(m.answer);
	pair_done(&p);
}

/* The connection breaks while a callback waits for another call on it. */
static void break_and_nest(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct meddler *m = mux_call_ctx(call);
	struct pyro_error err;

	(void)kind;
	(void)data;
	(void)len;
	if (m->records++ > 0)
		return;
	CHECK(shutdown(m->fd, SHUT_RDWR) == 0);
	CHECK(!call_wait(m->loop, mux_call_mux(call), "hang", json_object(), deadline_in(5000),
			 &err));
	CHECK_INT(err.code, PYRO_E_VM_DIED);
	CHECK(!m->is_closed); /* its turn comes when this callback has returned */
}

TEST("a connection that breaks under a waiting callback closes everything once, down last")
{
	static const struct mux_call_ops ops = {.on_record = break_and_nest,
						.on_close = meddler_close};
	struct meddler m = {0};
	struct seen seen = {0};
	struct pair p;

	pair_init(&p);
	m.loop = p.loop;
	m.fd = p.fd[1];
	seen_start(&seen, p.client, "hang", "{}");
	CHECK(mux_start(p.client, "echo", "{}", &ops, &m));
	run_until(p.loop, &p.client_down);
	CHECK(m.is_closed && m.records == 1 && seen.closes == 1);
	pair_done(&p);
}

static void free_nested(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct meddler *m = mux_call_ctx(call);
	struct mux *mux = mux_call_mux(call);

	(void)kind;
	(void)data;
	(void)len;
	m->records++;
	run_for(m->loop, 5);
	(void)mux_free(mux);
	CHECK(m->is_closed);
	run_for(m->loop, 5);
}

TEST("a mux may be freed in a callback that ran the loop")
{
	static const struct mux_call_ops ops = {.on_record = free_nested,
						.on_close = meddler_close};
	struct meddler m = {0};
	struct pair p;

	pair_init(&p);
	m.loop = p.loop;
	CHECK(mux_start(p.client, "source", "{\"bytes\":3000000}", &ops, &m));
	run_until(p.loop, &m.is_closed);
	CHECK_INT(m.records, 1);
	p.client = NULL;
	pair_done(&p);
}
