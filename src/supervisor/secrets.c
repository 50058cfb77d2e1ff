/*
 * The secrets of a workspace while its machine runs: read once from its directory, given to the
 * agent of every machine that is started, and taken out of whatever leaves the supervisor.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/proc.h"
#include "base/redact.h"
#include "supervisor/supervisor.h"
#include "vm/vm.h"

#define PLACE_MS 10000

int supervisor_load_secrets(struct supervisor *s, struct pyro_error *err)
{
	if (secrets_load(s->dir, &s->secrets, err) < 0)
		return -1;
	if (!s->secrets.n)
		return 0;
	s->patterns = redact_patterns_new((const char *const *)s->secrets.values);
	return proc_hide_memory(err);
}

void supervisor_drop_secrets(struct supervisor *s)
{
	s->patterns = redact_patterns_free(s->patterns);
	secrets_done(&s->secrets);
}

const struct redact_patterns *supervisor_patterns(const struct supervisor *s)
{
	return s->patterns;
}

int supervisor_place_secrets(struct supervisor *s, struct vm *vm, struct pyro_error *err)
{
	json_t *values;

	if (!s->secrets.n)
		return 0;
	values = json_object();
	for (size_t i = 0; i < s->secrets.n; i++)
		(void)json_object_set_new(values, s->secrets.names[i],
					  json_string(s->secrets.values[i]));
	if (vm_call(vm, "secrets", json_pack("{s:o}", "values", values),
		    deadline_in(vm_patience_ms(vm->spec.accel, PLACE_MS)), err) == 0)
		return 0;
	redact_error(s->patterns, err);
	return err_wrap(err, "give the guest its secrets");
}

static int unknown_secret(const struct supervisor *s, const char *name, struct pyro_error *err)
{
	AUTO_BUF struct buf names = BUF_INIT(200);

	for (size_t i = 0; i < s->secrets.n; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", s->secrets.names[i]);
	(void)err_set(err, PYRO_E_NOT_FOUND, "workspace '%s' has no secret '%.80s'", s->vm_id,
		      name);
	return s->secrets.n ? err_hint(err, "it has %s", buf_text(&names))
			    : err_hint(err, "secrets are given when a workspace is created");
}

int supervisor_resolve_secret_env(const struct supervisor *s, json_t *args, struct pyro_error *err)
{
	json_t *map = json_object_get(args, "secret_env"), *env, *variable;
	const char *name;

	if (!map)
		return 0;
	env = json_object_get(args, "env");
	if (!env) {
		env = json_object();
		(void)json_object_set_new(args, "env", env);
	}
	json_object_foreach(map, name, variable)
	{
		const char *value = secrets_find(&s->secrets, name);

		if (!value)
			return unknown_secret(s, name, err);
		if (!json_is_string(variable))
			return err_set(err, PYRO_E_INVALID, "secret_env of '%.80s' is no text",
				       name);
		(void)json_object_set_new(env, json_string_value(variable), json_string(value));
	}
	return json_object_del(args, "secret_env");
}
