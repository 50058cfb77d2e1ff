/*
 * egress: the network of guests, as libpyro sees it: whether it can be had, and whether it works.
 */
#ifndef API_EGRESS_H
#define API_EGRESS_H

#include "pyro.h"

/* Whether a guest can be given a network here: PYRO_E_MISSING_DEPENDENCY. false is fine. */
int egress_check(bool network, struct pyro_error *err);

/*
 * Tries the network of a started VM: its guest looks up the name of the host that its packages come
 * from and connects to it. The error says what was tried and how it went.
 */
int egress_probe(struct pyro *p, const struct pyro_vm *vm, struct pyro_error *err);

#endif
