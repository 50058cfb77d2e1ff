/*
 * OpenCode merges its configuration from files: those of the user, then those of the project, from
 * the root of the checkout down to the current directory; what comes later counts. Its own command
 * replaces an entry with all that it says and cannot show one, so the files are read and edited
 * here, whether OpenCode is installed or not.
 */
#include "api/host.h"

#include "api/jsonc.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_MAX (16 * 1024 * 1024)
#define FRESH "{\n  \"$schema\": \"https://opencode.ai/config.json\"\n}\n"

static const char *const path_v1[] = {"mcp", HOST_SERVER, NULL};
static const char *const path_v2[] = {"mcp", "servers", HOST_SERVER, NULL};

static json_t *at(json_t *value, const char *const *path)
{
	for (; value && *path; path++)
		value = json_object_get(value, *path);
	return value;
}

/* Where the entry is in a configuration, or belongs. */
static const char *const *path_in(json_t *root)
{
	return json_is_object(at(root, path_v2)) ? path_v2 : path_v1;
}

/* A file's configuration, {} if there is none. NULL with PYRO_E_INVALID. Owned by the caller. */
static json_t *load(const char *path, struct pyro_error *err)
{
	AUTO_BUF struct buf text = BUF_INIT(CONFIG_MAX);
	json_t *root;

	if (host_read(path, &text, err) < 0)
		return NULL;
	if (!buf_text(&text)[strspn(buf_text(&text), " \t\r\n")])
		return json_object();
	root = jsonc_load(buf_text(&text), err);
	if (root && !json_is_object(root)) {
		json_decref(root);
		root = NULL;
		(void)err_set(err, PYRO_E_INVALID, "it is a list, not an object");
	}
	if (!root)
		(void)err_wrap(err, "'%s'", path);
	return root;
}

/* The entry of a file; NULL: it has none. Owned by the caller. */
static json_t *entry_of(json_t *root)
{
	json_t *entry = json_incref(at(root, path_in(root)));
	json_t *disabled = json_object_get(entry, "disabled");

	if (disabled) /* as the second version of the format says it */
		json_object_set_new(entry, "enabled", json_boolean(!json_is_true(disabled)));
	return entry;
}

/* Files of the user, from the least to the one that counts. NULL with err. */
static char **own_files(struct pyro_error *err)
{
	AUTO_FREE char *home = host_dir("XDG_CONFIG_HOME", ".config", err);
	const char *given = getenv("OPENCODE_CONFIG");
	struct argv files = ARGV_INIT;

	if (!home)
		return NULL;
	argv_addf(&files, "%s/opencode/opencode.json", home);
	argv_addf(&files, "%s/opencode/opencode.jsonc", home);
	if (given && *given)
		argv_add(&files, given, NULL);
	return files.v;
}

/* Adds the files of a directory and, before them, of those above it up to the checkout's root. */
static void add_project_files(struct argv *files, const char *dir, int depth)
{
	static const char *const names[] = {"opencode.json", "opencode.jsonc",
					    ".opencode/opencode.json", ".opencode/opencode.jsonc"};
	AUTO_FREE char *git = mem_printf("%s/.git", dir);
	const char *slash = strrchr(dir, '/');

	if (!file_exists(git) && slash && slash > dir && depth < 100) {
		AUTO_FREE char *above = mem_strndup(dir, (size_t)(slash - dir));

		add_project_files(files, above, depth + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		argv_addf(files, "%s/%s", dir, names[i]);
}

/* What later files say counts; an object is merged, as OpenCode does it. */
static void merge(json_t **entry, json_t *later)
{
	if (json_is_object(*entry) && json_is_object(later)) {
		json_object_update_recursive(*entry, later);
		return;
	}
	json_decref(*entry);
	*entry = json_incref(later);
}

/* Merges what the user's files say, and finds the one to edit. */
static int read_own(const char *config_path, json_t **entry, struct host_entry *ret,
		    struct pyro_error *err)
{
	AUTO_STRV char **files =
		config_path ? strv_dup((const char *const[]){config_path, NULL}) : own_files(err);

	if (!files)
		return -1;
	ret->config_path = mem_strdup(files[0]);
	for (char **file = files; *file; file++) {
		json_t *root = load(*file, err), *found = root ? entry_of(root) : NULL;

		/* The last that has an entry; if none has, the last that exists. */
		if (!root || found || (!*entry && file_exists(*file))) {
			free(ret->config_path);
			ret->config_path = mem_strdup(*file);
		}
		if (found)
			merge(entry, found);
		json_decref(found);
		json_decref(root);
		if (!root)
			return -1;
	}
	return 0;
}

/* OpenCode does not start where it cannot read a file of the project. */
static void note_unreadable(struct host_entry *ret, const struct pyro_error *why)
{
	free(ret->advice);
	ret->advice = mem_printf("OpenCode cannot start here: %s; correct that file by hand",
				 why->message);
}

/*
 * Merges what the files of the project say; notes the last that changes something, and the last
 * that cannot be read.
 */
static void read_project(json_t **entry, struct host_entry *ret)
{
	struct pyro_error why;
	AUTO_FREE char *dir = getcwd(NULL, 0);
	AUTO_ARGV struct argv files = ARGV_INIT;

	if (dir)
		add_project_files(&files, dir, 0);
	for (size_t i = 0; i < files.n; i++) {
		json_t *root = load(files.v[i], &why), *found = root ? entry_of(root) : NULL;
		json_t *before = json_deep_copy(*entry);

		if (!root)
			note_unreadable(ret, &why);
		if (found) {
			merge(entry, found);
			if (!json_equal(before, *entry)) {
				free(ret->hidden_by);
				ret->hidden_by = mem_strdup(files.v[i]);
			}
		}
		json_decref(before);
		json_decref(found);
		json_decref(root);
	}
}

static int examine(const char *config_path, struct host_entry *ret, struct pyro_error *err)
{
	json_t *entry = NULL;

	if (read_own(config_path, &entry, ret, err) < 0) {
		json_decref(entry);
		return -1;
	}
	if (!config_path)
		read_project(&entry, ret);
	if (entry) {
		ret->is_found = true;
		ret->is_disabled = json_is_false(json_object_get(entry, "enabled"));
		ret->command = host_words(json_object_get(entry, "command"));
		ret->environment = json_incref(json_object_get(entry, "environment"));
	}
	json_decref(entry);
	return 0;
}

/* Replaces *text by itself with one member of the entry at `path` set; takes value. */
static int set(char **text, const char *const *path, const char *member, const char *name,
	       json_t *value, struct pyro_error *err)
{
	const char *whole[6];
	size_t n = 0;
	char *changed;

	while (*path)
		whole[n++] = *path++;
	whole[n++] = member;
	if (name)
		whole[n++] = name;
	whole[n] = NULL;
	changed = jsonc_set(*text, whole, value, err);
	json_decref(value);
	if (!changed)
		return -1;
	free(*text);
	*text = changed;
	return 0;
}

/* An entry that starts a program: only what differs changes. */
static int edit_entry(char **text, json_t *entry, const char *const *path,
		      const struct host_wanted *wanted, struct pyro_error *err)
{
	const json_t *environment = json_object_get(entry, "environment");
	const char *name;
	json_t *value;

	if (!json_object_get(entry, "type") &&
	    set(text, path, "type", NULL, json_string("local"), err) < 0)
		return -1;
	if (set(text, path, "command", NULL, host_json_words(wanted->command), err) < 0)
		return -1;
	json_object_foreach(wanted->environment, name, value)
	{
		if (host_lacks(environment, name, value) &&
		    set(text, path, "environment", name, json_incref(value), err) < 0)
			return -1;
	}
	if (json_is_false(json_object_get(entry, "enabled")) &&
	    set(text, path, "enabled", NULL, json_true(), err) < 0)
		return -1;
	if (json_is_true(json_object_get(entry, "disabled")) &&
	    set(text, path, "disabled", NULL, json_false(), err) < 0)
		return -1;
	return 0;
}

static char *write_entry(const char *text, const char *const *path,
			 const struct host_wanted *wanted, struct pyro_error *err)
{
	json_t *entry = json_pack("{s:s, s:o}", "type", "local", "command",
				  host_json_words(wanted->command));
	char *changed;

	if (json_object_size(wanted->environment))
		json_object_set(entry, "environment", wanted->environment);
	changed = jsonc_set(text, path, entry, err);
	json_decref(entry);
	return changed;
}

char *host_opencode_edit(const char *text, const struct host_wanted *wanted, struct pyro_error *err)
{
	AUTO_FREE char *made = NULL;
	json_t *root, *entry;
	const char *type;
	int result = 0;

	if (!text[strspn(text, " \t\r\n")])
		text = FRESH;
	root = jsonc_load(text, err);
	if (!root)
		return NULL;
	entry = at(root, path_in(root));
	type = json_string_value(json_object_get(entry, "type"));
	if (json_is_object(entry) && (!type || strcmp(type, "local") == 0)) {
		made = mem_strdup(text);
		result = edit_entry(&made, entry, path_in(root), wanted, err);
	} else {
		made = write_entry(text, path_in(root), wanted, err);
		result = made ? 0 : -1;
	}
	json_decref(root);
	return result < 0 ? NULL : TAKE_PTR(made);
}

static int add(const char *config_path, const struct host_entry *old,
	       const struct host_wanted *wanted, char **ret_backup, struct pyro_error *err)
{
	AUTO_BUF struct buf text = BUF_INIT(CONFIG_MAX);
	AUTO_FREE char *made = NULL;
	const char *path = config_path ? config_path : old->config_path;
	AUTO_FREE char *real = realpath(path, NULL);
	struct stat st;

	if (host_read(path, &text, NULL) >= 0)
		made = host_opencode_edit(buf_text(&text), wanted, NULL);
	if (!made && real && stat(real, &st) == 0 && !S_ISREG(st.st_mode)) {
		(void)err_set(err, PYRO_E_INVALID, "'%s' is not a file", path);
		return err_hint(err, "name a file, such as '%s/opencode.json'", path);
	}
	if (!made) {
		made = host_opencode_edit(FRESH, wanted, err);
		if (!made || host_keep(real ? real : path, ret_backup, err) < 0)
			return -1;
	}
	return host_write(real ? real : path, made, err);
}

const struct host host_opencode = {
	.name = "opencode",
	.title = "OpenCode",
	.program = "opencode",
	.install = "npm install -g opencode-ai",
	.look = "opencode mcp list shows the connection",
	.examine = examine,
	.add = add,
};
