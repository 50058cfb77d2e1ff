#include "channel/outcome.h"

#include "base/err.h"

int outcome_take(const json_t *result, struct outcome *ret, struct pyro_error *err)
{
	const json_t *exit_code = json_object_get(result, "exit_code");
	const json_t *duration_ms = json_object_get(result, "duration_ms");

	if (!json_is_integer(exit_code) || !json_is_integer(duration_ms) ||
	    json_integer_value(exit_code) < 0 || json_integer_value(exit_code) > 255 ||
	    json_integer_value(duration_ms) < 0)
		return err_set(err, PYRO_E_PROTOCOL, "the guest's result of the command is none");
	ret->exit_code = json_integer_value(exit_code);
	ret->duration_ms = json_integer_value(duration_ms);
	ret->timed_out = json_is_true(json_object_get(result, "timed_out"));
	return 0;
}
