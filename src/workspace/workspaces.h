/*
 * workspaces: what a workspace is beyond its machine (records.h), which has the same id.
 *
 * Until workspaces_set_ready() its machine is ephemeral: if its maker dies, it goes. Deleting the
 * machine's record deletes all of it, with history and snapshots.
 */
#ifndef WORKSPACE_WORKSPACES_H
#define WORKSPACE_WORKSPACES_H

#include <pyro/ops.h>

struct pyro_error;
struct records;

/* PYRO_E_INVALID, saying what is allowed. */
int workspaces_check_name(const char *name, struct pyro_error *err);
/* "KEY=VALUE" each; NULL is fine. */
int workspaces_check_labels(const char *const *labels, struct pyro_error *err);

/* The machine and the workspace. A name that is taken is PYRO_E_INVALID. */
int workspaces_add(struct records *r, const struct pyro_workspace *ws, struct pyro_error *err);
/* Its creation is complete: what is known now of its seed, and when it expires, is recorded. */
int workspaces_set_ready(struct records *r, const struct pyro_workspace *ws,
			 const char *execution_mode, const char *accel, double now,
			 struct pyro_error *err);
/*
 * By identity or name; one whose creation is not complete is not found. *ret is the caller's:
 * pyro_workspace_done().
 */
int workspaces_get(struct records *r, const char *id_or_name, struct pyro_workspace *ret,
		   struct pyro_error *err);
/* The most recently active first. Each is the caller's, and the array. */
int workspaces_list(struct records *r, struct pyro_workspace **ret, size_t *ret_count,
		    struct pyro_error *err);
/*
 * name NULL: as it was. labels are set, clear_labels removed; either may be NULL. It expires not
 * before keep_until; 0: as it was. A workspace whose time is over is being removed, which nothing
 * stops: PYRO_E_NOT_FOUND.
 */
int workspaces_update(struct records *r, const char *id, const char *name, bool clear_name,
		      const char *const *labels, const char *const *clear_labels, double keep_until,
		      double now, struct pyro_error *err);
/* Something changed in it. */
int workspaces_touch(struct records *r, const char *id, double now, struct pyro_error *err);
/* Commands, events and services go; numbers of commands are not used again. No such workspace is
 * fine. */
int workspaces_reset(struct records *r, const char *id, double now, struct pyro_error *err);

#endif
