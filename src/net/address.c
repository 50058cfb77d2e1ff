#include "net/address.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* A prefix: whole bytes, of which `bits` count. */
struct prefix {
	uint8_t bytes[16];
	unsigned bits;
};

static const struct prefix forbidden4[] = {
	{{0}, 8},                   /* this host */
	{{127}, 8},                 /* loopback */
	{{169, 254}, 16},           /* link-local, and most clouds' metadata */
	{{192, 0, 0, 0}, 24},       /* our link, and other addresses that stay on one */
	{{100, 100, 100, 200}, 32}, /* metadata of Alibaba Cloud */
	{{168, 63, 129, 16}, 32},   /* the wire server of Azure */
	{{224}, 4},                 /* multicast */
	{{240}, 4},                 /* reserved, and broadcast */
};

static const struct prefix forbidden6[] = {
	{{0}, 8},                                   /* loopback, IPv4 in IPv6, NAT64 of a site */
	{{0x20, 0x01, 0x00, 0x00}, 32},             /* Teredo */
	{{0x20, 0x02}, 16},                         /* 6to4 */
	{{0xfd, 0x70, 0x79, 0x72, 0x6f, 0x00}, 64}, /* our link */
	{{0xfd, 0x00, 0x0e, 0xc2}, 32},             /* metadata of Amazon */
	{{0xfd, 0x20, 0x00, 0xce}, 32},             /* metadata of Google */
	{{0xfe, 0x80}, 10},                         /* link-local */
	{{0xfe, 0xc0}, 10},                         /* site-local */
	{{0xff}, 8},                                /* multicast */
};

static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

static bool matches(const struct address *a, const struct prefix *prefix)
{
	size_t whole = prefix->bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> prefix->bits % 8);

	if (memcmp(a->bytes, prefix->bytes, whole) != 0)
		return false;
	return !mask || ((a->bytes[whole] ^ prefix->bytes[whole]) & mask) == 0;
}

static bool is_among(const struct address *a, const struct prefix *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (matches(a, &list[i]))
			return true;
	return false;
}

size_t address_len(int family)
{
	return family == AF_INET ? 4 : 16;
}

struct address address_of(int family, const uint8_t *bytes)
{
	struct address a = {.family = family};

	memcpy(a.bytes, bytes, address_len(family));
	return a;
}

bool address_parse(const char *text, struct address *ret)
{
	struct address a = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

	if (inet_pton(a.family, text, a.bytes) != 1)
		return false;
	*ret = a;
	return true;
}

bool address_is_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool address_is_group(const struct address *a)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255};

	if (a->family == AF_INET6)
		return a->bytes[0] == 0xff;
	return a->bytes[0] >> 4 == 14 || memcmp(a->bytes, broadcast, sizeof(broadcast)) == 0;
}

bool address_unwrap(const struct address *a, struct address *ret)
{
	if (a->family != AF_INET6 || memcmp(a->bytes, nat64, sizeof(nat64)) != 0)
		return false;
	*ret = address_of(AF_INET, a->bytes + sizeof(nat64));
	return true;
}

bool address_is_forbidden(const struct address *a)
{
	struct address inner;

	if (address_unwrap(a, &inner))
		return address_is_forbidden(&inner);
	return a->family == AF_INET ? is_among(a, forbidden4, ARRAY_SIZE(forbidden4))
				    : is_among(a, forbidden6, ARRAY_SIZE(forbidden6));
}

socklen_t address_to_socket(const struct address *a, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	*ret = (struct sockaddr_storage){.ss_family = (sa_family_t)a->family};
	if (a->family == AF_INET) {
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, a->bytes, 4);
		return sizeof(*v4);
	}
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, a->bytes, 16);
	return sizeof(*v6);
}
