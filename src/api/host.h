/*
 * host: a chat host (Claude Code, Codex, OpenCode) and what it has registered under our name.
 *
 * Each host is one `struct host` in a file of its own, which knows the host's commands and files.
 * What all have in common, from the words that are registered to the judgement of what was found,
 * is in host.c; running, reading and writing in host_common.c.
 */
#ifndef API_HOST_H
#define API_HOST_H

#include <jansson.h>
#include <stdbool.h>

struct argv;
struct buf;
struct pyro_error;

#define HOST_SERVER "pyro"

/* What is to be registered. */
struct host_wanted {
	char **command;      /* the program and its words */
	json_t *environment; /* object of texts; may be empty */
};

/* What is registered. */
struct host_entry {
	bool is_found;
	bool is_disabled;
	char **command;      /* NULL: no program, but a server elsewhere */
	json_t *environment; /* object of texts; NULL: none */
	char *scope;         /* "user"; NULL: the host knows no scopes */
	char *config_path;   /* the file it is in, or would be */
	char *hidden_by;     /* a file of this project that says something else; NULL: none */
	char *advice;        /* why it cannot start here until the user acts; NULL: it can */
};

struct host {
	const char *name;    /* as users say it */
	const char *title;   /* as its maker says it */
	const char *program; /* its command */
	const char *install; /* the command that installs it */
	const char *look;    /* what shows there that we are connected */
	bool has_commands;   /* its program registers us; false: its file is ours to edit */
	/*
	 * Finds the entry, in the file config_path where that is not NULL. Fills *ret, also on
	 * failure: PYRO_E_INVALID for configuration that cannot be read.
	 */
	int (*examine)(const char *config_path, struct host_entry *ret, struct pyro_error *err);
	/*
	 * Makes the entry `old`, which examine found and which is not as wanted, right. What else
	 * it says stays. *ret_backup: where the file as it was is kept, if something could not
	 * stay.
	 */
	int (*add)(const char *config_path, const struct host_entry *old,
		   const struct host_wanted *wanted, char **ret_backup, struct pyro_error *err);
};

extern const struct host host_claude, host_codex, host_opencode;

void host_entry_done(struct host_entry *entry);
#define AUTO_ENTRY __attribute__((cleanup(host_entry_done)))

/* Command and environment are as wanted, and it is switched on. */
bool host_entry_is(const struct host_entry *entry, const struct host_wanted *wanted);
/* Whether the environment (NULL: none) has another value for the name, or none. */
bool host_lacks(const json_t *environment, const char *name, const json_t *value);
/* A copy of `old` (NULL: none) with the values of `wanted` in it. */
json_t *host_merge_environment(const json_t *old, const json_t *wanted);

/* A list of texts, and back; NULL if it is no such list. Both owned by the caller. */
char **host_words(const json_t *list);
json_t *host_json_words(char *const *words);

/* The members "command" and "args" as one list; NULL if there is no program, or it is no text.
 * Owned by the caller. */
char **host_command(const json_t *server);
/* Appends what `mcp add NAME` of Claude Code and Codex takes: --env NAME=VALUE … -- COMMAND … */
void host_add_server(struct argv *a, const json_t *environment, char *const *command);

/* The directory that the variable names, or `name` (NULL: all) of the home directory. Owned by the
 * caller. */
char *host_dir(const char *variable, const char *name, struct pyro_error *err);

/*
 * Runs a host's command, with nobody to answer its questions. Returns its exit status, or -1 with
 * err, PYRO_E_TIMEOUT among others. What it prints is appended to `out` and `errout` (max >= 8
 * KiB).
 */
int host_run(const struct argv *a, struct buf *out, struct buf *errout, struct pyro_error *err);
/* The same; a status other than 0 is an error that quotes what it says. */
int host_check(const struct argv *a, struct pyro_error *err);

/* Appends a configuration file. 0 if there is none, 1, or -1: unreadable, or no text. */
int host_read(const char *path, struct buf *out, struct pyro_error *err);
/* Replaces one or makes it; a symbolic link stays one. */
int host_write(const char *path, const char *text, struct pyro_error *err);
/* Keeps a copy of one beside it, under a name that nothing has yet. Owned by the caller. */
int host_keep(const char *path, char **ret_backup, struct pyro_error *err);

/* For the tests. */

/* Takes what `claude mcp get` printed. False if that is no entry of the user, or none that says so.
 */
bool host_claude_parse(const char *text, struct host_entry *ret);
/* The configuration of OpenCode with the entry as wanted in it. NULL with PYRO_E_INVALID. */
char *host_opencode_edit(const char *text, const struct host_wanted *wanted,
			 struct pyro_error *err);
/* The configuration of Codex likewise; it must have an entry already. */
char *host_codex_edit(const char *text, const struct host_entry *old,
		      const struct host_wanted *wanted, struct pyro_error *err);

#endif
