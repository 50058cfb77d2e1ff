#include "net/udp.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOWS 256
#define UDP_LEN 8
#define BATCH 16 /* datagrams of one flow before another gets its turn */

struct flow {
	struct loop_fd socket; /* fd < 0: free */
	struct udp *udp;
	struct address guest, peer; /* as the guest knows them */
	struct address to;          /* whom the socket is connected to */
	uint16_t guest_port, peer_port;
	int64_t used_ms;
};

struct udp {
	struct loop *loop;
	void (*on_frame)(void *ctx, const uint8_t *frame, size_t len);
	void *ctx;
	struct flow flows[FLOWS];
	uint8_t frame[PACKET_FRAME_MAX];
	uint8_t data[PACKET_DATAGRAM_MAX + 1];
};

struct udp *udp_new(struct loop *loop,
		    void (*on_frame)(void *ctx, const uint8_t *frame, size_t len), void *ctx)
{
	struct udp *udp = mem_zalloc(1, sizeof(*udp));

	udp->loop = loop;
	udp->on_frame = on_frame;
	udp->ctx = ctx;
	for (size_t i = 0; i < FLOWS; i++) {
		udp->flows[i].socket.fd = -1;
		udp->flows[i].udp = udp;
	}
	return udp;
}

static void close_flow(struct flow *flow)
{
	loop_remove_fd(flow->udp->loop, &flow->socket);
	fd_close(&flow->socket.fd);
}

struct udp *udp_free(struct udp *udp)
{
	for (size_t i = 0; udp && i < FLOWS; i++)
		if (udp->flows[i].socket.fd >= 0)
			close_flow(&udp->flows[i]);
	free(udp);
	return NULL;
}

/* Nobody listens there: the guest's socket gets the same error as ours. */
static void tell_error(struct flow *flow, enum packet_error error)
{
	uint8_t sent[128], told[256];
	struct packet cause;
	size_t len = packet_make_udp(sent, &flow->guest, flow->guest_port, &flow->peer,
				     flow->peer_port, NULL, 0);

	if (packet_parse(sent, len, &cause))
		flow->udp->on_frame(flow->udp->ctx, told, packet_make_error(told, &cause, error));
}

static void fail(struct flow *flow, int error)
{
	if (error == ECONNREFUSED)
		tell_error(flow, PACKET_NO_PORT);
	else if (error == ENETUNREACH || error == EHOSTUNREACH)
		tell_error(flow, PACKET_NO_ROUTE);
	else if (error == EACCES || error == EPERM)
		tell_error(flow, PACKET_PROHIBITED);
}

static void flow_ready(struct loop_fd *src, uint32_t events)
{
	struct flow *flow = src->ctx;
	struct udp *udp = flow->udp;

	(void)events;
	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(src->fd, udp->data, sizeof(udp->data), 0);

		if (n < 0) {
			fail(flow, errno);
			return;
		}
		if (n > PACKET_DATAGRAM_MAX)
			continue; /* more than the link takes */
		flow->used_ms = clock_ms();
		udp->on_frame(udp->ctx, udp->frame,
			      packet_make_udp(udp->frame, &flow->peer, flow->peer_port,
					      &flow->guest, flow->guest_port, udp->data,
					      (size_t)n));
	}
}

static bool is_of(const struct flow *flow, const struct packet *p, const struct address *to)
{
	return flow->socket.fd >= 0 && flow->guest_port == p->src_port &&
	       flow->peer_port == p->dst_port && address_is_equal(&flow->peer, &p->dst) &&
	       address_is_equal(&flow->to, to);
}

/* The flow of a packet, or the one whose place a new one takes. */
static struct flow *find(struct udp *udp, const struct packet *p, const struct address *to)
{
	struct flow *oldest = &udp->flows[0];

	for (size_t i = 0; i < FLOWS; i++) {
		struct flow *flow = &udp->flows[i];

		if (is_of(flow, p, to))
			return flow;
		if (oldest->socket.fd >= 0 &&
		    (flow->socket.fd < 0 || flow->used_ms < oldest->used_ms))
			oldest = flow;
	}
	return oldest;
}

static int open_flow(struct flow *flow, const struct packet *p, const struct address *to)
{
	struct sockaddr_storage name;
	socklen_t len = address_to_socket(to, p->dst_port, &name);
	AUTO_FD int fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (flow->socket.fd >= 0)
		close_flow(flow);
	flow->guest = p->src;
	flow->guest_port = p->src_port;
	flow->peer = p->dst;
	flow->peer_port = p->dst_port;
	flow->to = *to;
	flow->socket = (struct loop_fd){.fd = -1, .on_ready = flow_ready, .ctx = flow};
	if (fd < 0 || connect(fd, (struct sockaddr *)&name, len) < 0) {
		fail(flow, errno);
		return -1;
	}
	if (loop_add_fd(flow->udp->loop, &flow->socket, fd, EPOLLIN, NULL) < 0)
		return -1;
	flow->socket.fd = TAKE_FD(fd);
	return 0;
}

void udp_send(struct udp *udp, const struct packet *p, const struct address *to)
{
	struct flow *flow = find(udp, p, to);

	if (!is_of(flow, p, to) && open_flow(flow, p, to) < 0)
		return;
	flow->used_ms = clock_ms();
	if (send(flow->socket.fd, p->body + UDP_LEN, p->body_len - UDP_LEN, MSG_NOSIGNAL) < 0)
		fail(flow, errno);
}
