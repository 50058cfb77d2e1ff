#include "net/routing.h"

#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define SLOTS 256
#define FRESH_MS 100

struct memory {
	struct address to;
	enum routing_kind kind;
	int64_t until_ms;
};

struct routing {
	int fd;
	uint32_t sequence;
	struct memory memories[SLOTS];
};

struct question {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t address[16];
};

struct routing *routing_new(struct pyro_error *err)
{
	static const struct timeval patience = {.tv_sec = 1};
	struct routing *r = mem_zalloc(1, sizeof(*r));

	r->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (r->fd < 0 ||
	    setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
		(void)err_sys(err, errno, "ask for routes");
		return routing_free(r);
	}
	return r;
}

struct routing *routing_free(struct routing *r)
{
	if (r) {
		fd_close(&r->fd);
		free(r);
	}
	return NULL;
}

static enum routing_kind kind_of_error(int error)
{
	/* An "unreachable" route, or none; a "prohibit" or "blackhole" route is the host's wish. */
	return error == -ENETUNREACH || error == -EHOSTUNREACH ? ROUTING_NONE : ROUTING_OWN;
}

static enum routing_kind read_answer(const struct routing *r)
{
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} answer;
	struct nlmsghdr *header = &answer.header; /* the macros of <linux/netlink.h> want it so */
	ssize_t n;

	do
		n = recv(r->fd, &answer, sizeof(answer), 0);
	while (n >= (ssize_t)sizeof(*header) && header->nlmsg_seq != r->sequence);
	if (n >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
	    header->nlmsg_type == NLMSG_ERROR)
		return kind_of_error(((const struct nlmsgerr *)NLMSG_DATA(header))->error);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct rtmsg)) || header->nlmsg_type != RTM_NEWROUTE)
		return ROUTING_OWN;
	return ((const struct rtmsg *)NLMSG_DATA(header))->rtm_type == RTN_UNICAST ? ROUTING_OUT
										   : ROUTING_OWN;
}

static enum routing_kind ask_kernel(struct routing *r, const struct address *to)
{
	size_t len = address_len(to->family);
	struct question q = {
		.header = {.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = (unsigned char)to->family,
			  .rtm_dst_len = (unsigned char)(len * 8)},
		.attribute = {.rta_len = (unsigned short)RTA_LENGTH(len), .rta_type = RTA_DST},
	};

	memcpy(q.address, to->bytes, len);
	q.header.nlmsg_len = (uint32_t)(offsetof(struct question, address) + len);
	q.header.nlmsg_seq = ++r->sequence;
	if (send(r->fd, &q, q.header.nlmsg_len, 0) < 0)
		return ROUTING_OWN;
	return read_answer(r);
}

static size_t slot_of(const struct address *to)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < sizeof(to->bytes); i++)
		hash = (hash ^ to->bytes[i]) * 16777619u;
	return hash % SLOTS;
}

enum routing_kind routing_ask(struct routing *r, const struct address *to, bool is_opening)
{
	struct memory *m = &r->memories[slot_of(to)];
	struct address inner;
	int64_t now = clock_ms();

	if (!is_opening && m->until_ms > now && address_is_equal(&m->to, to))
		return m->kind;
	m->kind = ask_kernel(r, to);
	/* This host may be the NAT64 gateway itself. */
	if (m->kind == ROUTING_OUT && address_unwrap(to, &inner) &&
	    ask_kernel(r, &inner) == ROUTING_OWN)
		m->kind = ROUTING_OWN;
	m->to = *to;
	m->until_ms = now + FRESH_MS;
	return m->kind;
}
