/*
 * The life of an exec: pipes and a tree; bytes in both directions; then the first process ends,
 * what is in the pipes at that moment is still read, and the result is sent, even if some
 * background process keeps the pipes open. Such processes live on in their tree.
 *
 * A kill (the client's, or the timeout's) goes to the whole tree; the result then follows as
 * always, or after GRACE_MS without the process, if the kernel cannot end it.
 *
 * The process of a function writes its result to standard error, as one line of JSON. Where it did
 * not come to that, a second process, which nothing but the end of the connection kills, may have
 * to put things right before the exec is over.
 */
#include "guest/exec.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/proc.h"
#include "channel/call.h"
#include "guest/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK (64 * 1024)
#define INPUT_MAX (16 * 1024 * 1024) /* far above what the mux lets a client have in flight */
#define REPORT_MAX (16 * 1024)
#define PIPE_MAX (1024 * 1024) /* read at the most when the first process has ended */
#define GRACE_MS 5000
#define EXIT_TIMED_OUT 124
#define EXIT_NOT_STARTED 126

struct output {
	struct loop_fd src; /* fd -1: closed */
	enum mux_kind kind;
	struct exec *exec;
};

struct exec {
	struct mux_call *call; /* NULL: nobody is interested any more */
	struct tree *tree;     /* NULL: ended */
	struct loop_fd in;     /* fd -1: closed; watched only while bytes wait */
	struct buf waiting;    /* input that the child did not take yet */
	bool is_input_ended;
	struct output out;
	struct output err;
	struct loop_timer timer;
	int64_t started_ms;
	bool is_timed_out;
	bool is_killed;
	const struct exec_function *function; /* NULL: a command */
	struct buf report;                    /* of a function */
	bool is_undoing;
	int status; /* of the first process, while undoing */
};

/* What the child needs to know. */
struct child {
	int fds[3];
	int cwd_fd; /* -1: stay */
	int (*run)(const void *arg);
	const void *arg;
};

/* What the process of a function needs to know. */
struct job {
	const struct exec_function *function;
	const void *arg;
};

static void on_exit_status(struct tree *tree, int status);

static const struct tree_ops tree_ops = {.on_exit = on_exit_status};
static struct exec_config config;
static int null_fd;
static int n_execs;

static void free_exec(struct exec *exec)
{
	buf_done(&exec->waiting);
	buf_done(&exec->report);
	free(exec);
	n_execs--;
}

/* In the child. */
static int run_child(const void *arg)
{
	const struct child *child = arg;

	for (int i = 0; i < 3; i++)
		if (dup2(child->fds[i], i) < 0)
			return EXIT_NOT_STARTED;
	if (child->cwd_fd >= 0 && fchdir(child->cwd_fd) < 0)
		return EXIT_NOT_STARTED;
	(void)close_range(3, ~0U, 0);
	return child->run(child->arg);
}

/*
 * Input.
 */

static void close_input(struct exec *exec)
{
	loop_remove_fd(config.loop, &exec->in);
	fd_close(&exec->in.fd);
	if (exec->call)
		mux_consume(exec->call, exec->waiting.len);
	buf_done(&exec->waiting);
}

/* What the child took of the bytes; 0 if its pipe is full, -1 if it takes no more at all. */
static ssize_t write_some(const struct exec *exec, const char *data, size_t len)
{
	ssize_t n = len ? write(exec->in.fd, data, len) : 0;

	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static void flush_input(struct exec *exec)
{
	ssize_t n = write_some(exec, exec->waiting.data, exec->waiting.len);

	if (n > 0) {
		buf_consume(&exec->waiting, (size_t)n);
		mux_consume(exec->call, (size_t)n);
	}
	if (n < 0 || (!exec->waiting.len && exec->is_input_ended))
		close_input(exec);
	else if (!exec->waiting.len)
		loop_remove_fd(config.loop, &exec->in);
}

static void on_input_ready(struct loop_fd *src, uint32_t events)
{
	(void)events;
	flush_input(src->ctx);
}

void exec_input(struct exec *exec, const char *data, size_t len)
{
	ssize_t n = 0;

	if (exec->in.fd < 0) {
		mux_consume(exec->call, len);
		return;
	}
	exec->is_input_ended |= len == 0;
	if (!exec->waiting.len)
		n = write_some(exec, data, len);
	if (n > 0)
		mux_consume(exec->call, (size_t)n);
	if (n >= 0 && len)
		buf_append(&exec->waiting, data + n, len - (size_t)n);
	if (n < 0 || exec->waiting.is_full) {
		mux_consume(exec->call, len);
		close_input(exec);
	} else if (!exec->waiting.len && exec->is_input_ended) {
		close_input(exec);
	} else if (exec->waiting.len && !exec->in.is_added) {
		if (loop_add_fd(config.loop, &exec->in, exec->in.fd, EPOLLOUT, NULL) < 0)
			close_input(exec);
	}
}

/*
 * Output.
 */

static void close_output(struct output *output)
{
	loop_remove_fd(config.loop, &output->src);
	fd_close(&output->src.fd);
}

/* Reads once; false when there is nothing (now, or ever again). */
static bool pump(struct output *output, size_t max)
{
	static char chunk[CHUNK];
	struct exec *exec = output->exec;
	ssize_t n = read(output->src.fd, chunk, max < CHUNK ? max : CHUNK);

	if (n > 0 && exec->function && output == &exec->err)
		buf_append(&exec->report, chunk, (size_t)n);
	else if (n > 0)
		mux_send(exec->call, output->kind, chunk, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_output(output);
	return n > 0;
}

static void on_output_ready(struct loop_fd *src, uint32_t events)
{
	struct output *output = src->ctx;

	(void)events;
	/* Out of the loop, not just without events: a hang-up would be reported all the time. */
	if (pump(output, CHUNK) && mux_queued(output->exec->call) > MUX_QUEUE_GOAL)
		loop_remove_fd(config.loop, src);
}

static void watch_output(struct output *output)
{
	if (output->src.fd >= 0 && !output->src.is_added &&
	    loop_add_fd(config.loop, &output->src, output->src.fd, EPOLLIN, NULL) < 0)
		close_output(output);
}

void exec_drained(struct exec *exec)
{
	watch_output(&exec->out);
	watch_output(&exec->err);
}

/* What is in the pipe now, and not what a background process goes on to write. */
static void finish_output(struct output *output)
{
	int left = 0;

	if (output->src.fd >= 0 && ioctl(output->src.fd, FIONREAD, &left) == 0 && left > PIPE_MAX)
		left = PIPE_MAX;
	while (left > 0 && pump(output, (size_t)left))
		left -= CHUNK;
	close_output(output);
}

/*
 * The end.
 */

static void send_result(struct exec *exec, int status)
{
	json_t *result =
		json_pack("{s:i s:o s:b s:I}", "exit_code",
			  exec->is_timed_out ? EXIT_TIMED_OUT : proc_exit_code(status), "signal",
			  WIFSIGNALED(status) ? json_integer(WTERMSIG(status)) : json_null(),
			  "timed_out", exec->is_timed_out, "duration_ms",
			  (json_int_t)(clock_ms() - exec->started_ms));
	AUTO_FREE char *text = json_dumps(result, JSON_COMPACT);

	json_decref(result);
	mux_send(exec->call, MUX_ERR, NULL, 0);
	mux_send(exec->call, MUX_JSON, text, strlen(text));
	mux_finish(exec->call);
}

/* The child's own word about what it did; without a good one, an error says how it ended. */
static void send_report(struct exec *exec, int status)
{
	json_t *report = json_loads(buf_text(&exec->report), 0, NULL);
	struct pyro_error error;

	if (call_error_from_json(report, &error) < 0) {
		mux_fail(exec->call, &error);
	} else if (!json_is_object(report)) {
		(void)err_set(&error, exec->is_killed ? PYRO_E_CANCELLED : PYRO_E_SYSTEM,
			      "the process for it ended with status %d", proc_exit_code(status));
		mux_fail(exec->call, &error);
	} else {
		mux_send(exec->call, MUX_JSON, buf_text(&exec->report), exec->report.len);
		mux_finish(exec->call);
	}
	json_decref(report);
}

static void end(struct exec *exec, int status)
{
	if (exec->function && exec->function->on_end)
		exec->function->on_end();
	if (!exec->call) {
		free_exec(exec);
		return;
	}
	finish_output(&exec->out);
	finish_output(&exec->err);
	close_input(exec);
	mux_send(exec->call, MUX_OUT, NULL, 0);
	if (exec->function)
		send_report(exec, status);
	else
		send_result(exec, status);
}

static int run_undo(const void *arg)
{
	const struct exec_function *function = arg;
	struct pyro_error err;

	return function->undo(&err) < 0;
}

/* Whether the process for it runs now. */
static bool start_undo(struct exec *exec, int status)
{
	struct child child = {
		.fds = {null_fd, null_fd, null_fd},
		.cwd_fd = -1,
		.run = run_undo,
		.arg = exec->function,
	};

	if (!exec->function || !exec->function->undo || exec->is_undoing || WIFEXITED(status))
		return false;
	exec->is_undoing = true;
	exec->status = status;
	exec->tree = tree_start(run_child, &child, &tree_ops, exec, NULL);
	return exec->tree != NULL;
}

static void finish(struct exec *exec, int status)
{
	loop_clear_timer(config.loop, &exec->timer);
	tree_release(TAKE_PTR(exec->tree));
	if (!start_undo(exec, status))
		end(exec, exec->is_undoing ? exec->status : status);
}

static void on_exit_status(struct tree *tree, int status)
{
	finish(tree_ctx(tree), status);
}

void exec_kill(struct exec *exec)
{
	if (!exec->tree || exec->is_killed || exec->is_undoing)
		return;
	exec->is_killed = true;
	tree_kill(exec->tree);
	loop_set_timer(config.loop, &exec->timer, deadline_in(GRACE_MS));
}

static void on_time(struct loop_timer *timer)
{
	struct exec *exec = timer->ctx;

	if (exec->is_killed) {
		finish(exec, SIGKILL);
		return;
	}
	exec->is_timed_out = true;
	exec_kill(exec);
}

void exec_abandon(struct exec *exec)
{
	exec->call = NULL;
	close_input(exec);
	close_output(&exec->out);
	close_output(&exec->err);
	if (exec->tree)
		exec_kill(exec);
	else
		free_exec(exec);
}

/*
 * The beginning.
 */

void exec_init(const struct exec_config *cfg)
{
	config = *cfg;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
}

/* A pipe whose end `ours` (0 or 1) does not block. */
static int make_pipe(int p[2], int ours, struct pyro_error *err)
{
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	(void)fcntl(p[ours], F_SETFL, O_NONBLOCK);
	return 0;
}

static struct exec *new_exec(struct mux_call *call)
{
	struct exec *exec = mem_zalloc(1, sizeof(*exec));

	n_execs++;
	exec->call = call;
	exec->started_ms = clock_ms();
	exec->waiting.max = INPUT_MAX;
	exec->report.max = REPORT_MAX;
	exec->timer.on_time = on_time;
	exec->timer.ctx = exec;
	exec->in = (struct loop_fd){.fd = -1, .on_ready = on_input_ready, .ctx = exec};
	exec->out = (struct output){.kind = MUX_OUT, .exec = exec};
	exec->err = (struct output){.kind = MUX_ERR, .exec = exec};
	exec->out.src = (struct loop_fd){.fd = -1, .on_ready = on_output_ready, .ctx = &exec->out};
	exec->err.src = (struct loop_fd){.fd = -1, .on_ready = on_output_ready, .ctx = &exec->err};
	return exec;
}

/* Starts the child of an exec whose own ends are not open yet. */
static int start(struct exec *exec, struct child *child, bool has_input, struct pyro_error *err)
{
	AUTO_FD int in = -1, out = -1, errout = -1;
	int p[2];

	if (has_input) {
		if (make_pipe(p, 1, err) < 0)
			return -1;
		in = p[0];
		exec->in.fd = p[1];
	}
	if (make_pipe(p, 0, err) < 0)
		return -1;
	exec->out.src.fd = p[0];
	out = p[1];
	if (make_pipe(p, 0, err) < 0)
		return -1;
	exec->err.src.fd = p[0];
	errout = p[1];
	child->fds[0] = has_input ? in : null_fd;
	child->fds[1] = out;
	child->fds[2] = errout;
	exec->tree = tree_start(run_child, child, &tree_ops, exec, err);
	return exec->tree ? 0 : -1;
}

static struct exec *begin(struct mux_call *call, struct child *child, bool has_input,
			  const struct exec_function *function, struct pyro_error *err)
{
	struct exec *exec;

	if (n_execs >= EXEC_MAX) {
		(void)err_set(err, PYRO_E_LIMIT, "%d commands run already", n_execs);
		return NULL;
	}
	exec = new_exec(call);
	exec->function = function;
	if (start(exec, child, has_input, err) < 0) {
		exec_abandon(exec);
		return NULL;
	}
	exec_drained(exec); /* begins to watch the output */
	return exec;
}

/* In the child. */
static int run_function(const void *arg)
{
	const struct job *job = arg;
	struct pyro_error err;
	json_t *result = job->function->run(job->arg, &err);
	bool is_good = result;
	AUTO_FREE char *text = NULL;

	if (!is_good)
		result = call_error_to_json(&err);
	text = json_dumps(result, JSON_COMPACT);
	json_decref(result);
	(void)file_write_all(STDERR_FILENO, text, strlen(text), NULL);
	return is_good ? 0 : EXIT_FAILURE;
}

struct exec *exec_function(struct mux_call *call, const struct exec_function *function,
			   const void *arg, struct pyro_error *err)
{
	const struct job job = {function, arg};
	struct child child = {.cwd_fd = -1, .run = run_function, .arg = &job};

	return begin(call, &child, true, function, err);
}

struct exec *exec_command(struct mux_call *call, json_t *args, struct pyro_error *err)
{
	AUTO_COMMAND struct command command = COMMAND_INIT;
	struct child child = {.run = command_run, .arg = &command};
	struct exec *exec;

	if (command_parse(&command, &config.command, args, err) < 0)
		return NULL;
	child.cwd_fd = command.cwd_fd;
	exec = begin(call, &child, command.has_input, NULL, err);
	if (exec && command.timeout_ms)
		loop_set_timer(config.loop, &exec->timer, deadline_in(command.timeout_ms));
	return exec;
}
