/*
 * print_host: the results of operations on chat hosts, for people.
 */
#ifndef CLI_PRINT_HOST_H
#define CLI_PRINT_HOST_H

#include "cli/print.h"

/* Whether the record is one of these; then it was printed, as print_result() says. */
bool print_host(const struct op_row *op, const void *record, const struct print_style *style,
		struct buf *out, struct buf *note);

#endif
