/* What the canned operations share. */
#ifndef TESTS_CLI_CANNED_H
#define TESTS_CLI_CANNED_H

#include "base/err.h"
#include "pyro.h"

void canned_phase(struct pyro *p, const char *op, const char *detail);
void canned_output(struct pyro *p, int stream, const char *text);
/* What the "guest" does: a word of the command says. -1 with err, or its exit code. */
int canned_act(struct pyro *p, const char *word, struct pyro_error *err);

/* An operation without a canned answer. */
#define CANNED_REST(op, rec)                                                                       \
	int pyro_##op(struct pyro *p, const struct pyro_##op##_args *args, struct pyro_##rec *ret, \
		      struct pyro_error *err)                                                      \
	{                                                                                          \
		(void)p, (void)args, (void)ret;                                                    \
		return err_set(err, PYRO_E_NOT_FOUND, "no such thing");                            \
	}

#endif
