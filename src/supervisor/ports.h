/*
 * ports: TCP ports of this host, on 127.0.0.1 only, that lead to ports of the guest. Each
 * connection is one call `connect` of the agent.
 *
 * Of all connections of the machine PORTS_CONNECTIONS_MAX are served at once; others wait until one
 * of these ends. What the guest refuses, or breaks off, is reset for the client, too.
 */
#ifndef SUPERVISOR_PORTS_H
#define SUPERVISOR_PORTS_H

#include <jansson.h>

struct ports;
struct pyro_error;
struct supervisor;

#define PORTS_MAX 16              /* of a service */
#define PORTS_CONNECTIONS_MAX 240 /* as many as the agent takes: docs/protocol.md, connect */

/*
 * Listens, for each {"host_port", "guest_port"} of a list; without host_port, or with 0, a free one
 * is chosen. All or nothing: NULL with err, which names the port that is taken.
 */
struct ports *ports_open(struct supervisor *s, const json_t *mappings, struct pyro_error *err);
/* [{host, host_port, guest_port, protocol}], the caller's. */
json_t *ports_to_json(const struct ports *p);
/* Listens no more; who is connected stays so. NULL is fine. */
void ports_close(struct ports *p);
/*
 * Listens no more, and ends the connections: what the guest has sent is passed on for a moment,
 * then they are reset. NULL is fine; returns NULL.
 */
struct ports *ports_free(struct ports *p);
/* Whatever connections there still are end now: with the machine. */
void ports_end_connections(struct supervisor *s);

#endif
