#include "tests/test.h"

#include "base/clock.h"
#include "base/loop.h"
#include "pyro/error.h"
#include "vm/qmp.h"

#include <sys/socket.h>
#include <unistd.h>

struct world {
	struct loop *loop;
	struct qmp *qmp;
	int qemu;
};

static void begin(struct world *w)
{
	struct pyro_error err;
	int pair[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	w->loop = loop_new();
	w->qmp = qmp_new(w->loop, pair[0], &err);
	CHECK(w->qmp);
	w->qemu = pair[1];
}

static void end(struct world *w)
{
	(void)qmp_free(w->qmp);
	(void)close(w->qemu);
	(void)loop_free(w->loop);
}

static void say(const struct world *w, const char *text)
{
	CHECK_INT(write(w->qemu, text, strlen(text)), (int)strlen(text));
}

/* A call that nobody answers in time. */
static void call_in_vain(const struct world *w)
{
	struct pyro_error err;

	CHECK_INT(qmp_call(w->qmp, "stop", NULL, clock_ms(), &err), -1);
	CHECK_INT(err.code, PYRO_E_TIMEOUT);
}

TEST("an answer that comes too late is not taken for the next call's")
{
	struct world w;
	struct pyro_error err;
	json_t *answer = NULL;

	begin(&w);
	call_in_vain(&w);
	say(&w, "{\"return\": {\"of\": \"the first\"}, \"id\": 1}\n"
		"{\"return\": {\"of\": \"nobody\"}}\n"
		"{\"return\": {\"of\": \"the second\"}, \"id\": 2}\n");
	CHECK_OK(qmp_query(w.qmp, "query-status", &answer, deadline_in(10000), &err), err);
	CHECK_STR(json_string_value(json_object_get(answer, "of")), "the second");
	json_decref(answer);
	end(&w);
}

TEST("a refusal that comes too late is not taken for the next call's")
{
	struct world w;
	struct pyro_error err;

	begin(&w);
	call_in_vain(&w);
	say(&w, "{\"error\": {\"desc\": \"no\"}, \"id\": 1}\n{\"return\": {}, \"id\": 2}\n");
	CHECK_OK(qmp_call(w.qmp, "cont", NULL, deadline_in(10000), &err), err);
	end(&w);
}

TEST("an error about a line that QEMU could not read ends the call at once")
{
	struct world w;
	struct pyro_error err;

	begin(&w);
	say(&w, "{\"error\": {\"desc\": \"JSON parse error\"}}\n");
	CHECK_INT(qmp_call(w.qmp, "cont", NULL, deadline_in(10000), &err), -1);
	CHECK_STR(err.message, "QEMU refused 'cont': JSON parse error");
	end(&w);
}
