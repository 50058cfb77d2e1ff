/*
 * Any operation, by name and with JSON: what other languages call instead of one function each.
 */
#include "api/handle.h"
#include "base/err.h"
#include "base/mem.h"
#include "ops/values.h"
#include "pyro.h"

#include <stdlib.h>
#include <string.h>

static const struct op_row *find_op(const char *name, struct pyro_error *err)
{
	for (int id = 0; name && id < OP_COUNT; id++)
		if (strcmp(ops_rows[id].name, name) == 0)
			return &ops_rows[id];
	(void)err_set(err, PYRO_E_INVALID, "there is no operation '%s'", name ? name : "");
	return NULL;
}

static int call(struct pyro *p, const struct op_row *op, const json_t *object, char **ret_json,
		struct pyro_error *err)
{
	AUTO_FREE void *args = mem_zalloc(1, op->args_size);
	AUTO_FREE void *record = mem_zalloc(1, op->ret->size);
	int result = values_decode(op, object, NAMING_FIELD, args, err);
	json_t *made;

	if (result == 0)
		result = ops_call((enum op_id)(op - ops_rows), p, args, record, err);
	values_args_done(op, args);
	if (result < 0)
		return -1;
	made = values_encode(op->ret, record);
	values_done(op->ret, record);
	*ret_json = json_dumps(made, JSON_COMPACT);
	json_decref(made);
	return *ret_json ? 0 : err_set(err, PYRO_E_PROTOCOL, "the result is not UTF-8");
}

int pyro_call_json(struct pyro *p, const char *name, const char *args_json, char **ret_json,
		   struct pyro_error *err)
{
	const struct op_row *op = handle_check(p, err) < 0 ? NULL : find_op(name, err);
	json_error_t why;
	json_t *object;
	int result;

	if (!op)
		return -1;
	object = json_loads(args_json ? args_json : "{}", JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(object)) {
		json_decref(object);
		return err_set(err, PYRO_E_INVALID, "the arguments of '%s' are no JSON object: %s",
			       name, object ? "another value" : why.text);
	}
	result = call(p, op, object, ret_json, err);
	json_decref(object);
	return result;
}
