#include "ops/profile.h"

#include "base/buf.h"
#include "base/err.h"

#include <string.h>

/* clang-format off */
#define PROFILE(profile, ...) static const struct profile_tool tools_##profile[] = {
#define MODE PROFILE
#define TOOL(profile, op, text) {OP_##op, text},
#define END_PROFILE(profile) {OP_COUNT, NULL}};
#include "ops/profiles.def"

static const struct profile profiles[] = {
#define PROFILE(profile, name, text, instructions) {name, false, text, instructions, tools_##profile},
#define MODE(profile, name, text, instructions) {name, true, text, instructions, tools_##profile},
#include "ops/profiles.def"
	{0},
};

static const struct {
	enum op_id op;
	enum op_id for_tool;
	const char *input;
} matches[] = {
#define MATCH(op, input, for_tool) {OP_##op, OP_##for_tool, #input},
#include "ops/profiles.def"
};
/* clang-format on */

static int unknown(const char *name, bool is_mode, struct pyro_error *err)
{
	AUTO_BUF struct buf known = BUF_INIT(1024);

	for (const struct profile *p = profiles; p->name; p++)
		if (p->is_mode == is_mode)
			buf_printf(&known, "%s%s", known.len ? ", " : "", p->name);
	(void)err_set(err, PYRO_E_USAGE, "there is no %s '%s'", is_mode ? "mode" : "profile", name);
	return err_hint(err, "one of: %s", buf_text(&known));
}

const struct profile *profile_find(const char *profile, const char *mode, struct pyro_error *err)
{
	const char *name = mode ? mode : profile ? profile : PROFILE_DEFAULT;

	if (profile && mode) {
		(void)err_set(err, PYRO_E_USAGE, "a mode and a profile exclude each other");
		(void)err_hint(err, "leave out one of --mode %s and --profile %s", mode, profile);
		return NULL;
	}
	for (const struct profile *p = profiles; p->name; p++)
		if (p->is_mode == !!mode && strcmp(p->name, name) == 0)
			return p;
	(void)unknown(name, !!mode, err);
	return NULL;
}

const struct profile_tool *profile_tool(const struct profile *profile, const char *name)
{
	for (const struct profile_tool *tool = profile->tools; tool->op != OP_COUNT; tool++)
		if (strcmp(ops_rows[tool->op].mcp, name) == 0)
			return tool;
	return NULL;
}

bool profile_offers(const struct profile *profile, const struct op_row *op,
		    const struct op_input *in)
{
	bool is_matched = false;

	for (size_t i = 0; i < ARRAY_SIZE(matches); i++) {
		if (op != &ops_rows[matches[i].op] || strcmp(in->name, matches[i].input) != 0)
			continue;
		if (profile_tool(profile, ops_rows[matches[i].for_tool].mcp))
			return true;
		is_matched = true;
	}
	return !is_matched;
}
