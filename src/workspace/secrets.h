/*
 * secrets: values that a workspace's commands need and nobody else is to see.
 *
 * They are kept in the file `secrets` of the workspace's directory, 0600, from the creation to the
 * end, because every start of its machine needs them; the records have only their names. The file
 * begins with a line that says its version, then NAME=VALUE and a NUL for each.
 *
 * No message has a value in it. Values are wiped from memory when a set is done with.
 */
#ifndef WORKSPACE_SECRETS_H
#define WORKSPACE_SECRETS_H

#include <pyro/ops.h>
#include <stddef.h>

struct pyro_error;
struct records;

#define SECRETS_MAX 64                           /* of a workspace */
#define SECRETS_NAME_MAX 64                      /* letters, digits and underscores */
#define SECRETS_VALUE_MAX ((size_t)65536)        /* bytes of UTF-8 without NUL, at least one */
#define SECRETS_TOTAL_MAX ((size_t)(256 * 1024)) /* values of a workspace together */

/* In the order they were given. Both are owned and end with NULL, once there are any. */
struct secrets {
	char **names;
	char **values;
	size_t n;
};

/* The names of secrets and of environment variables. `what` calls it in the message. */
int secrets_check_name(const char *what, const char *name, struct pyro_error *err);

/*
 * Adds one, whose value is given or, where it is NULL, read from a regular file. Refuses what has
 * no good name or value, and what is beyond the limits.
 */
int secrets_add(struct secrets *s, const struct pyro_secret_source *source, struct pyro_error *err);
/* NULL if there is none of that name. */
const char *secrets_find(const struct secrets *s, const char *name);
/* Wipes and frees. */
void secrets_done(struct secrets *s);

/* The file in the directory of the workspace. */
int secrets_save(const struct secrets *s, const char *dir, struct pyro_error *err);
/* Without the file there are none. */
int secrets_load(const char *dir, struct secrets *ret, struct pyro_error *err);

/* What the records say of them: name and kind of each. */
int secrets_record(struct records *r, const char *id, const struct pyro_workspace_secret *secrets,
		   size_t count, struct pyro_error *err);
/* By name. Each is the caller's, and the array. */
int secrets_list(struct records *r, const char *id, struct pyro_workspace_secret **ret,
		 size_t *ret_count, struct pyro_error *err);

#endif
