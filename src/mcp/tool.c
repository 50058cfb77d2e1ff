#include "mcp/tool.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/parse.h"
#include "mcp/setup.h"
#include "ops/profile.h"
#include "ops/schema.h"
#include "ops/values.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 16384
#define OFFSET "offset"

/* What a call may ask for, lest its result is longer than hosts show, or later than they wait. */
static const struct limit {
	enum op_id op;
	const char *input;
	const char *when;  /* only if this input is given; NULL: always */
	int64_t otherwise; /* the tool's own default; 0: the operation's, bounded silently */
	int64_t max;
	const char *text; /* of the input, instead of the operation's; NULL: that */
} limits[] = {
	{OP_exec_workspace, "wait_seconds", NULL, 45, 240,
	 "Return what there is after this many seconds; the command goes on"},
	{OP_wait_workspace_exec, "wait_seconds", NULL, 45, 240, NULL},
	{OP_logs_workspace, "max_bytes", "sequence", PAGE_BYTES / 2, PAGE_BYTES / 2,
	 "With sequence: how much of each stream to return"},
	{OP_read_workspace_file, "max_bytes", NULL, 0, PAGE_BYTES, NULL},
	{OP_read_workspace_disk, "max_bytes", NULL, 0, PAGE_BYTES, NULL},
	{OP_read_shell, "max_chars", NULL, 0, PAGE_BYTES, NULL},
};

/* Lists and texts of results that come in pages. */
static const struct page {
	enum op_id op;
	const char *field;
	const char *text; /* of the input offset */
} pages[] = {
	{OP_list_workspaces, "workspaces", "Entries to skip: next_offset of the last call"},
	{OP_list_workspace_files, "entries", "Entries to skip: next_offset of the last call"},
	{OP_list_workspace_disk, "entries", "Entries to skip: next_offset of the last call"},
	{OP_diff_workspace, "patch", "Bytes of the patch to skip: next_offset of the last call"},
};

/* A tool that, given the input, is another operation. */
static const struct route {
	enum op_id op;
	const char *input;
	enum op_id to;
	const char *instead_of; /* exactly one of the two is given */
	const char *text;
} routes[] = {
	{OP_exec_workspace, "sequence", OP_wait_workspace_exec, "command",
	 "Instead of command: wait on for a command that was still running, by its sequence"},
};

static const struct route *find_route(const struct op_row *op)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		if (op == &ops_rows[routes[i].op])
			return &routes[i];
	return NULL;
}

static const struct page *find_page(const struct op_row *op)
{
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (op == &ops_rows[pages[i].op])
			return &pages[i];
	return NULL;
}

/* --- tools/list --- */

static void drop_required(json_t *schema, const char *name)
{
	json_t *required = json_object_get(schema, "required");

	for (size_t i = json_array_size(required); i-- > 0;)
		if (strcmp(json_string_value(json_array_get(required, i)), name) == 0)
			(void)json_array_remove(required, i);
}

/* What the tool takes beyond, or less than, the operation. */
static void adapt_input(const struct setup *setup, const struct op_row *op, json_t *schema)
{
	json_t *properties = json_object_get(schema, "properties");
	const struct route *route = find_route(op);
	const struct page *page = find_page(op);

	for (const struct op_input *in = op->inputs; in->name; in++)
		if (!profile_offers(setup->profile, op, in))
			(void)json_object_del(properties, in->name);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		json_t *input = json_object_get(properties, limits[i].input);
		AUTO_FREE char *text = NULL;

		if (op != &ops_rows[limits[i].op] || !limits[i].otherwise)
			continue;
		text = mem_printf("%s; default %lld", limits[i].text,
				  (long long)limits[i].otherwise);
		json_object_set_new(input, "maximum", json_integer(limits[i].max));
		json_object_set_new(input, "description", json_string(text));
		if (!limits[i].when)
			json_object_set_new(input, "default", json_integer(limits[i].otherwise));
	}
	if (op == &ops_rows[OP_create_workspace] && setup->environment) {
		json_object_set_new(json_object_get(properties, "environment"), "default",
				    json_string(setup->environment));
		drop_required(schema, "environment");
	}
	if (op == &ops_rows[OP_create_workspace] && setup->network_policy)
		json_object_set_new(json_object_get(properties, "network_policy"), "default",
				    json_string(setup->network_policy));
	if (page)
		json_object_set_new(properties, OFFSET,
				    json_pack("{s:s, s:i, s:i, s:s}", "type", "integer", "minimum",
					      0, "default", 0, "description", page->text));
	if (route) {
		json_object_set_new(properties, route->input,
				    json_pack("{s:s, s:i, s:s}", "type", "integer", "minimum", 1,
					      "description", route->text));
		drop_required(schema, route->instead_of);
	}
}

/* What a workspace is filled with when nobody says so. */
static char *describe_seed(const struct setup *setup)
{
	AUTO_FREE char *source = NULL;
	struct pyro_error err;

	if (setup_source(setup, &source, &err) < 0)
		return mem_printf(" Needs a seed_path: %s.", err.message);
	if (!source)
		return mem_strdup(" Without seed_path /workspace is empty.");
	return mem_printf(" Without seed_path /workspace gets %s.", source);
}

static json_t *describe(const struct setup *setup, const struct profile_tool *tool)
{
	const struct op_row *op = &ops_rows[tool->op];
	json_t *entry = schema_tool(op);
	json_t *output = json_object_get(json_object_get(entry, "outputSchema"), "properties");
	AUTO_FREE char *seed = tool->op == OP_create_workspace ? describe_seed(setup) : NULL;
	AUTO_FREE char *text = NULL;

	adapt_input(setup, op, json_object_get(entry, "inputSchema"));
	if (find_page(op))
		json_object_set_new(output, "next_" OFFSET,
				    json_pack("{s:[{s:s}, {s:s}]}", "anyOf", "type", "integer",
					      "type", "null"));
	text = mem_printf("%s%s%s",
			  tool->text ? tool->text
				     : json_string_value(json_object_get(entry, "description")),
			  seed ? seed : "", seed ? setup_network(setup) : "");
	json_object_set_new(entry, "description", json_string(text));
	return entry;
}

json_t *tool_list(const struct setup *setup)
{
	json_t *tools = json_array();

	for (const struct profile_tool *tool = setup->profile->tools; tool->op != OP_COUNT; tool++)
		json_array_append_new(tools, describe(setup, tool));
	return tools;
}

/* --- tools/call --- */

static int missing(const struct route *route, struct pyro_error *err)
{
	(void)err_set(err, PYRO_E_INVALID, "arguments.%s is missing", route->instead_of);
	return err_hint(err, "give %s, or %s to wait on for one that still runs", route->instead_of,
			route->input);
}

/* The operation that the arguments ask for; what the route does not take is dropped. */
static int follow_route(struct tool_call *call, struct pyro_error *err)
{
	const struct route *route = find_route(call->op);
	const struct op_row *to;
	const char *name;
	json_t *value;
	void *next;

	if (!route)
		return 0;
	if (!json_object_get(call->arguments, route->input))
		return json_object_get(call->arguments, route->instead_of) ? 0
									   : missing(route, err);
	if (json_object_get(call->arguments, route->instead_of))
		return err_set(err, PYRO_E_INVALID,
			       "arguments.%s and arguments.%s exclude each other", route->input,
			       route->instead_of);
	to = &ops_rows[route->to];
	json_object_foreach_safe(call->arguments, next, name,
				 value) if (ops_input(call->op, name) && !ops_input(to, name))
	{
		(void)json_object_del(call->arguments, name);
	}
	call->op = to;
	return 0;
}

static void bound(struct tool_call *call)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		const struct limit *limit = &limits[i];
		const struct op_input *in = ops_input(call->op, limit->input);
		const json_t *given = json_object_get(call->arguments, limit->input);
		int64_t value = limit->otherwise;

		if (call->op != &ops_rows[limit->op] ||
		    (limit->when && !json_object_get(call->arguments, limit->when)))
			continue;
		if (!value && in->def)
			(void)parse_int(in->def, in->min, in->max, &value);
		if (json_is_integer(given) && json_integer_value(given) > in->max)
			continue; /* refused as any other value that is too large */
		if (json_is_integer(given))
			value = json_integer_value(given);
		if (!given || json_is_integer(given))
			json_object_set_new(call->arguments, limit->input,
					    json_integer(value < limit->max ? value : limit->max));
	}
}

/* Takes the offset, which the operation does not know, out of the arguments. */
static int take_offset(struct tool_call *call, struct pyro_error *err)
{
	const struct page *page = find_page(call->op);
	const json_t *given = page ? json_object_get(call->arguments, OFFSET) : NULL;

	if (!page)
		return 0;
	if (given && (!json_is_integer(given) || json_integer_value(given) < 0))
		return err_set(err, PYRO_E_INVALID,
			       "arguments." OFFSET ": expected an integer, 0 or more");
	call->paged = page->field;
	call->offset = json_integer_value(given);
	(void)json_object_del(call->arguments, OFFSET);
	return 0;
}

static int check_offered(const struct tool_call *call, const struct setup *setup,
			 struct pyro_error *err)
{
	for (const struct op_input *in = call->op->inputs; in->name; in++) {
		if (!json_object_get(call->arguments, in->name) ||
		    profile_offers(setup->profile, call->op, in))
			continue;
		(void)err_set(err, PYRO_E_INVALID, "arguments.%s: not offered by %s", in->name,
			      setup->profile->name);
		return err_hint(err, "pyro mcp serve --profile workspace-full offers it");
	}
	return 0;
}

/* Every argument is one of the tool's, and none that must be there is missing. */
static int check_names(const struct tool_call *call, const json_t *schema, struct pyro_error *err)
{
	json_t *properties = json_object_get(schema, "properties"), *value;
	const struct route *route = find_route(call->op);
	AUTO_BUF struct buf all = BUF_INIT(4096);
	const char *names[64] = {NULL}, *name;
	size_t n = 0;

	json_object_foreach(properties, name, value)
	{
		if (n + 1 < ARRAY_SIZE(names))
			names[n++] = name;
		buf_printf(&all, "%s%s", all.len ? ", " : "", name);
	}
	json_object_foreach(call->arguments, name, value)
	{
		const char *nearest = parse_nearest(name, names);

		if (json_object_get(properties, name))
			continue;
		(void)err_set(err, PYRO_E_INVALID, "arguments.%.80s: there is no such argument",
			      name);
		return nearest ? err_hint(err, "did you mean '%s'?", nearest)
			       : err_hint(err, "the arguments are %s", buf_text(&all));
	}
	for (const struct op_input *in = call->op->inputs; in->name; in++) {
		if (!(in->flags & REQUIRED) || json_object_get(call->arguments, in->name) ||
		    (route && strcmp(in->name, route->instead_of) == 0))
			continue;
		value = json_object_get(json_object_get(properties, in->name), "description");
		(void)err_set(err, PYRO_E_INVALID, "arguments.%s is missing", in->name);
		return err_hint(err, "%s: %s", in->name, json_string_value(value));
	}
	return 0;
}

/* null stands for absent. */
static void drop_nulls(json_t *arguments)
{
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(arguments, next, name, value) if (json_is_null(value))
	{
		(void)json_object_del(arguments, name);
	}
}

int tool_call_init(struct tool_call *ret, const struct setup *setup,
		   const struct profile_tool *tool, const json_t *arguments, struct pyro_error *err)
{
	json_t *schema;
	int known;

	*ret = (struct tool_call){
		.op = &ops_rows[tool->op],
		.arguments = arguments ? json_copy((json_t *)(uintptr_t)arguments) : json_object(),
	};
	drop_nulls(ret->arguments);
	if (tool->op == OP_create_workspace && !json_object_get(ret->arguments, "environment")) {
		const char *environment = setup->environment
						  ? setup->environment
						  : ops_input(ret->op, "environment")->def;

		json_object_set_new(ret->arguments, "environment", json_string(environment));
	}
	if (check_offered(ret, setup, err) < 0)
		return -1;
	schema = schema_input(ret->op);
	adapt_input(setup, ret->op, schema);
	known = check_names(ret, schema, err);
	json_decref(schema);
	if (known < 0 || follow_route(ret, err) < 0 || take_offset(ret, err) < 0)
		return -1;
	if (ret->op == &ops_rows[OP_create_workspace] && setup->network_policy &&
	    !json_object_get(ret->arguments, "network_policy"))
		json_object_set_new(ret->arguments, "network_policy",
				    json_string(setup->network_policy));
	bound(ret);
	ret->args = mem_zalloc(1, ret->op->args_size + 1); /* there may be none */
	return values_decode(ret->op, ret->arguments, NAMING_JSON, ret->args, err);
}

void tool_call_done(struct tool_call *call)
{
	if (call->args)
		values_args_done(call->op, call->args);
	free(call->args);
	json_decref(call->arguments);
	*call = (struct tool_call){0};
}

bool tool_call_shrink(struct tool_call *call)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		char *field;
		int64_t value;

		if (call->op != &ops_rows[limits[i].op] || !(call->op->hints & READ_ONLY))
			continue;
		field = (char *)call->args + ops_input(call->op, limits[i].input)->offset;
		memcpy(&value, field, sizeof(value));
		if (value < 256)
			continue;
		value /= 2;
		memcpy(field, &value, sizeof(value));
		return true;
	}
	return false;
}

const struct op_row *tool_for(const struct profile *profile, const struct op_row *op)
{
	const struct op_row *row = op;

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		if (op == &ops_rows[routes[i].to])
			row = &ops_rows[routes[i].op];
	return row->mcp && profile_tool(profile, row->mcp) ? row : NULL;
}
