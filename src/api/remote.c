#include "api/remote.h"

#include "api/handle.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "supervisor/supervisor.h"
#include "workspace/state.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BREAK_OFF_MS 1000
#define INPUT_CHUNK (64 * 1024)
#define SETTLE_MS 5000
#define UNLOCK_MS 1000

struct remote {
	struct pyro *p;
	struct mux *mux;
	int fd;
	char *workspace_id; /* what is talked of exists, and is no bare VM; else NULL */
	bool is_down;
};

/* One call under way. */
struct talk {
	struct remote *r;
	const char *op;
	struct mux_call *call;
	const struct remote_io *io; /* NULL: no streams expected */
	struct loop_fd input;
	bool has_input;
	json_t *result;
	struct pyro_error error;
	bool has_failed;
	bool is_over;
};

static void remote_down(struct mux *mux, const struct pyro_error *error)
{
	struct remote *r = mux_ctx(mux);

	(void)error;
	r->is_down = true;
}

static const struct mux_ops remote_ops = {.on_down = remote_down};

static struct remote *remote_new(struct pyro *p, int fd, struct pyro_error *err)
{
	struct remote *r = mem_zalloc(1, sizeof(*r));

	r->p = p;
	r->fd = fd;
	r->mux = mux_new(p->loop, fd, fd, MUX_CLIENT, &remote_ops, r, err);
	return r->mux ? r : remote_free(r);
}

struct remote *remote_over(struct pyro *p, struct mux *mux)
{
	struct remote *r = mem_zalloc(1, sizeof(*r));

	r->p = p;
	r->fd = -1;
	r->mux = mux;
	return r;
}

struct remote *remote_free(struct remote *r)
{
	if (r) {
		if (r->fd >= 0)
			(void)mux_free(r->mux);
		(void)shutdown(r->fd, SHUT_RDWR); /* a fork of this program may have it, too */
		fd_close(&r->fd);
		free(r->workspace_id);
		free(r);
	}
	return NULL;
}

struct remote *remote_spawn(struct pyro *p, const char *vm_id, int alive_fd, struct pyro_error *err)
{
	AUTO_FREE char *program = handle_program("supervisor", "pyro-supervisor", err);
	AUTO_ARGV struct argv argv = ARGV_INIT;
	AUTO_FD int ours = -1, theirs = -1;
	int pair[2];
	pid_t pid;

	if (!program)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		(void)err_sys(err, errno, "create a socket pair");
		return NULL;
	}
	ours = pair[0];
	theirs = pair[1];
	argv_add(&argv, program, p->state, vm_id, NULL);
	pid = proc_spawn(&argv,
			 &(struct proc_options){
				 .new_session = true,
				 .fds = (const struct proc_fd[]){{theirs, SUPERVISOR_CLIENT_FD},
								 {alive_fd, SUPERVISOR_LOCK_FD},
								 {STDERR_FILENO, STDERR_FILENO}},
				 .n_fds = getenv("PYRO_DEBUG") ? 3 : 2,
			 },
			 err);
	if (pid < 0)
		return NULL;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		; /* it forks at once, so that its parent is init */
	return remote_new(p, TAKE_FD(ours), err);
}

struct remote *remote_connect(struct pyro *p, const char *vm_id, struct pyro_error *err)
{
	AUTO_FREE char *path = state_vm_file(p->state, vm_id, "sock");
	int fd = state_connect(path, err);
	struct remote *r = fd < 0 ? NULL : remote_new(p, fd, err);

	if (r && strncmp(vm_id, "ws-", 3) == 0)
		r->workspace_id = mem_strdup(vm_id);
	return r;
}

static void tell_phase(struct talk *talk, const json_t *event)
{
	const char *phase = json_string_value(json_object_get(event, "phase"));
	const char *detail = json_string_value(json_object_get(event, "detail"));

	handle_phase(talk->r->p, talk->op, "phase=%s%s%s", phase ? phase : "", detail ? " " : "",
		     detail ? detail : "");
}

static void talk_json(struct talk *talk, const char *data, size_t len)
{
	json_t *object = json_loadb(data, len, 0, NULL);

	/* Only the supervisor tells phases, while it starts; the rest comes from the guest. */
	if (!talk->io && json_object_get(object, "event")) {
		tell_phase(talk, object);
		json_decref(object);
		return;
	}
	json_decref(talk->result);
	talk->result = object;
	talk->has_failed = call_error_from_json(object, &talk->error) < 0;
}

static void talk_output(struct talk *talk, enum mux_kind kind, const char *data, size_t len)
{
	if (talk->io && talk->io->on_output && len && !talk->has_failed &&
	    talk->io->on_output(talk->io->ctx, kind == MUX_OUT ? 1 : 2, data, len, &talk->error) <
		    0)
		talk->has_failed = true;
}

static void talk_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct talk *talk = mux_call_ctx(call);

	if (kind == MUX_JSON)
		talk_json(talk, data, len);
	else
		talk_output(talk, kind, data, len);
	mux_consume(call, len);
	if (talk->has_failed && !talk->result)
		mux_cancel(call);
}

static void talk_close(struct mux_call *call, const struct pyro_error *error)
{
	struct talk *talk = mux_call_ctx(call);

	loop_remove_fd(talk->r->p->loop, &talk->input);
	talk->call = NULL;
	talk->is_over = true;
	if (error && !talk->result && !talk->has_failed) {
		talk->error = *error;
		if (error->code == PYRO_E_VM_DIED)
			(void)err_set(&talk->error, error->code,
				      "the VM's supervisor ended unexpectedly");
		talk->has_failed = true;
	}
}

/* What ends too early is not passed off as whole. */
static void end_input(struct talk *talk)
{
	struct pyro_error error;

	if (talk->io->on_input_end && talk->io->on_input_end(talk->io->ctx, &error) < 0) {
		if (!talk->has_failed && !talk->result)
			talk->error = error;
		talk->has_failed = true;
		if (talk->call)
			mux_cancel(talk->call);
	} else if (talk->call) {
		mux_send(talk->call, MUX_IN, NULL, 0);
		mux_finish(talk->call);
	}
}

/* Passes one chunk of the input on; false when there is no more, or none now. */
static bool pass_input(struct talk *talk)
{
	const struct remote_io *io = talk->io;
	char chunk[INPUT_CHUNK];
	ssize_t n = read(talk->input.fd, chunk, sizeof(chunk));
	const char *end = n > 0 && io->in_end ? memchr(chunk, io->in_end, (size_t)n) : NULL;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (end)
		n = end - chunk;
	if (n > 0 && io->ret_in_bytes)
		*io->ret_in_bytes += n;
	if (n > 0)
		mux_send(talk->call, MUX_IN, chunk, (size_t)n);
	if (n > 0 && !end)
		return true;
	loop_remove_fd(talk->r->p->loop, &talk->input);
	talk->has_input = false;
	end_input(talk);
	return false;
}

static void input_ready(struct loop_fd *src, uint32_t events)
{
	struct talk *talk = src->ctx;

	(void)events;
	if (pass_input(talk) && mux_queued(talk->call) > MUX_QUEUE_GOAL)
		loop_remove_fd(talk->r->p->loop, src);
}

/* Begins or goes on to read the input: as it comes, or at once what epoll cannot wait for. */
static void read_input(struct mux_call *call)
{
	struct talk *talk = mux_call_ctx(call);

	if (!talk->has_input || talk->input.is_added)
		return;
	if (loop_add_fd(talk->r->p->loop, &talk->input, talk->input.fd, EPOLLIN, NULL) == 0)
		return;
	while (mux_queued(call) <= MUX_QUEUE_GOAL && pass_input(talk))
		;
}

static const struct mux_call_ops talk_ops = {
	.on_record = talk_record,
	.on_drained = read_input,
	.on_close = talk_close,
};

static void tell_size(void *ctx)
{
	struct talk *talk = ctx;
	unsigned size = talk->r->p->size;

	if (size && talk->call)
		call_send(talk->call, json_pack("{s:{s:i, s:i}}", "resize", "cols",
						(int)(size >> 16), "rows", (int)(size & 0xffff)));
}

/* The handle's resizes are this talk's until its end. */
static void follow_size(struct talk *talk)
{
	talk->r->p->on_resize = tell_size;
	talk->r->p->on_resize_ctx = talk;
	tell_size(talk);
}

/*
 * The supervisor must hear that it was we who broke off: it lets a command go on whose client only
 * vanished. So the word is sent before we hang up, also after pyro_cancel().
 */
static void break_off(struct talk *talk)
{
	struct remote *r = talk->r;
	bool is_stopped = loop_is_stopped(r->p->loop);
	int64_t deadline = deadline_in(BREAK_OFF_MS);
	const bool never = false;

	mux_cancel(talk->call);
	loop_resume(r->p->loop);
	while (!r->is_down && !mux_is_flushed(r->mux) && deadline_left(deadline))
		(void)loop_until(r->p->loop, &never, deadline_in(1), "the supervisor", NULL);
	if (is_stopped)
		loop_stop(r->p->loop);
}

/* One that was killed hangs up a moment before its lock is free, if a child of it was just forked.
 */
static void await_unlocked(struct remote *r)
{
	AUTO_FREE char *alive = state_vm_file(r->p->state, r->workspace_id, "alive");
	int64_t deadline =
		deadline_in(UNLOCK_MS); /* no longer: somebody may have started it again */

	while (file_is_locked(alive) && deadline_left(deadline))
		(void)poll(NULL, 0, 1);
}

/* Whoever hears that the machine died must find that it did, and can start it. */
static void explain_death(struct remote *r, struct pyro_error *error)
{
	(void)remote_await_end(r, deadline_in(SETTLE_MS), NULL);
	if (r->workspace_id) {
		await_unlocked(r);
		(void)err_hint(error, "pyro workspace status %s", r->workspace_id);
	}
}

static int converse(struct talk *talk, const char *name, json_t *args, int64_t deadline,
		    json_t **ret, struct pyro_error *err)
{
	struct remote *r = talk->r;
	AUTO_FREE char *text = json_dumps(args, JSON_COMPACT);
	int result;

	json_decref(args);
	if (!text)
		return err_set(err, PYRO_E_INVALID, "the arguments of '%s' are not text", name);
	talk->call = mux_start(r->mux, name, text, &talk_ops, talk);
	if (!talk->call) {
		(void)err_set(err, PYRO_E_VM_DIED, "the supervisor of the VM is gone");
		explain_death(r, err);
		return -1;
	}
	if (talk->io && talk->io->tells_size)
		follow_size(talk);
	if (talk->has_input)
		read_input(talk->call);
	else
		mux_finish(talk->call);
	result = loop_until(r->p->loop, &talk->is_over, deadline,
			    r->workspace_id ? "the workspace" : "the VM", err);
	r->p->on_resize = NULL;
	if (talk->call)
		break_off(talk);
	if (result == 0 && !talk->has_failed && !json_is_object(talk->result))
		result = err_set(err, PYRO_E_PROTOCOL, "call '%s' ended without a result", name);
	if (result == 0 && talk->has_failed) {
		if (talk->error.code == PYRO_E_VM_DIED)
			explain_death(r, &talk->error);
		if (err)
			*err = talk->error;
		result = -1;
	}
	if (result == 0 && ret)
		*ret = json_incref(talk->result);
	json_decref(talk->result);
	return result;
}

int remote_call(struct remote *r, const char *op, const char *name, json_t *args, int64_t deadline,
		json_t **ret, struct pyro_error *err)
{
	struct talk talk = {.r = r, .op = op};

	return converse(&talk, name, args, deadline, ret, err);
}

int remote_stream(struct remote *r, const char *name, json_t *args, const struct remote_io *io,
		  int64_t deadline, json_t **ret, struct pyro_error *err)
{
	struct talk talk = {
		.r = r,
		.io = io,
		.has_input = io->in_fd >= 0,
		.input = {.fd = io->in_fd, .on_ready = input_ready, .ctx = &talk},
	};

	return converse(&talk, name, args, deadline, ret, err);
}

static int take_output(void *ctx, int stream, const void *data, size_t len, struct pyro_error *err)
{
	struct remote_output *output = ctx;
	const struct pyro_observer *observer = output->observer;

	(void)err;
	capture_add(stream == 1 ? &output->out : &output->err, data, len);
	if (observer->on_output)
		observer->on_output(observer->ctx, stream, data, len);
	return 0;
}

int remote_exec(struct remote *r, json_t *args, struct remote_output *output, json_t **ret,
		struct pyro_error *err)
{
	const struct remote_io io = {
		.in_fd = r->p->input_fd,
		.on_output = take_output,
		.ctx = output,
	};

	output->observer = &r->p->observer;
	(void)json_object_set_new(args, "stdin", json_boolean(io.in_fd >= 0));
	/* The supervisor keeps the command's timeout. */
	return remote_stream(r, "exec", args, &io, DEADLINE_NONE, ret, err);
}

int remote_await_end(struct remote *r, int64_t deadline, struct pyro_error *err)
{
	return loop_until(r->p->loop, &r->is_down, deadline, "the supervisor to end", err);
}
