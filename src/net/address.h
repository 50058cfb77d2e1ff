/*
 * address: IPv4 and IPv6 addresses, and which of them no guest may reach.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	int family;        /* AF_INET or AF_INET6 */
	uint8_t bytes[16]; /* as on the wire; IPv4 has four, and zeros behind them */
};

bool address_parse(const char *text, struct address *ret);
/* The address in `bytes`, of which the family says how many there are. */
struct address address_of(int family, const uint8_t *bytes);
/* 4 or 16. */
size_t address_len(int family);
bool address_is_equal(const struct address *a, const struct address *b);
/* Multicast, and IPv4's broadcast. */
bool address_is_group(const struct address *a);
/*
 * Whether it is forbidden whatever this host's routes say: loopback, link-local, metadata services,
 * our own link, and IPv6 addresses that lead to IPv4 by a tunnel.
 */
bool address_is_forbidden(const struct address *a);
/* The IPv4 address to which a NAT64 gateway takes this one; false if it is none of that kind. */
bool address_unwrap(const struct address *a, struct address *ret);
/* As connect() takes it; returns its length. */
socklen_t address_to_socket(const struct address *a, uint16_t port, struct sockaddr_storage *ret);

#endif
