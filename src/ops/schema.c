#include "ops/schema.h"

#include "base/mem.h"
#include "base/parse.h"

static json_t *text_list(void)
{
	return json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "string");
}

static json_t *text_map(void)
{
	return json_pack("{s:s, s:{s:s}}", "type", "object", "additionalProperties", "type",
			 "string");
}

/* One text for a shell, or an argument vector. */
static json_t *command(unsigned flags)
{
	json_t *vector = text_list(), *forms;

	json_object_set_new(vector, "minItems", json_integer(1));
	forms = json_pack("[{s:s}, o]", "type", "string", vector);
	if (flags & NULLABLE)
		json_array_append_new(forms, json_pack("{s:s}", "type", "null"));
	return json_pack("{s:o}", "anyOf", forms);
}

static json_t *integer(const struct op_input *in)
{
	json_t *schema = json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum",
				   (json_int_t)in->min, "maximum", (json_int_t)in->max);
	int64_t def;

	if (in->def && parse_int(in->def, in->min, in->max, &def))
		json_object_set_new(schema, "default", json_integer(def));
	return schema;
}

static json_t *given_record(const struct rec_row *rec);

/* Rows speak to people at a command line; and some hosts show a model no defaults but in texts. */
static void describe(const struct op_input *in, json_t *schema)
{
	AUTO_FREE char *text = NULL;

	if (in->kind == KIND_CMD)
		text = mem_strdup("A line for the shell, or an argument vector as an array");
	else if (in->kind == KIND_INT && in->def)
		text = mem_printf("%s; default %s", in->text, in->def);
	else
		text = mem_strdup(in->text);
	json_object_set_new(schema, "description", json_string(text));
}

static json_t *input(const struct op_input *in)
{
	json_t *schema;

	switch (in->kind) {
	case KIND_INT:
		schema = integer(in);
		break;
	case KIND_BOOL:
		schema = json_pack("{s:s, s:b}", "type", "boolean", "default", 0);
		break;
	case KIND_ON:
		schema = json_pack("{s:s, s:b}", "type", "boolean", "default", 1);
		break;
	case KIND_REC:
		schema = given_record(in->of);
		break;
	case KIND_LIST:
		schema = json_pack("{s:s, s:o}", "type", "array", "items", given_record(in->of));
		break;
	case KIND_CMD:
		schema = command(0);
		break;
	case KIND_STRV:
		schema = text_list();
		break;
	case KIND_MAP:
		schema = text_map();
		break;
	default:
		schema = json_pack("{s:s}", "type", "string");
		if (in->def && !(in->flags & ASSUMED))
			json_object_set_new(schema, "default", json_string(in->def));
		break;
	}
	describe(in, schema);
	return schema;
}

json_t *schema_input(const struct op_row *op)
{
	json_t *properties = json_object(), *required = json_array();

	for (const struct op_input *in = op->inputs; in->name; in++) {
		if (in->flags & CLI_ONLY)
			continue;
		json_object_set_new(properties, in->name, input(in));
		if (in->flags & (REQUIRED | ASSUMED))
			json_array_append_new(required, json_string(in->name));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties,
			 "required", required, "additionalProperties", 0);
}

/* Not as a list of types, which some readers of schemas do not take. */
static json_t *scalar(const char *type, unsigned flags)
{
	if (flags & NULLABLE)
		return json_pack("{s:[{s:s}, {s:s}]}", "anyOf", "type", type, "type", "null");
	return json_pack("{s:s}", "type", type);
}

static json_t *field(const struct rec_field *f)
{
	switch (f->kind) {
	case KIND_STR:
		return scalar("string", f->flags);
	case KIND_BOOL:
		return scalar("boolean", f->flags);
	case KIND_INT:
		return scalar("integer", f->flags);
	case KIND_NUM:
		return scalar("number", f->flags);
	case KIND_STRV:
		return text_list();
	case KIND_CMD:
		return command(f->flags);
	case KIND_MAP:
		return text_map();
	case KIND_REC:
		return scalar("object", 0);
	case KIND_LIST:
		return scalar("array", 0);
	case KIND_ON: /* no field's */
		break;
	}
	return NULL;
}

/* What may be null may be left out. */
static json_t *given_record(const struct rec_row *rec)
{
	json_t *properties = json_object(), *required = json_array();

	for (const struct rec_field *f = rec->fields; f->name; f++) {
		json_t *schema = field(f);

		json_object_set_new(schema, "description", json_string(f->text));
		json_object_set_new(properties, f->name, schema);
		if (!(f->flags & NULLABLE))
			json_array_append_new(required, json_string(f->name));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties,
			 "required", required, "additionalProperties", 0);
}

json_t *schema_output(const struct rec_row *rec)
{
	json_t *properties = json_object();

	for (const struct rec_field *f = rec->fields; f->name; f++)
		json_object_set_new(properties, f->name, field(f));
	return json_pack("{s:s, s:o}", "type", "object", "properties", properties);
}

json_t *schema_tool(const struct op_row *op)
{
	AUTO_FREE char *description = mem_printf("%s. %s", op->summary, op->usage);

	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:{s:b, s:b, s:b, s:b}}", "name", op->mcp,
			 "title", op->title, "description", description, "inputSchema",
			 schema_input(op), "outputSchema", schema_output(op->ret), "annotations",
			 "readOnlyHint", !!(op->hints & READ_ONLY), "destructiveHint",
			 !!(op->hints & DESTRUCTIVE), "idempotentHint", !!(op->hints & IDEMPOTENT),
			 "openWorldHint", !!(op->hints & OPEN_WORLD));
}
