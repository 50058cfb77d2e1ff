#include "guest/stream.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CHUNK (64 * 1024)
#define WAITING_MAX (16 * 1024 * 1024) /* far above what the mux lets a client have in flight */

/*
 * Source.
 */

void source_close(struct source *source)
{
	loop_remove_fd(source->loop, &source->src);
	fd_close(&source->src.fd);
}

static void end_source(struct source *source, int errnum)
{
	source_close(source);
	if (source->on_end)
		source->on_end(source, errnum);
}

/* Reads once; the number of bytes, 0 when there are none: now, or ever again. */
static size_t pump(struct source *source, size_t max)
{
	static char chunk[CHUNK];
	ssize_t n = read(source->src.fd, chunk, max < CHUNK ? max : CHUNK);
	int errnum = n < 0 ? errno : 0;

	if (n > 0 && source->kept)
		buf_append(source->kept, chunk, (size_t)n);
	else if (n > 0)
		mux_send(source->call, source->kind, chunk, (size_t)n);
	if (n > 0)
		return (size_t)n;
	if (errnum != EAGAIN && errnum != EINTR)
		end_source(source, errnum);
	return 0;
}

static void on_readable(struct loop_fd *src, uint32_t events)
{
	struct source *source = src->ctx;

	(void)events;
	/* Out of the loop, not just without events: a hang-up would be reported all the time. */
	if (pump(source, CHUNK) && mux_queued(source->call) > MUX_QUEUE_GOAL)
		loop_remove_fd(source->loop, src);
}

void source_init(struct source *source, struct loop *loop, struct mux_call *call,
		 enum mux_kind kind)
{
	*source = (struct source){
		.src = {.fd = -1, .on_ready = on_readable, .ctx = source},
		.loop = loop,
		.call = call,
		.kind = kind,
	};
}

void source_watch(struct source *source)
{
	if (source->src.fd >= 0 && !source->src.is_added &&
	    loop_add_fd(source->loop, &source->src, source->src.fd, EPOLLIN, NULL) < 0)
		end_source(source, errno);
}

void source_finish(struct source *source, size_t max)
{
	size_t n = 1;

	for (size_t done = 0; source->src.fd >= 0 && n && done < max; done += n)
		n = pump(source, max - done);
	source_close(source);
}

/*
 * Sink.
 */

static void consume(struct sink *sink, size_t len)
{
	if (sink->call)
		mux_consume(sink->call, len);
}

void sink_close(struct sink *sink)
{
	loop_remove_fd(sink->loop, &sink->dst);
	fd_close(&sink->dst.fd);
	consume(sink, sink->waiting.len);
	buf_done(&sink->waiting);
	sink->is_closed = true;
}

static void end_sink(struct sink *sink, int errnum)
{
	sink_close(sink);
	if (sink->on_end)
		sink->on_end(sink, errnum);
}

/* What the descriptor took of the bytes; 0 if it is full, -1 with errno if it takes no more. */
static ssize_t write_some(const struct sink *sink, const char *data, size_t len)
{
	ssize_t n = len ? write(sink->dst.fd, data, len) : 0;

	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

/* Watches the descriptor while something waits, and ends when nothing does or will. */
static void settle(struct sink *sink)
{
	if (!sink->waiting.len && sink->is_ended)
		end_sink(sink, 0);
	else if (!sink->waiting.len)
		loop_remove_fd(sink->loop, &sink->dst);
	else if (!sink->dst.is_added &&
		 loop_add_fd(sink->loop, &sink->dst, sink->dst.fd, EPOLLOUT, NULL) < 0)
		end_sink(sink, errno);
}

static void flush(struct sink *sink)
{
	ssize_t n = write_some(sink, sink->waiting.data, sink->waiting.len);

	if (n < 0) {
		end_sink(sink, errno);
		return;
	}
	buf_consume(&sink->waiting, (size_t)n);
	consume(sink, (size_t)n);
	settle(sink);
}

static void on_writable(struct loop_fd *dst, uint32_t events)
{
	(void)events;
	flush(dst->ctx);
}

void sink_init(struct sink *sink, struct loop *loop, struct mux_call *call)
{
	*sink = (struct sink){
		.dst = {.fd = -1, .on_ready = on_writable, .ctx = sink},
		.loop = loop,
		.call = call,
		.waiting.max = WAITING_MAX,
	};
}

void sink_open(struct sink *sink, int fd)
{
	sink->dst.fd = fd;
	flush(sink);
}

void sink_take(struct sink *sink, const char *data, size_t len)
{
	ssize_t n = 0;

	if (sink->is_closed) {
		consume(sink, len);
		return;
	}
	sink->is_ended |= len == 0;
	if (sink->dst.fd >= 0 && !sink->waiting.len)
		n = write_some(sink, data, len);
	if (n < 0) {
		consume(sink, len);
		end_sink(sink, errno);
		return;
	}
	consume(sink, (size_t)n);
	if (len)
		buf_append(&sink->waiting, data + n, len - (size_t)n);
	if (sink->waiting.is_full)
		end_sink(sink, ENOBUFS);
	else if (sink->dst.fd >= 0)
		settle(sink);
}
