/*
 * link: the wire between a guest and pyro-net, which every machine has for itself. All of them look
 * the same, so that machines can share a template.
 *
 * 192.0.0.0/29 is set aside for the link between a host and what translates for it, and is routed
 * nowhere; fd70:7972:6f00::/64 is a made-up local prefix. Neither hides a network of the host's. A
 * local IPv6 address also makes programs prefer IPv4 where a destination has both.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#define LINK_MTU 65520 /* the most that passt takes */

#define LINK_GUEST_MAC "52:54:00:70:79:02"
#define LINK_GATEWAY_MAC "52:54:00:70:79:01"
#define LINK_GUEST_MAC_BYTES 0x52, 0x54, 0x00, 0x70, 0x79, 0x02
#define LINK_GATEWAY_MAC_BYTES 0x52, 0x54, 0x00, 0x70, 0x79, 0x01

#define LINK_GUEST4 "192.0.0.2"
#define LINK_GATEWAY4 "192.0.0.1"
#define LINK_PREFIX4 29
#define LINK_GUEST6 "fd70:7972:6f00::2"
#define LINK_GATEWAY6 "fd70:7972:6f00::1"
#define LINK_PREFIX6 64

/* The nth resolver of the host is reached by the nth of these, in its own family. */
#define LINK_RESOLVERS 3
#define LINK_RESOLVERS4                               \
	{                                             \
		"192.0.0.3", "192.0.0.4", "192.0.0.5" \
	}
#define LINK_RESOLVERS6                                                       \
	{                                                                     \
		"fd70:7972:6f00::3", "fd70:7972:6f00::4", "fd70:7972:6f00::5" \
	}

/* The line that pyro-net tells when it works. */
#define LINK_READY "ready\n"

#endif
