#include "mcp/setup.h"

#include "base/err.h"
#include "ops/profile.h"

#include <stddef.h>
#include <string.h>

int setup_init(struct setup *ret, const struct pyro_serve_mcp_args *args, struct pyro_error *err)
{
	*ret = (struct setup){
		.profile = profile_find(args->profile, args->mode, err),
		.environment = args->environment,
		.network_policy = args->network_policy,
		.project =
			{
				.path = args->project_path,
				.repo_url = args->repo_url,
				.repo_ref = args->repo_ref,
				.here = !args->project_path && !args->repo_url &&
					!args->no_project_source,
			},
	};
	return ret->profile ? 0 : -1;
}

int setup_source(const struct setup *setup, char **ret_text, struct pyro_error *err)
{
	struct pyro *p = pyro_new();
	int result;

	*ret_text = NULL;
	if (!p)
		return err_set(err, PYRO_E_SYSTEM, "the system refuses file descriptors");
	pyro_set_project(p, &setup->project);
	result = pyro_describe_project(p, ret_text, err);
	pyro_free(p);
	return result;
}

const char *setup_network(const struct setup *setup)
{
	const struct op_row *create = &ops_rows[OP_create_workspace];

	if (!profile_tool(setup->profile, create->mcp) ||
	    profile_offers(setup->profile, create, ops_input(create, "network_policy")))
		return "";
	if (setup->network_policy && strcmp(setup->network_policy, "off") != 0)
		return " New workspaces have outbound network.";
	return " New workspaces have no network, unless the user starts pyro mcp serve with "
	       "--network-policy egress.";
}
