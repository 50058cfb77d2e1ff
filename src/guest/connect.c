/*
 * The life of a connection: one attempt, or two, one after the other; the event "connected"; bytes
 * in both directions. Input that comes before it is connected waits in the sink.
 *
 * A write that finds the connection reset does not end it yet: what the peer had sent before is
 * still there to be read, and reading comes to the reset, too.
 */
#include "guest/connect.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "guest/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 30000 /* a listener whose queue is full lets it wait */

struct connect {
	struct mux_call *call;
	int port;
	struct loop_fd attempt; /* fd -1: none is under way */
	sa_family_t family;     /* of the attempt */
	bool is_refused;        /* by one of them */
	struct loop_timer timer;
	struct sink in;
	struct source out;
	bool is_input_over;
	bool is_output_over;
	bool is_reset; /* as a write found */
	bool is_over;  /* the result was sent */
};

static struct loop *the_loop;
static int n_connects;

static void close_all(struct connect *c)
{
	loop_clear_timer(the_loop, &c->timer);
	loop_remove_fd(the_loop, &c->attempt);
	fd_close(&c->attempt.fd);
	sink_close(&c->in);
	source_close(&c->out);
}

static void fail(struct connect *c, const struct pyro_error *error)
{
	c->is_over = true;
	close_all(c);
	mux_fail(c->call, error);
}

static void fail_reset(struct connect *c, int errnum)
{
	struct pyro_error error;

	(void)err_sys(&error, errnum, "connection to port %d", c->port);
	fail(c, &error);
}

static void send_json(struct connect *c, const char *text)
{
	mux_send(c->call, MUX_JSON, text, strlen(text));
}

static void end_if_over(struct connect *c)
{
	if (!c->is_input_over || !c->is_output_over || c->is_over)
		return;
	c->is_over = true;
	send_json(c, "{}");
	mux_finish(c->call);
}

static void on_output_end(struct source *source, int errnum)
{
	struct connect *c = source->ctx;

	if (errnum || c->is_reset) {
		fail_reset(c, errnum ? errnum : ECONNRESET);
		return;
	}
	mux_send(c->call, MUX_OUT, NULL, 0);
	c->is_output_over = true;
	end_if_over(c);
}

static void on_input_end(struct sink *sink, int errnum)
{
	struct connect *c = sink->ctx;

	if (errnum && (c->is_output_over || (errnum != EPIPE && errnum != ECONNRESET))) {
		fail_reset(c, errnum);
		return;
	}
	c->is_reset = errnum;
	c->is_input_over = true;
	/* The source's descriptor is of the same socket; if it is closed, so is now the socket. */
	if (!errnum && c->out.src.fd >= 0)
		(void)shutdown(c->out.src.fd, SHUT_WR);
	end_if_over(c);
}

static void begin(struct connect *c, int fd)
{
	int again = fcntl(fd, F_DUPFD_CLOEXEC, 0), on = 1;

	loop_clear_timer(the_loop, &c->timer);
	c->out.src.fd = fd;
	if (again < 0) {
		fail_reset(c, errno);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	send_json(c, "{\"event\":\"connected\"}");
	source_watch(&c->out);
	sink_open(&c->in, again);
}

static int start_attempt(struct connect *c, sa_family_t family)
{
	AUTO_FD int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in in4 = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)c->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)c->port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	bool is_4 = family == AF_INET;

	c->family = family;
	if (fd < 0)
		return -1;
	if (connect(fd, is_4 ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6,
		    is_4 ? sizeof(in4) : sizeof(in6)) < 0 &&
	    errno != EINPROGRESS)
		return -1;
	if (loop_add_fd(the_loop, &c->attempt, fd, EPOLLOUT, NULL) < 0)
		return -1;
	(void)TAKE_FD(fd);
	return 0;
}

/* The other address may do; then the call hears why not. */
static void attempt_failed(struct connect *c, int errnum)
{
	struct pyro_error error;

	c->is_refused |= errnum == ECONNREFUSED;
	if (c->family == AF_INET) {
		if (start_attempt(c, AF_INET6) == 0)
			return;
		c->is_refused |= errno == ECONNREFUSED;
	}
	if (c->is_refused)
		(void)err_set(&error, PYRO_E_NOT_FOUND, "nothing listens on port %d", c->port);
	else
		(void)err_sys(&error, errnum, "connect to port %d", c->port);
	fail(c, &error);
}

static void on_attempt(struct loop_fd *src, uint32_t events)
{
	struct connect *c = src->ctx;
	AUTO_FD int fd = -1;
	int errnum = 0;
	socklen_t len = sizeof(errnum);

	(void)events;
	loop_remove_fd(the_loop, src);
	fd = TAKE_FD(src->fd);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
		errnum = errno;
	if (errnum)
		attempt_failed(c, errnum);
	else
		begin(c, TAKE_FD(fd));
}

static void on_time(struct loop_timer *timer)
{
	struct connect *c = timer->ctx;
	struct pyro_error error;

	(void)err_set(&error, PYRO_E_TIMEOUT, "what listens on port %d takes no connection",
		      c->port);
	fail(c, &error);
}

void connect_init(struct loop *loop)
{
	the_loop = loop;
}

struct connect *connect_start(struct mux_call *call, int port, struct pyro_error *err)
{
	struct connect *c;

	if (n_connects >= CONNECT_MAX) {
		(void)err_set(err, PYRO_E_LIMIT, "%d connections are open already", n_connects);
		return NULL;
	}
	n_connects++;
	c = mem_zalloc(1, sizeof(*c));
	c->call = call;
	c->port = port;
	c->attempt = (struct loop_fd){.fd = -1, .on_ready = on_attempt, .ctx = c};
	c->timer = (struct loop_timer){.on_time = on_time, .ctx = c};
	sink_init(&c->in, the_loop, call);
	c->in.on_end = on_input_end;
	source_init(&c->out, the_loop, call, MUX_OUT);
	c->out.on_end = on_output_end;
	c->in.ctx = c->out.ctx = c;
	loop_set_timer(the_loop, &c->timer, deadline_in(CONNECT_MS));
	if (start_attempt(c, AF_INET) < 0)
		attempt_failed(c, errno);
	return c;
}

void connect_input(struct connect *c, const char *data, size_t len)
{
	sink_take(&c->in, data, len);
}

void connect_drained(struct connect *c)
{
	source_watch(&c->out);
}

void connect_abandon(struct connect *c)
{
	const struct linger reset = {.l_onoff = 1};

	if (!c->is_over && c->out.src.fd >= 0)
		(void)setsockopt(c->out.src.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	c->in.call = NULL;
	close_all(c);
	n_connects--;
	free(c);
}
