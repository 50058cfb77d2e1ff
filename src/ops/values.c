#include "ops/values.h"

#include "base/err.h"
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

int values_wrong_type(const char *label, const char *expected, const json_t *value,
		      struct pyro_error *err)
{
	return err_set(err, PYRO_E_INVALID, "%s: expected %s, got %s", label, expected,
		       type_name(value));
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
		return values_wrong_type(f->name, "another type", value, err);
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
