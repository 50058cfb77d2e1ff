/*
 * print_workspace: the results of operations on workspaces, for people.
 */
#ifndef CLI_PRINT_WORKSPACE_H
#define CLI_PRINT_WORKSPACE_H

#include "cli/print.h"

/* Whether the record is one of these; then it was printed, as print_result() says. */
bool print_workspace(const struct op_row *op, const void *record, const struct print_style *style,
		     struct buf *out, struct buf *note);
/* The same of those on files: lists, content, changes, and what goes in and out. */
bool print_files(const struct op_row *op, const void *record, const struct print_style *style,
		 struct buf *out, struct buf *note);
/* As Markdown, for a comment on a change. */
void print_summary(struct buf *out, const struct pyro_workspace_summary *s);
/* "812 entries, 3.2 MiB" */
void print_content(struct buf *out, int64_t entries, int64_t bytes);

#endif
