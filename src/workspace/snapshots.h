/*
 * snapshots: the names of a workspace's checkpoints. What they hold is in its disk.
 */
#ifndef WORKSPACE_SNAPSHOTS_H
#define WORKSPACE_SNAPSHOTS_H

#include <pyro/ops.h>

struct pyro_error;
struct records;

#define SNAPSHOTS_MAX 100 /* named ones of a workspace */

/* PYRO_E_INVALID, saying what is allowed; the baseline's name is not. */
int snapshots_check_name(const char *name, struct pyro_error *err);
/* Whether there is room for one of that name, and none yet. */
int snapshots_check_new(struct records *r, const char *id, const char *name,
			struct pyro_error *err);
/* Named ones. */
int snapshots_count(struct records *r, const char *id, int64_t *ret, struct pyro_error *err);
/* PYRO_E_NOT_FOUND if there is none of that name. */
int snapshots_check(struct records *r, const char *id, const char *name, struct pyro_error *err);
int snapshots_add(struct records *r, const char *id, const char *name, double now,
		  struct pyro_error *err);
int snapshots_delete(struct records *r, const char *id, const char *name, struct pyro_error *err);
/* The baseline first, then by age. Each is the caller's, and the array. */
int snapshots_list(struct records *r, const char *id, struct pyro_snapshot **ret, size_t *ret_count,
		   struct pyro_error *err);

#endif
