#include "net/port.h"

#include "base/err.h"
#include "net/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define PREFIX 4
#define CHUNK (128 * 1024)
#define IN_MAX (CHUNK + PREFIX + PACKET_FRAME_MAX)
#define OUT_MUCH (256 * 1024) /* then the source waits */
#define OUT_MAX (OUT_MUCH + 2 * IN_MAX)

static void update_events(struct port *port)
{
	loop_set_events(port->loop, &port->socket,
			(port->is_held ? 0 : (uint32_t)EPOLLIN) |
				(port->out.len ? (uint32_t)EPOLLOUT : 0));
	if (port->source) {
		port->source->is_held = port->out.len >= OUT_MUCH;
		if (port->source->socket.fd >= 0)
			loop_set_events(port->loop, &port->source->socket,
					(port->source->is_held ? 0 : (uint32_t)EPOLLIN) |
						(port->source->out.len ? (uint32_t)EPOLLOUT : 0));
	}
}

static void flush(struct port *port)
{
	ssize_t n =
		send(port->socket.fd, port->out.data, port->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0)
		buf_consume(&port->out, (size_t)n);
	/* An end is noticed where we read. */
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		buf_reset(&port->out);
	update_events(port);
}

/* Hands on what is whole; false if it is no frame. */
static bool take_frames(struct port *port)
{
	uint8_t *data = (uint8_t *)port->in.data;
	size_t at = 0;

	while (port->in.len - at >= PREFIX) {
		size_t len = (size_t)packet_16(data + at) << 16 | packet_16(data + at + 2);

		if (len < PACKET_ETHER || len > PACKET_FRAME_MAX)
			return false;
		if (port->in.len - at - PREFIX < len)
			break;
		port->ops->on_frame(port->ctx, data + at + PREFIX, len);
		at += PREFIX + len;
	}
	buf_consume(&port->in, at);
	return true;
}

static void port_ready(struct loop_fd *src, uint32_t events)
{
	struct port *port = src->ctx;
	ssize_t n;

	if (events & EPOLLOUT)
		flush(port);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || (port->is_held && events & EPOLLIN))
		return;
	n = recv(src->fd, buf_room(&port->in, CHUNK), CHUNK, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		buf_grew(&port->in, (size_t)n);
	if (n <= 0 || !take_frames(port))
		port->ops->on_end(port->ctx);
}

int port_open(struct port *port, struct loop *loop, int fd, const struct port_ops *ops, void *ctx,
	      struct pyro_error *err)
{
	port->loop = loop;
	port->ops = ops;
	port->ctx = ctx;
	port->in = (struct buf)BUF_INIT(IN_MAX);
	port->out = (struct buf)BUF_INIT(OUT_MAX);
	port->socket = (struct loop_fd){.fd = -1, .on_ready = port_ready, .ctx = port};
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return loop_add_fd(loop, &port->socket, fd, port->is_held ? 0 : EPOLLIN, err);
}

void port_close(struct port *port)
{
	loop_remove_fd(port->loop, &port->socket);
	fd_close(&port->socket.fd);
	buf_done(&port->in);
	buf_reset(&port->out);
	update_events(port);
	buf_done(&port->out);
}

void port_send(struct port *port, const uint8_t *frame, size_t len)
{
	uint8_t prefix[PREFIX] = {0, 0, (uint8_t)(len >> 8), (uint8_t)len};

	if (port->socket.fd < 0 || port->out.len + PREFIX + len > OUT_MAX)
		return;
	buf_append(&port->out, prefix, PREFIX);
	buf_append(&port->out, frame, len);
	flush(port);
}
