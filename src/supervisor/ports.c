/*
 * A connection is a socket here and a call at the agent, and bytes pass from each to the other:
 *
 *	client -> socket -> I of the call -> the guest's socket
 *	client <- socket <- O of the call <- the guest's socket
 *
 * The socket is read while the call's queue has room. What the guest sends is written at once; the
 * rest waits here and is given back to the call's window as it is written, so no more than that
 * window can wait. The end of either direction is passed on by itself (an empty record; shutdown).
 * Nothing is read before the agent says that it is connected. A client that resets the connection,
 * as who leaves an answer unread does, has sent what it sent: the service gets that, then a reset.
 */
#include "supervisor/ports.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "supervisor/supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 256
/* In pieces of 64 KiB the guest wakes more often, and it takes a third longer. */
#define READ_MAX (256 * 1024)
#define PENDING_MAX (4 * 1024 * 1024) /* more than the window of a call: who sends it is broken */
#define LINGER_MS 1000

struct port {
	struct ports *ports;
	struct loop_fd listener;
	int fd; /* -1: closed */
	int host_port;
	int guest_port;
};

struct ports {
	struct supervisor *s;
	struct ports *next;
	struct port v[PORTS_MAX];
	size_t n;
};

struct connection {
	struct supervisor *s;
	struct connection *next;
	struct ports *ports; /* NULL once they are gone */
	struct loop_fd src;
	int fd;
	struct mux_call *call; /* NULL once closed */
	struct loop_timer linger;
	struct buf pending; /* from the guest, to be written */
	bool is_connected;  /* the agent said so */
	bool has_read_all;  /* the client sent its end */
	bool has_guest_end; /* the guest sent its end */
	bool is_shut;       /* and that was passed on */
	bool is_gone;       /* the client reset the connection */
};

static int listen_again(struct port *port, struct pyro_error *err);

/*
 * Connections.
 */

static void listen_all(struct supervisor *s)
{
	for (struct ports *p = s->ports; p; p = p->next)
		for (size_t i = 0; i < p->n; i++)
			if (p->v[i].fd >= 0)
				(void)listen_again(&p->v[i], NULL);
}

static void connection_free(struct connection *c)
{
	struct supervisor *s = c->s;
	struct connection **at = &s->connections;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	loop_clear_timer(s->loop, &c->linger);
	loop_remove_fd(s->loop, &c->src);
	fd_close(&c->fd);
	buf_done(&c->pending);
	free(c);
	if (s->n_connections-- == PORTS_CONNECTIONS_MAX)
		listen_all(s);
}

/* The client sees a reset, not an end that could be taken for that of the answer. */
static void reset(struct connection *c)
{
	struct mux_call *call = TAKE_PTR(c->call);

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
			 sizeof(struct linger));
	if (call)
		mux_abandon(call);
	connection_free(c);
}

/* Waits for what is possible now: what is not waited for only tells of errors. */
static void await(struct connection *c)
{
	uint32_t events = c->pending.len ? EPOLLOUT : 0;

	if (c->is_connected && c->call && !c->has_read_all && mux_queued(c->call) <= MUX_QUEUE_GOAL)
		events |= EPOLLIN;
	if (!c->src.is_added && events)
		(void)loop_add_fd(c->s->loop, &c->src, c->fd, events, NULL);
	else if (c->src.is_added)
		loop_set_events(c->s->loop, &c->src, events);
}

/* -1: the client is gone. */
static int write_pending(struct connection *c)
{
	while (c->pending.len) {
		ssize_t n = send(c->fd, c->pending.data, c->pending.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		buf_consume(&c->pending, (size_t)n);
		if (c->call)
			mux_consume(c->call, (size_t)n);
	}
	if (c->has_guest_end && !c->is_shut)
		(void)shutdown(c->fd, SHUT_WR);
	c->is_shut = c->has_guest_end;
	return 0;
}

static ssize_t pass_on(struct connection *c)
{
	static char chunk[READ_MAX];
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), 0);

	if (n > 0)
		mux_send(c->call, MUX_IN, chunk, (size_t)n);
	return n;
}

static int read_socket(struct connection *c)
{
	ssize_t n = pass_on(c);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->has_read_all = n == 0;
	if (n == 0)
		mux_send(c->call, MUX_IN, NULL, 0);
	return 0;
}

/*
 * The client's error is no end of its input: what it had sent is passed on, and when that has had
 * its time to go, the call is broken off, which is the reset for the service.
 */
static void lose_client(struct connection *c)
{
	while (c->call && !c->has_read_all && pass_on(c) > 0)
		;
	c->is_gone = c->has_read_all = true;
	buf_consume(&c->pending, c->pending.len);
	loop_remove_fd(c->s->loop, &c->src);
	loop_set_timer(c->s->loop, &c->linger,
		       deadline_in(c->call && mux_queued(c->call) ? LINGER_MS : 0));
}

static void connection_ready(struct loop_fd *src, uint32_t events)
{
	struct connection *c = src->ctx;

	if ((events & EPOLLERR) || ((events & EPOLLOUT) && write_pending(c) < 0) ||
	    ((events & EPOLLIN) && c->call && read_socket(c) < 0)) {
		lose_client(c);
	} else if (!c->call && !c->pending.len) {
		connection_free(c);
	} else {
		/* Both directions were shut: that is told for ever, and nothing is to be done. */
		if (!(events & (EPOLLIN | EPOLLOUT)))
			loop_remove_fd(c->s->loop, src);
		await(c);
	}
}

/* -1: the guest refused, or broke off. */
static int take_json(struct connection *c, const char *data, size_t len)
{
	json_t *object = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
	bool is_good = json_is_object(object) && !json_object_get(object, "error");

	c->is_connected = c->is_connected || (is_good && json_object_get(object, "event"));
	json_decref(object);
	return is_good ? 0 : -1;
}

static int take_output(struct connection *c, const char *data, size_t len)
{
	if (c->is_gone)
		return 0;
	buf_append(&c->pending, data, len);
	c->has_guest_end = len == 0;
	if (c->pending.is_full)
		return -1;
	if (write_pending(c) < 0)
		lose_client(c);
	return 0;
}

static void call_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct connection *c = mux_call_ctx(call);
	int result = kind == MUX_JSON  ? take_json(c, data, len)
		     : kind == MUX_OUT ? take_output(c, data, len)
				       : -1;

	if (result < 0)
		reset(c);
	else
		await(c);
}

static void call_drained(struct mux_call *call)
{
	await(mux_call_ctx(call));
}

static void call_close(struct mux_call *call, const struct pyro_error *error)
{
	struct connection *c = mux_call_ctx(call);

	c->call = NULL;
	if (error)
		reset(c);
	else if (!c->pending.len)
		connection_free(c);
	else
		await(c);
}

static const struct mux_call_ops call_ops = {
	.on_record = call_record,
	.on_drained = call_drained,
	.on_close = call_close,
};

static void linger_is_over(struct loop_timer *timer)
{
	reset(timer->ctx);
}

/* Takes fd. */
static void connection_begin(struct port *port, int fd)
{
	struct supervisor *s = port->ports->s;
	AUTO_FREE char *args = mem_printf("{\"port\":%d}", port->guest_port);
	struct connection *c = mem_zalloc(1, sizeof(*c));
	const int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*c = (struct connection){
		.s = s,
		.next = s->connections,
		.ports = port->ports,
		.fd = fd,
		.src = {.on_ready = connection_ready, .ctx = c},
		.linger = {.on_time = linger_is_over, .ctx = c},
		.pending = BUF_INIT(PENDING_MAX),
	};
	s->connections = c;
	s->n_connections++;
	c->call = s->vm ? mux_start(s->vm->agent, "connect", args, &call_ops, c) : NULL;
	if (!c->call || loop_add_fd(s->loop, &c->src, fd, 0, NULL) < 0)
		reset(c);
}

void ports_end_connections(struct supervisor *s)
{
	while (s->connections)
		reset(s->connections);
}

/*
 * Listeners.
 */

static void listener_ready(struct loop_fd *src, uint32_t events)
{
	struct port *port = src->ctx;
	int fd;

	(void)events;
	if (port->ports->s->n_connections >= PORTS_CONNECTIONS_MAX) {
		loop_remove_fd(port->ports->s->loop, src);
		return;
	}
	fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		connection_begin(port, fd);
}

static int listen_again(struct port *port, struct pyro_error *err)
{
	if (port->listener.is_added)
		return 0;
	port->listener.on_ready = listener_ready;
	port->listener.ctx = port;
	return loop_add_fd(port->ports->s->loop, &port->listener, port->fd, EPOLLIN, err);
}

static int bind_port(struct port *port, struct pyro_error *err)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port->host_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(address);
	const int one = 1;

	port->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (port->fd < 0)
		return err_sys(err, errno, "open a socket");
	(void)setsockopt(port->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(port->fd, (struct sockaddr *)&address, len) < 0 || listen(port->fd, BACKLOG) < 0 ||
	    getsockname(port->fd, (struct sockaddr *)&address, &len) < 0) {
		(void)err_sys(err, errno, "publish on 127.0.0.1:%d", port->host_port);
		return err_hint(err, "--publish %d lets a free host port be chosen",
				port->guest_port);
	}
	port->host_port = ntohs(address.sin_port);
	return listen_again(port, err);
}

static int number(const json_t *object, const char *key, int min, int *ret, struct pyro_error *err)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	if (value < min || value > 65535)
		return err_set(err, PYRO_E_INVALID, "%s %lld is not one from %d to 65535", key,
			       (long long)value, min);
	*ret = (int)value;
	return 0;
}

struct ports *ports_open(struct supervisor *s, const json_t *mappings, struct pyro_error *err)
{
	struct ports *p = mem_zalloc(1, sizeof(*p));

	p->s = s;
	p->next = s->ports;
	s->ports = p;
	if (json_array_size(mappings) > PORTS_MAX) {
		(void)err_set(err, PYRO_E_LIMIT, "more than %d ports of one service", PORTS_MAX);
		return ports_free(p);
	}
	for (size_t i = 0; i < json_array_size(mappings); i++) {
		const json_t *mapping = json_array_get(mappings, i);
		struct port *port = &p->v[p->n++];

		port->ports = p;
		port->fd = -1;
		if (number(mapping, "host_port", 0, &port->host_port, err) < 0 ||
		    number(mapping, "guest_port", 1, &port->guest_port, err) < 0 ||
		    bind_port(port, err) < 0)
			return ports_free(p);
	}
	return p;
}

json_t *ports_to_json(const struct ports *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->n; i++)
		(void)json_array_append_new(list,
					    json_pack("{s:s, s:i, s:i, s:s}", "host", "127.0.0.1",
						      "host_port", p->v[i].host_port, "guest_port",
						      p->v[i].guest_port, "protocol", "tcp"));
	return list;
}

void ports_close(struct ports *p)
{
	for (size_t i = 0; p && i < p->n; i++) {
		loop_remove_fd(p->s->loop, &p->v[i].listener);
		fd_close(&p->v[i].fd);
	}
}

struct ports *ports_free(struct ports *p)
{
	struct ports **at;

	if (!p)
		return NULL;
	ports_close(p);
	for (struct connection *c = p->s->connections; c; c = c->next) {
		if (c->ports != p)
			continue;
		c->ports = NULL;
		loop_set_timer(p->s->loop, &c->linger, deadline_in(LINGER_MS));
	}
	for (at = &p->s->ports; *at != p;)
		at = &(*at)->next;
	*at = p->next;
	free(p);
	return NULL;
}
