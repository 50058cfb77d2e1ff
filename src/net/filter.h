/*
 * filter: what becomes of a frame from a guest, as far as the frame alone says it. Whether the
 * destination is one of the host's own addresses is the kernel's to say (routing.h).
 */
#ifndef NET_FILTER_H
#define NET_FILTER_H

#include "net/packet.h"

enum filter_verdict {
	FILTER_DROP,     /* malformed, forged, or meant for everybody: no answer */
	FILTER_LINK,     /* asks who has an address of the link: passt answers */
	FILTER_DENY,     /* not allowed: the guest is told */
	FILTER_RESOLVER, /* TCP or UDP to the DNS port of one of the link's resolvers */
	FILTER_OUT,      /* TCP, UDP or a ping to an address that is not forbidden */
};

/* Fills *ret unless the verdict is FILTER_DROP or FILTER_LINK; its pointers go into the frame. */
enum filter_verdict filter_check(const uint8_t *frame, size_t len, struct packet *ret);

/* Which of the link's resolvers an address is, from 0; -1 if it is none. */
int filter_resolver(const struct address *a);

#endif
