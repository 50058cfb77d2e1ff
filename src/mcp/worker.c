#include "mcp/worker.h"

#include "base/capture.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/utf8.h"
#include "mcp/protocol.h"
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

static void on_signal(int number)
{
	(void)number;
	if (!is_cancelled)
		pyro_cancel(handle);
	is_cancelled = 1;
}

static void accept_signals(void)
{
	const struct sigaction action = {.sa_handler = on_signal};
	sigset_t none;

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

static void cut_text(char **text, int64_t bytes, bool *is_truncated)
{
	struct capture c;

	if (strlen(*text) <= WORKER_TEXT_MAX)
		return;
	capture_init(&c, WORKER_TEXT_MAX);
	capture_add(&c, *text, strlen(*text));
	/* What was cut before counts too. */
	if (c.total < bytes)
		c.total = bytes;
	free(*text);
	*text = capture_text(&c);
	*is_truncated = true;
	capture_done(&c);
}

static json_t *encode(const struct op_row *op, void *record)
{
	if (op->ret == &ops_records[REC_run]) {
		struct pyro_run *run = record;

		cut_text(&run->stdout, run->stdout_bytes, &run->stdout_truncated);
		cut_text(&run->stderr, run->stderr_bytes, &run->stderr_truncated);
	}
	return values_encode(op->ret, record);
}

static json_t *carry_out(const struct op_row *op, const void *args, const struct request *request)
{
	void *record = mem_zalloc(1, op->ret->size);
	struct pyro_error err;

	if (ops_call((enum op_id)(op - ops_rows), handle, args, record, &err) < 0)
		return protocol_failure(request, &err);
	return protocol_outcome(request, encode(op, record));
}

static void reply(const struct request *request, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	struct pyro_error err;

	if (!text || strlen(text) > WORKER_LINE_MAX - 2) {
		(void)err_set(&err, PYRO_E_LIMIT, "the result is larger than a message may be");
		text = json_dumps(protocol_failure(request, &err), JSON_COMPACT);
	}
	tell(WORKER_REPLY, text);
}

void worker_run(const struct op_row *op, const void *args, const struct request *request, int fd,
		pid_t server)
{
	int64_t next_ms = 0;
	const struct pyro_observer observer = {.on_phase = on_phase,
					       .on_progress = on_progress,
					       .ctx = &next_ms};

	keep_only(fd);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	handle = pyro_new();
	if (getppid() != server || !handle)
		_exit(1);
	accept_signals();
	if (protocol_token(request))
		pyro_observe(handle, &observer);
	reply(request, carry_out(op, args, request));
	_exit(0); /* what is in memory goes with it, and nothing else is left to do */
}
