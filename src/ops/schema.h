/*
 * JSON Schema (draft 2020-12, as MCP has it) of what an operation takes and returns.
 */
#ifndef OPS_SCHEMA_H
#define OPS_SCHEMA_H

#include "ops/ops.h"

#include <jansson.h>

/* A new object. Inputs that are CLI_ONLY are left out. */
json_t *schema_input(const struct op_row *op);
/* A new object, with the members of the record itself: every host reads all of it at each start. */
json_t *schema_output(const struct rec_row *rec);
/* The whole entry of MCP's tools/list: name, texts, both schemas and annotations. */
json_t *schema_tool(const struct op_row *op);

#endif
