/*
 * packet: Ethernet frames with IPv4 or IPv6 in them: taken apart, made and changed. Pure functions;
 * whatever the bytes are, nothing outside them is read.
 */
#ifndef NET_PACKET_H
#define NET_PACKET_H

#include "net/address.h"

#define PACKET_ETHER 14
#define PACKET_FRAME_MAX 65535
#define PACKET_DATAGRAM_MAX (65520 - 48) /* what a UDP packet of LINK_MTU carries by IPv6 */

/* What we understand of a frame. Pointers go into the frame. */
struct packet {
	struct address src, dst;
	uint8_t protocol; /* IPPROTO_… */
	uint8_t hop_limit;
	const uint8_t *ip;   /* the IP header */
	size_t ip_len;       /* its length */
	const uint8_t *body; /* TCP, UDP, ICMP: at least its header */
	size_t body_len;
	uint16_t src_port, dst_port; /* of TCP and UDP */
	size_t frame_len;            /* without what is behind the IP packet */
};

enum packet_error {
	PACKET_PROHIBITED, /* by policy */
	PACKET_NO_ROUTE,
	PACKET_NO_PORT, /* nobody listens */
};

unsigned packet_16(const uint8_t *at);

/*
 * Takes a frame apart; false if it is no whole IP packet without options, extension headers and
 * fragments. Checksums are not looked at.
 */
bool packet_parse(const uint8_t *frame, size_t len, struct packet *ret);

/* A datagram to the guest; frame has room for PACKET_FRAME_MAX, len <= PACKET_DATAGRAM_MAX. */
size_t packet_make_udp(uint8_t *frame, const struct address *src, unsigned src_port,
		       const struct address *dst, unsigned dst_port, const uint8_t *data,
		       size_t len);
/*
 * The ICMP message that tells the sender of a packet, which is the guest, what became of it: at
 * most 14 + 2 * 40 + 16 bytes.
 */
size_t packet_make_error(uint8_t *frame, const struct packet *cause, enum packet_error error);
/* Replaces an address of a TCP packet by another of the same family, checksums included. */
void packet_readdress(uint8_t *frame, const struct packet *p, bool is_source,
		      const struct address *to);
/* Whether it begins a TCP connection. */
bool packet_is_opening(const struct packet *p);
/*
 * Makes a TCP reset without an acknowledgement one with it; anything else stays. A socket that is
 * connecting believes no other (RFC 9293), and passt (2023-03) sends those, with the number in
 * place.
 */
void packet_mend_reset(uint8_t *frame, const struct packet *p);

#endif
