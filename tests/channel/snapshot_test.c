/*
 * A snapshot of a running guest's disk, with an agent and a QEMU that only note what they are told.
 */
#include "tests/test.h"

#include "base/buf.h"
#include "base/err.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "vm/qmp.h"
#include "vm/vm.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define DELETE "blockdev-snapshot-delete-internal-sync "
#define TAKE "blockdev-snapshot-internal-sync "

struct world {
	struct loop *loop;
	struct vm *vm;
	struct mux *agent;
	struct loop_fd qemu;
	int agent_fd;
	struct buf said;  /* by QEMU's client, up to a line's end */
	struct buf done;  /* the names of all calls, in order */
	bool is_refusing; /* to freeze */
	bool was_thawed;  /* too early, by itself */
};

static void qemu_ready(struct loop_fd *src, uint32_t events)
{
	struct world *w = src->ctx;
	AUTO_FREE char *answer = NULL;
	char chunk[1024];
	ssize_t n = read(src->fd, chunk, sizeof(chunk));
	json_t *request;

	(void)events;
	CHECK(n > 0);
	buf_append(&w->said, chunk, (size_t)n);
	request = json_loadb(w->said.data, w->said.len, 0, NULL);
	if (!request)
		return;
	buf_reset(&w->said);
	buf_printf(&w->done, "%s ", json_string_value(json_object_get(request, "execute")));
	answer = mem_printf("{\"return\": {}, \"id\": %lld}\n",
			    (long long)json_integer_value(json_object_get(request, "id")));
	CHECK_INT(write(src->fd, answer, strlen(answer)), (int)strlen(answer));
	json_decref(request);
}

static void on_freeze(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	const struct world *w = mux_call_ctx(call);
	struct pyro_error err;

	(void)kind, (void)data, (void)len;
	(void)err_set(&err, PYRO_E_TIMEOUT, "the disk is slow");
	if (w->is_refusing)
		mux_fail(call, &err);
	else
		call_answer(call, json_object());
}

static void on_thaw(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	const struct world *w = mux_call_ctx(call);

	(void)kind, (void)data, (void)len;
	call_answer(call, json_pack("{s:b}", "was_frozen", !w->was_thawed));
}

static void on_call(struct mux *mux, struct mux_call *call, const char *name)
{
	static const struct mux_call_ops freeze = {.on_record = on_freeze},
					 thaw = {.on_record = on_thaw};
	struct world *w = mux_ctx(mux);

	buf_printf(&w->done, "%s ", name);
	mux_accept(call, strcmp(name, "freeze") == 0 ? &freeze : &thaw, w);
}

static void begin(struct world *w)
{
	static const struct mux_ops client = {0}, server = {.on_call = on_call};
	const struct vm_spec spec = {.vm_id = "v", .dir = test_dir(), .accel = VM_ACCEL_KVM};
	const struct vm_hooks hooks = {0};
	struct pyro_error err;
	int agent[2], qemu[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, agent), 0);
	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qemu), 0);
	w->said = w->done = (struct buf)BUF_INIT(4096);
	w->loop = loop_new();
	w->vm = vm_new(w->loop, &engine_qemu, &spec, &hooks);
	w->vm->channel_fd = agent[0];
	w->agent_fd = agent[1];
	w->vm->agent = mux_new(w->loop, agent[0], agent[0], MUX_CLIENT, &client, w->vm, &err);
	w->agent = mux_new(w->loop, agent[1], agent[1], MUX_SERVER, &server, w, &err);
	w->vm->qmp = qmp_new(w->loop, qemu[0], &err);
	CHECK(w->vm->agent && w->agent && w->vm->qmp);
	w->qemu = (struct loop_fd){.on_ready = qemu_ready, .ctx = w};
	CHECK_OK(loop_add_fd(w->loop, &w->qemu, qemu[1], EPOLLIN, &err), err);
}

static void end(struct world *w)
{
	loop_remove_fd(w->loop, &w->qemu);
	(void)close(w->qemu.fd);
	(void)mux_free(w->agent);
	(void)close(w->agent_fd);
	(void)vm_free(w->vm);
	(void)loop_free(w->loop);
	buf_done(&w->said);
	buf_done(&w->done);
}

TEST("a snapshot is taken of a frozen disk")
{
	struct world w = {0};
	struct pyro_error err;

	begin(&w);
	CHECK_OK(engine_qemu.snapshot(w.vm, "pyro.a", &err), err);
	CHECK_STR(buf_text(&w.done), DELETE "freeze " TAKE "thaw ");
	end(&w);
}

TEST("a guest is thawed also where it did not say that it froze")
{
	struct world w = {.is_refusing = true};
	struct pyro_error err;

	begin(&w);
	CHECK_INT(engine_qemu.snapshot(w.vm, "pyro.a", &err), -1);
	CHECK_INT(err.code, PYRO_E_TIMEOUT);
	CHECK_STR(err.message, "the disk is slow");
	CHECK_STR(buf_text(&w.done), DELETE "freeze thaw ");
	end(&w);
}

TEST("a snapshot of a disk that did not hold still is deleted, and the call may be repeated")
{
	struct world w = {.was_thawed = true};
	struct pyro_error err;

	begin(&w);
	CHECK_INT(engine_qemu.snapshot(w.vm, "pyro.a", &err), -1);
	CHECK(pyro_code_retryable(err.code));
	CHECK_STR(buf_text(&w.done), DELETE "freeze " TAKE "thaw " DELETE);
	end(&w);
}
