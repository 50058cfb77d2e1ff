/*
 * Errors: how every pyro function fails.
 *
 * A function that can fail takes `struct pyro_error *err` last and returns 0 or more on success,
 * leaving err untouched, or a negative number on failure, having filled err. The structure holds
 * everything inline: failing never allocates and nothing needs to be freed. err may be NULL.
 *
 * `message` is one line: what failed, on what, and why. `hint` is the next command or change, or
 * empty. Both are valid UTF-8.
 */
#ifndef PYRO_ERROR_H
#define PYRO_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pyro_code {
	PYRO_OK = 0,
/* begin rows: an installed header has what they expand to, and what they say */
#define ERR(code, wire, retryable, hint) PYRO_E_##code,
#include "ops/errors.def"
#undef ERR
	/* end rows */
	PYRO_CODE_COUNT
};

struct pyro_error {
	enum pyro_code code;
	char message[480];
	char hint[240];
};

/* The stable name of a code, as JSON shows it ("unknown_environment"). Never NULL. */
const char *pyro_code_name(enum pyro_code code);

/* Whether the same call may succeed later without the caller changing anything. */
bool pyro_code_retryable(enum pyro_code code);

#ifdef __cplusplus
}
#endif

#endif
