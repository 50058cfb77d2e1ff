/*
 * routing: where this host would send a packet, by its own tables. That is how its own addresses
 * are known, whatever device they are on and whenever they came: nobody keeps a list of them.
 */
#ifndef NET_ROUTING_H
#define NET_ROUTING_H

#include "net/address.h"

struct pyro_error;
struct routing;

enum routing_kind {
	ROUTING_OUT,  /* to another machine */
	ROUTING_OWN,  /* to this host, to everybody on a network of its own, or forbidden */
	ROUTING_NONE, /* nowhere */
};

struct routing *routing_new(struct pyro_error *err);
struct routing *routing_free(struct routing *r);
/*
 * Answers are remembered for a moment, but none is given from memory for what opens a connection:
 * the address may have become the host's. ROUTING_OWN if the kernel does not answer.
 */
enum routing_kind routing_ask(struct routing *r, const struct address *to, bool is_opening);

#endif
