/*
 * workspace: what the operations on workspaces share.
 */
#ifndef API_WORKSPACE_H
#define API_WORKSPACE_H

#include "pyro.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct redact_patterns;
struct remote;
struct tree;

#define WORKSPACE_PATH "/workspace"
#define WORKSPACE_BASELINE "baseline"
/* Calls that move a tree, or work through one; what is in the way of them fails them sooner. */
#define WORKSPACE_TRANSFER_MS (60 * 60 * 1000)
/* Calls that answer at once, on a machine under great load. */
#define WORKSPACE_CALL_MS 120000

/* Whether there is a network policy of that name. */
bool workspace_is_policy(const char *name);

/*
 * The workspace of that identity or name, its state brought up to date. Makes the handle ready.
 * *ret is the caller's: pyro_workspace_done().
 */
int workspace_find(struct pyro *p, const char *id_or_name, struct pyro_workspace *ret,
		   struct pyro_error *err);
/* Reads it again after a change. */
int workspace_reload(struct pyro *p, const char *id, struct pyro_workspace *ret,
		     struct pyro_error *err);
/*
 * As workspace_find() for one that must be started; *ret_remote talks to its supervisor, the
 * caller's: remote_free().
 */
int workspace_connect(struct pyro *p, const char *id_or_name, struct pyro_workspace *ret,
		      struct remote **ret_remote, struct pyro_error *err);
/* As workspace_find() for one that must be stopped, with its life's lock in *ret_lock. */
int workspace_find_stopped(struct pyro *p, const char *id_or_name, struct pyro_workspace *ret,
			   int *ret_lock, struct pyro_error *err);

/* Something was done to it: that becomes an event of its history, without values of secrets. path
 * and detail may be NULL. */
int workspace_note(struct pyro *p, const char *id, const char *kind, const char *path,
		   const char *detail, struct pyro_error *err);

/*
 * A path of the guest as the agent takes it, relative to /workspace ("" is /workspace itself), or
 * NULL with PYRO_E_REFUSED for one that leaves it. Owned by the caller.
 */
char *workspace_relative(const char *path, struct pyro_error *err);
/* And as people see it: /workspace, /workspace/src/main.c. Owned by the caller. */
char *workspace_absolute(const char *relative);

/* Metadata of what is at `relative` in a started one. The caller calls tree_free(). */
struct tree *workspace_scan(struct remote *r, const char *relative, bool is_recursive,
			    struct pyro_error *err);

/*
 * How a started workspace differs from its baseline at or below a relative path ("": anywhere). The
 * caller calls pyro_workspace_diff_done().
 */
int workspace_diff(struct pyro *p, const struct pyro_workspace *ws, struct remote *remote,
		   const char *below, const char *const *exclude, struct pyro_workspace_diff *ret,
		   struct pyro_error *err);

/*
 * What takes the values of the workspace's secrets out of texts; NULL in *ret where it has none.
 * The caller calls redact_patterns_free().
 */
int workspace_patterns(struct pyro *p, const char *id, struct redact_patterns **ret,
		       struct pyro_error *err);
/* The values, a NUL behind each, as an anonymous file in *ret_fd; -1 there where it has none. */
int workspace_secret_values(struct pyro *p, const char *id, int *ret_fd, struct pyro_error *err);
/* A copy for results and records; NULL patterns redact nothing. The caller calls strv_free(). */
char **workspace_redact_words(const struct redact_patterns *patterns, const char *const *words);
/*
 * Adds an operation's secret_env (NULL: none) to the arguments of a call of the supervisor, which
 * puts the values in; PYRO_E_INVALID for names that are none.
 */
int workspace_add_secret_env(const char *const *map, json_t *args, struct pyro_error *err);

/* The workspace's disk and what it lies over. Both are the caller's. */
int workspace_disk_paths(struct pyro *p, const char *id, char **ret_disk, char **ret_root,
			 struct pyro_error *err);

/* A part of a file that is asked for, and what must be read to show it: also what is around it. */
struct workspace_page {
	struct redact_patterns *patterns;
	int64_t offset, max_bytes;
	int64_t read_offset, read_bytes;
};

/* The caller calls workspace_page_done(). */
int workspace_page_init(struct pyro *p, const char *id, int64_t offset, int64_t max_bytes,
			struct workspace_page *ret, struct pyro_error *err);
/*
 * Fills in all but path and workspace_id from what was read, which is less than read_bytes at the
 * end of the file; hands the bytes to the observer, too. Values of the workspace's secrets are
 * redacted in both.
 */
void workspace_page_show(struct pyro *p, const struct workspace_page *page, const struct buf *data,
			 int64_t size, struct pyro_file_read *ret);
void workspace_page_done(struct workspace_page *page);

/* Something is not there: says how to find out what is. A guest's own hints are not passed on. */
void workspace_missing_hint(const struct pyro_workspace *ws, struct pyro_error *err);

/* A path of the host that is to be made, absolute, or NULL with err. Owned by the caller. */
char *workspace_output_path(const char *path, struct pyro_error *err);

/* A number of an agent's result that must be there and not negative. */
int workspace_number(const json_t *result, const char *key, int64_t *ret, struct pyro_error *err);

#endif
