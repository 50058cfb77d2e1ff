#include "api/helper.h"

#include "api/handle.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "channel/call.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define TERM_MS 5000
#define LOOK_MS 5
#define CHUNK (64 * 1024)

struct helper {
	struct pyro *p;
	const char *name;
	const char *what;
	struct loop_child child;
	struct loop_fd report;
	struct buf line;
	json_t *last;
	int wait_status;
	bool is_silent; /* there is no report */
	bool has_exited;
	bool is_over; /* exited, and its report is read to the end */
};

static void note_progress(const struct helper *h, const json_t *line)
{
	const struct pyro_observer *observer = &h->p->observer;
	const json_t *done = json_object_get(line, "bytes"),
		     *total = json_object_get(line, "total_bytes");

	if (!done) {
		done = json_object_get(line, "done");
		total = json_object_get(line, "total");
	}
	if (h->what && observer->on_progress)
		observer->on_progress(observer->ctx, h->what, json_integer_value(done),
				      json_integer_value(total), "bytes");
}

static void take_line(struct helper *h, const char *text, size_t len)
{
	json_t *line = json_loadb(text, len, 0, NULL);

	if (json_object_get(line, "result") || json_object_get(line, "error")) {
		json_decref(h->last);
		h->last = json_incref(line);
	} else if (line) {
		note_progress(h, line);
	}
	json_decref(line);
}

static void end_report(struct helper *h)
{
	if (h->line.len)
		take_line(h, h->line.data, h->line.len);
	loop_remove_fd(h->p->loop, &h->report);
	fd_close(&h->report.fd);
	h->is_over = h->has_exited;
}

static void report_ready(struct loop_fd *src, uint32_t events)
{
	struct helper *h = src->ctx;
	size_t at = h->line.len, left = h->line.max - at; /* no line ends before at */
	size_t want = left < CHUNK ? left : CHUNK;
	ssize_t n = want ? read(src->fd, buf_room(&h->line, want), want) : 0;
	char *end;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_report(h);
		return;
	}
	buf_grew(&h->line, (size_t)n);
	while ((end = memchr(h->line.data + at, '\n', h->line.len - at))) {
		take_line(h, h->line.data, (size_t)(end - h->line.data));
		buf_consume(&h->line, (size_t)(end - h->line.data) + 1);
		at = 0;
	}
}

static void exited(struct loop_child *child, int wait_status)
{
	struct helper *h = child->ctx;

	h->wait_status = wait_status;
	h->has_exited = true;
	h->is_over = h->report.fd < 0;
}

static pid_t spawn(const struct helper_options *o, int report, struct pyro_error *err)
{
	AUTO_FREE char *program =
		o->part ? handle_program(o->part, o->program, err) : mem_strdup(o->program);
	AUTO_ARGV struct argv argv = ARGV_INIT;
	struct proc_fd fds[8];
	size_t n = 0;

	if (!program)
		return -1;
	argv_add(&argv, program, NULL);
	for (size_t i = 0; o->args[i]; i++)
		argv_add(&argv, o->args[i], NULL);
	for (; n < o->n_fds && n + 2 < ARRAY_SIZE(fds); n++)
		fds[n] = o->fds[n];
	if (o->report_as >= 0)
		fds[n++] = (struct proc_fd){report, o->report_as};
	if (getenv("PYRO_DEBUG"))
		fds[n++] = (struct proc_fd){STDERR_FILENO, STDERR_FILENO};
	return proc_spawn(&argv,
			  &(struct proc_options){.fds = fds,
						 .n_fds = n,
						 .new_session = true,
						 .die_with_parent = o->die_with_parent},
			  err);
}

struct helper *helper_start(struct pyro *p, const struct helper_options *options,
			    struct pyro_error *err)
{
	struct helper *h = mem_zalloc(1, sizeof(*h));
	AUTO_FD int theirs = -1;
	int pair[2];
	pid_t pid;

	h->p = p;
	h->name = options->program;
	h->what = options->what;
	h->is_silent = options->report_as < 0;
	h->line.max = options->report_max;
	h->child = (struct loop_child){.on_exit = exited, .ctx = h};
	h->child.pidfd.fd = -1;
	h->report = (struct loop_fd){.fd = -1, .on_ready = report_ready, .ctx = h};
	if (pipe2(pair, O_CLOEXEC) < 0) {
		(void)err_sys(err, errno, "create a pipe");
		return helper_free(h);
	}
	theirs = pair[1];
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	if (loop_add_fd(p->loop, &h->report, pair[0], EPOLLIN, err) < 0) {
		fd_close(&pair[0]);
		return helper_free(h);
	}
	pid = spawn(options, theirs, err);
	if (pid < 0)
		return helper_free(h);
	if (loop_add_child(p->loop, &h->child, pid, err) < 0) {
		proc_kill(pid);
		return helper_free(h);
	}
	return h;
}

int helper_finish(struct helper *h, int64_t deadline, json_t **ret, struct pyro_error *err)
{
	json_t *result;

	if (loop_until(h->p->loop, &h->is_over, deadline, h->name, err) < 0)
		return -1;
	if (call_error_from_json(h->last, err) < 0)
		return -1;
	if (h->is_silent && h->wait_status == 0)
		return 0;
	if (WIFSIGNALED(h->wait_status) && WTERMSIG(h->wait_status) == SIGPIPE)
		return err_sys(err, EPIPE, "'%s'", h->name);
	result = json_object_get(h->last, "result");
	if (!json_is_object(result))
		return err_set(err, PYRO_E_SYSTEM, "'%s' ended with status %d and no result",
			       h->name, proc_exit_code(h->wait_status));
	if (ret)
		*ret = json_incref(result);
	return 0;
}

bool helper_was_cut_off(const struct pyro_error *err)
{
	const char *why = strerror(EPIPE);
	size_t len = strlen(err->message), n = strlen(why);

	return len >= n && strcmp(err->message + len - n, why) == 0;
}

struct helper *helper_free(struct helper *h)
{
	int64_t deadline = deadline_in(TERM_MS);
	pid_t pid;

	if (!h)
		return NULL;
	pid = h->has_exited ? 0 : h->child.pid;
	loop_remove_child(h->p->loop, &h->child);
	loop_remove_fd(h->p->loop, &h->report);
	fd_close(&h->report.fd);
	if (pid > 0)
		(void)kill(pid, SIGTERM);
	while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
		if (deadline_left(deadline) == 0) {
			proc_kill(pid);
			break;
		}
		(void)poll(NULL, 0, LOOK_MS);
	}
	buf_done(&h->line);
	json_decref(h->last);
	free(h);
	return NULL;
}
