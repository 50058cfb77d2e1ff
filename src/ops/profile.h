/*
 * The profiles and modes of `pyro mcp serve`, which ops/profiles.def describes: what of pyro a chat
 * host sees.
 */
#ifndef OPS_PROFILE_H
#define OPS_PROFILE_H

#include "ops/ops.h"

#define PROFILE_DEFAULT "workspace-core"

struct profile_tool {
	enum op_id op;    /* OP_COUNT ends the tools of a profile */
	const char *text; /* what the tool is for here; NULL: what the operation says of itself */
};

struct profile {
	const char *name; /* NULL ends them all */
	bool is_mode;
	const char *text; /* what its tools are for */
	const char *instructions;
	const struct profile_tool *tools;
};

/* The mode, or else the profile, of that name; both NULL: the default. PYRO_E_USAGE. */
const struct profile *profile_find(const char *profile, const char *mode, struct pyro_error *err);

/* The tool of that MCP name, or NULL. */
const struct profile_tool *profile_tool(const struct profile *profile, const char *name);

/* Whether the profile has a tool that the input is good for; without one it is not offered. */
bool profile_offers(const struct profile *profile, const struct op_row *op,
		    const struct op_input *in);

#endif
