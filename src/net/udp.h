/*
 * udp: relays datagrams between a guest and other machines, by a connected socket for each pair of
 * a guest's port and a destination.
 *
 * passt would bind the guest's own port number on the host, where anybody could then send to it,
 * and where it would clash with the host's programs and with other guests. A connected socket has
 * a port that the kernel chose, and hears only from whom it sent to.
 */
#ifndef NET_UDP_H
#define NET_UDP_H

#include "net/packet.h"

struct loop;
struct udp;

/* on_frame gets what goes to the guest; borrowed. */
struct udp *udp_new(struct loop *loop,
		    void (*on_frame)(void *ctx, const uint8_t *frame, size_t len), void *ctx);
struct udp *udp_free(struct udp *udp);
/*
 * Sends what a packet carries to `to`, on the packet's port; to the guest, answers come from where
 * it sent to. The least recently used pair makes room for a new one.
 */
void udp_send(struct udp *udp, const struct packet *p, const struct address *to);

#endif
