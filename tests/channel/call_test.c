#include "wire.h"

#include "base/clock.h"
#include "base/err.h"
#include "tests/test.h"

#include <sys/socket.h>
#include <unistd.h>

static json_t *wait_for(struct pair *p, const char *name, int64_t timeout_ms,
			struct pyro_error *err)
{
	return call_wait(p->loop, p->client, name, json_pack("{s:i}", "bytes", 1000000),
			 deadline_in(timeout_ms), err);
}

TEST("call_wait returns the last JSON object and eats streams")
{
	struct pyro_error err;
	struct pair p;
	json_t *result;

	pair_init(&p);
	result = wait_for(&p, "source", 10000, &err);
	CHECK(result);
	CHECK_INT(json_integer_value(json_object_get(result, "sent")), 1000000);
	json_decref(result);
	pair_done(&p);
}

TEST("call_wait passes the server's error on as it was")
{
	struct pyro_error err;
	struct pair p;

	pair_init(&p);
	CHECK(!wait_for(&p, "fail", 10000, &err));
	CHECK_INT(err.code, PYRO_E_NO_SPACE);
	CHECK_STR(err.message, "the disk is 'full'");
	CHECK_STR(err.hint, "eat less");
	pair_done(&p);
}

TEST("call_wait ends at its deadline and cancels the call")
{
	struct pyro_error err;
	struct pair p;

	pair_init(&p);
	CHECK(!wait_for(&p, "hang", 500, &err));
	CHECK_INT(err.code, PYRO_E_TIMEOUT);
	run_until(p.loop, &p.server.closed_any);
	pair_done(&p);
}

TEST("call_wait ends when the loop is stopped, and cancels the call")
{
	struct pyro_error err;
	struct pair p;

	pair_init(&p);
	loop_stop(p.loop);
	CHECK(!wait_for(&p, "hang", 10000, &err));
	CHECK_INT(err.code, PYRO_E_CANCELLED);
	loop_resume(p.loop);
	pair_done(&p);
}

TEST("call_wait fails when the connection breaks, and at once when it is down")
{
	struct pyro_error err;
	struct pair p;

	pair_init(&p);
	CHECK(shutdown(p.fd[1], SHUT_RDWR) == 0);
	CHECK(!wait_for(&p, "hang", 10000, &err));
	CHECK_INT(err.code, PYRO_E_VM_DIED);
	CHECK(mux_is_down(p.client));
	CHECK(!wait_for(&p, "echo", 10000, &err));
	CHECK_INT(err.code, PYRO_E_VM_DIED);
	pair_done(&p);
}

TEST("call_wait calls an answer that is no JSON a protocol error")
{
	struct pyro_error err;
	struct pair p;

	pair_init(&p);
	CHECK(!call_wait(p.loop, p.client, "speak", json_pack("{s:i}", "bytes", 7),
			 deadline_in(10000), &err)); /* {"t":"} */
	CHECK_INT(err.code, PYRO_E_PROTOCOL);
	pair_done(&p);
}

TEST("an error survives the way through JSON, and nonsense becomes a protocol error")
{
	const char *const nonsense[] = {"{\"error\":1}", "{\"error\":{\"code\":\"busy\"}}",
					"{\"error\":{\"code\":\"??\",\"message\":\"m\"}}"};
	struct pyro_error in, out;
	json_t *json;

	err_set(&in, PYRO_E_BUSY, "it is '%s'", "locked");
	json = call_error_to_json(&in);
	CHECK(json_is_true(json_object_get(json_object_get(json, "error"), "retryable")));
	CHECK(call_error_from_json(json, &out) < 0);
	CHECK_INT(out.code, in.code);
	CHECK_STR(out.message, in.message);
	CHECK_STR(out.hint, in.hint);
	json_decref(json);
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		json = json_loads(nonsense[i], 0, NULL);
		CHECK(json && call_error_from_json(json, &out) < 0);
		CHECK_INT(out.code, PYRO_E_PROTOCOL);
		json_decref(json);
	}
}

TEST("a result that holds no error is none")
{
	json_t *json = json_pack("{s:i}", "exit_code", 1);

	CHECK_INT(call_error_from_json(json, NULL), 0);
	json_decref(json);
}
