/*
 * `codex mcp get --json` says exactly what is registered, and `codex mcp add` registers. But it
 * replaces an entry as a whole, with the user's limits, approvals and comments in it. So an entry
 * that exists is changed line by line in the file, and Codex is asked whether it reads that as
 * meant; if not, the file is put back, copied, and left to `codex mcp add`.
 */
#include "api/host.h"

#include "api/toml.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX (16 * 1024 * 1024)
#define ANSWER_MAX (256 * 1024)

static const char *const table[] = {"mcp_servers", HOST_SERVER, NULL};
static const char *const env_table[] = {"mcp_servers", HOST_SERVER, "env", NULL};

static char *config_path(struct pyro_error *err)
{
	AUTO_FREE char *dir = host_dir("CODEX_HOME", ".codex", err);

	return dir ? mem_printf("%s/config.toml", dir) : NULL;
}

/* What is wrong stands behind "0:" among the causes, or in the line of the error itself. */
static int refuse(const char *text, const char *path, struct pyro_error *err)
{
	const char *line = strstr(text, "\n    0: ");

	if (line)
		line += strlen("\n    0: ");
	else
		line = strstr(text, "Error: ") ?: text;
	(void)err_set(err, PYRO_E_INVALID, "codex cannot read its configuration: %.*s",
		      (int)strcspn(line, "\n"), line);
	return err_hint(err, "correct '%s' by hand, then pyro host doctor", path);
}

static int take(const struct buf *answer, struct host_entry *ret, struct pyro_error *err)
{
	json_t *server = json_loadb(buf_text(answer), answer->len, 0, NULL);
	const json_t *transport = json_object_get(server, "transport");

	if (!transport) {
		json_decref(server);
		return err_set(err, PYRO_E_PROTOCOL, "'codex mcp get --json' gave no answer");
	}
	ret->is_found = true;
	ret->is_disabled = json_is_false(json_object_get(server, "enabled"));
	ret->environment = json_incref(json_object_get(transport, "env"));
	ret->command = host_command(transport);
	json_decref(server);
	return 0;
}

static int examine(const char *unused, struct host_entry *ret, struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	AUTO_BUF struct buf out = BUF_INIT(ANSWER_MAX);
	AUTO_BUF struct buf errout = BUF_INIT(ANSWER_MAX);
	int code;

	(void)unused;
	ret->config_path = config_path(err);
	if (!ret->config_path)
		return -1;
	argv_add(&a, "codex", "mcp", "get", HOST_SERVER, "--json", NULL);
	code = host_run(&a, &out, &errout, err);
	if (code == 0)
		return take(&out, ret, err);
	if (code < 0 || strstr(buf_text(&errout), "No MCP server named"))
		return code < 0 ? -1 : 0;
	return refuse(buf_text(&errout), ret->config_path, err);
}

/* Replaces *text by itself with one value set. */
static int set(char **text, const char *const *names, const char *key, json_t *value,
	       struct pyro_error *err)
{
	AUTO_FREE char *as_toml = toml_value(value);
	char *changed = toml_set(*text, names, key, as_toml, err);

	if (!changed)
		return -1;
	free(*text);
	*text = changed;
	return 0;
}

static int set_new(char **text, const char *key, json_t *value, struct pyro_error *err)
{
	int result = set(text, table, key, value, err);

	json_decref(value);
	return result;
}

static int set_environment(char **text, const struct host_entry *old,
			   const struct host_wanted *wanted, struct pyro_error *err)
{
	bool has_table = toml_has_table(*text, env_table), is_changed = false;
	const char *name;
	json_t *value;

	json_object_foreach(wanted->environment, name, value)
	{
		if (!host_lacks(old->environment, name, value))
			continue;
		is_changed = true;
		if (has_table && set(text, env_table, name, value, err) < 0)
			return -1;
	}
	if (has_table || !is_changed)
		return 0;
	return set_new(text, "env", host_merge_environment(old->environment, wanted->environment),
		       err);
}

char *host_codex_edit(const char *text, const struct host_entry *old,
		      const struct host_wanted *wanted, struct pyro_error *err)
{
	AUTO_FREE char *made = mem_strdup(text);

	if (set_environment(&made, old, wanted, err) < 0 ||
	    set_new(&made, "args", host_json_words(wanted->command + 1), err) < 0 ||
	    set_new(&made, "command", json_string(wanted->command[0]), err) < 0 ||
	    (old->is_disabled && set_new(&made, "enabled", json_true(), err) < 0))
		return NULL;
	return TAKE_PTR(made);
}

/* Whether that made it right; else all is as before. */
static bool edit(const struct host_entry *old, const struct host_wanted *wanted)
{
	AUTO_BUF struct buf before = BUF_INIT(CONFIG_MAX), since = BUF_INIT(CONFIG_MAX);
	AUTO_ENTRY struct host_entry now = {0};
	AUTO_FREE char *after = NULL;

	if (!old->command || host_read(old->config_path, &before, NULL) <= 0)
		return false;
	after = host_codex_edit(buf_text(&before), old, wanted, NULL);
	if (!after || host_write(old->config_path, after, NULL) < 0)
		return false;
	if (examine(NULL, &now, NULL) == 0 && host_entry_is(&now, wanted))
		return true;
	/* What Codex wrote meanwhile stays. */
	if (host_read(old->config_path, &since, NULL) > 0 && strcmp(buf_text(&since), after) == 0)
		(void)host_write(old->config_path, buf_text(&before), NULL);
	return false;
}

static int add_whole(const json_t *environment, const struct host_wanted *wanted,
		     struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;

	argv_add(&a, "codex", "mcp", "add", HOST_SERVER, NULL);
	host_add_server(&a, environment, wanted->command);
	return host_check(&a, err);
}

static int add(const char *unused, const struct host_entry *old, const struct host_wanted *wanted,
	       char **ret_backup, struct pyro_error *err)
{
	json_t *environment;
	int result = 0;

	(void)unused;
	if (!old->is_found)
		return add_whole(wanted->environment, wanted, err);
	if (edit(old, wanted))
		return 0;
	if (host_keep(old->config_path, ret_backup, err) < 0)
		return -1;
	environment = host_merge_environment(old->environment, wanted->environment);
	result = add_whole(environment, wanted, err);
	json_decref(environment);
	return result;
}

const struct host host_codex = {
	.name = "codex",
	.title = "Codex",
	.program = "codex",
	.install = "npm install -g @openai/codex",
	.look = "/mcp in it lists the tools",
	.has_commands = true,
	.examine = examine,
	.add = add,
};
