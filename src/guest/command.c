#include "guest/command.h"

#include "base/err.h"
#include "base/mem.h"
#include "guest/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MAX_MS (7LL * 24 * 3600 * 1000)
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

/* What a command finds in its environment, as in a good CI; on a host, the user's own values. */
static char **make_env(const struct command_config *config, const json_t *given)
{
	static const char *const base[][2] = {
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"HOME", "/root"},
		{"USER", "root"},
		{"LOGNAME", "root"},
		{"SHELL", "/bin/sh"},
		{"LANG", "C.UTF-8"},
	};
	char **env = mem_zalloc(ARRAY_SIZE(base) + json_object_size(given) + 2, sizeof(*env));
	const char *name;
	json_t *value;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(base); i++) {
		const char *own = config->is_guest ? NULL : getenv(base[i][0]);

		if (!json_object_get(given, base[i][0]))
			env[n++] = mem_printf("%s=%s", base[i][0], own ? own : base[i][1]);
	}
	if (!json_object_get(given, "TERM"))
		env[n++] = mem_strdup("TERM=dumb");
	/* jansson's macro wants a pointer that is not const and changes nothing. */
	json_object_foreach((json_t *)(uintptr_t)given, name, value) env[n++] =
		mem_printf("%s=%s", name, json_string_value(value));
	return env;
}

static int check_env(json_t *env, struct pyro_error *err)
{
	const char *name;
	json_t *value;

	if (env && !json_is_object(env))
		return err_set(err, PYRO_E_INVALID, "env is not an object");
	json_object_foreach(env, name, value)
	{
		if (!*name || strchr(name, '='))
			return err_set(err, PYRO_E_INVALID, "env has a bad name '%s'", name);
		if (!json_is_string(value))
			return err_set(err, PYRO_E_INVALID, "env '%s' is not a string", name);
	}
	return 0;
}

/* The strings are borrowed from the JSON; the vector is the caller's. NULL with err. */
static char **make_argv(const json_t *list, const char *shell, struct pyro_error *err)
{
	size_t n = json_array_size(list);
	char **argv = mem_zalloc(n + 4, sizeof(*argv));

	if (shell) {
		argv[0] = (char *)(uintptr_t) "/bin/sh";
		argv[1] = (char *)(uintptr_t) "-c";
		argv[2] = (char *)(uintptr_t)shell;
	}
	for (size_t i = 0; i < n && !shell; i++) {
		argv[i] = (char *)(uintptr_t)json_string_value(json_array_get(list, i));
		if (!argv[i]) {
			free(argv);
			(void)err_set(err, PYRO_E_INVALID, "argv[%zu] is not a string", i);
			return NULL;
		}
	}
	return argv;
}

static int open_cwd(const struct command_config *config, const char *cwd, struct pyro_error *err)
{
	AUTO_FREE char *in_dir = cwd && config->dir && root_is_above(cwd)
					 ? mem_printf("%s%s", config->dir, cwd)
					 : NULL;
	const char *path = in_dir ? in_dir : cwd ? cwd : config->dir ? config->dir : "/root";
	int fd = -1;

	if (cwd && strcmp(cwd, ROOT_PATH) == 0)
		return root_open(err);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && !cwd && !config->dir)
		fd = open(path = "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		bool is_missing = errno == ENOENT || errno == ENOTDIR;

		(void)err_sys(err, errno, "working directory '%s'", cwd ? cwd : path);
		if (is_missing)
			err->code = PYRO_E_NOT_FOUND;
	}
	return fd;
}

int command_parse(struct command *command, const struct command_config *config, json_t *args,
		  struct pyro_error *err)
{
	json_t *list = NULL, *cwd = NULL, *env = NULL;
	const char *shell = NULL;
	json_int_t timeout_ms = 0;
	int has_input = 0;
	json_error_t error;

	if (json_unpack_ex(args, &error, 0, "{s?o s?s s?o s?o s?b s?I !}", "argv", &list, "shell",
			   &shell, "cwd", &cwd, "env", &env, "stdin", &has_input, "timeout_ms",
			   &timeout_ms) < 0)
		return err_set(err, PYRO_E_INVALID, "exec: %s", error.text);
	if (!shell == !list || (list && !json_array_size(list)))
		return err_set(err, PYRO_E_INVALID,
			       "exec: either argv or shell must say what to run");
	if (timeout_ms < 0 || timeout_ms > TIMEOUT_MAX_MS)
		return err_set(err, PYRO_E_INVALID, "exec: timeout_ms is not in 0..%lld",
			       TIMEOUT_MAX_MS);
	if (cwd && !json_is_string(cwd) && !json_is_null(cwd))
		return err_set(err, PYRO_E_INVALID, "exec: cwd is not a string");
	if (check_env(env, err) < 0)
		return -1;
	command->argv = make_argv(list, shell, err);
	if (!command->argv)
		return -1;
	command->cwd_fd = open_cwd(config, json_string_value(cwd), err);
	if (command->cwd_fd < 0)
		return -1;
	command->env = make_env(config, env);
	command->has_input = has_input;
	command->timeout_ms = timeout_ms;
	return 0;
}

void command_done(struct command *command)
{
	free(command->argv);
	strv_free(command->env);
	fd_close(&command->cwd_fd);
}

/* Whether PATH leads to a file of that name, be it executable or not. */
static bool is_in_path(const char *name)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t len = strcspn(path, ":");
		AUTO_FREE char *full = mem_printf("%.*s/%s", (int)len, path, name);

		if (access(full, F_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

/* In the child, with its streams in place. */
int command_run(const void *arg)
{
	const struct command *command = arg;
	const char *name = command->argv[0];
	int failure;

	environ = command->env;
	(void)execvp(name, command->argv);
	failure = errno;
	/* execvp also says so where it only could not search a directory of PATH. */
	if (failure == EACCES && !strchr(name, '/') && !is_in_path(name))
		failure = ENOENT;
	if (failure == ENOENT && !strchr(name, '/'))
		(void)dprintf(STDERR_FILENO, "pyro: '%s': command not found\n", name);
	else
		(void)dprintf(STDERR_FILENO, "pyro: '%s': %s\n", name, strerror(failure));
	return failure == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
