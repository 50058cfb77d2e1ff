/*
 * A server whose client sends arbitrary bytes. The first byte says where they are cut in two, and,
 * in its highest bit, that the opening of the connection is to be put before them.
 */
#include "base/err.h"
#include "fuzz.h"
#include "peer.h"

#include <assert.h>

static const char opening[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static struct peer *peer_of(struct mux_call *call)
{
	return mux_ctx(mux_call_mux(call));
}

/* Echoes, and does what the first byte of a text says. */
static void on_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct pyro_error err;

	if (kind == MUX_IN) {
		mux_send(call, MUX_OUT, data, len);
		mux_consume(call, len);
		return;
	}
	mux_send(call, MUX_JSON, data, len);
	if (data[0] == 'c')
		mux_cancel(call);
	if (data[0] == 'f')
		mux_fail(call, &(struct pyro_error){.code = PYRO_E_BUSY});
	if (data[0] == 'e') {
		err_set(&err, PYRO_E_LIMIT, "%s", data);
		mux_fail(call, &err);
	}
}

static void on_finish(struct mux_call *call)
{
	mux_finish(call);
}

static void on_close(struct mux_call *call, const struct pyro_error *error)
{
	(void)error;
	peer_of(call)->open--;
}

static void on_call(struct mux *mux, struct mux_call *call, const char *name)
{
	static const struct mux_call_ops ops = {.on_record = on_record,
						.on_finish = on_finish,
						.on_close = on_close};

	if (name[0] == 'n')
		return; /* nobody serves it */
	((struct peer *)mux_ctx(mux))->open++;
	mux_accept(call, &ops, NULL);
}

static void on_down(struct mux *mux, const struct pyro_error *error)
{
	assert(error->code != PYRO_OK);
	((struct peer *)mux_ctx(mux))->down++;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct mux_ops ops = {on_call, on_down};
	struct peer p;
	size_t cut;

	if (size < 2)
		return 0;
	cut = (bytes[0] & 0x7f) % size;
	peer_init(&p, MUX_SERVER, &ops);
	if (bytes[0] & 0x80)
		peer_feed(&p, opening, sizeof(opening) - 1);
	peer_feed(&p, bytes + 1, cut);
	peer_feed(&p, bytes + 1 + cut, size - 1 - cut);
	peer_done(&p);
	return 0;
}
