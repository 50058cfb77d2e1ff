#include "image/pull.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/proc.h"
#include "image/image.h"
#include "image/reference.h"
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PULL_MS (2 * 60 * 60 * 1000) /* the builder has shorter deadlines of its own */
#define CANCEL_MS 30000              /* then the builder is killed */
#define LINE_MAX_BYTES 65536

struct pull {
	const struct pull_hooks *hooks;
	pid_t pid;
	int out_fd;
	int cancel_fd; /* -1 once it was heard */
	int64_t deadline;
	struct buf line;
	bool is_cancelled;
	struct pyro_error error; /* what the builder said; code PYRO_OK: nothing */
};

static const char *text(const json_t *event, const char *key)
{
	const char *s = json_string_value(json_object_get(event, key));

	return s ? s : "";
}

static void take_event(struct pull *p, const json_t *event)
{
	const char *kind = text(event, "event");

	if (strcmp(kind, "phase") == 0 && p->hooks->on_phase)
		p->hooks->on_phase(p->hooks->ctx, text(event, "phase"));
	if (strcmp(kind, "progress") == 0 && p->hooks->on_progress)
		p->hooks->on_progress(p->hooks->ctx, text(event, "what"),
				      json_integer_value(json_object_get(event, "done")),
				      json_integer_value(json_object_get(event, "total")),
				      text(event, "unit"));
	if (strcmp(kind, "error") == 0) {
		(void)err_set(&p->error, err_code_from_name(text(event, "code")), "%s",
			      text(event, "message"));
		(void)err_hint(&p->error, "%s", text(event, "hint"));
	}
}

static void take_lines(struct pull *p)
{
	char *newline;

	while (p->line.len && (newline = memchr(p->line.data, '\n', p->line.len))) {
		size_t len = (size_t)(newline - p->line.data);
		json_t *event = json_loadb(p->line.data, len, 0, NULL);

		if (event)
			take_event(p, event);
		json_decref(event);
		buf_consume(&p->line, len + 1);
	}
	if (p->line.len == p->line.max) /* no line of ours is that long */
		buf_reset(&p->line);
}

/* false at the end of the builder's output. */
static bool take_output(struct pull *p)
{
	char chunk[4096];
	ssize_t n = read(p->out_fd, chunk, sizeof(chunk));

	if (n > 0)
		buf_append(&p->line, chunk, (size_t)n);
	take_lines(p);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void cancel(struct pull *p)
{
	p->is_cancelled = true;
	p->cancel_fd = -1;
	p->deadline = deadline_in(CANCEL_MS);
	(void)kill(p->pid, SIGTERM);
}

static int follow(struct pull *p, struct pyro_error *err)
{
	for (;;) {
		struct pollfd fds[2] = {{p->out_fd, POLLIN, 0}, {p->cancel_fd, POLLIN, 0}};
		int ready = poll(fds, 2, deadline_left(p->deadline));

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return err_set(err, PYRO_E_TIMEOUT, "the builder did not end in time");
		if (fds[1].revents)
			cancel(p);
		if (fds[0].revents && !take_output(p))
			return 0;
	}
}

static int reap(struct pull *p, struct pyro_error *err)
{
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(p->pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (pid < 0) /* a caller that ignores SIGCHLD */
		return err_sys(err, errno, "wait for the builder");
	if (status == 0)
		return 0;
	if (p->is_cancelled)
		return err_set(err, PYRO_E_CANCELLED, "the pull was interrupted");
	if (p->error.code == PYRO_OK)
		return err_set(err, PYRO_E_PULL_FAILED, "the builder ended with status %d",
			       proc_exit_code(status));
	if (err)
		*err = p->error;
	return -1;
}

static int run(struct pull *p, const struct argv *a, struct pyro_error *err)
{
	AUTO_FD int out_r = -1, out_w = -1;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	p->out_fd = out_r = fds[0];
	out_w = fds[1];
	/* A session of its own: an interrupt from the terminal reaches it through cancel_fd only.
	 */
	p->pid = proc_spawn(a,
			    &(struct proc_options){.fds = &(struct proc_fd){out_w, STDOUT_FILENO},
						   .n_fds = 1,
						   .new_session = true,
						   .die_with_parent = true},
			    err);
	fd_close(&out_w);
	if (p->pid < 0)
		return -1;
	if (follow(p, err) < 0) {
		proc_kill(p->pid);
		return -1;
	}
	return reap(p, err);
}

const char *pull_builder(const char *name)
{
	return reference_is(name) ? "pyro-oci" : "pyro-image";
}

/* Whether the name may stand for something else than what is installed. */
static bool is_movable(const char *name)
{
	return reference_is(name) && !strchr(name, '@');
}

int image_pull(const char *name, const char *builder, const struct pull_hooks *hooks,
	       struct pyro_error *err)
{
	AUTO_FREE char *root = image_check_name(name, err) < 0 ? NULL : store_root(err);
	AUTO_FREE char *full = reference_install_name(name);
	AUTO_INSTALL struct install install = INSTALL_INIT;
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pull p = {.hooks = hooks,
			 .cancel_fd = hooks->cancel_fd,
			 .deadline = deadline_in(PULL_MS),
			 .line = BUF_INIT(LINE_MAX_BYTES)};
	int r;

	if (!root)
		return -1;
	if (store_open(&install, root, full, NULL) == 0 && !is_movable(name))
		return 0;
	if (hooks->on_phase)
		hooks->on_phase(hooks->ctx, "install");
	argv_add(&a, builder, "build", full, root, NULL);
	r = run(&p, &a, err);
	buf_done(&p.line);
	return r;
}
