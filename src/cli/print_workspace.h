/*
 * print_workspace: the results of operations on workspaces, for people.
 */
#ifndef CLI_PRINT_WORKSPACE_H
#define CLI_PRINT_WORKSPACE_H

#include "cli/print.h"

/* Whether the record is one of these; then it was printed, as print_result() says. */
bool print_workspace(const struct op_row *op, const void *record, const struct print_style *style,
		     struct buf *out, struct buf *note);
/* As Markdown, for a comment on a change. */
void print_summary(struct buf *out, const struct pyro_workspace_summary *s);

#endif
