/*
 * Results for people: aligned "Label: value" lines and tables from the record rows, and the few
 * records that deserve a form of their own.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "ops/ops.h"

struct buf;

/* More than any result: there are lists of a million names. */
#define PRINT_MAX (1024 * 1024 * 1024)

void print_json(const struct rec_row *rec, const void *record, struct buf *out);

struct print_style {
	bool is_terminal;     /* stdout is one: nothing of a guest may move its cursor */
	bool colour;          /* and it shows colours */
	size_t columns;       /* how wide it is; 0: stdout is none */
	bool is_id_only;      /* --id-only */
	bool is_content_only; /* --content-only */
	bool is_content_out;  /* a file's content went to stdout already, byte for byte */
};

/* The result of an operation: `out` is for stdout, and `note`, what is said about it, for stderr.
 */
void print_result(const struct op_row *op, const void *record, const struct print_style *style,
		  struct buf *out, struct buf *note);

#endif
