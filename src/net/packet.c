#include "net/packet.h"

#include "net/link.h"

#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>

#define IP4_LEN 20
#define IP6_LEN 40
#define TCP_LEN 20
#define UDP_LEN 8
#define ICMP_LEN 8
#define TCP_FLAGS 12 /* with the header's length before them */
#define TCP_CHECKSUM 16
#define IP4_CHECKSUM 10
#define HOP_LIMIT 64
#define DONT_FRAGMENT 0x4000

unsigned packet_16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static void put_16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static bool parse_ip4(const uint8_t *ip, size_t len, struct packet *p)
{
	size_t total;

	if (len < IP4_LEN || ip[0] != 0x45)
		return false;
	total = packet_16(ip + 2);
	if (total < IP4_LEN || total > len || (packet_16(ip + 6) & ~(unsigned)DONT_FRAGMENT))
		return false;
	p->protocol = ip[9];
	p->hop_limit = ip[8];
	p->src = address_of(AF_INET, ip + 12);
	p->dst = address_of(AF_INET, ip + 16);
	p->ip_len = IP4_LEN;
	p->body_len = total - IP4_LEN;
	return true;
}

static bool parse_ip6(const uint8_t *ip, size_t len, struct packet *p)
{
	if (len < IP6_LEN || ip[0] >> 4 != 6 || packet_16(ip + 4) > len - IP6_LEN)
		return false;
	p->protocol = ip[6];
	p->hop_limit = ip[7];
	p->src = address_of(AF_INET6, ip + 8);
	p->dst = address_of(AF_INET6, ip + 24);
	p->ip_len = IP6_LEN;
	p->body_len = packet_16(ip + 4);
	return true;
}

static bool parse_body(struct packet *p)
{
	size_t len = p->body_len;

	switch (p->protocol) {
	case IPPROTO_TCP:
		if (len < TCP_LEN)
			return false;
		break;
	case IPPROTO_UDP:
		if (len < UDP_LEN || packet_16(p->body + 4) != len)
			return false;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return len >= ICMP_LEN;
	default:
		return true;
	}
	p->src_port = (uint16_t)packet_16(p->body);
	p->dst_port = (uint16_t)packet_16(p->body + 2);
	return true;
}

bool packet_parse(const uint8_t *frame, size_t len, struct packet *ret)
{
	struct packet p = {.ip = frame + PACKET_ETHER};
	unsigned type;

	if (len < PACKET_ETHER || len > PACKET_FRAME_MAX)
		return false;
	type = packet_16(frame + 12);
	if (type == ETHERTYPE_IP
		    ? !parse_ip4(p.ip, len - PACKET_ETHER, &p)
		    : type != ETHERTYPE_IPV6 || !parse_ip6(p.ip, len - PACKET_ETHER, &p))
		return false;
	p.body = p.ip + p.ip_len;
	p.frame_len = PACKET_ETHER + p.ip_len + p.body_len;
	if (!parse_body(&p))
		return false;
	*ret = p;
	return true;
}

/* The ones' complement sum of RFC 1071, not folded. */
static uint64_t add_up(uint64_t sum, const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += packet_16(data + i);
	return i < len ? sum + ((unsigned)data[i] << 8) : sum;
}

static unsigned fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned)sum;
}

static unsigned body_checksum(const struct address *src, const struct address *dst,
			      unsigned protocol, const uint8_t *body, size_t len)
{
	uint64_t sum = protocol + len;

	sum = add_up(sum, src->bytes, sizeof(src->bytes));
	sum = add_up(sum, dst->bytes, sizeof(dst->bytes));
	return ~fold(add_up(sum, body, len)) & 0xffff;
}

/* Ethernet and IP headers of a packet to the guest; returns their length. */
static size_t make_headers(uint8_t *frame, const struct address *src, const struct address *dst,
			   unsigned protocol, size_t body_len)
{
	static const uint8_t macs[12] = {LINK_GUEST_MAC_BYTES, LINK_GATEWAY_MAC_BYTES};
	uint8_t *ip = frame + PACKET_ETHER;

	memcpy(frame, macs, sizeof(macs));
	if (dst->family == AF_INET) {
		put_16(frame + 12, ETHERTYPE_IP);
		memset(ip, 0, IP4_LEN);
		ip[0] = 0x45;
		put_16(ip + 2, IP4_LEN + body_len);
		put_16(ip + 6, DONT_FRAGMENT);
		ip[8] = HOP_LIMIT;
		ip[9] = (uint8_t)protocol;
		memcpy(ip + 12, src->bytes, 4);
		memcpy(ip + 16, dst->bytes, 4);
		put_16(ip + IP4_CHECKSUM, ~fold(add_up(0, ip, IP4_LEN)));
		return PACKET_ETHER + IP4_LEN;
	}
	put_16(frame + 12, ETHERTYPE_IPV6);
	memset(ip, 0, IP6_LEN);
	ip[0] = 0x60;
	put_16(ip + 4, body_len);
	ip[6] = (uint8_t)protocol;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, src->bytes, 16);
	memcpy(ip + 24, dst->bytes, 16);
	return PACKET_ETHER + IP6_LEN;
}

size_t packet_make_udp(uint8_t *frame, const struct address *src, unsigned src_port,
		       const struct address *dst, unsigned dst_port, const uint8_t *data,
		       size_t len)
{
	size_t headers = make_headers(frame, src, dst, IPPROTO_UDP, UDP_LEN + len);
	uint8_t *udp = frame + headers;
	unsigned checksum;

	put_16(udp, src_port);
	put_16(udp + 2, dst_port);
	put_16(udp + 4, UDP_LEN + len);
	put_16(udp + 6, 0);
	if (len)
		memcpy(udp + UDP_LEN, data, len);
	checksum = body_checksum(src, dst, IPPROTO_UDP, udp, UDP_LEN + len);
	put_16(udp + 6, checksum ? checksum : 0xffff);
	return headers + UDP_LEN + len;
}

size_t packet_make_error(uint8_t *frame, const struct packet *cause, enum packet_error error)
{
	static const uint8_t codes4[] = {ICMP_PKT_FILTERED, ICMP_NET_UNREACH, ICMP_PORT_UNREACH};
	static const uint8_t codes6[] = {ICMP6_DST_UNREACH_ADMIN, ICMP6_DST_UNREACH_NOROUTE,
					 ICMP6_DST_UNREACH_NOPORT};
	bool is_v4 = cause->src.family == AF_INET;
	/* What the sender needs to find its socket: the IP header and eight bytes behind it. */
	size_t more = cause->body_len < ICMP_LEN ? cause->body_len : ICMP_LEN;
	size_t body_len = ICMP_LEN + cause->ip_len + more, headers;
	uint8_t protocol = is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	struct address gateway;
	uint8_t *icmp;

	(void)address_parse(is_v4 ? LINK_GATEWAY4 : LINK_GATEWAY6, &gateway);
	headers = make_headers(frame, &gateway, &cause->src, protocol, body_len);
	icmp = frame + headers;
	memset(icmp, 0, ICMP_LEN);
	icmp[0] = is_v4 ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH;
	icmp[1] = is_v4 ? codes4[error] : codes6[error];
	memcpy(icmp + ICMP_LEN, cause->ip, cause->ip_len + more);
	put_16(icmp + 2, is_v4 ? ~fold(add_up(0, icmp, body_len))
			       : body_checksum(&gateway, &cause->src, protocol, icmp, body_len));
	return headers + body_len;
}

/* A checksum after one address became another (RFC 1624). */
static void adjust(uint8_t *checksum, const uint8_t *from, const uint8_t *to, size_t len)
{
	uint64_t sum = ~packet_16(checksum) & 0xffff;

	for (size_t i = 0; i < len; i += 2)
		sum += (~packet_16(from + i) & 0xffff) + packet_16(to + i);
	put_16(checksum, ~fold(sum));
}

void packet_readdress(uint8_t *frame, const struct packet *p, bool is_source,
		      const struct address *to)
{
	const struct address *from = is_source ? &p->src : &p->dst;
	size_t len = address_len(to->family), first = to->family == AF_INET ? 12 : 8;
	uint8_t *ip = frame + PACKET_ETHER;

	adjust(ip + p->ip_len + TCP_CHECKSUM, from->bytes, to->bytes, len);
	if (to->family == AF_INET)
		adjust(ip + IP4_CHECKSUM, from->bytes, to->bytes, len);
	memcpy(ip + first + (is_source ? 0 : len), to->bytes, len);
}

bool packet_is_opening(const struct packet *p)
{
	return p->protocol == IPPROTO_TCP && p->body[TCP_FLAGS + 1] & TH_SYN;
}

void packet_mend_reset(uint8_t *frame, const struct packet *p)
{
	uint8_t *tcp = frame + PACKET_ETHER + p->ip_len, before[2];

	if (tcp[TCP_FLAGS + 1] != TH_RST)
		return;
	memcpy(before, tcp + TCP_FLAGS, sizeof(before));
	tcp[TCP_FLAGS + 1] |= TH_ACK;
	adjust(tcp + TCP_CHECKSUM, before, tcp + TCP_FLAGS, sizeof(before));
}
