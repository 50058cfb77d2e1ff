#include "ops/ops.h"

#include "base/err.h"
#include "base/parse.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
#define AT(rec, field) offsetof(struct pyro_##rec, field)

#define REC(rec, text) static const struct rec_field fields_##rec[] = {
#define FLD(rec, field, kind, flags, text) \
	{#field, KIND_##kind, flags, AT(rec, field), 0, NULL, text},
#define FLD_REC(rec, field, of, flags, text) \
	{#field, KIND_REC, flags, AT(rec, field), AT(rec, has_##field), &ops_records[REC_##of], text},
#define FLD_LIST(rec, field, of, text) \
	{#field, KIND_LIST, 0, AT(rec, field), AT(rec, field##_count), &ops_records[REC_##of], text},
#define END_REC(rec) {0}};
#include "ops/records.def"
#undef REC
#undef FLD
#undef FLD_REC
#undef FLD_LIST
#undef END_REC

const struct rec_row ops_records[REC_COUNT] = {
#define REC(rec, text) [REC_##rec] = {#rec, text, sizeof(struct pyro_##rec), fields_##rec},
#define FLD(...)
#define FLD_REC(...)
#define FLD_LIST(...)
#define END_REC(...)
#include "ops/records.def"
#undef REC
#undef FLD
#undef FLD_REC
#undef FLD_LIST
#undef END_REC
};

#define OP(op, ...) static const struct op_input inputs_##op[] = {
#define IN(op, field, kind, flags, metavar, def, min, max, text) \
	{#field, KIND_##kind, flags, metavar, def, min, max, text, AT(op##_args, field), 0, NULL},
#define IN_REC(op, field, rec, flags, text) \
	{#field, KIND_REC, flags, NULL, NULL, 0, 0, text, AT(op##_args, field), 0, \
	 &ops_records[REC_##rec]},
#define IN_LIST(op, field, rec, flags, text) \
	{#field, KIND_LIST, flags, NULL, NULL, 0, 0, text, AT(op##_args, field), \
	 AT(op##_args, field##_count), &ops_records[REC_##rec]},
#define END(op) {0}};
#include "ops/ops.def"

#define OP(op, ...) static const struct op_option options_##op[] = {
#define OPTION(op, input, form, type, first, separator, second, text) \
	{#input, form, type, first, separator, second, text},
#define END(op) {0}};
#include "ops/ops.def"

#define OP(op, ...) static const struct op_example examples_##op[] = {
#define EXAMPLE(op, command, text) {command, text},
#define END(op) {0}};
#include "ops/ops.def"

#define NEXT(op, text) static const char next_##op[] = text;
#include "ops/ops.def"

const struct op_row ops_rows[OP_COUNT] = {
#define OP(op, cli, mcp, rec, hints, title, summary, usage) \
	[OP_##op] = {#op, cli, mcp, &ops_records[REC_##rec], hints, title, summary, usage, \
		     sizeof(struct pyro_##op##_args), inputs_##op, options_##op, examples_##op, \
		     next_##op},
#include "ops/ops.def"

};

const struct op_group ops_groups[] = {
#define GROUP(words, text) {words, text},
#include "ops/groups.def"
#undef GROUP
	{0},
};
/* clang-format on */

const struct op_row *ops_by_mcp(const char *name)
{
	for (int i = 0; i < OP_COUNT; i++)
		if (ops_rows[i].mcp && strcmp(ops_rows[i].mcp, name) == 0)
			return &ops_rows[i];
	return NULL;
}

const struct op_input *ops_input(const struct op_row *op, const char *name)
{
	for (const struct op_input *in = op->inputs; in->name; in++)
		if (strcmp(in->name, name) == 0)
			return in;
	return NULL;
}

const struct rec_field *ops_field(const struct rec_row *rec, const char *name)
{
	for (const struct rec_field *f = rec->fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

/* "--label KEY=VALUE": the option is not called as the input. */
static bool has_own_name(const struct op_input *in)
{
	return in->metavar && in->metavar[0] == '-';
}

const char *ops_metavar(const struct op_input *in)
{
	const char *space = has_own_name(in) ? strchr(in->metavar, ' ') : NULL;

	return space ? space + 1 : has_own_name(in) ? NULL : in->metavar;
}

static void option_label(const struct op_input *in, char label[OPS_LABEL_MAX])
{
	if (in->flags & (POS | REST)) {
		(void)snprintf(label, OPS_LABEL_MAX, "%s", in->metavar);
	} else if (has_own_name(in)) {
		(void)snprintf(label, OPS_LABEL_MAX, "%.*s", (int)strcspn(in->metavar, " "),
			       in->metavar);
	} else {
		(void)snprintf(label, OPS_LABEL_MAX, "--%s", in->name);
		for (char *c = label; *c; c++)
			if (*c == '_')
				*c = '-';
	}
}

void ops_input_label(const struct op_input *in, enum ops_naming naming, char label[OPS_LABEL_MAX])
{
	if (naming == NAMING_CLI)
		option_label(in, label);
	else
		(void)snprintf(label, OPS_LABEL_MAX, "%s%s",
			       naming == NAMING_JSON ? "arguments." : "", in->name);
}

/* An integer, or a pointer of whatever type, that is zero. */
static bool is_absent(const struct op_input *in, const char *field)
{
	static const char zero[sizeof(int64_t) > sizeof(void *) ? sizeof(int64_t) : sizeof(void *)];

	return memcmp(field, zero, in->kind == KIND_INT ? sizeof(int64_t) : sizeof(void *)) == 0;
}

/* Texts travel as JSON, which has no form for other bytes. */
static int check_text(const struct op_input *in, const char *text, struct pyro_error *err)
{
	if (!text || utf8_is_valid(text, strlen(text)))
		return 0;
	return err_set(err, PYRO_E_INVALID, "%s is not valid UTF-8", in->name);
}

static int check_record(const struct op_input *in, const char *record, struct pyro_error *err)
{
	const char *text;

	for (const struct rec_field *f = in->of->fields; f->name; f++) {
		memcpy(&text, record + f->offset, sizeof(text));
		if (f->kind == KIND_STR && check_text(in, text, err) < 0)
			return -1;
	}
	return 0;
}

static int check_texts(const struct op_input *in, const char *field, size_t count,
		       struct pyro_error *err)
{
	const char *const *words;
	const char *text;

	memcpy(&text, field, sizeof(text));
	if (in->kind == KIND_STR)
		return check_text(in, text, err);
	for (size_t i = 0; in->of && text && i < count; i++)
		if (check_record(in, text + i * in->of->size, err) < 0)
			return -1;
	if (in->of)
		return 0;
	memcpy(&words, field, sizeof(words));
	for (size_t i = 0; words && words[i]; i++)
		if (check_text(in, words[i], err) < 0)
			return -1;
	return 0;
}

static int settle_input(const struct op_input *in, char *args, struct pyro_error *err)
{
	char *field = args + in->offset;
	size_t count = in->kind == KIND_LIST ? *(size_t *)(args + in->side) : 1;
	int64_t value;

	if (in->kind == KIND_BOOL || in->kind == KIND_ON)
		return 0;
	if (is_absent(in, field)) {
		if (in->flags & REQUIRED)
			return err_set(err, PYRO_E_INVALID, "%s is missing", in->name);
		if (!in->def)
			return 0;
		if (in->kind == KIND_STR)
			memcpy(field, &in->def, sizeof(in->def));
		else if (in->kind == KIND_INT && parse_int(in->def, in->min, in->max, &value))
			memcpy(field, &value, sizeof(value));
	}
	if (in->kind != KIND_INT)
		return check_texts(in, field, count, err);
	memcpy(&value, field, sizeof(value));
	if (value < in->min || value > in->max)
		return err_set(err, PYRO_E_INVALID, "%s: %lld is outside %lld to %lld", in->name,
			       (long long)value, (long long)in->min, (long long)in->max);
	return 0;
}

int ops_apply_defaults(enum op_id id, const void *given, void *ret, struct pyro_error *err)
{
	const struct op_row *op = &ops_rows[id];

	if (given)
		memcpy(ret, given, op->args_size);
	else
		memset(ret, 0, op->args_size);
	for (const struct op_input *in = op->inputs; in->name; in++)
		if (settle_input(in, ret, err) < 0)
			return -1;
	return 0;
}
