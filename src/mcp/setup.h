/*
 * setup: what the server was started with.
 */
#ifndef MCP_SETUP_H
#define MCP_SETUP_H

#include "pyro.h"

struct setup {
	const struct profile *profile;
	const char *environment;     /* the default of workspace_create; NULL: it must be given */
	const char *network_policy;  /* likewise, or all it does; NULL: off */
	struct pyro_project project; /* what workspaces are filled with; its roots are the host's */
};

/* Everything is borrowed from the arguments. PYRO_E_USAGE. */
int setup_init(struct setup *ret, const struct pyro_serve_mcp_args *args, struct pyro_error *err);

/*
 * What workspaces are filled with, as text, in *ret_text, the caller's; NULL there: nothing. -1
 * with err: a source that cannot be used.
 */
int setup_source(const struct setup *setup, char **ret_text, struct pyro_error *err);

/*
 * What a model is told of the network of workspaces: a sentence with a space before it; "" where it
 * may choose, or makes none.
 */
const char *setup_network(const struct setup *setup);

#endif
