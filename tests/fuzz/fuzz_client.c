/*
 * A client whose server, the hostile guest, sends arbitrary bytes: five calls are under way, on the
 * streams 1 to 9. The first byte says where the bytes are cut in two.
 */
#include "channel/call.h"
#include "channel/outcome.h"
#include "fuzz.h"
#include "peer.h"
#include "pyro/error.h"

#include <assert.h>

#define CALLS_MAX 40

struct guest {
	struct peer peer;
	int calls;
};

static void begin(struct mux *mux);

/* A text as the result of a command. */
static void judge(const char *data, size_t len)
{
	json_t *result = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
	struct pyro_error err = {0};
	struct outcome outcome;

	if (call_error_from_json(result, &err) < 0)
		assert(err.code != PYRO_OK);
	else if (outcome_take(result, &outcome, &err) == 0)
		assert(outcome.exit_code >= 0 && outcome.exit_code <= 255 &&
		       outcome.duration_ms >= 0);
	json_decref(result);
}

/* Does what the first byte of a text says; of a stream's bytes only half are consumed. */
static void on_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	if (kind != MUX_JSON) {
		mux_consume(call, len / 2);
		return;
	}
	judge(data, len);
	if (data[0] == 'n')
		begin(mux_call_mux(call));
	if (data[0] == 's')
		mux_send(call, MUX_IN, data, len);
	if (data[0] == 'c')
		mux_cancel(call);
}

static void on_finish(struct mux_call *call)
{
	mux_finish(call);
}

static void on_close(struct mux_call *call, const struct pyro_error *error)
{
	struct guest *guest = mux_ctx(mux_call_mux(call));

	guest->peer.open--;
	if (!error)
		begin(mux_call_mux(call));
}

static void begin(struct mux *mux)
{
	static const struct mux_call_ops ops = {.on_record = on_record,
						.on_finish = on_finish,
						.on_close = on_close};
	struct guest *guest = mux_ctx(mux);
	struct mux_call *call;

	if (guest->calls == CALLS_MAX)
		return;
	call = mux_start(mux, "exec", "{}", &ops, NULL);
	if (!call)
		return;
	guest->calls++;
	guest->peer.open++;
	mux_send(call, MUX_IN, "input", 5);
	if (guest->calls % 2)
		mux_finish(call);
}

static void on_down(struct mux *mux, const struct pyro_error *error)
{
	struct guest *guest = mux_ctx(mux);

	assert(error->code != PYRO_OK && guest->peer.open == 0);
	guest->peer.down++;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct mux_ops ops = {.on_down = on_down};
	struct guest guest = {.calls = 0};
	size_t cut;

	if (size < 2)
		return 0;
	cut = bytes[0] % size;
	peer_init(&guest.peer, MUX_CLIENT, &ops);
	for (int i = 0; i < 5; i++)
		begin(guest.peer.mux);
	peer_feed(&guest.peer, bytes + 1, cut);
	peer_feed(&guest.peer, bytes + 1 + cut, size - 1 - cut);
	peer_done(&guest.peer);
	return 0;
}
