/*
 * serve: what the MCP server is started with: the inputs SERVE_INPUTS of ops.def, which serve_mcp
 * and the operations on hosts have. `args` are those of the operation `op`.
 */
#ifndef API_SERVE_H
#define API_SERVE_H

#include "ops/ops.h"

/*
 * PYRO_E_USAGE for what contradicts itself, and for a mode, profile, environment or network
 * policy of no such name.
 */
int serve_check(const struct op_row *op, const void *args, struct pyro_error *err);

/*
 * {"mcp", "serve", "--mode", "inspect", …}: the words behind `pyro` that start it so, from any
 * directory: a path becomes absolute. Owned by the caller; NULL with err.
 */
char **serve_words(const struct op_row *op, const void *args, struct pyro_error *err);

#endif
