#include "base/err.h"
#include "base/parse.h"
#include "ops/values.h"

#include <stdlib.h>
#include <string.h>

/* C strings end at a NUL, so a text that holds one would change its meaning on the way. */
static int decode_text(const json_t *value, const char *label, const char **ret,
		       struct pyro_error *err)
{
	const char *text = json_string_value(value);

	if (strlen(text) != json_string_length(value))
		return err_set(err, PYRO_E_INVALID, "%s: contains a NUL character", label);
	*ret = text;
	return 0;
}

static int decode_str(const json_t *value, const char *label, void *field, struct pyro_error *err)
{
	if (!json_is_string(value))
		return values_wrong_type(label, "a string", value, err);
	return decode_text(value, label, field, err);
}

static int decode_bool(const json_t *value, const char *label, void *field, struct pyro_error *err)
{
	if (!json_is_boolean(value))
		return values_wrong_type(label, "a boolean", value, err);
	*(bool *)field = json_is_true(value);
	return 0;
}

#define EXACT_MAX (1LL << 53) /* the integers that a double holds as they are */

/* JSON has one kind of number: what some write as 5.0 is the integer 5, for a schema, too. */
static bool is_integral(const json_t *value)
{
	double n = json_real_value(value);

	return json_is_integer(value) || (json_is_real(value) && n >= (double)-EXACT_MAX &&
					  n <= (double)EXACT_MAX && !(n - (double)(int64_t)n));
}

static int decode_int(const struct op_input *in, const json_t *value, const char *label,
		      void *field, struct pyro_error *err)
{
	int64_t n;

	if (!is_integral(value))
		return values_wrong_type(label, "an integer", value, err);
	n = json_is_integer(value) ? json_integer_value(value) : (int64_t)json_real_value(value);
	if (n < in->min || n > in->max)
		return err_set(err, PYRO_E_INVALID, "%s: %lld is outside %lld to %lld", label,
			       (long long)n, (long long)in->min, (long long)in->max);
	memcpy(field, &n, sizeof(n));
	return 0;
}

static int decode_cmd(const json_t *value, const char *label, void *field, struct pyro_error *err)
{
	size_t n = json_is_string(value) ? 1 : json_array_size(value);
	const char **words;

	if (!json_is_string(value) && !json_is_array(value))
		return values_wrong_type(label, "a string or a list of strings", value, err);
	if (n == 0)
		return err_set(err, PYRO_E_INVALID, "%s: the command has no words", label);
	words = mem_zalloc(n + 1, sizeof(*words));
	*(const char ***)field = words;
	for (size_t i = 0; i < n; i++) {
		const json_t *word = json_is_string(value) ? value : json_array_get(value, i);

		if (!json_is_string(word))
			return values_wrong_type(label, "a list of strings", word, err);
		if (decode_text(word, label, &words[i], err) < 0)
			return -1;
	}
	return 0;
}

static int decode_strv(const json_t *value, const char *label, void *field, struct pyro_error *err)
{
	size_t n = json_array_size(value);
	const char **texts = mem_zalloc(n + 1, sizeof(*texts));

	*(const char ***)field = texts;
	if (!json_is_array(value))
		return values_wrong_type(label, "a list of strings", value, err);
	for (size_t i = 0; i < n; i++) {
		const json_t *text = json_array_get(value, i);

		if (!json_is_string(text))
			return values_wrong_type(label, "a list of strings", text, err);
		if (decode_text(text, label, &texts[i], err) < 0)
			return -1;
	}
	return 0;
}

/* "KEY=VALUE" each, owned. */
static int decode_map(const json_t *value, const char *label, void *field, struct pyro_error *err)
{
	json_t *iterable = (json_t *)(uintptr_t)value;
	char **pairs = mem_zalloc(json_object_size(value) + 1, sizeof(*pairs));
	const char *key, *text = NULL;
	json_t *member;
	size_t n = 0;

	*(char ***)field = pairs;
	if (!json_is_object(value))
		return values_wrong_type(label, "an object", value, err);
	json_object_foreach(iterable, key, member)
	{
		if (!json_is_string(member))
			return values_wrong_type(label, "an object of strings", member, err);
		if (strchr(key, '='))
			return err_set(err, PYRO_E_INVALID, "%s: key '%s' contains =", label, key);
		if (decode_text(member, label, &text, err) < 0)
			return -1;
		pairs[n++] = mem_printf("%s=%s", key, text);
	}
	return 0;
}

static int decode_on(const json_t *value, const char *label, void *field, struct pyro_error *err)
{
	if (!json_is_boolean(value))
		return values_wrong_type(label, "a boolean", value, err);
	*(enum pyro_switch *)field = json_is_true(value) ? PYRO_ON : PYRO_OFF;
	return 0;
}

/* That an object has what a record must have, and nothing that it has not. */
static int check_object(const struct rec_row *rec, const json_t *object, const char *label,
			struct pyro_error *err)
{
	json_t *iterable = (json_t *)(uintptr_t)object;
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return values_wrong_type(label, "an object", object, err);
	json_object_foreach(iterable, key, value)
	{
		if (!ops_field(rec, key))
			return err_set(err, PYRO_E_INVALID, "%s.%s: there is no such member", label,
				       key);
	}
	for (const struct rec_field *f = rec->fields; f->name; f++)
		if (!(f->flags & NULLABLE) && !json_object_get(object, f->name))
			return err_set(err, PYRO_E_INVALID, "%s.%s is missing", label, f->name);
	return 0;
}

static int decode_object(const struct rec_row *rec, const json_t *value, const char *label,
			 void *record, struct pyro_error *err)
{
	if (check_object(rec, value, label, err) < 0)
		return -1;
	return values_decode_record(rec, value, record, err) < 0 ? err_wrap(err, "%s", label) : 0;
}

/* Owned: values_args_done(). */
static int decode_rec(const struct op_input *in, const json_t *value, const char *label,
		      void *field, struct pyro_error *err)
{
	void *record = mem_zalloc(1, in->of->size);

	*(void **)field = record;
	return decode_object(in->of, value, label, record, err);
}

static int decode_list(const struct op_input *in, const json_t *value, const char *label,
		       char *args, struct pyro_error *err)
{
	size_t n = json_array_size(value), *count = (size_t *)(args + in->side);
	char *items;

	if (!json_is_array(value))
		return values_wrong_type(label, "a list of objects", value, err);
	items = mem_zalloc(n + 1, in->of->size);
	*(char **)(args + in->offset) = items;
	for (*count = 0; *count < n; ++*count) {
		AUTO_FREE char *item = mem_printf("%s[%zu]", label, *count);

		if (decode_object(in->of, json_array_get(value, *count), item,
				  items + *count * in->of->size, err) < 0)
			return -1;
	}
	return 0;
}

static int missing(const struct op_input *in, enum ops_naming naming, const char *label,
		   struct pyro_error *err)
{
	/* A tool's caller says what it wants; a person may leave it to us. */
	if (!(in->flags & (naming == NAMING_JSON ? REQUIRED | ASSUMED : REQUIRED)))
		return 0;
	if (naming == NAMING_CLI && in->flags & OR_FILE)
		return err_set(err, PYRO_E_INVALID, "%s or %s-file is missing", label, label);
	return err_set(err, PYRO_E_INVALID, "%s is missing", label);
}

static int decode_input(const struct op_input *in, const json_t *value, enum ops_naming naming,
			char *args, struct pyro_error *err)
{
	void *field = args + in->offset;
	char label[OPS_LABEL_MAX];

	ops_input_label(in, naming, label);
	if (!value || json_is_null(value))
		return missing(in, naming, label, err);
	switch (in->kind) {
	case KIND_STR:
		return decode_str(value, label, field, err);
	case KIND_BOOL:
		return decode_bool(value, label, field, err);
	case KIND_ON:
		return decode_on(value, label, field, err);
	case KIND_INT:
		return decode_int(in, value, label, field, err);
	case KIND_CMD:
		return decode_cmd(value, label, field, err);
	case KIND_STRV:
		return decode_strv(value, label, field, err);
	case KIND_MAP:
		return decode_map(value, label, field, err);
	case KIND_REC:
		return decode_rec(in, value, label, field, err);
	case KIND_LIST:
		return decode_list(in, value, label, args, err);
	default:
		return err_set(err, PYRO_E_INVALID, "%s: not an input", label);
	}
}

/* Whether callers of this kind can give it at all. */
static bool is_offered(const struct op_input *in, enum ops_naming naming)
{
	return naming != NAMING_JSON || !(in->flags & CLI_ONLY);
}

static int unknown_key(const struct op_row *op, const char *key, enum ops_naming naming,
		       struct pyro_error *err)
{
	const char *names[64] = {NULL};
	const char *nearest;
	size_t n = 0;

	for (const struct op_input *in = op->inputs; in->name && n + 1 < ARRAY_SIZE(names); in++)
		if (is_offered(in, naming))
			names[n++] = in->name;
	nearest = parse_nearest(key, names);
	(void)err_set(err, PYRO_E_INVALID, "arguments.%s: there is no such argument", key);
	if (nearest)
		(void)err_hint(err, "did you mean '%s'?", nearest);
	return -1;
}

int values_decode(const struct op_row *op, const json_t *object, enum ops_naming naming, void *args,
		  struct pyro_error *err)
{
	/* jansson's iterators want an object they could change. */
	json_t *iterable = (json_t *)(uintptr_t)object;
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return err_set(err, PYRO_E_INVALID, "arguments: expected an object");
	json_object_foreach(iterable, key, value)
	{
		const struct op_input *in = ops_input(op, key);

		if (!in || !is_offered(in, naming))
			return unknown_key(op, key, naming, err);
	}
	for (const struct op_input *in = op->inputs; in->name; in++)
		if (decode_input(in, json_object_get(object, in->name), naming, args, err) < 0)
			return -1;
	return 0;
}

static void free_records(const struct op_input *in, char *records, size_t count)
{
	for (size_t i = 0; records && i < count; i++)
		values_done(in->of, records + i * in->of->size);
	free(records);
}

void values_args_done(const struct op_row *op, void *args)
{
	for (const struct op_input *in = op->inputs; in->name; in++) {
		void *field = (char *)args + in->offset;

		if (in->kind == KIND_CMD || in->kind == KIND_STRV)
			free(*(void **)field);
		else if (in->kind == KIND_MAP)
			strv_free(*(char ***)field);
		else if (in->kind == KIND_REC)
			free_records(in, *(char **)field, 1);
		else if (in->kind == KIND_LIST)
			free_records(in, *(char **)field, *(size_t *)((char *)args + in->side));
	}
	memset(args, 0, op->args_size);
}
