/*
 * pyro-net: stands between a guest's network device and passt, and lets pass what the policy
 * `egress` allows.
 *
 *	pyro-net PASST [RESOLVER…]	3: the socket of QEMU's network device
 *					2: the line LINK_READY, when passt answers
 *
 *	   QEMU ── frames ── pyro-net ── frames ── passt ── TCP, pings ── the network
 *	                         └───── datagrams (udp.h) ───────────────┘
 *
 * Every frame from the guest is checked (filter.h), and its destination asked of the kernel
 * (routing.h): what is malformed or forged vanishes, what is forbidden is answered with an ICMP
 * error. Packets to the DNS port of a resolver of the link go to the host's resolver of that
 * number, wherever that is; TCP packets have their address exchanged for it, both ways. UDP is
 * relayed here, everything else goes to passt.
 *
 * passt is our child, and started again a second after it ended, or after it was killed because it
 * did not answer for some seconds: what it knew of connections is lost then, new ones work. We
 * end when the device is gone, and everything with us, by the jail.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/proc.h"
#include "net/filter.h"
#include "net/link.h"
#include "net/port.h"
#include "net/routing.h"
#include "net/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define GUEST_FD 3
#define DNS_PORT 53
#define PASST_FD 3
#define PASST_RESTART_MS 1000
#define PASST_PATIENCE_MS 10000
#define ANSWERS_PER_SECOND 200
#define ANSWER_MAX 128 /* an ICMP error with what it quotes */
#define AGAIN_MAX 32
#define AGAIN_MS 50

struct answer {
	uint8_t frame[ANSWER_MAX];
	size_t len;
};

struct net {
	struct loop *loop;
	const char *passt_path;
	struct port guest, passt;
	struct loop_child passt_child;
	struct loop_timer passt_restart;
	struct routing *routing;
	struct udp *udp;
	struct address resolvers[LINK_RESOLVERS];
	int n_resolvers;
	/* By the guest's port: 1 + the resolver that it last sent TCP to, 0 none. */
	uint8_t tcp_resolver[65536];
	/* Answers to TCP packets that are due again: see answer(). */
	struct answer again[AGAIN_MAX];
	int n_again;
	struct loop_timer again_due;
	int answers_left;
	int64_t answers_second;
	struct loop_timer watch;
	bool has_sent;   /* to passt, since it was last watched */
	bool is_probing; /* whether passt answers */
	bool is_ready;   /* it did once */
	bool is_over;
};

static void answer_again(struct loop_timer *timer)
{
	struct net *net = timer->ctx;

	for (int i = 0; i < net->n_again; i++)
		port_send(&net->guest, net->again[i].frame, net->again[i].len);
	net->n_again = 0;
}

/*
 * Linux ignores an ICMP error for a TCP socket that is inside a call, and that is where the socket
 * of a connect() still is when our answer comes. So TCP is told twice.
 */
static void answer(struct net *net, const struct packet *cause, enum packet_error error)
{
	struct answer a;
	int64_t second = clock_ms() / 1000;

	if (second != net->answers_second) {
		net->answers_second = second;
		net->answers_left = ANSWERS_PER_SECOND;
	}
	if (net->answers_left == 0)
		return;
	net->answers_left--;
	a.len = packet_make_error(a.frame, cause, error);
	port_send(&net->guest, a.frame, a.len);
	if (cause->protocol != IPPROTO_TCP || net->n_again == AGAIN_MAX)
		return;
	if (net->n_again == 0)
		loop_set_timer(net->loop, &net->again_due, deadline_in(AGAIN_MS));
	net->again[net->n_again++] = a;
}

static void to_passt(struct net *net, const uint8_t *frame, size_t len)
{
	net->has_sent = true;
	if (!net->watch.is_armed)
		loop_set_timer(net->loop, &net->watch, deadline_in(PASST_PATIENCE_MS));
	port_send(&net->passt, frame, len);
}

static void to_resolver(struct net *net, uint8_t *frame, const struct packet *p)
{
	int i = filter_resolver(&p->dst);

	if (i >= net->n_resolvers || net->resolvers[i].family != p->dst.family) {
		answer(net, p, PACKET_PROHIBITED);
	} else if (p->protocol == IPPROTO_UDP) {
		udp_send(net->udp, p, &net->resolvers[i]);
	} else {
		net->tcp_resolver[p->src_port] = (uint8_t)(i + 1);
		packet_readdress(frame, p, false, &net->resolvers[i]);
		to_passt(net, frame, p->frame_len);
	}
}

static void send_out(struct net *net, const uint8_t *frame, const struct packet *p)
{
	enum routing_kind kind = routing_ask(net->routing, &p->dst, packet_is_opening(p));

	if (kind != ROUTING_OUT) {
		answer(net, p, kind == ROUTING_NONE ? PACKET_NO_ROUTE : PACKET_PROHIBITED);
	} else if (p->protocol == IPPROTO_UDP) {
		udp_send(net->udp, p, &p->dst);
	} else {
		if (p->protocol == IPPROTO_TCP)
			net->tcp_resolver[p->src_port] = 0;
		to_passt(net, frame, p->frame_len);
	}
}

static void guest_frame(void *ctx, uint8_t *frame, size_t len)
{
	struct net *net = ctx;
	struct packet p;

	switch (filter_check(frame, len, &p)) {
	case FILTER_DROP:
		return;
	case FILTER_LINK:
		to_passt(net, frame, len);
		return;
	case FILTER_DENY:
		answer(net, &p, PACKET_PROHIBITED);
		return;
	case FILTER_RESOLVER:
		to_resolver(net, frame, &p);
		return;
	case FILTER_OUT:
		send_out(net, frame, &p);
		return;
	}
}

static void guest_end(void *ctx)
{
	struct net *net = ctx;

	net->is_over = true;
}

static void udp_frame(void *ctx, const uint8_t *frame, size_t len)
{
	struct net *net = ctx;

	port_send(&net->guest, frame, len);
}

/* What comes from a resolver comes, for the guest, from the address that it sent to. */
static bool from_resolver(struct net *net, uint8_t *frame, const struct packet *p)
{
	static const char *const v4[] = LINK_RESOLVERS4, *const v6[] = LINK_RESOLVERS6;
	int i = net->tcp_resolver[p->dst_port] - 1;
	struct address as;

	if (p->src_port != DNS_PORT || i < 0 || !address_is_equal(&p->src, &net->resolvers[i]))
		return false;
	(void)address_parse(p->src.family == AF_INET ? v4[i] : v6[i], &as);
	packet_readdress(frame, p, true, &as);
	return true;
}

/* The host may have got the address while passt was connecting to it. */
static bool is_from_host(struct net *net, const struct packet *p)
{
	return routing_ask(net->routing, &p->src, packet_is_opening(p)) == ROUTING_OWN;
}

static void passt_frame(void *ctx, uint8_t *frame, size_t len)
{
	struct net *net = ctx;
	struct packet p;

	if (net->is_probing && packet_16(frame + 12) == ETHERTYPE_ARP) {
		net->is_probing = false;
		if (!net->is_ready)
			(void)fputs(LINK_READY, stderr);
		net->is_ready = true;
		return;
	}
	if (packet_parse(frame, len, &p) && p.protocol == IPPROTO_TCP) {
		packet_mend_reset(frame, &p);
		if (!from_resolver(net, frame, &p) && is_from_host(net, &p))
			return;
	}
	port_send(&net->guest, frame, len);
}

static void passt_end(void *ctx)
{
	struct net *net = ctx;

	port_close(&net->passt);
	(void)kill(net->passt_child.pid, SIGKILL); /* its exit is what counts */
}

static void passt_exited(struct loop_child *child, int wait_status)
{
	struct net *net = child->ctx;

	log_debug("net: passt ended with %d", proc_exit_code(wait_status));
	if (net->passt.socket.fd >= 0)
		port_close(&net->passt);
	loop_set_timer(net->loop, &net->passt_restart, deadline_in(PASST_RESTART_MS));
}

/*
 * passt takes its IPv6 addresses from us, but wants a device with a link-local one; and one device
 * at all, even where there is no route yet.
 */
static char *find_device(void)
{
	struct ifaddrs *all = NULL;
	char *name = NULL;

	if (getifaddrs(&all) < 0)
		return mem_strdup("lo");
	for (const struct ifaddrs *i = all; i && !name; i = i->ifa_next) {
		const struct sockaddr_in6 *a = (const void *)i->ifa_addr;

		if (a && a->sin6_family == AF_INET6 && i->ifa_flags & IFF_UP &&
		    IN6_IS_ADDR_LINKLOCAL(&a->sin6_addr))
			name = mem_strdup(i->ifa_name);
	}
	freeifaddrs(all);
	return name ? name : mem_strdup("lo");
}

static pid_t spawn_passt(const struct net *net, int fd, struct pyro_error *err)
{
	AUTO_FREE char *device = find_device();
	AUTO_ARGV struct argv a = ARGV_INIT;
	const struct proc_fd fds[] = {{fd, PASST_FD}, {STDERR_FILENO, STDERR_FILENO}};

	argv_add(&a, net->passt_path, "--quiet", "--foreground", "--stderr", "--fd", NULL);
	argv_addf(&a, "%d", PASST_FD);
	argv_add(&a, "--interface", device, "--mac-addr", LINK_GATEWAY_MAC, "--no-map-gw",
		 "--no-udp", "--no-dhcp", "--no-dhcpv6", "--no-ra", "--tcp-ports", "none",
		 "--address", LINK_GUEST4, "--gateway", LINK_GATEWAY4, "--netmask", NULL);
	argv_addf(&a, "%d", LINK_PREFIX4);
	argv_add(&a, "--address", LINK_GUEST6, "--gateway", LINK_GATEWAY6, "--dns", LINK_GATEWAY4,
		 NULL);
	return proc_spawn(&a,
			  &(struct proc_options){.fds = fds, .n_fds = 2, .die_with_parent = true},
			  err);
}

/* Whoever answers a question for the gateway's hardware address lives, and knows the guest's. */
static void probe_passt(struct net *net)
{
	static const struct {
		uint8_t to[6], from[6], kind[10], sender[6], sender4[4], target[6], target4[4];
	} question = {
		.to = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		.from = {LINK_GUEST_MAC_BYTES},
		.kind = {0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1}, /* ARP, a request for IPv4 */
		.sender = {LINK_GUEST_MAC_BYTES},
		.sender4 = {192, 0, 0, 2},
		.target4 = {192, 0, 0, 1},
	};

	net->is_probing = true;
	to_passt(net, (const uint8_t *)&question, sizeof(question));
}

/*
 * A guest can bring passt to spin. While the guest takes no frames the answer waits with them,
 * which is not passt's fault.
 */
static void watch(struct loop_timer *timer)
{
	struct net *net = timer->ctx;

	if (net->passt.socket.fd < 0)
		return;
	if (net->is_probing && !net->passt.is_held) {
		log_debug("net: passt does not answer");
		passt_end(net);
	} else if (net->is_probing) {
		loop_set_timer(net->loop, timer, deadline_in(PASST_PATIENCE_MS));
	} else if (net->has_sent) {
		probe_passt(net);
		net->has_sent = false;
	}
}

static int start_passt(struct net *net, struct pyro_error *err)
{
	static const struct port_ops ops = {passt_frame, passt_end};
	AUTO_FD int ours = -1, theirs = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "create a socket pair");
	ours = pair[0];
	theirs = pair[1];
	pid = spawn_passt(net, theirs, err);
	if (pid < 0 || loop_add_child(net->loop, &net->passt_child, pid, err) < 0 ||
	    port_open(&net->passt, net->loop, ours, &ops, net, err) < 0)
		return -1;
	(void)TAKE_FD(ours);
	probe_passt(net);
	return 0;
}

static void passt_restart(struct loop_timer *timer)
{
	struct net *net = timer->ctx;
	struct pyro_error why;

	if (start_passt(net, &why) < 0) {
		log_debug("net: %s", why.message);
		net->is_over = true;
	}
}

static int serve(struct net *net, struct pyro_error *err)
{
	static const struct port_ops ops = {guest_frame, guest_end};

	net->passt.socket.fd = -1;
	net->passt.source = &net->guest;
	net->guest.source = &net->passt;
	net->passt_child.on_exit = passt_exited;
	net->passt_child.ctx = net;
	net->passt_restart = (struct loop_timer){.on_time = passt_restart, .ctx = net};
	net->again_due = (struct loop_timer){.on_time = answer_again, .ctx = net};
	net->watch = (struct loop_timer){.on_time = watch, .ctx = net};
	net->udp = udp_new(net->loop, udp_frame, net);
	net->routing = routing_new(err);
	if (!net->routing || start_passt(net, err) < 0 ||
	    port_open(&net->guest, net->loop, GUEST_FD, &ops, net, err) < 0)
		return -1;
	return loop_until(net->loop, &net->is_over, DEADLINE_NONE, "the device to go", err);
}

static bool take_arguments(struct net *net, int argc, char **argv)
{
	if (argc < 2 || argc > 2 + LINK_RESOLVERS)
		return false;
	net->passt_path = argv[1];
	for (int i = 2; i < argc; i++)
		if (!address_parse(argv[i], &net->resolvers[net->n_resolvers++]))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	struct net *net = mem_zalloc(1, sizeof(*net));
	struct pyro_error err;

	if (!take_arguments(net, argc, argv)) {
		(void)fputs("usage: pyro-net PASST [RESOLVER…]\n", stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_DUMPABLE, 0); /* passt has the same user id */
	(void)fcntl(GUEST_FD, F_SETFD, FD_CLOEXEC);
	net->loop = loop_new();
	if (!net->loop || serve(net, &err) < 0) {
		(void)fprintf(stderr, "pyro-net: %s\n", err.message);
		return 1;
	}
	return 0; /* the kernel takes everything back, and the jail takes passt along */
}
