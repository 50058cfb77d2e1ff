/*
 * The callers' and the descriptors' side of a mux; http2.c is the side of nghttp2.
 *
 * Everything happens in work(): tell the users of calls what happened (deliver), make frames of
 * what they queued, write. It runs after bytes were read, when a descriptor takes bytes again, and
 * `soon` (a timer that is due at once) after somebody queued something from elsewhere.
 *
 * Life of a call. http2.c files events with the call: whole records, the peer's end, the end of
 * the stream. deliver() passes them on in that order, one callback at a time. A callback may do
 * anything, also cancel its call, free the mux, or run the loop, which enters work() again: so
 * deliver() looks afresh after each callback, a nested deliver() leaves a call alone that an outer
 * one has in hand, and `hold` counts the frames on the stack that still use a call or a mux, which
 * go away with the last of them.
 *
 * The end. A call ends in end_call() and nowhere else. When the connection fails, every call is
 * marked closed, told what it had received and then its end; on_down follows the last of them.
 */
#include "channel/mux.h"

#include "base/clock.h"
#include "base/err.h"
#include "channel/call.h"
#include "channel/mux_impl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE ((size_t)128 * 1024)
#define UNBOUNDED (SIZE_MAX / 4) /* queues of what we send: their senders bound them */

static const struct mux_call_ops no_ops;

static void put_mux(struct mux *mux)
{
	if (--mux->hold > 0 || !mux->is_freed)
		return;
	http2_close(mux);
	buf_done(&mux->out);
	free(mux->read_buf);
	free(mux);
}

static void put_call(struct mux_call *call)
{
	struct mux_record *record;

	if (--call->hold > 0 || !call->is_gone)
		return;
	while ((record = STAILQ_FIRST(&call->records))) {
		STAILQ_REMOVE_HEAD(&call->records, next);
		buf_done(&record->payload);
		free(record);
	}
	record_reader_done(&call->reader);
	buf_done(&call->out);
	free(call);
}

/* Has work() run soon. */
static void kick(struct mux *mux)
{
	if (!mux->is_down && !mux->soon.is_armed)
		loop_set_timer(mux->loop, &mux->soon, clock_ms());
}

struct mux_call *mux__new_call(struct mux *mux, int32_t stream_id)
{
	struct mux_call *call = mem_zalloc(1, sizeof(*call));

	call->mux = mux;
	call->stream_id = stream_id;
	call->ops = &no_ops;
	call->out = (struct buf)BUF_INIT(UNBOUNDED);
	record_reader_init(&call->reader, mux->role == MUX_SERVER ? "JI" : "JOE");
	STAILQ_INIT(&call->records);
	TAILQ_INSERT_TAIL(&mux->calls, call, next);
	return call;
}

void mux__set_ready(struct mux_call *call)
{
	if (call->is_ready)
		return;
	call->is_ready = true;
	TAILQ_INSERT_TAIL(&call->mux->ready, call, ready_next);
}

void mux__move_out(struct mux_call *call, size_t len)
{
	buf_append(&call->mux->out, buf_text(&call->out) + call->out_at, len);
	call->out_at += len;
	if (call->out_at == call->out.len) {
		buf_reset(&call->out);
		call->out_at = 0;
	}
	if (call->is_over_goal && mux_queued(call) < MUX_QUEUE_GOAL)
		mux__set_ready(call);
}

/* The only end of a call. The caller holds the mux and the call. */
static void end_call(struct mux_call *call, const struct pyro_error *error)
{
	struct mux *mux = call->mux;

	http2_consume(call, call->uncredited);
	http2_abandon(call);
	call->is_gone = true;
	TAILQ_REMOVE(&mux->calls, call, next);
	if (call->is_ready)
		TAILQ_REMOVE(&mux->ready, call, ready_next);
	kick(mux);
	if (call->ops->on_close)
		call->ops->on_close(call, error);
}

/* The HTTP/2 stream is of no more use; on_close follows. */
static void close_stream(struct mux_call *call)
{
	http2_abandon(call);
	call->is_closed = true;
	mux__set_ready(call);
	kick(call->mux);
}

static void announce(struct mux_call *call)
{
	call->is_announced = true;
	http2_respond(call);
	if (call->name[0] && call->mux->ops->on_call)
		call->mux->ops->on_call(call->mux, call, call->name);
	if (call->ops == &no_ops && !call->is_finishing && !call->is_gone) {
		struct pyro_error err;

		err_set(&err, PYRO_E_NOT_FOUND, "no such call '%s'", call->name);
		mux_fail(call, &err);
	}
}

/* Bytes that nobody will consume by mux_consume(): heads of records, and JSON. */
static void credit_rest(struct mux_call *call)
{
	size_t n = call->uncredited - call->owed - call->reader.payload.len;

	call->uncredited -= n;
	http2_consume(call, n);
}

static void deliver_record(struct mux_call *call)
{
	struct mux_record *record = STAILQ_FIRST(&call->records);

	STAILQ_REMOVE_HEAD(&call->records, next);
	if (call->ops->on_record)
		call->ops->on_record(call, record->kind, buf_text(&record->payload),
				     record->payload.len);
	else
		mux_consume(call, record->kind == MUX_JSON ? 0 : record->payload.len);
	buf_done(&record->payload);
	free(record);
}

/* Tells the next thing there is to tell; false if there is none. */
static bool deliver_next(struct mux_call *call)
{
	if (call->is_gone)
		return false;
	if (!call->is_announced) {
		if (call->is_closed)
			end_call(call, NULL); /* nobody knew it */
		else if (call->is_requested)
			announce(call);
		return call->is_announced;
	}
	if (!STAILQ_EMPTY(&call->records)) {
		deliver_record(call);
		return true;
	}
	/*
	 * A text may be larger than the window, so what was put together of one so far is credited
	 * here; not while records wait above, or a peer could have any number of them wait.
	 */
	credit_rest(call);
	if (call->is_over_goal && mux_queued(call) < MUX_QUEUE_GOAL) {
		call->is_over_goal = false;
		if (call->ops->on_drained && !call->is_closed)
			call->ops->on_drained(call);
		return true;
	}
	if (call->peer_finished && !call->told_finish) {
		call->told_finish = true;
		if (call->ops->on_finish)
			call->ops->on_finish(call);
		return true;
	}
	/* A server that has finished ends the call, even if it leaves saying so to us. */
	if (call->told_finish && !call->is_closed && call->mux->role == MUX_CLIENT)
		close_stream(call);
	if (call->is_closed)
		end_call(call, call->error.code == PYRO_OK ? NULL : &call->error);
	return false;
}

static void deliver(struct mux *mux)
{
	struct mux_call *call;

	while ((call = TAILQ_FIRST(&mux->ready))) {
		TAILQ_REMOVE(&mux->ready, call, ready_next);
		call->is_ready = false;
		if (call->hold > 0) /* an outer deliver() has it in hand and goes on */
			continue;
		call->hold++;
		while (deliver_next(call))
			;
		put_call(call);
	}
}

static void forget_fds(struct mux *mux)
{
	loop_remove_fd(mux->loop, &mux->in);
	loop_remove_fd(mux->loop, &mux->blocked);
	loop_clear_timer(mux->loop, &mux->soon);
}

/* Waits for the descriptor to take bytes, or no longer. */
static void watch_out(struct mux *mux, bool is_wanted)
{
	if (mux->rfd == mux->wfd)
		loop_set_events(mux->loop, &mux->in, EPOLLIN | (is_wanted ? EPOLLOUT : 0));
	else if (!is_wanted)
		loop_remove_fd(mux->loop, &mux->blocked);
	else if (!mux->blocked.is_added)
		(void)loop_add_fd(mux->loop, &mux->blocked, mux->wfd, EPOLLOUT, NULL);
}

/*
 * Writes what it can; false if the descriptor takes no more now. A failure to write ends nothing:
 * an answer may be there to be read, and behind it the end of the connection.
 */
static bool write_out(struct mux *mux)
{
	while (mux->out_at < mux->out.len && !mux->is_deaf) {
		const char *data = mux->out.data + mux->out_at;
		size_t len = mux->out.len - mux->out_at;
		ssize_t n = mux->is_socket ? send(mux->wfd, data, len, MSG_NOSIGNAL)
					   : write(mux->wfd, data, len);

		if (n < 0 && errno == EAGAIN)
			return false;
		if (n >= 0)
			mux->out_at += (size_t)n;
		else if (errno != EINTR)
			mux->is_deaf = true;
	}
	buf_reset(&mux->out);
	mux->out_at = 0;
	return true;
}

/* Marks everything as over; deliver() and tell_down() then say so. */
static void go_down(struct mux *mux, const struct pyro_error *error)
{
	struct pyro_error ignored;
	struct mux_call *call;

	if (mux->is_down)
		return;
	mux->error = *error;
	/* A last word to a peer that broke the rules. */
	if (mux->session) {
		(void)http2_make_frames(mux, &ignored);
		(void)write_out(mux);
	}
	mux->is_down = true;
	forget_fds(mux);
	TAILQ_FOREACH(call, &mux->calls, next)
	{
		if (!call->is_closed)
			call->error = *error;
		call->is_closed = true;
		mux__set_ready(call);
	}
}

static void tell_down(struct mux *mux)
{
	if (!mux->is_down || mux->told_down || mux->is_freed || !TAILQ_EMPTY(&mux->calls))
		return;
	mux->told_down = true;
	if (mux->ops->on_down)
		mux->ops->on_down(mux, &mux->error);
}

/*
 * Frames are made only when those before were written: a peer that makes us answer and never reads
 * fills nghttp2's queue of answers, which is limited, and not ours.
 */
static void flush(struct mux *mux)
{
	struct pyro_error err;

	loop_clear_timer(mux->loop, &mux->soon);
	while (write_out(mux)) {
		if (http2_make_frames(mux, &err) < 0) {
			go_down(mux, &err);
			return;
		}
		if (mux->out.len == 0)
			break;
	}
	watch_out(mux, mux->out.len > 0);
}

/* The caller holds the mux. */
static void work(struct mux *mux)
{
	do {
		deliver(mux);
		if (!mux->is_down && mux->session)
			flush(mux);
	} while (!TAILQ_EMPTY(&mux->ready));
	tell_down(mux);
}

/*
 * Reads until the descriptor has no more or the buffer is full. A virtio port gives at most a page
 * at a time; less than that means that it is probably empty, and if not, the loop comes back.
 */
static int read_in(struct mux *mux, size_t *ret_len, struct pyro_error *err)
{
	const size_t page = 4096;
	ssize_t n = (ssize_t)page;

	*ret_len = 0;
	while ((size_t)n >= page && *ret_len < READ_SIZE) {
		n = read(mux->rfd, mux->read_buf + *ret_len, READ_SIZE - *ret_len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return err_set(err, PYRO_E_VM_DIED, "the connection broke: %s",
				       strerror(errno));
		if (n == 0)
			return err_set(err, PYRO_E_VM_DIED, "the other side closed the connection");
		*ret_len += (size_t)n;
	}
	return 0;
}

static void receive(struct mux *mux, uint32_t events)
{
	struct pyro_error err, read_err;
	size_t len;
	int r = read_in(mux, &len, &read_err);

	if (r == 0 && len == 0 && events & (EPOLLHUP | EPOLLERR))
		r = err_set(&read_err, PYRO_E_VM_DIED, "the other side is not connected");
	if (len > 0 && !mux->session)
		http2_open(mux);
	if (len > 0 && http2_receive(mux, mux->read_buf, len, &err) < 0)
		go_down(mux, &err);
	else if (r < 0)
		go_down(mux, &read_err);
}

static void on_in(struct loop_fd *src, uint32_t events)
{
	struct mux *mux = src->ctx;

	mux->hold++;
	if (events & ~(uint32_t)EPOLLOUT)
		receive(mux, events);
	work(mux);
	put_mux(mux);
}

static void on_unblocked(struct loop_fd *src, uint32_t events)
{
	struct mux *mux = src->ctx;

	(void)events;
	mux->hold++;
	work(mux);
	put_mux(mux);
}

static void on_soon(struct loop_timer *timer)
{
	struct mux *mux = timer->ctx;

	mux->hold++;
	work(mux);
	put_mux(mux);
}

static int set_nonblocking(int fd, struct pyro_error *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, errno, "set descriptor %d non-blocking", fd);
	return 0;
}

struct mux *mux_new(struct loop *loop, int rfd, int wfd, enum mux_role role,
		    const struct mux_ops *ops, void *ctx, struct pyro_error *err)
{
	struct mux *mux = mem_zalloc(1, sizeof(*mux));
	struct stat st;

	*mux = (struct mux){
		.loop = loop,
		.rfd = rfd,
		.wfd = wfd,
		.role = role,
		.ops = ops,
		.ctx = ctx,
		.in = {.on_ready = on_in, .ctx = mux},
		.blocked = {.on_ready = on_unblocked, .ctx = mux},
		.soon = {.on_time = on_soon, .ctx = mux},
		.out = BUF_INIT(UNBOUNDED),
	};
	TAILQ_INIT(&mux->calls);
	TAILQ_INIT(&mux->ready);
	mux->is_socket = fstat(wfd, &st) == 0 && S_ISSOCK(st.st_mode);
	if (set_nonblocking(rfd, err) < 0 || set_nonblocking(wfd, err) < 0 ||
	    loop_add_fd(loop, &mux->in, rfd, EPOLLIN, err) < 0) {
		free(mux);
		return NULL;
	}
	mux->read_buf = mem_resize(NULL, READ_SIZE, 1);
	if (role == MUX_CLIENT) {
		http2_open(mux);
		kick(mux);
	}
	return mux;
}

struct mux *mux_free(struct mux *mux)
{
	struct pyro_error err;
	struct mux_call *call;

	if (!mux)
		return NULL;
	mux->hold++;
	mux->is_down = mux->is_freed = true;
	forget_fds(mux);
	err_set(&err, PYRO_E_CANCELLED, "the connection was closed");
	while ((call = TAILQ_FIRST(&mux->calls))) {
		call->hold++;
		end_call(call, &err);
		put_call(call);
	}
	put_mux(mux);
	return NULL;
}

void *mux_ctx(const struct mux *mux)
{
	return mux->ctx;
}

bool mux_is_down(const struct mux *mux)
{
	return mux->is_down;
}

bool mux_is_flushed(const struct mux *mux)
{
	const struct mux_call *call;

	if (mux->is_down || !mux->session)
		return true;
	TAILQ_FOREACH(call, &mux->calls, next)
	if (mux_queued(call) > 0 || call->is_finishing != call->is_finished)
		return false;
	return mux->out.len == 0 && !http2_wants_write(mux);
}

struct mux_call *mux_start(struct mux *mux, const char *name, const char *args,
			   const struct mux_call_ops *ops, void *ctx)
{
	struct mux_call *call;

	assert(mux->role == MUX_CLIENT);
	if (mux->is_down)
		return NULL;
	call = mux__new_call(mux, /* stream_id= */ -1);
	call->is_announced = true;
	if (http2_request(call, name) < 0) {
		TAILQ_REMOVE(&mux->calls, call, next);
		call->is_gone = true;
		call->hold++;
		put_call(call);
		return NULL;
	}
	mux_accept(call, ops, ctx);
	mux_send(call, MUX_JSON, args, strlen(args));
	return call;
}

void mux_accept(struct mux_call *call, const struct mux_call_ops *ops, void *ctx)
{
	call->ops = ops;
	call->ctx = ctx;
}

void *mux_call_ctx(const struct mux_call *call)
{
	return call->ctx;
}

struct mux *mux_call_mux(const struct mux_call *call)
{
	return call->mux;
}

/* A text that the peer would have to refuse: this call ends, not the connection. */
static void refuse_text(struct mux_call *call, size_t len)
{
	struct pyro_error err;

	err_set(&err, PYRO_E_LIMIT, "JSON text of %zu bytes is longer than %d", len, MUX_JSON_MAX);
	if (call->mux->role == MUX_SERVER) {
		mux_fail(call, &err);
		return;
	}
	call->error = err;
	close_stream(call);
}

void mux_send(struct mux_call *call, enum mux_kind kind, const void *data, size_t len)
{
	if (call->is_closed || call->is_gone || call->is_finishing)
		return;
	if (kind == MUX_JSON && len > MUX_JSON_MAX) {
		refuse_text(call, len);
		return;
	}
	if (call->out_at > call->out.len / 2) {
		buf_consume(&call->out, call->out_at);
		call->out_at = 0;
	}
	record_write(&call->out, kind, data, len);
	call->is_over_goal |= mux_queued(call) >= MUX_QUEUE_GOAL;
	http2_resume(call);
	kick(call->mux);
}

size_t mux_queued(const struct mux_call *call)
{
	return call->out.len - call->out_at;
}

void mux_consume(struct mux_call *call, size_t len)
{
	if (len > call->owed)
		len = call->owed;
	call->owed -= len;
	call->uncredited -= len;
	if (call->is_gone)
		return;
	http2_consume(call, len);
	kick(call->mux);
}

void mux_finish(struct mux_call *call)
{
	if (call->is_closed || call->is_gone || call->is_finishing)
		return;
	call->is_finishing = true;
	http2_resume(call);
	kick(call->mux);
}

void mux_fail(struct mux_call *call, const struct pyro_error *error)
{
	call_answer(call, call_error_to_json(error));
}

void mux_abandon(struct mux_call *call)
{
	mux_accept(call, &no_ops, NULL);
	mux_cancel(call);
}

void mux_cancel(struct mux_call *call)
{
	struct mux *mux = call->mux;
	struct pyro_error err;

	if (call->is_gone)
		return;
	err_set(&err, PYRO_E_CANCELLED, "the call was cancelled");
	mux->hold++;
	call->hold++;
	end_call(call, &err);
	put_call(call);
	tell_down(mux);
	put_mux(mux);
}
