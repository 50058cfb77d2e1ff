/*
 * result: the record of an operation as the result of a tool: of a size that every host shows as a
 * whole, and where it is not all, with what it takes to get the rest.
 */
#ifndef MCP_RESULT_H
#define MCP_RESULT_H

#include <jansson.h>

struct profile;
struct tool_call;

/*
 * As serialized JSON. Claude Code shows 50,000 characters, OpenCode 50 KB, Codex 10,000 tokens, of
 * which the densest output takes one for every 2.5 bytes.
 */
#define RESULT_MAX 24000

/*
 * The result, or NULL if it would be too long and the call can ask for less (tool_call_shrink(),
 * which has been done then): call again. The record stays the caller's.
 */
json_t *result_make(const struct profile *profile, struct tool_call *call, const void *record);

#endif
