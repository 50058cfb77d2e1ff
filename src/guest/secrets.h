/*
 * secrets: values that were given to the guest, as files in /run/pyro-secrets.
 *
 * They are in memory only and for root only, and a machine that is started anew is given them
 * anew: no disk ever has them.
 */
#ifndef GUEST_SECRETS_H
#define GUEST_SECRETS_H

#include <jansson.h>

struct pyro_error;

/* Makes the directory anew, with a file for each member of the object, whose values are texts. */
int secrets_place(json_t *values, struct pyro_error *err);

#endif
