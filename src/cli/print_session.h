/*
 * print_session: the results of operations on shells and services, for people.
 */
#ifndef CLI_PRINT_SESSION_H
#define CLI_PRINT_SESSION_H

#include "cli/print.h"

/* Whether the record is one of these; then it was printed, as print_result() says. */
bool print_session(const struct op_row *op, const void *record, const struct print_style *style,
		   struct buf *out, struct buf *note);

#endif
