/*
 * A QEMU that a guest has taken over, on its control socket. A NUL divides what comes at once.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "fuzz.h"
#include "scratch.h"
#include "vm/qmp.h"

#include <assert.h>
#include <unistd.h>

#define DEADLINE_MS 60000 /* the end of what it says comes before */

static void talk(struct qmp *qmp, int64_t deadline)
{
	struct pyro_error err;
	json_t *answer = NULL;

	if (qmp_handshake(qmp, deadline, &err) < 0)
		assert(err.code == PYRO_E_VM_DIED || err.code == PYRO_E_BOOT_FAILED ||
		       err.code == PYRO_E_NO_SPACE);
	(void)qmp_query(qmp, "query-status", &answer, deadline, &err);
	json_decref(answer);
	(void)qmp_give_fd(qmp, "state", 2, deadline, &err);
	(void)qmp_await_migration(qmp, deadline, &err);
	qmp_expect_port_open(qmp);
	(void)qmp_await_port_open(qmp, deadline, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct loop *loop = loop_new();
	struct pyro_error err;
	struct qmp *qmp;
	int peer;

	assert(loop);
	qmp = qmp_new(loop, scratch_pieces((const char *)bytes, size, &peer), &err);
	assert(qmp);
	talk(qmp, deadline_in(DEADLINE_MS));
	(void)qmp_free(qmp);
	(void)close(peer);
	loop_free(loop);
	return 0;
}
