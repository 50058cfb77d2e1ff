#include "net/filter.h"

#include "base/mem.h"
#include "net/link.h"

#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#define ARP_LEN 28
#define SOLICIT_LEN 24
#define DNS_PORT 53

static const uint8_t guest_mac[6] = {LINK_GUEST_MAC_BYTES};
static const uint8_t guest4[4] = {192, 0, 0, 2};

static struct address own(int family)
{
	struct address a = {0};

	(void)address_parse(family == AF_INET ? LINK_GUEST4 : LINK_GUEST6, &a);
	return a;
}

/* A request by the guest, in its own name. */
static bool is_good_arp(const uint8_t *arp, size_t len)
{
	static const uint8_t start[8] = {0, ARPHRD_ETHER, ETHERTYPE_IP >> 8, 0, 6, 4,
					 0, ARPOP_REQUEST};

	return len >= ARP_LEN && memcmp(arp, start, sizeof(start)) == 0 &&
	       memcmp(arp + 8, guest_mac, sizeof(guest_mac)) == 0 &&
	       memcmp(arp + 14, guest4, sizeof(guest4)) == 0;
}

static bool is_solicitation(const struct packet *p)
{
	return p->protocol == IPPROTO_ICMPV6 && p->src.family == AF_INET6 &&
	       p->body[0] == ND_NEIGHBOR_SOLICIT && p->body_len >= SOLICIT_LEN &&
	       p->hop_limit == 255;
}

int filter_resolver(const struct address *a)
{
	static const char *const v4[] = LINK_RESOLVERS4, *const v6[] = LINK_RESOLVERS6;

	for (int i = 0; i < LINK_RESOLVERS; i++) {
		struct address resolver;

		(void)address_parse(a->family == AF_INET ? v4[i] : v6[i], &resolver);
		if (address_is_equal(a, &resolver))
			return i;
	}
	return -1;
}

static enum filter_verdict check_packet(const struct packet *p)
{
	bool is_icmp = p->protocol == (p->src.family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	bool is_ping = is_icmp &&
		       p->body[0] == (p->src.family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
	bool has_ports = p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP;

	if (has_ports && p->dst_port == DNS_PORT && filter_resolver(&p->dst) >= 0)
		return FILTER_RESOLVER;
	if (is_icmp && !is_ping)
		return FILTER_DROP; /* an error is never answered with an error */
	if ((!has_ports && !is_ping) || address_is_forbidden(&p->dst))
		return FILTER_DENY;
	return FILTER_OUT;
}

enum filter_verdict filter_check(const uint8_t *frame, size_t len, struct packet *ret)
{
	struct packet p;
	struct address guest;

	if (len < PACKET_ETHER || memcmp(frame + 6, guest_mac, sizeof(guest_mac)) != 0)
		return FILTER_DROP;
	if (packet_16(frame + 12) == ETHERTYPE_ARP)
		return is_good_arp(frame + PACKET_ETHER, len - PACKET_ETHER) ? FILTER_LINK
									     : FILTER_DROP;
	if (!packet_parse(frame, len, &p))
		return FILTER_DROP;
	guest = own(p.src.family);
	if (!address_is_equal(&p.src, &guest))
		return FILTER_DROP;
	if (is_solicitation(&p))
		return FILTER_LINK;
	if (address_is_group(&p.dst))
		return FILTER_DROP;
	*ret = p;
	return check_packet(ret);
}
