#include "net/filter.h"

#include "net/link.h"
#include "test.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#define FRAME_ROOM 2048

static struct address address(const char *text)
{
	struct address a = {0};

	CHECK(address_parse(text, &a));
	return a;
}

/* A datagram, as if the guest sent it: packet_make_udp() makes those to the guest. */
static size_t make(uint8_t *frame, const char *src, const char *dst, unsigned port)
{
	static const uint8_t macs[] = {LINK_GATEWAY_MAC_BYTES, LINK_GUEST_MAC_BYTES};
	struct address from = address(src), to = address(dst);
	size_t len = packet_make_udp(frame, &from, 999, &to, port, (const uint8_t *)"body", 4);

	memcpy(frame, macs, sizeof(macs));
	return len;
}

static enum filter_verdict verdict(const char *src, const char *dst, unsigned port)
{
	uint8_t frame[FRAME_ROOM];
	struct packet p;

	return filter_check(frame, make(frame, src, dst, port), &p);
}

TEST("net filter: a guest's own packets to other machines go out, in both families")
{
	uint8_t frame[FRAME_ROOM];
	struct packet p;
	struct address dst = address("203.0.113.7");

	CHECK(filter_check(frame, make(frame, LINK_GUEST4, "203.0.113.7", 7), &p) == FILTER_OUT);
	CHECK(p.protocol == IPPROTO_UDP && p.src_port == 999 && p.dst_port == 7);
	CHECK(address_is_equal(&p.dst, &dst));
	CHECK(p.body_len == 12 && memcmp(p.body + 8, "body", 4) == 0);
	CHECK(verdict(LINK_GUEST6, "2001:db8::7", 7) == FILTER_OUT);
}

TEST("net filter: another source address or hardware address is dropped without an answer")
{
	uint8_t frame[FRAME_ROOM];
	struct packet p;
	size_t len = make(frame, LINK_GUEST4, "203.0.113.7", 7);

	CHECK(verdict("192.0.0.1", "203.0.113.7", 7) == FILTER_DROP);
	CHECK(verdict("198.51.100.1", "203.0.113.7", 7) == FILTER_DROP);
	CHECK(verdict(LINK_GATEWAY6, "2001:db8::7", 7) == FILTER_DROP);
	frame[11] ^= 1;
	CHECK(filter_check(frame, len, &p) == FILTER_DROP);
}

TEST("net filter: loopback, link-local, metadata and tunnels to them are denied")
{
	static const char *const v4[] = {"127.0.0.1",       "127.255.0.1",   "0.0.0.0",
					 "169.254.169.254", "192.0.0.1",     "192.0.0.3",
					 "100.100.100.200", "168.63.129.16", "240.0.0.1"};
	static const char *const v6[] = {"::1",
					 "::",
					 "::ffff:127.0.0.1",
					 "64:ff9b::7f00:1",
					 "64:ff9b:1::1",
					 "fe80::1",
					 "febf::1",
					 "fec0::1",
					 "2002:7f00:1::",
					 "2001::1",
					 "fd00:ec2::254",
					 "fd20:ce::254",
					 LINK_GATEWAY6,
					 "64:ff9b::a9fe:a9fe"};

	for (size_t i = 0; i < sizeof(v4) / sizeof(*v4); i++)
		CHECK(verdict(LINK_GUEST4, v4[i], 80) == FILTER_DENY);
	for (size_t i = 0; i < sizeof(v6) / sizeof(*v6); i++)
		CHECK(verdict(LINK_GUEST6, v6[i], 80) == FILTER_DENY);
	CHECK(verdict(LINK_GUEST4, "169.253.255.255", 80) == FILTER_OUT);
	CHECK(verdict(LINK_GUEST4, "128.0.0.1", 80) == FILTER_OUT);
	CHECK(verdict(LINK_GUEST6, "64:ff9b::c633:6407", 80) == FILTER_OUT);
	CHECK(verdict(LINK_GUEST6, "2001:1::1", 80) == FILTER_OUT);
}

TEST("net filter: what is meant for everybody is dropped without an answer")
{
	CHECK(verdict(LINK_GUEST4, "255.255.255.255", 80) == FILTER_DROP);
	CHECK(verdict(LINK_GUEST4, "224.0.0.251", 5353) == FILTER_DROP);
	CHECK(verdict(LINK_GUEST4, "239.255.255.250", 1900) == FILTER_DROP);
	CHECK(verdict(LINK_GUEST6, "ff02::fb", 5353) == FILTER_DROP);
}

TEST("net filter: the resolvers of the link are reached on the DNS port and on no other")
{
	struct address third = address("192.0.0.5"), none = address("192.0.0.6");

	CHECK(verdict(LINK_GUEST4, "192.0.0.3", 53) == FILTER_RESOLVER);
	CHECK(verdict(LINK_GUEST6, "fd70:7972:6f00::5", 53) == FILTER_RESOLVER);
	CHECK(verdict(LINK_GUEST4, "192.0.0.3", 54) == FILTER_DENY);
	CHECK(verdict(LINK_GUEST4, "192.0.0.1", 53) == FILTER_DENY);
	CHECK(filter_resolver(&third) == 2);
	CHECK(filter_resolver(&none) == -1);
}

TEST("net filter: fragments, options, lengths that lie and every cut of a packet are dropped")
{
	uint8_t frame[FRAME_ROOM], copy[FRAME_ROOM];
	struct packet p;
	size_t len = make(frame, LINK_GUEST4, "203.0.113.7", 7);
	const struct {
		size_t at;
		uint8_t value;
	} lies[] = {{14, 0x46},     {14, 0x65},  {14 + 3, 200}, {14 + 3, 19},
		    {14 + 6, 0x20}, {14 + 7, 1}, {34 + 5, 200}, {34 + 5, 7}};

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		memcpy(copy, frame, len);
		copy[lies[i].at] = lies[i].value;
		CHECK(filter_check(copy, len, &p) == FILTER_DROP);
	}
	for (size_t cut = 0; cut < len; cut++)
		CHECK(filter_check(frame, cut, &p) == FILTER_DROP);
	/* Padding behind the packet is none of it. */
	CHECK(filter_check(frame, len + 10, &p) == FILTER_OUT && p.frame_len == len);
}

TEST("net filter: of ICMP only pings go out, and errors are never answered")
{
	uint8_t frame[FRAME_ROOM];
	struct packet p;
	size_t len = make(frame, LINK_GUEST4, "203.0.113.7", 7);

	frame[14 + 9] = IPPROTO_ICMP;
	frame[34] = 8;
	CHECK(filter_check(frame, len, &p) == FILTER_OUT);
	frame[34] = 3;
	CHECK(filter_check(frame, len, &p) == FILTER_DROP);
	frame[14 + 9] = IPPROTO_SCTP;
	CHECK(filter_check(frame, len, &p) == FILTER_DENY);
}

TEST("net filter: the guest asks for hardware addresses in its own name only")
{
	uint8_t arp[] = {0xff,
			 0xff,
			 0xff,
			 0xff,
			 0xff,
			 0xff,
			 LINK_GUEST_MAC_BYTES,
			 8,
			 6,
			 0,
			 1,
			 8,
			 0,
			 6,
			 4,
			 0,
			 1,
			 LINK_GUEST_MAC_BYTES,
			 192,
			 0,
			 0,
			 2,
			 0,
			 0,
			 0,
			 0,
			 0,
			 0,
			 192,
			 0,
			 0,
			 1};
	const size_t operation = 21, mac = 27, ip = 31;
	struct packet p;

	CHECK(filter_check(arp, sizeof(arp), &p) == FILTER_LINK);
	for (size_t cut = 0; cut < sizeof(arp); cut++)
		CHECK(filter_check(arp, cut, &p) == FILTER_DROP);
	for (size_t at = operation; at <= ip; at += at == operation ? mac - operation : ip - mac) {
		arp[at] ^= 2;
		CHECK(filter_check(arp, sizeof(arp), &p) == FILTER_DROP);
		arp[at] ^= 2;
	}
}

/* Whether the ones' complement sum of 16-bit words is all ones, as for every right checksum. */
static unsigned sum_of(unsigned sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? data[i] : (unsigned)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

TEST("net packet: an error quotes its cause to the guest, with right checksums")
{
	uint8_t frame[FRAME_ROOM], told[FRAME_ROOM];
	struct packet cause, p;
	size_t len;

	CHECK(packet_parse(frame, make(frame, LINK_GUEST4, "10.0.0.1", 7), &cause));
	len = packet_make_error(told, &cause, PACKET_PROHIBITED);
	CHECK(packet_parse(told, len, &p) && p.protocol == IPPROTO_ICMP);
	CHECK(p.body[0] == 3 && p.body[1] == 13);
	CHECK(memcmp(p.body + 8, frame + 14, 28) == 0);
	CHECK(sum_of(0, p.ip, 20) == 0xffff && sum_of(0, p.body, p.body_len) == 0xffff);
	CHECK(packet_parse(frame, make(frame, LINK_GUEST6, "fc00::1", 7), &cause));
	len = packet_make_error(told, &cause, PACKET_NO_PORT);
	CHECK(packet_parse(told, len, &p) && p.body[0] == 1 && p.body[1] == 4);
	CHECK(sum_of((unsigned)(IPPROTO_ICMPV6 + p.body_len), p.ip + 8, 32 + p.body_len) == 0xffff);
}

TEST("net packet: a changed address keeps TCP's and IP's checksums right")
{
	static const char *const pairs[][2] = {{LINK_GUEST4, "127.0.0.53"},
					       {LINK_GUEST6, "2001:db8::1"}};

	for (int i = 0; i < 2; i++) {
		uint8_t frame[FRAME_ROOM] = {0};
		struct address to = address(pairs[i][1]);
		struct packet p;
		/* UDP's checksum lies elsewhere; this is about the difference that is made. */
		size_t len = make(frame, pairs[i][0], i ? "fd70:7972:6f00::3" : "192.0.0.3", 53);
		unsigned before, after;

		memset(frame + len, 0, 8);
		frame[14 + (i ? 6 : 9)] = IPPROTO_TCP;
		frame[14 + (i ? 5 : 3)] = (uint8_t)(frame[14 + (i ? 5 : 3)] + 8);
		CHECK(packet_parse(frame, len + 8, &p));
		before = sum_of(0, p.ip + (i ? 8 : 12), (i ? 32 : 8) + p.body_len);
		packet_readdress(frame, &p, false, &to);
		after = sum_of(0, p.ip + (i ? 8 : 12), (i ? 32 : 8) + p.body_len);
		CHECK(before == after);
		CHECK(packet_parse(frame, len + 8, &p) && address_is_equal(&p.dst, &to));
	}
}

TEST("net packet: a reset gets its acknowledgement, and its checksum stays right")
{
	uint8_t frame[FRAME_ROOM];
	struct packet p;
	size_t len = make(frame, LINK_GUEST4, "203.0.113.7", 7);
	unsigned before;

	memset(frame + len, 0, 8);
	frame[14 + 9] = IPPROTO_TCP;
	frame[14 + 3] = (uint8_t)(frame[14 + 3] + 8);
	frame[34 + 13] = 0x12;
	CHECK(packet_parse(frame, len + 8, &p));
	packet_mend_reset(frame, &p);
	CHECK(frame[34 + 13] == 0x12);
	frame[34 + 13] = 0x04;
	before = sum_of(0, p.body, p.body_len);
	packet_mend_reset(frame, &p);
	CHECK(frame[34 + 13] == 0x14 && sum_of(0, p.body, p.body_len) == before);
}
