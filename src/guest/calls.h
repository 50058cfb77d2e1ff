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
#include <stdint.h>

struct mux;
struct mux_call;
struct pyro_error;

/* On a host the stage is "ready" from the start. */
void calls_init(bool is_guest);
/*
 * Ends whatever calls have started: every process is killed, a put that was under way is undone,
 * and nothing stays frozen. PYRO_E_TIMEOUT if some live on at the deadline.
 */
int calls_end(int64_t deadline, struct pyro_error *err);
/* mux_ops.on_call of the agent. */
void calls_on_call(struct mux *mux, struct mux_call *call, const char *name);

#endif
