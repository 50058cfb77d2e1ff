#include "guest/command.h"

#include "base/err.h"
#include "base/file.h"
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
#define IMAGE_PATH "/etc/pyro/image.json"
#define IMAGE_MAX (256 * 1024)

/* bash would else frame what is pasted in escape sequences, which programs see as input. */
static const char inputrc[] = "set enable-bracketed-paste off\n";

/* The path of the shell's file of settings, owned by the caller; NULL with err. */
static char *make_inputrc(const struct command_config *config, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_strdup(config->is_guest ? "/run/pyro-shells" : config->dir);
	AUTO_FREE char *path = mem_printf("%s/inputrc", dir);

	if (!file_exists(path) &&
	    (dir_make(dir, 0755, err) < 0 ||
	     file_write_atomic(path, inputrc, strlen(inputrc), 0644, err) < 0))
		return NULL;
	return TAKE_PTR(path);
}

/* An environment in the making: a name that was given keeps its value. */
struct env {
	char **v;
	size_t n;
	const json_t *given;
};

static void add(struct env *env, const char *name, const char *value)
{
	if (!json_object_get(env->given, name))
		env->v[env->n++] = mem_printf("%s=%s", name, value);
}

/*
 * What the environment itself says, where it is an OCI image: {"env": {NAME: value},
 * "working_dir"}. NULL if it says nothing, or nothing that can be understood: the guest may have
 * changed it.
 */
static json_t *load_image(const struct command_config *config)
{
	AUTO_BUF struct buf text = BUF_INIT(IMAGE_MAX);

	if (!config->is_guest || file_read(IMAGE_PATH, &text, NULL) < 0)
		return NULL;
	return json_loadb(buf_text(&text), text.len, 0, NULL);
}

/* The variables that were given and, behind them, those of the image. A new object. */
static json_t *join_env(const json_t *given, const json_t *image)
{
	json_t *env = json_object(), *value;
	const char *name;

	json_object_foreach(json_object_get(image, "env"), name,
			    value) if (*name && !strchr(name, '=') && json_is_string(value))(void)
		json_object_set(env, name, value);
	if (given)
		(void)json_object_update(env, (json_t *)(uintptr_t)given);
	return env;
}

/* What a command finds in its environment, as in a good CI; on a host, the user's own values. */
static char **make_env(const struct command_config *config, bool has_terminal,
		       const char *inputrc_path, const json_t *given)
{
	static const char *const base[][2] = {
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"HOME", "/root"},
		{"USER", "root"},
		{"LOGNAME", "root"},
		{"SHELL", "/bin/sh"},
		{"LANG", "C.UTF-8"},
	};
	struct env env = {
		.v = mem_zalloc(ARRAY_SIZE(base) + json_object_size(given) + 5, sizeof(*env.v)),
		.given = given,
	};
	const char *name;
	json_t *value;

	for (size_t i = 0; i < ARRAY_SIZE(base); i++) {
		const char *own = config->is_guest ? NULL : getenv(base[i][0]);

		add(&env, base[i][0], own ? own : base[i][1]);
	}
	add(&env, "TERM", has_terminal ? "xterm-256color" : "dumb");
	if (inputrc_path) {
		add(&env, "INPUTRC", inputrc_path);
		add(&env, "HISTFILE", "");
		add(&env, "PS1", geteuid() == 0 ? "$PWD # " : "$PWD $ ");
	}
	/* jansson's macro wants a pointer that is not const and changes nothing. */
	json_object_foreach((json_t *)(uintptr_t)given, name, value) env.v[env.n++] =
		mem_printf("%s=%s", name, json_string_value(value));
	return env.v;
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

/* The interactive shell; no start-up file may change what its user sees. */
static char **make_shell_argv(void)
{
	static const char *const bash[] = {"/bin/bash", "/usr/bin/bash"};
	static const char *const words[] = {"--noprofile", "--norc", "-i"};
	char **argv = mem_zalloc(ARRAY_SIZE(words) + 2, sizeof(*argv));

	for (size_t i = 0; i < ARRAY_SIZE(bash) && !argv[0]; i++)
		if (access(bash[i], X_OK) == 0)
			argv[0] = (char *)(uintptr_t)bash[i];
	for (size_t i = 0; i < ARRAY_SIZE(words) && argv[0]; i++)
		argv[i + 1] = (char *)(uintptr_t)words[i];
	if (!argv[0]) {
		argv[0] = (char *)(uintptr_t) "/bin/sh";
		argv[1] = (char *)(uintptr_t) "-i";
	}
	return argv;
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

/* home: where a command of a guest runs that names no place; else it is the root. */
static int open_cwd(const struct command_config *config, const char *cwd, const char *home,
		    struct pyro_error *err)
{
	AUTO_FREE char *in_dir = cwd && config->dir && root_is_above(cwd)
					 ? mem_printf("%s%s", config->dir, cwd)
					 : NULL;
	const char *path = in_dir ? in_dir : cwd ? cwd : config->dir ? config->dir : home;
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

/* The arguments, still as they came. */
struct given {
	json_t *list, *cwd, *env, *size;
	const char *shell;
	json_int_t timeout_ms;
	int is_interactive, has_input, is_whole, tells_pid;
};

static int check(const struct given *given, struct pyro_error *err)
{
	const json_t *list = given->list;

	if (!given->shell + !list + !given->is_interactive != 2 || (list && !json_array_size(list)))
		return err_set(err, PYRO_E_INVALID,
			       "exec: one of argv, shell and interactive must say what to run");
	if (given->is_interactive && !given->size)
		return err_set(err, PYRO_E_INVALID, "exec: interactive needs a pty");
	if (given->timeout_ms < 0 || given->timeout_ms > TIMEOUT_MAX_MS)
		return err_set(err, PYRO_E_INVALID, "exec: timeout_ms is not in 0..%lld",
			       TIMEOUT_MAX_MS);
	if (given->cwd && !json_is_string(given->cwd) && !json_is_null(given->cwd))
		return err_set(err, PYRO_E_INVALID, "exec: cwd is not a string");
	return check_env(given->env, err);
}

/* The working directory and the variables. */
static int set_place(struct command *command, const struct command_config *config,
		     const struct given *given, const char *inputrc_path, struct pyro_error *err)
{
	json_t *image = load_image(config), *env = join_env(given->env, image);
	const char *home = json_string_value(json_object_get(image, "working_dir"));

	command->cwd_fd = open_cwd(config, json_string_value(given->cwd),
				   home && *home == '/' ? home : "/root", err);
	if (command->cwd_fd >= 0)
		command->env = make_env(config, given->size, inputrc_path, env);
	json_decref(env);
	json_decref(image);
	return command->cwd_fd < 0 ? -1 : 0;
}

int command_parse(struct command *command, const struct command_config *config, json_t *args,
		  struct pyro_error *err)
{
	struct given given = {0};
	AUTO_FREE char *inputrc_path = NULL;
	json_error_t error;

	if (json_unpack_ex(args, &error, 0, "{s?o s?s s?b s?o s?o s?b s?I s?o s?b s?b !}", "argv",
			   &given.list, "shell", &given.shell, "interactive", &given.is_interactive,
			   "cwd", &given.cwd, "env", &given.env, "stdin", &given.has_input,
			   "timeout_ms", &given.timeout_ms, "pty", &given.size, "whole",
			   &given.is_whole, "tell_pid", &given.tells_pid) < 0)
		return err_set(err, PYRO_E_INVALID, "exec: %s", error.text);
	if (check(&given, err) < 0)
		return -1;
	if (given.size && !terminal_parse_size(given.size, &command->size))
		return err_set(err, PYRO_E_INVALID, "exec: pty is not cols and rows in 1..%d",
			       TERMINAL_SIDE_MAX);
	command->argv =
		given.is_interactive ? make_shell_argv() : make_argv(given.list, given.shell, err);
	if (!command->argv)
		return -1;
	if (given.is_interactive && !(inputrc_path = make_inputrc(config, err)))
		return -1;
	if (set_place(command, config, &given, inputrc_path, err) < 0)
		return -1;
	command->has_input = given.has_input;
	command->has_terminal = given.size;
	command->is_whole = given.is_whole;
	command->tells_pid = given.tells_pid;
	command->timeout_ms = given.timeout_ms;
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
	if (failure == ENOENT && strcmp(name, "/bin/sh") == 0)
		(void)dprintf(STDERR_FILENO, "pyro: there is no shell here: give the command as "
					     "several words\n");
	else if (failure == ENOENT && !strchr(name, '/'))
		(void)dprintf(STDERR_FILENO, "pyro: '%s': command not found\n", name);
	else
		(void)dprintf(STDERR_FILENO, "pyro: '%s': %s\n", name, strerror(failure));
	return failure == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
