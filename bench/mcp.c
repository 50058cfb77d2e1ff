/*
 * What the MCP server costs: its start, as a host waits for it, next to that of the smallest
 * program that answers on a pipe; and a tools/call next to the same operation of libpyro in this
 * process.
 */
#include "bench.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "pyro.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "bench-mcp"
#define LINE_MAX_BYTES (1024 * 1024)
#define START_MAX_MS 30
#define ADDED_MAX_MS 2
#define CALLS 200
#define MODERN                                                                   \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"," \
	"\"io.modelcontextprotocol/clientCapabilities\":{}}"

static const char initialize[] =
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
	"\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":"
	"\"1\"}}}\n";
static const char discover[] =
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" MODERN "}}\n";

/* A program on two pipes. */
struct server {
	pid_t pid;
	int in, out; /* ours */
};

static struct server start(const struct argv *argv)
{
	struct server s;
	struct pyro_error err;
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		bench_die("pipe", NULL);
	s = (struct server){
		.pid = proc_spawn(
			argv,
			&(struct proc_options){
				.fds = (const struct proc_fd[]){{in[0], STDIN_FILENO},
								{out[1], STDOUT_FILENO},
								{STDERR_FILENO, STDERR_FILENO}},
				.n_fds = 3,
				.die_with_parent = true,
			},
			&err),
		.in = in[1],
		.out = out[0],
	};
	if (s.pid < 0)
		bench_die("start a server", &err);
	(void)close(in[0]);
	(void)close(out[1]);
	return s;
}

/* One line there, one line back, into `line`. */
static void ask(const struct server *s, const char *request, struct buf *line)
{
	struct pyro_error err;

	buf_reset(line);
	if (file_write_all(s->in, request, strlen(request), &err) < 0)
		bench_die("ask the server", &err);
	while (!memchr(buf_text(line), '\n', line->len)) {
		void *room = buf_room(line, 65536);
		ssize_t n = room ? read(s->out, room, 65536) : 0;

		if (n <= 0)
			bench_die("the server said no more", NULL);
		buf_grew(line, (size_t)n);
	}
}

static void end(struct server *s)
{
	int status;

	(void)close(s->in);
	(void)close(s->out);
	if (waitpid(s->pid, &status, 0) != s->pid || proc_exit_code(status) != 0)
		bench_die("a server failed", NULL);
}

static double start_ms(const struct argv *argv, const char *request)
{
	AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES);
	int64_t begun = clock_ns();
	struct server s = start(argv);
	double ms;

	ask(&s, request, &line);
	ms = elapsed_ms(begun);
	if (!strstr(buf_text(&line), "\"id\":1") || strstr(buf_text(&line), "\"error\""))
		bench_die(buf_text(&line), NULL);
	end(&s);
	return ms;
}

static void measure_start(struct bench *b, const char *name, const char *request)
{
	AUTO_ARGV struct argv ours = ARGV_INIT, floor = ARGV_INIT;
	struct series s = {0}, f = {0};

	argv_add(&ours, b->pyro, "mcp", "serve", NULL);
	argv_add(&floor, "cat", NULL);
	for (int i = 0; i < b->rounds; i++) {
		series_add(&f, start_ms(&floor, request));
		series_add(&s, start_ms(&ours, request));
	}
	bench_report_within(b, name, "ms", series_median(&s), series_median(&f), START_MAX_MS);
}

static char *request_of(const char *tool, const char *arguments)
{
	return mem_printf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{"
			  "\"name\":\"%s\",\"arguments\":{\"workspace_id\":\"" NAME "\"%s}," MODERN
			  "}}\n",
			  tool, arguments);
}

static void status(struct bench *b)
{
	struct pyro_workspace ws;
	struct pyro_error err;

	if (pyro_status_workspace(b->p, &(struct pyro_status_workspace_args){.workspace_id = NAME},
				  &ws, &err) < 0)
		bench_die("status", &err);
	pyro_workspace_done(&ws);
}

static void exec(struct bench *b)
{
	static const char *const command[] = {"true", NULL};
	struct pyro_workspace_exec result;
	struct pyro_error err;

	if (pyro_exec_workspace(b->p,
				&(struct pyro_exec_workspace_args){.workspace_id = NAME,
								   .command = command},
				&result, &err) < 0)
		bench_die("exec", &err);
	pyro_workspace_exec_done(&result);
}

/* What a call costs more as a tool. */
static double added_ms(struct bench *b, const struct server *s, const char *request,
		       void (*call)(struct bench *b))
{
	AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES);
	struct series ours = {0}, floor = {0};

	for (int i = 0; i < bench_times(b, CALLS); i++) {
		int64_t begun = clock_ns();

		call(b);
		series_add(&floor, elapsed_ms(begun));
		begun = clock_ns();
		ask(s, request, &line);
		series_add(&ours, elapsed_ms(begun));
		if (!strstr(buf_text(&line), "\"isError\":false"))
			bench_die(buf_text(&line), NULL);
	}
	return series_median(&ours) - series_median(&floor);
}

void mcp_measure(struct bench *b)
{
	AUTO_FREE char *ask_status = request_of("workspace_status", "");
	AUTO_FREE char *ask_exec = request_of("workspace_exec", ",\"command\":\"true\"");
	AUTO_ARGV struct argv argv = ARGV_INIT;
	struct server s;

	measure_start(b, "MCP initialize answered, from the start", initialize);
	measure_start(b, "MCP server/discover answered, from the start", discover);
	(void)BENCH_PYRO(b, "workspace", "create", BENCH_ENVIRONMENT, "--name", NAME);
	argv_add(&argv, b->pyro, "mcp", "serve", NULL);
	s = start(&argv);
	bench_report(b, "MCP workspace_status, beyond libpyro's", "ms",
		     added_ms(b, &s, ask_status, status), 0, ADDED_MAX_MS);
	bench_report(b, "MCP workspace_exec -- true, beyond libpyro's", "ms",
		     added_ms(b, &s, ask_exec, exec), 0, ADDED_MAX_MS);
	end(&s);
	(void)BENCH_PYRO(b, "workspace", "delete", NAME);
}
