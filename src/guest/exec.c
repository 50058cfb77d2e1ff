/*
 * The life of an exec: pipes and a tree; bytes in both directions; then the first process ends,
 * what is in the pipes at that moment is still read, and the result is sent, even if some
 * background process keeps the pipes open. Such processes live on in their tree.
 *
 * A kill (the client's, or the timeout's) goes to the whole tree; the result then follows as
 * always, or after GRACE_MS without the process, if the kernel cannot end it. A command that is its
 * whole tree is killed when its first process has ended, and waits for the rest in the same way.
 *
 * With a terminal there is one descriptor for all streams, the master, here twice: as the input's
 * and as the output's. Its end of input is a character, so the call's means nothing.
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
#include "base/mem.h"
#include "base/proc.h"
#include "channel/call.h"
#include "guest/stream.h"
#include "guest/terminal.h"
#include "guest/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_MAX (16 * 1024)
#define PIPE_MAX ((size_t)1024 * 1024) /* read at the most when the first process has ended */
#define GRACE_MS 5000
#define EXIT_TIMED_OUT 124
#define EXIT_NOT_STARTED 126

struct exec {
	struct mux_call *call; /* NULL: nobody is interested any more */
	struct tree *tree;     /* NULL: ended */
	struct sink in;
	struct source out;
	struct source err;
	struct loop_timer timer;
	int64_t started_ms;
	bool has_terminal;
	bool is_whole;
	bool is_timed_out;
	bool is_killed;
	const struct exec_function *function; /* NULL: a command */
	struct buf report;                    /* of a function */
	bool is_undoing;
	int status; /* of the first process: as if it had been killed, until it ends */
};

/* What the child needs to know. */
struct child {
	int fds[3];
	bool has_terminal;
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
static void on_empty(struct tree *tree);

static const struct tree_ops tree_ops = {.on_exit = on_exit_status, .on_empty = on_empty};
static struct exec_config config;
static int null_fd;
static int n_execs;

static void free_exec(struct exec *exec)
{
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
	if (child->has_terminal && terminal_adopt(0) < 0)
		return EXIT_NOT_STARTED;
	if (child->cwd_fd >= 0 && fchdir(child->cwd_fd) < 0)
		return EXIT_NOT_STARTED;
	(void)close_range(3, ~0U, 0);
	return child->run(child->arg);
}

void exec_input(struct exec *exec, const char *data, size_t len)
{
	if (len || !exec->has_terminal)
		sink_take(&exec->in, data, len);
}

void exec_drained(struct exec *exec)
{
	source_watch(&exec->out);
	source_watch(&exec->err);
}

/* What is in the pipe now, and not what a background process goes on to write. */
static void finish_output(const struct exec *exec, struct source *output)
{
	int left = 0;

	/* A terminal passes on what it has as it is read; and its writers are few: it hung up. */
	if (exec->has_terminal)
		source_finish(output, PIPE_MAX);
	else if (output->src.fd >= 0 && ioctl(output->src.fd, FIONREAD, &left) == 0 && left > 0)
		source_finish(output, (size_t)left < PIPE_MAX ? (size_t)left : PIPE_MAX);
	source_close(output);
}

/*
 * The end.
 */

static void send_result(struct exec *exec)
{
	int status = exec->status;
	json_t *result =
		json_pack("{s:i s:o s:b s:I}", "exit_code",
			  exec->is_timed_out ? EXIT_TIMED_OUT : proc_exit_code(status), "signal",
			  WIFSIGNALED(status) ? json_integer(WTERMSIG(status)) : json_null(),
			  "timed_out", exec->is_timed_out, "duration_ms",
			  (json_int_t)(clock_ms() - exec->started_ms));

	mux_send(exec->call, MUX_ERR, NULL, 0);
	call_answer(exec->call, result);
}

/* The child's own word about what it did; without a good one, an error says how it ended. */
static void send_report(struct exec *exec)
{
	json_t *report = json_loads(buf_text(&exec->report), 0, NULL);
	struct pyro_error error;

	if (call_error_from_json(report, &error) < 0) {
		mux_fail(exec->call, &error);
	} else if (!json_is_object(report)) {
		(void)err_set(&error, exec->is_killed ? PYRO_E_CANCELLED : PYRO_E_SYSTEM,
			      "the process for it ended with status %d",
			      proc_exit_code(exec->status));
		mux_fail(exec->call, &error);
	} else {
		mux_send(exec->call, MUX_JSON, buf_text(&exec->report), exec->report.len);
		mux_finish(exec->call);
	}
	json_decref(report);
}

static void end(struct exec *exec)
{
	if (exec->function && exec->function->on_end)
		exec->function->on_end(exec->call != NULL);
	if (!exec->call) {
		free_exec(exec);
		return;
	}
	finish_output(exec, &exec->out);
	finish_output(exec, &exec->err);
	sink_close(&exec->in);
	mux_send(exec->call, MUX_OUT, NULL, 0);
	if (exec->function)
		send_report(exec);
	else
		send_result(exec);
}

static int run_undo(const void *arg)
{
	const struct exec_function *function = arg;
	struct pyro_error err;

	return function->undo(&err) < 0;
}

/* Whether the process for it runs now. */
static bool start_undo(struct exec *exec)
{
	struct child child = {
		.fds = {null_fd, null_fd, null_fd},
		.cwd_fd = -1,
		.run = run_undo,
		.arg = exec->function,
	};

	if (!exec->function || !exec->function->undo || exec->is_undoing || WIFEXITED(exec->status))
		return false;
	exec->is_undoing = true;
	exec->tree = tree_start(run_child, &child, &tree_ops, exec, NULL);
	return exec->tree != NULL;
}

static void finish(struct exec *exec)
{
	loop_clear_timer(config.loop, &exec->timer);
	tree_release(TAKE_PTR(exec->tree));
	if (!start_undo(exec))
		end(exec);
}

static void on_exit_status(struct tree *tree, int status)
{
	struct exec *exec = tree_ctx(tree);

	if (!exec->is_undoing)
		exec->status = status;
	if (!exec->is_whole || tree_end(tree)) {
		finish(exec);
		return;
	}
	exec->is_killed = true;
	loop_set_timer(config.loop, &exec->timer, deadline_in(GRACE_MS));
}

static void on_empty(struct tree *tree)
{
	finish(tree_ctx(tree));
}

static void kill_tree(struct exec *exec)
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
		finish(exec);
		return;
	}
	exec->is_timed_out = true;
	kill_tree(exec);
}

void exec_abandon(struct exec *exec)
{
	exec->call = exec->in.call = NULL;
	sink_close(&exec->in);
	source_close(&exec->out);
	source_close(&exec->err);
	if (exec->tree)
		kill_tree(exec);
	else
		free_exec(exec);
}

/*
 * What the client says meanwhile.
 */

/* 0 for a name that is none of those that a client may send. */
static int signal_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {
		{"HUP", SIGHUP},   {"INT", SIGINT},   {"TERM", SIGTERM}, {"KILL", SIGKILL},
		{"QUIT", SIGQUIT}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
	};

	for (size_t i = 0; name && i < ARRAY_SIZE(signals); i++)
		if (strcmp(name, signals[i].name) == 0)
			return signals[i].number;
	return 0;
}

static void send_signal(struct exec *exec, int number)
{
	if (!exec->tree || exec->is_killed || exec->function)
		return;
	if (exec->has_terminal)
		terminal_signal(exec->in.dst.fd, tree_first_pid(exec->tree), number);
	else if (number == SIGKILL)
		kill_tree(exec);
	else
		tree_signal(exec->tree, number);
}

void exec_message(struct exec *exec, json_t *message)
{
	int number = signal_number(json_string_value(json_object_get(message, "signal")));
	struct terminal_size size;

	if (json_is_true(json_object_get(message, "kill")))
		kill_tree(exec);
	else if (number)
		send_signal(exec, number);
	else if (exec->has_terminal &&
		 terminal_parse_size(json_object_get(message, "resize"), &size))
		terminal_resize(exec->in.dst.fd, &size);
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
	exec->status = SIGKILL;
	exec->report.max = REPORT_MAX;
	exec->timer.on_time = on_time;
	exec->timer.ctx = exec;
	sink_init(&exec->in, config.loop, call);
	source_init(&exec->out, config.loop, call, MUX_OUT);
	source_init(&exec->err, config.loop, call, MUX_ERR);
	return exec;
}

static int start_tree(struct exec *exec, struct child *child, struct pyro_error *err)
{
	exec->tree = tree_start(run_child, child, &tree_ops, exec, err);
	return exec->tree ? 0 : -1;
}

/* Starts the child of an exec whose own ends are not open yet. */
static int start_with_pipes(struct exec *exec, struct child *child, bool has_input,
			    struct pyro_error *err)
{
	AUTO_FD int in = -1, out = -1, errout = -1;
	int p[2];

	if (!has_input) {
		sink_close(&exec->in);
	} else if (make_pipe(p, 1, err) == 0) {
		in = p[0];
		sink_open(&exec->in, p[1]);
	} else {
		return -1;
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
	return start_tree(exec, child, err);
}

static int start_with_terminal(struct exec *exec, struct child *child,
			       const struct terminal_size *size, struct pyro_error *err)
{
	AUTO_FD int slave = -1;
	int again;

	if (terminal_open(size, &exec->out.src.fd, &slave, err) < 0)
		return -1;
	again = fcntl(exec->out.src.fd, F_DUPFD_CLOEXEC, 0);
	if (again < 0)
		return err_sys(err, errno, "open a terminal");
	sink_open(&exec->in, again);
	for (int i = 0; i < 3; i++)
		child->fds[i] = slave;
	child->has_terminal = exec->has_terminal = true;
	return start_tree(exec, child, err);
}

static struct exec *begin(struct mux_call *call, struct pyro_error *err)
{
	if (n_execs < EXEC_MAX)
		return new_exec(call);
	(void)err_set(err, PYRO_E_LIMIT, "%d commands run already", n_execs);
	return NULL;
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
	struct exec *exec = begin(call, err);

	if (!exec)
		return NULL;
	exec->function = function;
	exec->err.kept = &exec->report;
	if (start_with_pipes(exec, &child, true, err) < 0) {
		exec_abandon(exec);
		return NULL;
	}
	exec_drained(exec); /* begins to watch the output */
	return exec;
}

static void tell_pid(struct exec *exec)
{
	AUTO_FREE char *text =
		mem_printf("{\"event\":\"started\",\"pid\":%d}", (int)tree_first_pid(exec->tree));

	mux_send(exec->call, MUX_JSON, text, strlen(text));
}

struct exec *exec_command(struct mux_call *call, json_t *args, struct pyro_error *err)
{
	AUTO_COMMAND struct command command = COMMAND_INIT;
	struct child child = {.run = command_run, .arg = &command};
	struct exec *exec;
	int r;

	if (command_parse(&command, &config.command, args, err) < 0)
		return NULL;
	exec = begin(call, err);
	if (!exec)
		return NULL;
	child.cwd_fd = command.cwd_fd;
	exec->is_whole = command.is_whole;
	r = command.has_terminal ? start_with_terminal(exec, &child, &command.size, err)
				 : start_with_pipes(exec, &child, command.has_input, err);
	if (r < 0) {
		exec_abandon(exec);
		return NULL;
	}
	if (command.tells_pid)
		tell_pid(exec);
	if (command.timeout_ms)
		loop_set_timer(config.loop, &exec->timer, deadline_in(command.timeout_ms));
	exec_drained(exec);
	return exec;
}
