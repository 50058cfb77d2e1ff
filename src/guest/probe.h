/*
 * probe: whether a service is ready: one attempt, in a process of its own (exec_function).
 *
 *	file	the path exists; a relative one is below /workspace
 *	tcp	HOST:PORT or [V6]:PORT takes a connection
 *	http	the URL answers GET with a status of 2xx; no TLS, redirects are not followed
 *
 * HOST is an address or a name in /etc/hosts. What answers is the guest's, and believed for a
 * status of three digits and no more.
 */
#ifndef GUEST_PROBE_H
#define GUEST_PROBE_H

#include <jansson.h>
#include <stdint.h>

struct pyro_error;

#define PROBE_HOST_MAX 255

struct probe {
	char type;          /* 'f', 't' or 'h' */
	const char *target; /* the path, address or URL; borrowed from the arguments */
	char host[PROBE_HOST_MAX + 1];
	int port;
	const char *request; /* of a URL, what follows the authority; "" is "/" */
	int64_t timeout_ms;
};

/* {"type", "path" | "address" | "url", "timeout_ms"} */
int probe_parse(struct probe *probe, json_t *args, struct pyro_error *err);
/* arg: struct probe. {"ready", "message"}: one line that says what came of it. */
json_t *probe_run(const void *arg, struct pyro_error *err);

#endif
