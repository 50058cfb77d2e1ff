/*
 * Results for people: aligned "Label: value" lines and tables from the record rows, and the few
 * records that deserve a form of their own.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "ops/ops.h"

struct buf;

#define PRINT_MAX (16 * 1024 * 1024)

void print_json(const struct rec_row *rec, const void *record, struct buf *out);
/* The result of an operation. `colour`: with escape sequences. */
void print_result(const struct op_row *op, const void *record, bool colour, struct buf *out);

#endif
