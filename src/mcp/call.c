#include "mcp/call.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/proc.h"
#include "base/utf8.h"
#include "mcp/setup.h"
#include "mcp/worker.h"
#include "ops/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGN_OF_LIFE_MS 9000 /* hosts give up on a call that is silent for a minute or less */
#define UNDO_MS 30000        /* for a worker that was cancelled; what it leaves is reaped */
#define CHUNK (64 * 1024)

static struct call *make(const struct setup *setup, json_t *message, const struct request *request)
{
	struct call *c = mem_zalloc(1, sizeof(*c));

	c->message = json_incref(message);
	c->request = *request;
	c->setup = setup;
	c->fd = -1;
	c->in.max = WORKER_LINE_MAX + CHUNK;
	c->begun_ms = clock_ms();
	c->due_ms = protocol_token(request) ? c->begun_ms + SIGN_OF_LIFE_MS : DEADLINE_NONE;
	return c;
}

static json_t *unknown_tool(const struct setup *setup, const struct request *request,
			    const char *name)
{
	AUTO_FREE char *text =
		mem_printf("there is no tool '%.100s' in %s%s", name, setup->profile->name,
			   ops_by_mcp(name) ? "; pyro mcp serve --profile "
					      "workspace-full has it"
					    : "");

	utf8_clean_line(text);
	return protocol_error(request->id, PROTOCOL_PARAMS, text);
}

json_t *call_new(const struct setup *setup, json_t *message, const struct request *request,
		 struct call **ret)
{
	json_t *name = json_object_get(request->params, "name");
	json_t *arguments = json_object_get(request->params, "arguments");
	const struct profile_tool *tool = NULL;
	struct pyro_error err;
	struct call *c;

	*ret = NULL;
	if (json_is_string(name))
		tool = profile_tool(setup->profile, json_string_value(name));
	if (!json_is_string(name))
		return protocol_error(request->id, PROTOCOL_PARAMS,
				      "params.name: expected a string");
	if (!tool)
		return unknown_tool(setup, request, json_string_value(name));
	if (arguments && !json_is_null(arguments) && !json_is_object(arguments))
		return protocol_error(request->id, PROTOCOL_PARAMS,
				      "params.arguments: expected an object");
	c = make(setup, message, request);
	if (tool_call_init(&c->tool, setup, tool, json_is_object(arguments) ? arguments : NULL,
			   &err) < 0) {
		(void)call_free(c);
		return protocol_failure(setup, request, &err);
	}
	*ret = c;
	return NULL;
}

int call_start(struct call *c, struct pyro_error *err)
{
	AUTO_FD int ours = -1, theirs = -1;
	pid_t parent = getpid();
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	ours = pipe_fds[0];
	theirs = pipe_fds[1];
	c->pid = fork();
	if (c->pid < 0) {
		c->pid = 0;
		return err_sys(err, errno, "start a process for the call");
	}
	if (c->pid == 0)
		worker_run(c, theirs, parent);
	c->fd = TAKE_FD(ours);
	return 0;
}

bool call_read(struct call *c)
{
	void *room = buf_room(&c->in, CHUNK);
	ssize_t n;

	if (!room) /* a line longer than a worker makes */
		return false;
	n = read(c->fd, room, CHUNK);
	if (n > 0)
		buf_grew(&c->in, (size_t)n);
	return n > 0 || (n < 0 && errno == EINTR);
}

char call_take(struct call *c, char **ret_text)
{
	const char *line = buf_text(&c->in);
	const char *newline = memchr(line, '\n', c->in.len);
	char kind;

	if (!newline || newline == line)
		return 0;
	kind = line[0];
	*ret_text = mem_strndup(line + 1, (size_t)(newline - line) - 1);
	buf_consume(&c->in, (size_t)(newline - line) + 1);
	return kind;
}

json_t *call_progress(struct call *c, const char *message)
{
	if (c->is_cancelled || c->is_answered || !protocol_token(&c->request))
		return NULL;
	c->due_ms = clock_ms() + SIGN_OF_LIFE_MS;
	return protocol_progress(&c->request, ++c->progress, message);
}

static void end(struct call *c, int signal)
{
	if (c->is_cancelled)
		return;
	c->is_cancelled = true;
	c->due_ms = clock_ms() + UNDO_MS;
	if (c->pid)
		(void)kill(c->pid, signal);
}

void call_cancel(struct call *c)
{
	end(c, WORKER_CANCEL);
}

void call_leave(struct call *c)
{
	end(c, SIGTERM);
}

json_t *call_is_due(struct call *c)
{
	AUTO_FREE char *text = NULL;

	c->due_ms = DEADLINE_NONE;
	if (c->is_cancelled) {
		if (c->pid)
			(void)kill(c->pid, SIGKILL);
		return NULL;
	}
	text = mem_printf("%s, %lld s", c->pid ? "still running" : "waiting for other calls to end",
			  (long long)(clock_ms() - c->begun_ms) / 1000);
	return call_progress(c, text);
}

struct call *call_free(struct call *c)
{
	if (c) {
		proc_kill(c->pid);
		fd_close(&c->fd);
		buf_done(&c->in);
		tool_call_done(&c->tool);
		json_decref(c->message);
		free(c);
	}
	return NULL;
}
