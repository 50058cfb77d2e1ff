#include "wire.h"

#include "base/clock.h"
#include "base/mem.h"
#include "tests/test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1024 * 1024)

TEST("a call brings arguments there and events, bytes and a result back")
{
	struct pair p;
	struct seen seen = {0};

	pair_init(&p);
	seen_start(&seen, p.client, "echo", "{\"a\":1}");
	mux_send(seen.call, MUX_IN, "hello", 5);
	mux_finish(seen.call);
	run_until(p.loop, &seen.is_closed);
	CHECK_INT(seen.error.code, PYRO_OK);
	CHECK_STR(seen.json, "{\"echoed\":5}");
	CHECK_INT(seen.texts, 2);
	CHECK_INT(seen.out_len, 5);
	CHECK(seen.has_finished);
	seen_done(&seen);
	pair_done(&p);
}

TEST("64 calls at once all get their own answer")
{
	struct pair p;
	struct seen seen[64] = {0};

	pair_init(&p);
	for (size_t i = 0; i < 64; i++) {
		seen_start(&seen[i], p.client, "echo", "{}");
		for (size_t n = 0; n < i; n++)
			mux_send(seen[i].call, MUX_IN, "0123456789", 10);
		mux_finish(seen[i].call);
	}
	for (size_t i = 0; i < 64; i++) {
		run_until(p.loop, &seen[i].is_closed);
		CHECK_INT(seen[i].out_len, 10 * i);
		seen_done(&seen[i]);
	}
	pair_done(&p);
}
