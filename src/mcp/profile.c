#include "mcp/profile.h"

#include "base/err.h"

#include <stdbool.h>
#include <string.h>

/* clang-format off */
#define PROFILE(profile, name, text, instructions) static const enum op_id tools_##profile[] = {
#define TOOL(profile, op) OP_##op,
#define END_PROFILE(profile) OP_COUNT};
#include "ops/profiles.def"
#undef PROFILE
#undef TOOL
#undef END_PROFILE

const struct profile profiles[] = {
#define PROFILE(profile, name, text, instructions) {name, text, instructions, tools_##profile},
#define TOOL(profile, op)
#define END_PROFILE(profile)
#include "ops/profiles.def"
#undef PROFILE
#undef TOOL
#undef END_PROFILE
	{0},
};
/* clang-format on */

static bool has_tools(const struct profile *profile)
{
	return profile->tools[0] != OP_COUNT;
}

void profile_hint(struct pyro_error *err)
{
	const struct profile *profile = profiles;

	while (profile->name && !has_tools(profile))
		profile++;
	if (profile->name)
		(void)err_hint(err, "pyro mcp serve --profile %s", profile->name);
}

const struct profile *profile_find(const char *name, struct pyro_error *err)
{
	const struct profile *profile = profiles;

	while (profile->name && strcmp(profile->name, name) != 0)
		profile++;
	if (profile->name && has_tools(profile))
		return profile;
	if (profile->name)
		(void)err_set(
			err, PYRO_E_USAGE,
			"the profile '%s'%s is for workspaces, which this version does not have",
			name, strcmp(name, PROFILE_DEFAULT) == 0 ? " (the default)" : "");
	else
		(void)err_set(err, PYRO_E_USAGE, "there is no profile '%s'", name);
	profile_hint(err);
	return NULL;
}

const struct op_row *profile_tool(const struct profile *profile, const char *name)
{
	for (const enum op_id *id = profile->tools; *id != OP_COUNT; id++)
		if (strcmp(ops_rows[*id].mcp, name) == 0)
			return &ops_rows[*id];
	return NULL;
}
