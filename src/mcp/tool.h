/*
 * tool: an operation as a chat host has it: what tools/list says of it, and how the arguments of a
 * call become the operation's.
 *
 * Hosts show a model only so much of a result, so what can be long comes in pages: where the
 * operation has none, the tool has an input `offset` more, and its result `next_offset`.
 */
#ifndef MCP_TOOL_H
#define MCP_TOOL_H

#include "ops/ops.h"

#include <jansson.h>
#include <stdbool.h>

struct profile;
struct profile_tool;
struct setup;

/* The tools of the profile, as tools/list has them: a new array. */
json_t *tool_list(const struct setup *setup);

struct tool_call {
	const struct op_row *op; /* not always the tool's own: a route leads to another one */
	json_t *arguments;       /* owned; what args borrows from */
	void *args;              /* of op, owned */
	const char *paged;       /* the member of the result that comes in pages; NULL: none */
	int64_t offset;          /* how much of it is skipped */
};

/* From the arguments of a call (NULL: none). Hand *ret to tool_call_done(), also after -1. */
int tool_call_init(struct tool_call *ret, const struct setup *setup,
		   const struct profile_tool *tool, const json_t *arguments,
		   struct pyro_error *err);
void tool_call_done(struct tool_call *call);

/* Halves what the call asks for at the most; false if it cannot be less, or not be called again. */
bool tool_call_shrink(struct tool_call *call);

/* The tool of the profile that does what the operation does, or NULL. */
const struct op_row *tool_for(const struct profile *profile, const struct op_row *op);

#endif
