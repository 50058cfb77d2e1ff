/*
 * profile: a named set of tools, as ops/profiles.def has them.
 */
#ifndef MCP_PROFILE_H
#define MCP_PROFILE_H

#include "ops/ops.h"

#define PROFILE_DEFAULT "workspace-core"

struct profile {
	const char *name; /* NULL ends profiles */
	const char *text; /* what its tools are for */
	const char *instructions;
	const enum op_id *tools; /* OP_COUNT ends them; none: not in this version */
};

extern const struct profile profiles[];

/* The profile with that name: PYRO_E_USAGE where there is none, or none with tools yet. */
const struct profile *profile_find(const char *name, struct pyro_error *err);

/* Makes the hint the command that serves a profile which is there. */
void profile_hint(struct pyro_error *err);

/* The operation behind a tool of the profile, or NULL. */
const struct op_row *profile_tool(const struct profile *profile, const char *name);

#endif
