/*
 * Secrets of workspaces as the operations see them: what takes them out of results, and how a
 * command asks for one.
 */
#include "api/handle.h"
#include "api/transfer.h"
#include "api/workspace.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/redact.h"
#include "workspace/secrets.h"
#include "workspace/state.h"

#include <string.h>

static int load(struct pyro *p, const char *id, struct secrets *ret, struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, id);

	return secrets_load(dir, ret, err);
}

int workspace_patterns(struct pyro *p, const char *id, struct redact_patterns **ret,
		       struct pyro_error *err)
{
	struct secrets secrets;

	if (load(p, id, &secrets, err) < 0)
		return -1;
	*ret = secrets.n ? redact_patterns_new((const char *const *)secrets.values) : NULL;
	secrets_done(&secrets);
	return 0;
}

int workspace_secret_values(struct pyro *p, const char *id, int *ret_fd, struct pyro_error *err)
{
	AUTO_BUF struct buf data = BUF_INIT(SECRETS_TOTAL_MAX + SECRETS_MAX);
	struct secrets secrets;

	if (load(p, id, &secrets, err) < 0)
		return -1;
	for (size_t i = 0; i < secrets.n; i++)
		buf_append(&data, secrets.values[i], strlen(secrets.values[i]) + 1);
	*ret_fd = secrets.n ? transfer_memory(data.data, data.len, err) : -1;
	if (data.data)
		explicit_bzero(data.data, data.cap);
	secrets_done(&secrets);
	return data.len && *ret_fd < 0 ? -1 : 0;
}

char **workspace_redact_words(const struct redact_patterns *patterns, const char *const *words)
{
	size_t n = strv_len(words);
	char **shown = mem_zalloc(n + 1, sizeof(*shown));

	for (size_t i = 0; i < n; i++)
		shown[i] = redact_text(patterns, words[i]);
	return shown;
}

int workspace_add_secret_env(const char *const *map, json_t *args, struct pyro_error *err)
{
	json_t *object;

	if (!map || !*map)
		return 0;
	object = json_object();
	(void)json_object_set_new(args, "secret_env", object);
	for (const char *const *at = map; *at; at++) {
		size_t len = strcspn(*at, "=");
		AUTO_FREE char *name = mem_strndup(*at, len);
		const char *variable = *at + len + ((*at)[len] == '=');

		if (secrets_check_name("secret name", name, err) < 0 ||
		    secrets_check_name("environment variable", variable, err) < 0)
			return -1;
		for (const char *const *other = map; other < at; other++)
			if (strcmp(strchr(*other, '=') + 1, variable) == 0)
				return err_set(err, PYRO_E_INVALID,
					       "environment variable '%s' is given twice",
					       variable);
		(void)json_object_set_new(object, name, json_string(variable));
	}
	return 0;
}
