/*
 * network: the guest's one network device gets the addresses that the host says, and programs the
 * resolvers. Nothing is asked of the network, and nothing is written to the disk but, where
 * /etc/resolv.conf is missing, an empty file to mount over.
 */
#ifndef GUEST_NETWORK_H
#define GUEST_NETWORK_H

#include <stddef.h>

struct pyro_error;

#define NETWORK_RESOLVERS 3

struct network_config {
	int mtu;
	const char *address4, *gateway4;
	int prefix4;
	const char *address6, *gateway6;
	int prefix6;
	const char *resolvers[NETWORK_RESOLVERS];
	size_t n_resolvers;
};

int network_configure(const struct network_config *config, struct pyro_error *err);

#endif
