#include "mcp/worker.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/utf8.h"
#include "mcp/call.h"
#include "mcp/protocol.h"
#include "mcp/result.h"
#include "mcp/setup.h"
#include "ops/values.h"
#include "pyro.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FD 3 /* the pipe's number: everything behind it is closed */
#define PROGRESS_MS 1000

/* For the signal handler, which cancels once: a second time would disturb the undoing. */
static struct pyro *handle;
static volatile sig_atomic_t is_cancelled;
static bool leaves_command; /* what runs is a workspace's, and goes on without us */

static void on_signal(int number)
{
	if (leaves_command && number != WORKER_CANCEL)
		_exit(0);
	if (!is_cancelled)
		pyro_cancel(handle);
	is_cancelled = 1;
}

static void accept_signals(void)
{
	const struct sigaction action = {.sa_handler = on_signal};
	sigset_t none;

	(void)sigaction(WORKER_CANCEL, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Of the server's descriptors only the standard streams and the pipe stay. */
static void keep_only(int fd)
{
	if (fd != FD)
		(void)dup3(fd, FD, O_CLOEXEC);
	(void)close_range(FD + 1, ~0U, 0);
}

/* A server that is gone is noticed by its signal. */
static void tell(char kind, const char *text)
{
	AUTO_FREE char *line = mem_printf("%c%s\n", kind, text);

	(void)file_write_all(FD, line, strlen(line), NULL);
}

static void on_phase(void *ctx, const char *op, const char *detail)
{
	AUTO_FREE char *text = mem_printf("[%s] %s", op, detail);

	(void)ctx;
	utf8_clean_line(text);
	tell(WORKER_PROGRESS, text);
}

static void on_progress(void *ctx, const char *what, int64_t done, int64_t total, const char *unit)
{
	AUTO_FREE char *text = NULL;
	int64_t *next_ms = ctx;

	if (clock_ms() < *next_ms)
		return;
	*next_ms = clock_ms() + PROGRESS_MS;
	text = total > 0 ? mem_printf("%s: %lld of %lld %s", what, (long long)done,
				      (long long)total, unit)
			 : mem_printf("%s: %lld %s", what, (long long)done, unit);
	utf8_clean_line(text);
	tell(WORKER_PROGRESS, text);
}

/* Asks for less until the result is of a size that hosts show. */
static json_t *carry_out(const struct call *call, struct tool_call *tool)
{
	void *record = mem_zalloc(1, tool->op->ret->size);
	struct pyro_error err;
	json_t *result = NULL;

	pyro_set_project(handle, &call->setup->project);
	while (!result) {
		if (ops_call((enum op_id)(tool->op - ops_rows), handle, tool->args, record, &err) <
		    0)
			return protocol_failure(call->setup, &call->request, &err);
		result = result_make(call->setup->profile, tool, record);
		values_done(tool->op->ret, record);
	}
	return protocol_outcome(&call->request, result);
}

static void reply(const struct call *call, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	struct pyro_error err;

	if (!text || strlen(text) > WORKER_LINE_MAX - 2) {
		(void)err_set(&err, PYRO_E_LIMIT, "the result is larger than a message may be");
		text = json_dumps(protocol_failure(call->setup, &call->request, &err),
				  JSON_COMPACT);
	}
	tell(WORKER_REPLY, text);
}

void worker_run(const struct call *call, int fd, pid_t server)
{
	int64_t next_ms = 0;
	const struct pyro_observer observer = {.on_phase = on_phase,
					       .on_progress = on_progress,
					       .ctx = &next_ms};
	struct tool_call tool = call->tool;

	keep_only(fd);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	handle = pyro_new();
	if (getppid() != server || !handle)
		_exit(1);
	leaves_command = tool.op->ret == &ops_records[REC_workspace_exec];
	accept_signals();
	if (protocol_token(&call->request))
		pyro_observe(handle, &observer);
	reply(call, carry_out(call, &tool));
	_exit(0); /* what is in memory goes with it, and nothing else is left to do */
}
