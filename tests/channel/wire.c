#include "wire.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 65536

struct served {
	struct server *server;
	const char *name;
	size_t count;   /* bytes eaten or echoed */
	size_t to_send; /* source */
	bool has_finished;
};

static const char *const names[] = {"echo", "sink", "source", "sloth", "hang",
				    "fail", "drop", "speak",  "leave", NULL};
static const char zeroes[PIECE];

static struct served *served_of(struct mux_call *call)
{
	return mux_call_ctx(call);
}

static bool is_call(struct mux_call *call, const char *name)
{
	return strcmp(served_of(call)->name, name) == 0;
}

static void reply(struct mux_call *call, const char *key)
{
	AUTO_FREE char *text = mem_printf("{\"%s\":%zu}", key, served_of(call)->count);

	mux_send(call, MUX_JSON, text, strlen(text));
	mux_finish(call);
}

static size_t bytes_of(const char *data, size_t len)
{
	json_t *args = json_loadb(data, len, 0, NULL);
	size_t n = (size_t)json_integer_value(json_object_get(args, "bytes"));

	json_decref(args);
	return n;
}

static void pour(struct mux_call *call)
{
	struct served *s = served_of(call);

	while (s->to_send > 0 && mux_queued(call) < MUX_QUEUE_GOAL) {
		size_t n = s->to_send < PIECE ? s->to_send : PIECE;

		mux_send(call, MUX_OUT, zeroes, n);
		s->to_send -= n;
		if (mux_queued(call) > s->server->queued_max)
			s->server->queued_max = mux_queued(call);
	}
	if (s->to_send > 0)
		return;
	mux_send(call, MUX_OUT, NULL, 0);
	reply(call, "sent");
}

static void speak(struct mux_call *call, size_t len)
{
	char *text = mem_resize(NULL, len, 1);

	memset(text, 'x', len);
	memcpy(text, "{\"t\":\"", 6);
	memcpy(text + len - 2, "\"}", 2);
	mux_send(call, MUX_JSON, text, len);
	mux_finish(call);
	free(text);
}

static void serve_args(struct mux_call *call, const char *data, size_t len)
{
	struct served *s = served_of(call);
	struct pyro_error err;

	if (is_call(call, "echo"))
		mux_send(call, MUX_JSON, data, len);
	if (is_call(call, "source")) {
		s->to_send = s->count = bytes_of(data, len);
		pour(call);
	} else if (is_call(call, "speak")) {
		speak(call, bytes_of(data, len));
	} else if (is_call(call, "fail")) {
		err_set(&err, PYRO_E_NO_SPACE, "the disk is '%s'", "full");
		err_hint(&err, "eat less");
		mux_fail(call, &err);
	} else if (is_call(call, "drop")) {
		mux_cancel(call);
	} else if (is_call(call, "leave")) {
		struct server *server = s->server;

		server->mux = mux_free(server->mux); /* s goes with it */
	}
}

static void on_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct served *s = served_of(call);

	if (kind == MUX_JSON) {
		serve_args(call, data, len);
		return;
	}
	s->count += len;
	if (is_call(call, "sloth"))
		return;
	if (is_call(call, "echo"))
		mux_send(call, MUX_OUT, data, len);
	mux_consume(call, len);
}

static void on_finish(struct mux_call *call)
{
	if (is_call(call, "echo"))
		reply(call, "echoed");
	if (is_call(call, "sink"))
		reply(call, "eaten");
}

static void on_drained(struct mux_call *call)
{
	if (is_call(call, "source"))
		pour(call);
}

static void on_close(struct mux_call *call, const struct pyro_error *error)
{
	struct served *s = served_of(call);

	(void)error;
	s->server->closes++;
	s->server->closed_any = true;
	free(s);
}

static void on_call(struct mux *mux, struct mux_call *call, const char *name)
{
	static const struct mux_call_ops ops = {on_record, on_finish, on_drained, on_close};

	for (size_t i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0) {
			struct served *s = mem_zalloc(1, sizeof(*s));

			s->server = mux_ctx(mux);
			s->server->calls++;
			s->server->called_any = true;
			s->name = names[i];
			mux_accept(call, &ops, s);
		}
}

static void on_down(struct mux *mux, const struct pyro_error *error)
{
	struct server *s = mux_ctx(mux);

	CHECK(!s->is_down);
	CHECK_INT(s->calls, s->closes);
	s->is_down = true;
	s->down = *error;
}

void server_start(struct server *s, struct loop *loop, int rfd, int wfd)
{
	static const struct mux_ops ops = {on_call, on_down};
	struct pyro_error err;

	*s = (struct server){0};
	s->mux = mux_new(loop, rfd, wfd, MUX_SERVER, &ops, s, &err);
	CHECK(s->mux);
}

void server_run(int fd)
{
	struct loop *loop = loop_new();
	struct server s;

	server_start(&s, loop, fd, fd);
	(void)loop_until(loop, &s.is_down, DEADLINE_NONE, "the end", NULL);
	mux_free(s.mux);
	loop_free(loop);
	exit(0);
}

static void pour_in(struct seen *seen)
{
	while (seen->to_send > 0 && mux_queued(seen->call) < MUX_QUEUE_GOAL) {
		size_t n = seen->to_send < PIECE ? seen->to_send : PIECE;

		mux_send(seen->call, MUX_IN, zeroes, n);
		seen->to_send -= n;
	}
	if (seen->to_send > 0)
		return;
	mux_send(seen->call, MUX_IN, NULL, 0);
	mux_finish(seen->call);
}

static void seen_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct seen *seen = mux_call_ctx(call);

	CHECK(!seen->is_closed);
	if (kind == MUX_JSON) {
		free(seen->json);
		seen->json = mem_strndup(data, len);
		seen->json_len = len;
		seen->texts++;
		return;
	}
	seen->out_len += len;
	if (!seen->is_kept)
		mux_consume(call, len);
}

static void seen_finish(struct mux_call *call)
{
	struct seen *seen = mux_call_ctx(call);

	CHECK(!seen->has_finished && !seen->is_closed);
	seen->has_finished = true;
}

static void seen_drained(struct mux_call *call)
{
	pour_in(mux_call_ctx(call));
}

static void seen_close(struct mux_call *call, const struct pyro_error *error)
{
	struct seen *seen = mux_call_ctx(call);

	CHECK(seen->closes == 0);
	if (error)
		seen->error = *error;
	seen->call = NULL;
	seen->closes++;
	seen->is_closed = true;
}

struct seen *seen_start(struct seen *seen, struct mux *mux, const char *name, const char *args)
{
	static const struct mux_call_ops ops = {seen_record, seen_finish, seen_drained, seen_close};

	seen->call = mux_start(mux, name, args, &ops, seen);
	CHECK(seen->call);
	if (seen->to_send > 0)
		pour_in(seen);
	return seen;
}

void seen_done(struct seen *seen)
{
	free(seen->json);
}

static void client_on_down(struct mux *mux, const struct pyro_error *error)
{
	bool *is_down = mux_ctx(mux);

	CHECK(!*is_down && error->code != PYRO_OK);
	*is_down = true;
}

const struct mux_ops client_ops = {.on_down = client_on_down};

void pair_init(struct pair *p)
{
	struct pyro_error err;

	*p = (struct pair){.loop = loop_new()};
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->fd) == 0);
	server_start(&p->server, p->loop, p->fd[1], p->fd[1]);
	p->client = mux_new(p->loop, p->fd[0], p->fd[0], MUX_CLIENT, &client_ops, &p->client_down,
			    &err);
	CHECK(p->client);
}

void pair_done(struct pair *p)
{
	mux_free(p->client);
	mux_free(p->server.mux);
	CHECK_INT(p->server.calls, p->server.closes);
	fd_close(&p->fd[0]);
	fd_close(&p->fd[1]);
	loop_free(p->loop);
}

void run_until(struct loop *loop, const bool *flag)
{
	struct pyro_error err;

	CHECK_OK(loop_until(loop, flag, deadline_in(100000), "the event of the test", &err), err);
}

static void on_time(struct loop_timer *timer)
{
	*(bool *)timer->ctx = true;
}

void run_for(struct loop *loop, int ms)
{
	bool is_over = false;
	struct loop_timer timer = {.on_time = on_time, .ctx = &is_over};

	loop_set_timer(loop, &timer, clock_ms() + ms);
	(void)loop_until(loop, &is_over, DEADLINE_NONE, "a while", NULL);
}
