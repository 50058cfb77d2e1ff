#include "api/host.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_MS 30000

void host_entry_done(struct host_entry *entry)
{
	strv_free(entry->command);
	json_decref(entry->environment);
	free(entry->scope);
	free(entry->config_path);
	free(entry->hidden_by);
	free(entry->advice);
}

bool host_lacks(const json_t *environment, const char *name, const json_t *value)
{
	return !json_equal(json_object_get(environment, name), value);
}

bool host_entry_is(const struct host_entry *entry, const struct host_wanted *wanted)
{
	const char *name;
	json_t *value;

	if (!entry->is_found || entry->is_disabled || !entry->command ||
	    !strv_equal(entry->command, wanted->command))
		return false;
	json_object_foreach(wanted->environment, name, value)
	{
		if (host_lacks(entry->environment, name, value))
			return false;
	}
	return true;
}

json_t *host_merge_environment(const json_t *old, const json_t *wanted)
{
	json_t *merged = json_is_object(old) ? json_copy((json_t *)(uintptr_t)old) : json_object();

	json_object_update(merged, (json_t *)(uintptr_t)wanted);
	return merged;
}

char **host_words(const json_t *list)
{
	size_t n = json_array_size(list);
	AUTO_STRV char **words = mem_zalloc(n + 1, sizeof(*words));

	if (!json_is_array(list))
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (!json_is_string(json_array_get(list, i)))
			return NULL;
		words[i] = mem_strdup(json_string_value(json_array_get(list, i)));
	}
	return TAKE_PTR(words);
}

char **host_command(const json_t *server)
{
	json_t *words = json_pack("[o*]", json_incref(json_object_get(server, "command")));
	char **command;

	(void)json_array_extend(words, json_object_get(server, "args"));
	command = json_object_get(server, "command") ? host_words(words) : NULL;
	json_decref(words);
	return command;
}

void host_add_server(struct argv *a, const json_t *environment, char *const *command)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)environment, name, value)
	{
		argv_add(a, "--env", NULL);
		argv_addf(a, "%s=%s", name, json_string_value(value));
	}
	argv_add(a, "--", NULL);
	for (; *command; command++)
		argv_add(a, *command, NULL);
}

json_t *host_json_words(char *const *words)
{
	json_t *list = json_array();

	for (; *words; words++)
		json_array_append_new(list, json_string(*words));
	return list;
}

char *host_dir(const char *variable, const char *name, struct pyro_error *err)
{
	const char *dir = getenv(variable), *home = getenv("HOME");

	if (dir && *dir)
		return mem_strdup(dir);
	if (home && *home)
		return name ? mem_printf("%s/%s", home, name) : mem_strdup(home);
	(void)err_set(err, PYRO_E_SYSTEM, "HOME is not set");
	(void)err_hint(err, "set HOME to the home directory whose chat hosts are meant");
	return NULL;
}

/*
 * Our environment, and: a server that does not answer is not waited for, errors are short, and
 * nothing is coloured.
 */
static char **environment(void)
{
	static const char *const own[] = {"MCP_TIMEOUT=3000", "RUST_BACKTRACE=0", "NO_COLOR=1"};
	size_t n = 0, count = strv_len((const char *const *)environ);
	char **env = mem_zalloc(count + ARRAY_SIZE(own) + 1, sizeof(*env));

	for (size_t i = 0; i < count; i++) {
		bool is_own = false;

		for (size_t k = 0; k < ARRAY_SIZE(own); k++)
			is_own = is_own ||
				 strncmp(environ[i], own[k], strcspn(own[k], "=") + 1) == 0;
		if (!is_own)
			env[n++] = mem_strdup(environ[i]);
	}
	for (size_t k = 0; k < ARRAY_SIZE(own); k++)
		env[n++] = mem_strdup(own[k]);
	return env;
}

int host_run(const struct argv *a, struct buf *out, struct buf *errout, struct pyro_error *err)
{
	AUTO_STRV char **env = environment();

	return proc_run(a,
			&(struct proc_options){
				.env = env,
				.new_session = true,
				.deadline = deadline_in(RUN_MS),
				.out = out,
				.errout = errout,
			},
			err);
}

int host_check(const struct argv *a, struct pyro_error *err)
{
	AUTO_STRV char **env = environment();

	return proc_check(a,
			  &(struct proc_options){
				  .env = env, .new_session = true, .deadline = deadline_in(RUN_MS)},
			  err);
}

int host_read(const char *path, struct buf *out, struct pyro_error *err)
{
	struct pyro_error why;
	struct stat st;

	if (stat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	/* To open a pipe would be to wait for its writer. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(err, PYRO_E_INVALID, "'%s' is not a file", path);
	if (file_read(path, out, &why) < 0)
		return err_set(err, PYRO_E_INVALID, "%s", why.message);
	if (out->is_full || strlen(buf_text(out)) != out->len)
		return err_set(err, PYRO_E_INVALID, "'%s' is not a text", path);
	return 1;
}

int host_write(const char *path, const char *text, struct pyro_error *err)
{
	AUTO_FREE char *real = realpath(path, NULL);
	AUTO_FREE char *parent = NULL;
	struct stat st = {.st_mode = 0644};
	const char *name = real ? real : path, *slash = strrchr(name, '/');

	parent = slash ? mem_strndup(name, (size_t)(slash - name)) : NULL;
	if (parent && *parent && dir_make(parent, 0755, err) < 0)
		return -1;
	if (real && stat(real, &st) < 0)
		return err_sys(err, errno, "examine '%s'", real);
	return file_write_atomic(name, text, strlen(text), st.st_mode & 0777, err);
}

static char *backup_path(const char *path)
{
	long long now = (long long)clock_wall();
	char *name = mem_printf("%s.bak-%lld", path, now);

	for (int i = 2; file_exists(name); i++) {
		free(name);
		name = mem_printf("%s.bak-%lld-%d", path, now, i);
	}
	return name;
}

int host_keep(const char *path, char **ret_backup, struct pyro_error *err)
{
	AUTO_FREE char *backup = backup_path(path);
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(err, errno, "examine '%s'", path);
	if (!S_ISREG(st.st_mode)) /* a device, say, which nobody means to replace */
		return err_set(err, PYRO_E_INVALID, "'%s' is not a file", path);
	if (file_copy(path, backup, 0600, err) < 0)
		return -1;
	*ret_backup = TAKE_PTR(backup);
	return 0;
}
