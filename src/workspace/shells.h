/*
 * shells: which terminal sessions a workspace has, as its supervisor last knew them. What they
 * printed is beside it, in rings (ring.h): <VM directory>/shells/<shell_id>.
 *
 * Only the supervisor writes; all of it goes with the machine.
 */
#ifndef WORKSPACE_SHELLS_H
#define WORKSPACE_SHELLS_H

#include <pyro/ops.h>

struct pyro_error;
struct records;

#define SHELLS_MAX 64                            /* in one workspace, those that ended included */
#define SHELLS_KEPT (1024 * 1024)                /* bytes of output of each */
#define SHELLS_INPUT_MAX ((size_t)(1024 * 1024)) /* of one write */
#define SHELLS_CONTEXT_MAX (256 * 1024) /* bytes before a cursor that a rendering begins with */

int shells_add(struct records *r, const struct pyro_shell *shell, struct pyro_error *err);
/* Its size, state and end are as `shell` says. */
int shells_update(struct records *r, const struct pyro_shell *shell, struct pyro_error *err);
int shells_remove(struct records *r, const char *id, const char *shell_id, struct pyro_error *err);
/* All of a workspace, with their output; `dir` is its machine's directory. None is fine. */
int shells_clear(struct records *r, const char *dir, const char *id, struct pyro_error *err);

/* PYRO_E_NOT_FOUND, and where they are listed. *ret is the caller's: pyro_shell_done(). */
int shells_get(struct records *r, const char *id, const char *shell_id, struct pyro_shell *ret,
	       struct pyro_error *err);
/* The oldest first. Each is the caller's, and the array. */
int shells_list(struct records *r, const char *id, struct pyro_shell **ret, size_t *ret_count,
		struct pyro_error *err);
/* The error of shells_get(). */
int shells_unknown(const char *id, const char *shell_id, struct pyro_error *err);

/* Where its output is. Owned by the caller. */
char *shells_path(const char *dir, const char *shell_id);

#endif
