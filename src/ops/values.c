#include "ops/values.h"

#include "base/err.h"
#include "base/parse.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define REC(rec, text) \
	void pyro_##rec##_done(struct pyro_##rec *r) { values_done(&ops_records[REC_##rec], r); }
#define FLD(...)
#define FLD_REC(...)
#define FLD_LIST(...)
#define END_REC(...)
#include "ops/records.def"
#undef REC
/* clang-format on */

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "object";
	case JSON_ARRAY:
		return "list";
	case JSON_STRING:
		return "string";
	case JSON_INTEGER:
		return "integer";
	case JSON_REAL:
		return "number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "boolean";
	case JSON_NULL:
		break;
	}
	return "null";
}

static int wrong_type(const char *label, const char *expected, const json_t *value,
		      struct pyro_error *err)
{
	return err_set(err, PYRO_E_INVALID, "%s: expected %s, got %s", label, expected,
		       type_name(value));
}

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
		return wrong_type(label, "a string", value, err);
	return decode_text(value, label, field, err);
}

static int decode_bool(const json_t *value, const char *label, void *field, struct pyro_error *err)
{
	if (!json_is_boolean(value))
		return wrong_type(label, "a boolean", value, err);
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
		return wrong_type(label, "an integer", value, err);
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
		return wrong_type(label, "a string or a list of strings", value, err);
	if (n == 0)
		return err_set(err, PYRO_E_INVALID, "%s: the command has no words", label);
	words = mem_zalloc(n + 1, sizeof(*words));
	*(const char ***)field = words;
	for (size_t i = 0; i < n; i++) {
		const json_t *word = json_is_string(value) ? value : json_array_get(value, i);

		if (!json_is_string(word))
			return wrong_type(label, "a list of strings", word, err);
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
		return wrong_type(label, "a list of strings", value, err);
	for (size_t i = 0; i < n; i++) {
		const json_t *text = json_array_get(value, i);

		if (!json_is_string(text))
			return wrong_type(label, "a list of strings", text, err);
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
		return wrong_type(label, "an object", value, err);
	json_object_foreach(iterable, key, member)
	{
		if (!json_is_string(member))
			return wrong_type(label, "an object of strings", member, err);
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
		return wrong_type(label, "a boolean", value, err);
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
		return wrong_type(label, "an object", object, err);
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
		return wrong_type(label, "a list of objects", value, err);
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

static json_t *encode_strv(char *const *v, bool is_command)
{
	json_t *list;

	if (is_command && v && v[0] && !v[1])
		return json_string(v[0]);
	list = json_array();
	for (; v && *v; v++)
		json_array_append_new(list, json_string(*v));
	return list;
}

static json_t *encode_map(char *const *pairs)
{
	json_t *object = json_object();

	for (; pairs && *pairs; pairs++) {
		AUTO_FREE char *key = mem_strndup(*pairs, strcspn(*pairs, "="));

		json_object_set_new(object, key, json_string(*pairs + strlen(key) + 1));
	}
	return object;
}

static json_t *encode_list(const struct rec_field *f, const char *record)
{
	const char *items = *(const char *const *)(record + f->offset);
	size_t count = *(const size_t *)(record + f->side);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, values_encode(f->of, items + i * f->of->size));
	return list;
}

/* Paths of the host are any bytes, and JSON is text. */
static json_t *encode_text(const char *text)
{
	json_t *value = json_string(text);
	AUTO_FREE char *repaired = value ? NULL : utf8_repair(text, strlen(text), NULL);

	return value ? value : json_string(repaired);
}

/* NULL: the field is left out. */
static json_t *encode_field(const struct rec_field *f, const char *record)
{
	const void *at = record + f->offset;

	switch (f->kind) {
	case KIND_STR: {
		const char *text = *(const char *const *)at;

		if (text)
			return encode_text(text);
		return f->flags & NULLABLE ? json_null() : json_string("");
	}
	case KIND_BOOL:
		return json_boolean(*(const bool *)at);
	case KIND_INT:
		return *(const int64_t *)at == PYRO_NONE ? json_null()
							 : json_integer(*(const int64_t *)at);
	case KIND_NUM:
		return *(const double *)at == (double)PYRO_NONE ? json_null()
								: json_real(*(const double *)at);
	case KIND_STRV:
	case KIND_CMD:
		if (f->flags & NULLABLE && !*(char *const *const *)at)
			return json_null();
		return encode_strv(*(char *const *const *)at, f->kind == KIND_CMD);
	case KIND_MAP:
		return encode_map(*(char *const *const *)at);
	case KIND_REC:
		if (f->flags & NULLABLE && !*(const bool *)(record + f->side))
			return NULL;
		return values_encode(f->of, at);
	case KIND_LIST:
		return encode_list(f, record);
	case KIND_ON: /* no field's */
		break;
	}
	return NULL;
}

json_t *values_encode(const struct rec_row *rec, const void *record)
{
	json_t *object = json_object();

	for (const struct rec_field *f = rec->fields; f->name; f++) {
		json_t *value = encode_field(f, record);

		if (value)
			json_object_set_new(object, f->name, value);
	}
	return object;
}

static void free_field(const struct rec_field *f, char *record)
{
	void *at = record + f->offset;

	switch (f->kind) {
	case KIND_STR:
		free(*(char **)at);
		break;
	case KIND_STRV:
	case KIND_CMD:
	case KIND_MAP:
		strv_free(*(char ***)at);
		break;
	case KIND_REC:
		values_done(f->of, at);
		break;
	case KIND_LIST: {
		char *items = *(char **)at;

		for (size_t i = 0; i < *(size_t *)(record + f->side); i++)
			values_done(f->of, items + i * f->of->size);
		free(items);
		break;
	}
	default:
		break;
	}
}

void values_done(const struct rec_row *rec, void *record)
{
	for (const struct rec_field *f = rec->fields; f->name; f++)
		free_field(f, record);
	memset(record, 0, rec->size);
}

static char **read_texts(const json_t *list)
{
	size_t n = json_is_string(list) ? 1 : json_array_size(list);
	char **texts = mem_zalloc(n + 1, sizeof(*texts));

	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_is_string(list) ? list : json_array_get(list, i);
		const char *text = json_string_value(item);

		texts[i] = mem_strdup(text ? text : "");
	}
	return texts;
}

static int read_list(const struct rec_field *f, const json_t *list, char *record,
		     struct pyro_error *err)
{
	size_t n = json_array_size(list);
	char *items = mem_zalloc(n + 1, f->of->size);

	*(char **)(record + f->offset) = items;
	for (size_t i = 0; i < n; i++) {
		*(size_t *)(record + f->side) = i;
		if (values_decode_record(f->of, json_array_get(list, i), items + i * f->of->size,
					 err) < 0)
			return -1;
	}
	*(size_t *)(record + f->side) = n;
	return 0;
}

static bool has_type(const struct rec_field *f, const json_t *value)
{
	switch (f->kind) {
	case KIND_STR:
		return json_is_string(value);
	case KIND_BOOL:
		return json_is_boolean(value);
	case KIND_INT:
		return json_is_integer(value);
	case KIND_NUM:
		return json_is_number(value);
	case KIND_STRV:
	case KIND_LIST:
		return json_is_array(value);
	case KIND_CMD:
		return json_is_string(value) || json_is_array(value);
	case KIND_REC:
		return json_is_object(value);
	default: /* nothing reports maps */
		return false;
	}
}

static int read_field(const struct rec_field *f, const json_t *value, char *record,
		      struct pyro_error *err)
{
	void *at = record + f->offset;

	if (!value || json_is_null(value)) {
		if (f->kind == KIND_INT && f->flags & NULLABLE)
			*(int64_t *)at = PYRO_NONE;
		if (f->kind == KIND_NUM && f->flags & NULLABLE)
			*(double *)at = (double)PYRO_NONE;
		return 0;
	}
	if (!has_type(f, value))
		return wrong_type(f->name, "another type", value, err);
	if (json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value))
		return err_set(err, PYRO_E_INVALID, "%s: contains a NUL character", f->name);
	if (f->kind == KIND_STR)
		*(char **)at = mem_strdup(json_string_value(value));
	else if (f->kind == KIND_BOOL)
		*(bool *)at = json_is_true(value);
	else if (f->kind == KIND_INT)
		*(int64_t *)at = json_integer_value(value);
	else if (f->kind == KIND_NUM)
		*(double *)at = json_number_value(value);
	else if (f->kind == KIND_STRV || f->kind == KIND_CMD)
		*(char ***)at = read_texts(value);
	else if (f->kind == KIND_LIST)
		return read_list(f, value, record, err);
	else {
		*(bool *)(record + f->side) = true;
		return values_decode_record(f->of, value, at, err);
	}
	return 0;
}

int values_decode_record(const struct rec_row *rec, const json_t *object, void *record,
			 struct pyro_error *err)
{
	memset(record, 0, rec->size);
	for (const struct rec_field *f = rec->fields; f->name; f++)
		if (read_field(f, json_object_get(object, f->name), record, err) < 0) {
			values_done(rec, record);
			return -1;
		}
	return 0;
}

json_t *values_encode_error(const struct pyro_error *error)
{
	return json_pack("{s:s, s:s, s:s, s:b}", "code", pyro_code_name(error->code), "message",
			 error->message, "hint", error->hint, "retryable",
			 pyro_code_retryable(error->code));
}
