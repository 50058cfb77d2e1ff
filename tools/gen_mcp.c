/*
 * docs/reference/mcp.md: the tools of `pyro mcp serve`, as its tools/list describes them, and which
 * profiles and modes have them.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "gen.h"
#include "mcp/setup.h"
#include "mcp/tool.h"
#include "ops/profile.h"

#include <string.h>

static const struct {
	const char *name;
	bool is_mode;
} profiles[] = {
#define PROFILE(profile, name, ...) {name, false},
#define MODE(profile, name, ...) {name, true},
#include "ops/profiles.def"
};

static const struct profile *profile_at(size_t i)
{
	struct pyro_error err;

	return profile_find(profiles[i].is_mode ? NULL : profiles[i].name,
			    profiles[i].is_mode ? profiles[i].name : NULL, &err);
}

static void put_profiles(struct buf *out)
{
	buf_puts(out, "| words | tools | what for |\n|---|---|---|\n");
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
		const struct profile *profile = profile_at(i);
		size_t n = 0;

		while (profile->tools[n].op != OP_COUNT)
			n++;
		buf_printf(out, "| `--%s %s` | %zu | %s |\n", profile->is_mode ? "mode" : "profile",
			   profile->name, n, profile->text);
	}
}

static void put_table(struct buf *out)
{
	buf_puts(out, "\n| tool |");
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
		buf_printf(out, " %s |", profiles[i].name);
	buf_puts(out, "\n|---|");
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
		buf_puts(out, "---|");
	for (int op = 0; op < OP_COUNT; op++) {
		const char *tool = ops_rows[op].mcp;

		if (!tool)
			continue;
		buf_printf(out, "\n| [%s](#%s) |", tool, tool);
		for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
			buf_puts(out, profile_tool(profile_at(i), tool) ? " ✓ |" : " |");
	}
	buf_puts(out, "\n");
}

/* "string", "strings", "object of strings", "integer or null" */
static void put_type(const json_t *schema, struct buf *out)
{
	const json_t *forms = json_object_get(schema, "anyOf");
	const json_t *inner =
		json_object_get(schema, "items") ?: json_object_get(schema, "additionalProperties");
	const char *type = json_string_value(json_object_get(schema, "type"));

	for (size_t i = 0; i < json_array_size(forms); i++) {
		buf_puts(out, i ? " or " : "");
		put_type(json_array_get(forms, i), out);
	}
	if (!type)
		return;
	if (strcmp(type, "array") != 0)
		buf_printf(out, "%s%s", type, json_is_object(inner) ? " of " : "");
	if (json_is_object(inner)) {
		put_type(inner, out);
		buf_puts(out, "s");
	}
}

static bool is_required(const json_t *schema, const char *name)
{
	const json_t *names = json_object_get(schema, "required");
	bool is_found = false;

	for (size_t i = 0; i < json_array_size(names); i++)
		is_found |= strcmp(json_string_value(json_array_get(names, i)), name) == 0;
	return is_found;
}

/* Of an integer the description names the default; one without a maximum only has to fit. */
static void put_bounds(const json_t *schema, struct buf *out)
{
	const json_t *def = json_object_get(schema, "default");
	const json_t *min = json_object_get(schema, "minimum");
	const json_t *max = json_object_get(schema, "maximum");
	AUTO_FREE char *text = def ? json_dumps(def, JSON_ENCODE_ANY) : NULL;

	if (min && max)
		buf_printf(out, "%" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
			   json_integer_value(min), json_integer_value(max));
	else if (min)
		buf_printf(out, "%" JSON_INTEGER_FORMAT " or more", json_integer_value(min));
	else if (text)
		buf_printf(out, "default %s", text);
}

static void put_properties(const json_t *schema, const char *prefix, struct buf *out)
{
	const char *name;
	json_t *property;

	json_object_foreach(json_object_get(schema, "properties"), name, property)
	{
		AUTO_FREE char *full = mem_printf("%s%s", prefix, name);
		AUTO_FREE char *inner =
			mem_printf("%s%s.", full, json_object_get(property, "items") ? "[]" : "");
		const json_t *of = json_object_get(property, "items") ?: property;

		buf_printf(out, "| `%s` | ", full);
		put_type(property, out);
		buf_puts(out, is_required(schema, name) ? ", required | " : " | ");
		put_bounds(property, out);
		buf_puts(out, " | ");
		gen_cell(out, json_string_value(json_object_get(property, "description")));
		buf_puts(out, " |\n");
		put_properties(of, inner, out);
	}
}

static void put_result(const struct op_row *op, const json_t *output, struct buf *out)
{
	const json_t *properties = json_object_get(output, "properties");
	const char *name, *before = "";
	json_t *property;

	buf_printf(out, "\nResult: %s:", op->ret->text);
	json_object_foreach((json_t *)(uintptr_t)properties, name, property)
	{
		buf_printf(out, "%s `%s`", before, name);
		before = ",";
	}
	if (!op->cli) {
		buf_puts(out, ".\n");
		return;
	}
	buf_puts(out, ". [What they say](cli.md#pyro-");
	for (const char *c = op->cli; *c; c++)
		buf_printf(out, "%c", *c == ' ' ? '-' : *c);
	buf_puts(out, ").\n");
}

static void put_tool(const json_t *tool, struct buf *out)
{
	const json_t *input = json_object_get(tool, "inputSchema");
	const struct op_row *op = ops_by_mcp(json_string_value(json_object_get(tool, "name")));

	buf_printf(out, "\n## %s\n\n%s\n", op->mcp,
		   json_string_value(json_object_get(tool, "description")));
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
		const struct profile_tool *in = profile_tool(profile_at(i), op->mcp);

		if (in && in->text)
			buf_printf(out, "\nIn `%s`: %s\n", profiles[i].name, in->text);
	}
	if (json_object_size(json_object_get(input, "properties"))) {
		buf_puts(out, "\n| parameter | type | values | what it is |\n|---|---|---|---|\n");
		put_properties(input, "", out);
	}
	put_result(op, json_object_get(tool, "outputSchema"), out);
}

static void put_tools(struct buf *out)
{
	const struct setup setup = {.profile = profile_find("workspace-full", NULL, NULL)};
	json_t *tools = tool_list(&setup), *tool;
	size_t i;

	json_array_foreach(tools, i, tool)
	{
		put_tool(tool, out);
	}
	json_decref(tools);
}

void gen_mcp(struct buf *out)
{
	buf_puts(out, "<!-- " GEN_NOTE " -->\n# Tools of the MCP server\n\n"
		      "What `pyro mcp serve` offers ([how it behaves](../mcp.md)). A mode or a "
		      "profile has "
		      "some of the tools,\nand leaves out parameters that only make sense with "
		      "others. An "
		      "error is `isError`, with\n`{code, message, hint, retryable}` in "
		      "`_meta[\"pyro/error\"]` ([codes](errors.md)).\n\n"
		      "Here they are as `--profile workspace-full --no-project-source` lists "
		      "them.\n\n");
	put_profiles(out);
	put_table(out);
	put_tools(out);
}
