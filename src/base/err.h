/*
 * Filling in `struct pyro_error` (include/pyro/error.h has the contract).
 *
 * The whole failure path is one statement:
 *
 *	fd = open(path, O_RDONLY | O_CLOEXEC);
 *	if (fd < 0)
 *		return err_sys(err, errno, "open '%s'", path);
 *
 * Wording: lower case, no full stop, what failed first, its subject in single quotes, no
 * "failed to". Code below main() never prints; it returns errors.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/mem.h"
#include "pyro/error.h"

/* Each fills err (which may be NULL) and returns -1. */
int err_set(struct pyro_error *err, enum pyro_code code, const char *fmt, ...) PRINTF(3, 4);
/* As err_set, and ": strerror(errnum)" behind it; the code follows from errnum. */
int err_sys(struct pyro_error *err, int errnum, const char *fmt, ...) PRINTF(3, 4);
/* Puts "context: " before the message that err already has. */
int err_wrap(struct pyro_error *err, const char *fmt, ...) PRINTF(2, 3);
/* Replaces the hint that came with the code. */
int err_hint(struct pyro_error *err, const char *fmt, ...) PRINTF(2, 3);

/* The default next step for a code; "" if there is none. */
const char *err_default_hint(enum pyro_code code);
/* The code with that wire name; PYRO_E_PROTOCOL for a name we do not know. */
enum pyro_code err_code_from_name(const char *name);

#endif
