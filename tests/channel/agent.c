#include "agent.h"

#include "base/proc.h"
#include "channel/call.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct run *last_run;

static void on_down(struct mux *mux, const struct pyro_error *error)
{
	struct agent *agent = mux_ctx(mux);

	(void)error;
	agent->is_down = true;
}

struct agent *start_agent_in(const char *dir)
{
	static const struct mux_ops ops = {.on_down = on_down};
	struct agent *agent = mem_zalloc(1, sizeof(*agent));
	AUTO_ARGV struct argv argv = ARGV_INIT;
	struct pyro_error err;
	int sv[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	argv_add(&argv, TEST_AGENT, "--host", "--channel-fd", "3", "--dir", dir, NULL);
	agent->pid = proc_spawn(&argv,
				&(struct proc_options){
					.fds = (struct proc_fd[]){{sv[1], 3}, {2, 2}},
					.n_fds = 2,
				},
				&err);
	CHECK_OK(agent->pid, err);
	(void)close(sv[1]);
	agent->loop = loop_new();
	agent->mux = mux_new(agent->loop, sv[0], sv[0], MUX_CLIENT, &ops, agent, &err);
	CHECK(agent->mux);
	return agent;
}

/* A machine's agent, through its supervisor. */
static struct agent *connect_agent(const char *path)
{
	static const struct mux_ops ops = {.on_down = on_down};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct agent *agent = mem_zalloc(1, sizeof(*agent));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	agent->loop = loop_new();
	agent->mux = mux_new(agent->loop, fd, fd, MUX_CLIENT, &ops, agent, NULL);
	CHECK(agent->mux);
	return agent;
}

struct agent *start_agent(void)
{
	const char *socket = getenv("PYRO_TEST_SOCKET");

	return socket ? connect_agent(socket) : start_agent_in(test_dir());
}

static void on_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct run *run = mux_call_ctx(call);

	if (kind == MUX_JSON) {
		json_decref(run->result);
		run->result = json_loadb(data, len, 0, NULL);
		return;
	}
	buf_append(kind == MUX_OUT ? &run->out : &run->err, data, len);
	run->out_bytes += kind == MUX_OUT ? (int64_t)len : 0;
	if (!run->is_stalled)
		mux_consume(call, len);
}

static void feed(struct mux_call *call)
{
	struct run *run = mux_call_ctx(call);

	while (run->input_len && mux_queued(call) <= MUX_QUEUE_GOAL) {
		size_t n = run->input_len < 65536 ? run->input_len : 65536;

		mux_send(call, MUX_IN, run->input, n);
		run->input += n;
		run->input_len -= n;
	}
	if (run->input && !run->input_len) {
		mux_finish(call);
		run->input = NULL;
	}
}

static void on_close(struct mux_call *call, const struct pyro_error *error)
{
	struct run *run = mux_call_ctx(call);

	if (error)
		run->error = *error;
	run->call = NULL;
	run->is_over = true;
}

struct run *start_with(struct agent *agent, const char *name, json_t *args, const char *input,
		       size_t len)
{
	static const struct mux_call_ops ops = {.on_record = on_record,
						.on_drained = feed,
						.on_close = on_close};
	struct run *run = mem_zalloc(1, sizeof(*run));
	AUTO_FREE char *text = json_dumps(args, JSON_ENCODE_ANY);

	json_decref(args);
	run->earlier = last_run;
	last_run = run;
	run->agent = agent;
	run->out.max = run->err.max = 80 * MIB;
	run->input = input;
	run->input_len = len;
	run->call = mux_start(agent->mux, name, text, &ops, run);
	CHECK(run->call);
	feed(run->call);
	return run;
}

struct run *start(struct agent *agent, const char *name, json_t *args)
{
	return start_with(agent, name, args, NULL, 0);
}

void finish(struct run *run)
{
	struct pyro_error err;

	if (run->call && !run->input)
		mux_finish(run->call);
	CHECK_OK(loop_until(run->agent->loop, &run->is_over, deadline_in(PATIENCE_MS), "a call",
			    &err),
		 err);
	CHECK_STR(run->error.message, "");
	CHECK(json_is_object(run->result));
}

struct run *call(struct agent *agent, const char *name, json_t *args)
{
	struct run *run = start(agent, name, args);

	finish(run);
	return run;
}

struct run *call_with(struct agent *agent, const char *name, json_t *args, const char *input,
		      size_t len)
{
	struct run *run = start_with(agent, name, args, input, len);

	finish(run);
	return run;
}

json_t *line(const char *shell)
{
	return json_pack("{s:s}", "shell", shell);
}

struct run *sh(struct agent *agent, const char *shell)
{
	return call(agent, "exec", line(shell));
}

bool is_alive_in(struct agent *agent, long long pid)
{
	AUTO_FREE char *command = mem_printf("kill -0 %lld", pid);

	return number(sh(agent, command), "exit_code") == 0;
}

long long number(const struct run *run, const char *field)
{
	const json_t *value = json_object_get(run->result, field);

	CHECK(json_is_integer(value));
	return json_integer_value(value);
}

const char *code_of(const struct run *run)
{
	const json_t *error = json_object_get(run->result, "error");
	const char *code = json_string_value(json_object_get(error, "code"));

	return code ? code : "";
}

const char *message_of(const struct run *run)
{
	const json_t *error = json_object_get(run->result, "error");

	return json_string_value(json_object_get(error, "message"));
}

void pause_ms(struct agent *agent, int64_t ms)
{
	const bool never = false;

	(void)loop_until(agent->loop, &never, deadline_in(ms), "time", NULL);
}

void await_bytes(const struct run *run, int64_t n)
{
	int64_t deadline = deadline_in(PATIENCE_MS);

	while (run->out_bytes < n && deadline_left(deadline) > 0)
		pause_ms(run->agent, 2);
	CHECK(run->out_bytes >= n);
}
