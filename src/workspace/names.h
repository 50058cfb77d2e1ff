/*
 * names: what there is to choose from, for somebody who types.
 */
#ifndef WORKSPACE_NAMES_H
#define WORKSPACE_NAMES_H

struct buf;
struct records;

/*
 * Appends "NAME\tWHAT\n" for each that the argument `input` (ops/ops.def) may name, up to 1000.
 * `workspace`, an id or a name, is the one that it is of; may be NULL. What cannot be read, or is
 * not on record, is none.
 */
void names_list(struct records *r, const char *input, const char *workspace, struct buf *out);

#endif
