/*
 * Claude Code keeps its servers in three scopes; the first that has one counts: local (one project
 * of one user), user, and project (a file in the project, which others share and the user must
 * approve). We register for the user, so that one command is enough for all projects, and leave the
 * file of the project alone.
 *
 * Its file ~/.claude.json is read, because only that has the exact words, and changed only by
 * `claude` itself. Should an entry not be in it, `claude` is asked, which starts the server.
 */
#include "api/host.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_MAX (64 * 1024 * 1024) /* it keeps the history of all projects, too */
#define ANSWER_MAX (64 * 1024)

static char *config_path(struct pyro_error *err)
{
	AUTO_FREE char *dir = host_dir("CLAUDE_CONFIG_DIR", NULL, err);

	return dir ? mem_printf("%s/.claude.json", dir) : NULL;
}

/* NULL without err: there is none. */
static int load(const char *path, json_t **ret, struct pyro_error *err)
{
	AUTO_BUF struct buf text = BUF_INIT(CONFIG_MAX);
	int found = host_read(path, &text, err);

	*ret = NULL;
	if (found <= 0)
		return found;
	*ret = json_loadb(buf_text(&text), text.len, 0, NULL);
	if (*ret)
		return 0;
	(void)err_set(err, PYRO_E_INVALID, "'%s' is no JSON", path);
	return err_hint(err, "start claude, which offers to restore it, then pyro host doctor");
}

static json_t *server_of(const json_t *owner)
{
	return json_object_get(json_object_get(owner, "mcpServers"), HOST_SERVER);
}

/* What it keeps for the project that this directory is in: of the checkout's root, or of itself. */
static json_t *project_of(json_t *root)
{
	json_t *projects = json_object_get(root, "projects");
	AUTO_FREE char *here = getcwd(NULL, 0), *dir = mem_strdup(here);

	while (dir && *dir) {
		AUTO_FREE char *git = mem_printf("%s/.git", dir);

		if (file_exists(git) && json_object_get(projects, dir))
			return json_object_get(projects, dir);
		*strrchr(dir, '/') = '\0';
	}
	return here ? json_object_get(projects, here) : NULL;
}

/* The user said `/mcp disable pyro` there. */
static bool is_off(const json_t *project)
{
	const json_t *names = json_object_get(project, "disabledMcpServers");

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		if (name && strcmp(name, HOST_SERVER) == 0)
			return true;
	}
	return false;
}

static void take(const json_t *server, const char *scope, struct host_entry *ret)
{
	ret->is_found = true;
	ret->scope = mem_strdup(scope);
	ret->command = host_command(server);
	ret->environment = json_incref(json_object_get(server, "env"));
}

/* The value of a line "  Key: value", which may be empty; NULL: there is no such line. */
static char *line_of(const char *text, const char *key)
{
	AUTO_FREE char *begin = mem_printf("\n  %s:", key);
	const char *line = strstr(text, begin);

	if (!line)
		return NULL;
	line += strlen(begin);
	line += *line == ' ';
	return mem_strndup(line, strcspn(line, "\n"));
}

bool host_claude_parse(const char *text, struct host_entry *ret)
{
	AUTO_FREE char *scope = line_of(text, "Scope");
	AUTO_FREE char *program = line_of(text, "Command");
	AUTO_FREE char *args = line_of(text, "Args");
	const char *name = !scope                             ? NULL
			   : strncmp(scope, "Local ", 6) == 0 ? "local"
			   : strncmp(scope, "User ", 5) == 0  ? "user"
							      : NULL;

	if (!name)
		return false;
	ret->is_found = true;
	ret->scope = mem_strdup(name);
	if (program) {
		/* Words are joined by spaces without quotes: good enough to tell a difference. */
		AUTO_FREE char *line = mem_printf("%s %s", program, args ? args : "");
		struct argv words = ARGV_INIT;

		for (char *rest = line, *word; (word = strsep(&rest, " "));)
			if (*word)
				argv_add(&words, word, NULL);
		ret->command = words.v;
	}
	return true;
}

static int ask(struct host_entry *ret, struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	AUTO_BUF struct buf out = BUF_INIT(ANSWER_MAX);
	int code;

	argv_add(&a, "claude", "mcp", "get", HOST_SERVER, NULL);
	code = host_run(&a, &out, NULL, err);
	if (code == 0)
		(void)host_claude_parse(buf_text(&out), ret);
	return code < 0 ? -1 : 0;
}

static int examine(const char *unused, struct host_entry *ret, struct pyro_error *err)
{
	json_t *root;
	json_t *local, *user;

	(void)unused;
	ret->config_path = config_path(err);
	if (!ret->config_path || load(ret->config_path, &root, err) < 0)
		return -1;
	local = server_of(project_of(root));
	user = server_of(root);
	if (is_off(project_of(root)))
		ret->advice = mem_strdup("it is switched off in this project; in claude, say "
					 "/mcp enable pyro");
	if (local)
		take(local, "local", ret);
	else if (user)
		take(user, "user", ret);
	json_decref(root);
	return ret->is_found ? 0 : ask(ret, err);
}

static int remove_from(const char *scope, struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;

	argv_add(&a, "claude", "mcp", "remove", HOST_SERVER, "-s", scope, NULL);
	return host_check(&a, err);
}

static int add_new(const struct host_wanted *wanted, struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;

	argv_add(&a, "claude", "mcp", "add", "-s", "user", HOST_SERVER, NULL);
	host_add_server(&a, wanted->environment, wanted->command);
	return host_check(&a, err);
}

static int add_json(const json_t *server, struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	AUTO_FREE char *text = json_dumps(server, JSON_COMPACT);

	argv_add(&a, "claude", "mcp", "add-json", "-s", "user", HOST_SERVER, text, NULL);
	return host_check(&a, err);
}

/* `old`, with what we want in it and nothing that contradicts that. */
static json_t *changed(json_t *old, const struct host_wanted *wanted)
{
	json_t *server = json_copy(old);

	json_object_set_new(server, "type", json_string("stdio"));
	json_object_set_new(server, "command", json_string(wanted->command[0]));
	json_object_set_new(server, "args", host_json_words(wanted->command + 1));
	json_object_set_new(server, "env",
			    host_merge_environment(json_object_get(old, "env"),
						   wanted->environment));
	json_object_del(server, "url");
	json_object_del(server, "headers");
	return server;
}

/* Whatever fails, the user has an entry afterwards, if need be the old one. */
static int exchange(json_t *old, bool is_user, const struct host_wanted *wanted,
		    struct pyro_error *err)
{
	json_t *server = changed(old, wanted);
	int result = is_user ? remove_from("user", err) : 0;

	if (result == 0) {
		result = add_json(server, err);
		if (result < 0)
			(void)add_json(old, NULL);
	}
	json_decref(server);
	return result;
}

static int add(const char *unused, const struct host_entry *old, const struct host_wanted *wanted,
	       char **ret_backup, struct pyro_error *err)
{
	json_t *root, *local, *user;
	int result = 0;

	(void)unused;
	(void)ret_backup;
	if (load(old->config_path, &root, err) < 0)
		return -1;
	local = server_of(project_of(root));
	user = server_of(root);
	if (local || user) {
		if (local)
			result = remove_from("local", err);
		if (result == 0)
			result = exchange(user ? user : local, user != NULL, wanted, err);
	} else {
		if (old->is_found)
			result = remove_from(old->scope, err);
		if (result == 0)
			result = add_new(wanted, err);
	}
	json_decref(root);
	return result;
}

const struct host host_claude = {
	.name = "claude-code",
	.title = "Claude Code",
	.program = "claude",
	.install = "npm install -g @anthropic-ai/claude-code",
	.look = "/mcp in it shows the connection",
	.has_commands = true,
	.examine = examine,
	.add = add,
};
