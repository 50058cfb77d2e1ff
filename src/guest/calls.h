/*
 * calls: what the agent can be asked for, one row each, and the stage it is in.
 *
 *	initramfs	only hello and mount
 *	mounted		the disk is the root; commands run, but the machine still
 *			has the template's clock and random numbers
 *	ready		it has an identity of its own
 *
 * Whatever a client sends is checked here: unknown calls, unknown members, wrong types and values
 * out of range are answered with an error and change nothing. docs/protocol.md lists the calls.
 */
#ifndef GUEST_CALLS_H
#define GUEST_CALLS_H

#include <stdbool.h>

struct mux;
struct mux_call;

/* On a host the stage is "ready" from the start. */
void calls_init(bool is_guest);
/* mux_ops.on_call of the agent. */
void calls_on_call(struct mux *mux, struct mux_call *call, const char *name);

#endif
