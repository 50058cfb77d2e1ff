/*
 * A chat host's lines into the MCP server. First byte: the profile or mode; the rest comes in
 * pieces that a NUL divides.
 *
 * The server is all there but for the operations: instead of starting a process for a call, it
 * answers itself, with the record that the call has in params._meta.record. A call whose id is a
 * text says nothing until it is cancelled, as one that takes long.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "fuzz.h"
#include "mcp/call.h"
#include "mcp/result.h"
#include "mcp/server.h"
#include "mcp/setup.h"
#include "mcp/worker.h"
#include "ops/values.h"
#include "scratch.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SILENT_MAX 64
/* No process has these numbers, which lie above all that Linux gives. */
#define PID(i) (INT32_MAX - (i))
#define PID_OTHER PID(SILENT_MAX)

static int silent[SILENT_MAX]; /* the worker's end of the pipe; 0: none */

int __wrap_call_start(struct call *c, struct pyro_error *err);
int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);
int __wrap_setup_source(const struct setup *setup, char **ret_text, struct pyro_error *err);

/* --- what stands for the operations --- */

static json_t *answer(const struct call *c)
{
	json_t *meta = json_object_get(c->request.params, "_meta");
	const struct rec_row *rec = c->tool.op->ret;
	void *record = mem_zalloc(1, rec->size);
	struct tool_call tool = c->tool;
	json_t *result = NULL, *reply;
	struct pyro_error err = {0};

	if (values_decode_record(rec, json_object_get(meta, "record"), record, &err) < 0)
		reply = protocol_failure(c->setup, &c->request, &err);
	else {
		for (int tries = 0; !result; tries++) {
			assert(tries < 64);
			result = result_make(c->setup->profile, &tool, record);
		}
		reply = protocol_outcome(&c->request, result);
	}
	values_done(rec, record);
	free(record);
	return reply;
}

/* As worker.c says it, on a pipe that is never full. */
static int tell(const struct call *c)
{
	json_t *reply = answer(c);
	AUTO_FREE char *text = json_dumps(reply, JSON_COMPACT);
	AUTO_FREE char *lines = mem_printf("+[vm] phase\n=%s\n", text ? text : "{}");

	json_decref(reply);
	assert(text && strlen(text) < WORKER_LINE_MAX);
	return scratch_memory(lines, strlen(lines));
}

int __wrap_call_start(struct call *c, struct pyro_error *err)
{
	int fds[2], i = 0;

	(void)err;
	c->pid = PID_OTHER;
	if (!json_is_string(c->request.id)) {
		c->fd = tell(c);
		return 0;
	}
	while (silent[i])
		assert(++i < SILENT_MAX);
	assert(pipe2(fds, O_CLOEXEC) == 0);
	c->fd = fds[0];
	silent[i] = fds[1];
	c->pid = PID(i);
	return 0;
}

int __wrap_kill(pid_t pid, int sig)
{
	if (pid < PID_OTHER)
		return __real_kill(pid, sig);
	if (pid > PID_OTHER && silent[PID(pid)]) {
		(void)close(silent[PID(pid)]);
		silent[PID(pid)] = 0;
	}
	return 0;
}

/* The server is not in a project: which one it is depends on the roots of the host. */
int __wrap_setup_source(const struct setup *setup, char **ret_text, struct pyro_error *err)
{
	(void)err;
	*ret_text = setup->project.roots && *setup->project.roots
			    ? mem_strdup(*setup->project.roots)
			    : NULL;
	return 0;
}

/* --- what it may say --- */

static bool is_blank(const char *line)
{
	return !line[strspn(line, " \t\r")];
}

/* Of each kind of line the number of messages that are to be answered at the most. */
static size_t count_messages(const char *bytes, size_t size)
{
	AUTO_FREE char *text = mem_zalloc(size + 1, 1);
	char *rest = text, *line;
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			text[n++] = bytes[i];
	for (n = 0; (line = strsep(&rest, "\n"));) {
		json_t *message = json_loads(line, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

		n += is_blank(line)                 ? 0
		     : json_array_size(message) > 1 ? json_array_size(message)
						    : 1;
		json_decref(message);
	}
	return n;
}

/* 1 if it answers something. */
static size_t check_message(const json_t *message)
{
	const json_t *result = json_object_get(message, "result");
	const json_t *error = json_object_get(message, "error");
	const char *method = json_string_value(json_object_get(message, "method"));

	assert(strcmp(json_string_value(json_object_get(message, "jsonrpc")), "2.0") == 0);
	if (method) {
		assert(strcmp(method, "notifications/progress") == 0 ||
		       strcmp(method, "roots/list") == 0);
		return 0;
	}
	assert(json_object_get(message, "id") && !result != !error);
	return 1;
}

static size_t check_line(const char *line, size_t len)
{
	json_t *message = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	size_t n = 0;

	assert(message);
	if (json_is_object(message))
		n = check_message(message);
	for (size_t i = 0; i < json_array_size(message); i++)
		n += check_message(json_array_get(message, i));
	json_decref(message);
	return n;
}

static void check_output(int fd, size_t most)
{
	struct stat st;
	char *text, *line, *newline;
	size_t replies = 0;

	assert(fstat(fd, &st) == 0);
	if (!st.st_size)
		return;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert(text != MAP_FAILED && text[st.st_size - 1] == '\n');
	for (line = text; line < text + st.st_size; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(text + st.st_size - line));
		replies += check_line(line, (size_t)(newline - line));
	}
	assert(replies <= most);
	(void)munmap(text, (size_t)st.st_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const profiles[] = {"workspace-core", "workspace-full", "vm-run"};
	static const char *const modes[] = {"repro-fix", "inspect", "cold-start", "review-eval"};
	struct pyro_serve_mcp_args args = {0};
	struct setup setup;
	int in, out, peer;

	if (size < 1)
		return 0;
	if (bytes[0] % 7 < 3)
		args.profile = profiles[bytes[0] % 7];
	else
		args.mode = modes[bytes[0] % 7 - 3];
	args.environment = bytes[0] & 0x80 ? "debian:12" : NULL;
	assert(setup_init(&setup, &args, NULL) == 0);
	in = scratch_pieces((const char *)bytes + 1, size - 1, &peer);
	out = scratch_memory("", 0);
	assert(server_run(&setup, in, out) == 0);
	check_output(out, count_messages((const char *)bytes + 1, size - 1));
	for (int i = 0; i < SILENT_MAX; i++)
		assert(!silent[i]);
	(void)close(in);
	(void)close(peer);
	(void)close(out);
	return 0;
}
