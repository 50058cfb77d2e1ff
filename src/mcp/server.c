/*
 * One thread and one poll(), because the standard streams may be files, which epoll refuses.
 *
 * Reading and writing never wait for each other: replies queue in `out` and leave in pieces that a
 * writable pipe or socket takes without blocking (the streams are the host's, so O_NONBLOCK, which
 * would change them for others too, is not set). Only when a host does not read at all, and more
 * than OUT_HIGH waits for it, nothing more is read from it or from the workers until it does.
 *
 * Each tools/call is a `struct call` in the list, in order of arrival. The first RUNNING_MAX of
 * them have workers.
 */
#include "mcp/server.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "mcp/call.h"
#include "mcp/protocol.h"
#include "mcp/roots.h"
#include "mcp/setup.h"
#include "mcp/worker.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define RUNNING_MAX 8
#define CALLS_MAX 64
#define BATCH_MAX 64
#define CHUNK (64 * 1024)
#define OUT_HIGH (4 * 1024 * 1024)
/* OUT_HIGH, and behind it the largest batch of the largest replies. */
#define OUT_MAX ((size_t)OUT_HIGH + (size_t)(BATCH_MAX + 1) * WORKER_LINE_MAX)
#define END_MS 1500

struct server {
	struct setup *setup;
	struct roots roots;
	int in_fd, out_fd, signal_fd;
	struct buf in, out;
	size_t scanned;   /* bytes of `in` without a newline */
	size_t sent;      /* bytes of `out` that have left */
	bool is_skipping; /* up to the end of a line that was too long */
	bool is_over;
	int signal;
	struct call *calls;
};

/* Replies that leave together, as the answer to a batch. */
struct batch {
	size_t open; /* requests without a reply; one more while the batch is read */
	struct buf text;
};

static size_t pending(const struct server *s)
{
	return s->out.len - s->sent;
}

static void put(struct server *s, struct batch *batch, const char *text)
{
	if (batch) {
		buf_puts(&batch->text, batch->text.len ? "," : "[");
		buf_puts(&batch->text, text);
	} else {
		buf_puts(&s->out, text);
		buf_puts(&s->out, "\n");
	}
}

/* Takes the message; NULL is nothing to say. */
static void put_json(struct server *s, struct batch *batch, json_t *message)
{
	AUTO_FREE char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	if (text)
		put(s, batch, text);
	json_decref(message);
}

static void batch_release(struct server *s, struct batch *batch)
{
	if (!batch || --batch->open)
		return;
	if (batch->text.len) {
		buf_puts(&batch->text, "]");
		put(s, NULL, buf_text(&batch->text));
	}
	buf_done(&batch->text);
	free(batch);
}

/* --- calls --- */

static void fail_call(struct server *s, const struct call *c, const struct pyro_error *err)
{
	put_json(s, c->batch, protocol_failure(s->setup, &c->request, err));
}

static size_t count_calls(const struct server *s)
{
	size_t n = 0;

	for (const struct call *c = s->calls; c; c = c->next)
		n++;
	return n;
}

static void add_call(struct server *s, struct call *c, struct batch *batch)
{
	struct call **at = &s->calls;
	struct pyro_error err;

	c->batch = batch;
	if (count_calls(s) >= CALLS_MAX) {
		(void)err_set(&err, PYRO_E_BUSY, "%d calls are under way already", CALLS_MAX);
		fail_call(s, c, &err);
		(void)call_free(c);
		return;
	}
	if (batch)
		batch->open++;
	while (*at)
		at = &(*at)->next;
	*at = c;
}

static void remove_call(struct server *s, struct call *c)
{
	struct call **at = &s->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	batch_release(s, c->batch);
	(void)call_free(c);
}

static void start_calls(struct server *s)
{
	size_t running = 0;
	struct call *next;

	for (struct call *c = s->calls; c && running < RUNNING_MAX; c = next) {
		struct pyro_error err;

		next = c->next;
		if (c->awaits_roots)
			continue;
		if (c->pid || call_start(c, &err) == 0) {
			running++;
		} else {
			fail_call(s, c, &err);
			remove_call(s, c);
		}
	}
}

static void cancel_call(struct server *s, const struct request *request)
{
	const json_t *id = json_object_get(request->params, "requestId");
	struct call *next;

	for (struct call *c = s->calls; c; c = next) {
		next = c->next;
		if (!json_equal(c->request.id, id))
			continue;
		call_cancel(c);
		if (!c->pid)
			remove_call(s, c);
	}
}

static void read_call(struct server *s, struct call *c)
{
	bool lives = call_read(c);
	struct pyro_error err;
	char *text, kind;

	while ((kind = call_take(c, &text))) {
		if (kind == WORKER_PROGRESS) {
			put_json(s, NULL, call_progress(c, text));
		} else if (!c->is_cancelled) {
			put(s, c->batch, text);
			c->is_answered = true;
		}
		free(text);
	}
	if (lives)
		return;
	if (!c->is_cancelled && !c->is_answered) {
		(void)err_set(&err, PYRO_E_SYSTEM, "the call ended without a result");
		fail_call(s, c, &err);
	}
	remove_call(s, c);
}

/* --- roots --- */

/* A workspace is to be created, and what it is filled with depends on an answer of the client. */
static void await_roots(struct server *s, struct call *c)
{
	AUTO_FREE char *source = NULL;

	if (c->tool.op != &ops_rows[OP_create_workspace] || !s->setup->project.here ||
	    json_object_get(c->tool.arguments, "seed_path") || !roots_are_missing(&s->roots))
		return;
	if (setup_source(s->setup, &source, NULL) < 0 || source)
		return;
	c->awaits_roots = true;
	put_json(s, NULL, roots_ask(&s->roots));
}

/* What is known now is what calls that waited for it get. */
static void settle_roots(struct server *s)
{
	s->setup->project.roots = (const char *const *)s->roots.paths;
	for (struct call *c = s->calls; c && !roots_are_missing(&s->roots); c = c->next)
		c->awaits_roots = false;
}

/* What a message that is not answered tells. */
static void note(struct server *s, const json_t *message, const struct request *request)
{
	if (!request->method)
		(void)roots_take(&s->roots, message);
	else if (strcmp(request->method, "initialize") == 0)
		roots_offer(&s->roots, request->params);
	else if (strcmp(request->method, "notifications/roots/list_changed") == 0)
		roots_forget(&s->roots);
	else if (strcmp(request->method, "notifications/cancelled") == 0)
		cancel_call(s, request);
	settle_roots(s);
}

/* --- messages --- */

/* A reply to `message` itself; a reply that comes later is on its way in a call. */
static void handle_message(struct server *s, json_t *message, struct batch *batch)
{
	struct request request;
	struct call *call = NULL;
	json_t *reply = protocol_read(message, &request);

	if (!reply && !request.is_modern)
		note(s, message, &request);
	if (!reply && request.method && request.id) {
		if (strcmp(request.method, "tools/call") == 0)
			reply = call_new(s->setup, message, &request, &call);
		else
			reply = protocol_answer(s->setup, &request);
	}
	put_json(s, batch, reply);
	if (call && !request.is_modern)
		await_roots(s, call);
	if (call)
		add_call(s, call, batch);
}

static void handle_batch(struct server *s, json_t *messages)
{
	size_t n = json_array_size(messages);
	struct batch *batch;

	if (n == 0 || n > BATCH_MAX) {
		put_json(s, NULL,
			 protocol_error(NULL, PROTOCOL_REQUEST, "the batch is empty or too long"));
		return;
	}
	batch = mem_zalloc(1, sizeof(*batch));
	batch->text.max = OUT_MAX - OUT_HIGH;
	batch->open = 1;
	for (size_t i = 0; i < n; i++)
		handle_message(s, json_array_get(messages, i), batch);
	batch_release(s, batch);
}

/* The escape of half a character, whose second digit says which half. */
static bool is_half(const char *at, const char *end, const char *second)
{
	return end - at >= 6 && at[0] == '\\' && at[1] == 'u' && (at[2] == 'd' || at[2] == 'D') &&
	       at[3] && strchr(second, at[3]) && isxdigit((unsigned char)at[4]) &&
	       isxdigit((unsigned char)at[5]);
}

/*
 * JavaScript's strings are UTF-16, and one that was cut within a character ends with half of it,
 * which is written as an escape that is no text. It becomes U+FFFD: otherwise the whole message,
 * and with it the id to answer, could not be read, and its sender would wait in vain.
 */
static void mend_halves(char *at, const char *end)
{
	while ((at = memchr(at, '\\', (size_t)(end - at)))) {
		size_t len = end - at < 2 ? 1 : 2;

		if (is_half(at, end, "89abAB") && is_half(at + 6, end, "cdefCDEF"))
			len = 12;
		else if (is_half(at, end, "89abcdefABCDEF"))
			memcpy(at + 2, (const char[]){'f', 'f', 'f', 'd'}, 4);
		at += len;
	}
}

static json_t *load(const char *line, size_t len)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_t *message = json_loadb(line, len, flags, NULL);
	AUTO_FREE char *mended = message ? NULL : mem_strndup(line, len);

	if (message)
		return message;
	mend_halves(mended, mended + len);
	return json_loadb(mended, len, flags, NULL);
}

static void handle_line(struct server *s, const char *line, size_t len)
{
	json_t *message;

	if (strspn(line, " \t\r") >= len)
		return;
	message = load(line, len);
	if (!message)
		put_json(s, NULL, protocol_error(NULL, PROTOCOL_PARSE, "not a JSON text"));
	else if (json_is_array(message))
		handle_batch(s, message);
	else
		handle_message(s, message, NULL);
	json_decref(message);
}

/* One line of what was read; false if there is none that is whole. */
static bool take_line(struct server *s)
{
	const char *text = buf_text(&s->in);
	const char *newline = memchr(text + s->scanned, '\n', s->in.len - s->scanned);
	size_t len = newline ? (size_t)(newline - text) : s->in.len;

	s->scanned = len;
	if (!newline && len > SERVER_LINE_MAX) {
		if (!s->is_skipping)
			put_json(s, NULL,
				 protocol_error(NULL, PROTOCOL_PARSE, "a line over 10 MiB"));
		s->is_skipping = true;
		buf_reset(&s->in);
		s->scanned = 0;
	}
	if (!newline)
		return false;
	if (!s->is_skipping)
		handle_line(s, text, len);
	s->is_skipping = false;
	buf_consume(&s->in, len + 1);
	s->scanned = 0;
	return true;
}

static void handle_lines(struct server *s)
{
	while (pending(s) < OUT_HIGH && take_line(s))
		;
}

/* --- descriptors --- */

static void read_input(struct server *s)
{
	void *room = buf_room(&s->in, CHUNK);
	ssize_t n = room ? read(s->in_fd, room, CHUNK) : 0;

	if (n > 0) {
		buf_grew(&s->in, (size_t)n);
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		buf_puts(&s->in, "\n"); /* a last line may lack it */
		s->is_over = true;
	}
}

static void write_output(struct server *s)
{
	size_t n = pending(s) < PIPE_BUF ? pending(s) : PIPE_BUF;
	ssize_t written = write(s->out_fd, s->out.data + s->sent, n);

	if (written > 0) {
		s->sent += (size_t)written;
	} else if (errno != EINTR && errno != EAGAIN) {
		s->is_over = true; /* nobody reads any more */
		s->sent = s->out.len;
	}
	if (s->sent == s->out.len || s->sent > OUT_HIGH) {
		buf_consume(&s->out, s->sent);
		s->sent = 0;
	}
}

static void read_signal(struct server *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		s->signal = (int)info.ssi_signo;
		s->is_over = true;
	}
}

/* Says what is due; returns when the next is. */
static int64_t mind_time(struct server *s)
{
	int64_t next = roots_mind_time(&s->roots);

	settle_roots(s);
	for (struct call *c = s->calls; c; c = c->next) {
		if (c->due_ms <= clock_ms())
			put_json(s, NULL, call_is_due(c));
		if (c->due_ms < next)
			next = c->due_ms;
	}
	return next;
}

/* Waits for something to do, until the deadline, and does it. */
static void step(struct server *s, int64_t deadline)
{
	bool takes_more = pending(s) < OUT_HIGH;
	struct pollfd fds[3 + CALLS_MAX] = {
		{s->is_over ? -1 : s->signal_fd, POLLIN, 0},
		{pending(s) ? s->out_fd : -1, POLLOUT, 0},
		{takes_more && !s->is_over ? s->in_fd : -1, POLLIN, 0},
	};
	struct call *calls[CALLS_MAX];
	size_t n = 0;

	for (struct call *c = s->calls; c && takes_more; c = c->next)
		if (c->fd >= 0) {
			fds[3 + n] = (struct pollfd){c->fd, POLLIN, 0};
			calls[n++] = c;
		}
	if (poll(fds, 3 + n, deadline_left(deadline)) <= 0)
		return;
	if (fds[0].revents)
		read_signal(s);
	if (fds[1].revents)
		write_output(s);
	if (fds[2].revents)
		read_input(s);
	for (size_t i = 0; i < n; i++)
		if (fds[3 + i].revents)
			read_call(s, calls[i]);
}

/* What was asked and can be said at once is said; workers undo what they began. */
static void end(struct server *s)
{
	int64_t deadline = deadline_in(END_MS);
	struct call *next;

	handle_lines(s);
	for (struct call *c = s->calls; c; c = next) {
		next = c->next;
		call_leave(c);
		if (!c->pid)
			remove_call(s, c);
	}
	while ((s->calls || pending(s)) && deadline_left(deadline) > 0)
		step(s, deadline);
	while (s->calls) /* a supervisor whose client is killed removes the VM itself */
		remove_call(s, s->calls);
	buf_done(&s->in);
	buf_done(&s->out);
	s->setup->project.roots = NULL;
	roots_done(&s->roots);
	fd_close(&s->signal_fd);
}

int server_run(struct setup *setup, int in_fd, int out_fd)
{
	struct server s = {
		.setup = setup,
		.in_fd = in_fd,
		.out_fd = out_fd,
		.in = BUF_INIT(SERVER_LINE_MAX + 2 * CHUNK),
		.out = BUF_INIT(OUT_MAX),
	};
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	s.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	while (!s.is_over) {
		int64_t next;

		handle_lines(&s);
		next = mind_time(&s);
		start_calls(&s);
		step(&s, next);
	}
	end(&s);
	return s.signal;
}
