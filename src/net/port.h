/*
 * port: one end of the wire: a stream socket on which every frame has its length before it, four
 * bytes in network order, as QEMU's `stream` netdev and passt speak.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include "base/buf.h"
#include "base/loop.h"

#include <stdint.h>

struct port_ops {
	/* A frame came; it is the receiver's to change until it returns. */
	void (*on_frame)(void *ctx, uint8_t *frame, size_t len);
	/* The other side hung up, or speaks another language. Closes nothing by itself. */
	void (*on_end)(void *ctx);
};

struct port {
	struct loop *loop;
	struct loop_fd socket; /* fd < 0: closed */
	struct buf in, out;
	const struct port_ops *ops;
	void *ctx;
	struct port *source; /* is not read from while this port has too much to write */
	bool is_held;        /* nor this one, while another has */
};

/* fd is taken; it becomes non-blocking. */
int port_open(struct port *port, struct loop *loop, int fd, const struct port_ops *ops, void *ctx,
	      struct pyro_error *err);
void port_close(struct port *port);
/* Queues a frame; one for which there is no room, or no port, is dropped, as on any wire. */
void port_send(struct port *port, const uint8_t *frame, size_t len);

#endif
