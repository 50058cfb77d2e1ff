/*
 * services: the long-running processes of a workspace that have a name. A record says what was last
 * known; a supervisor keeps it true while it lives, and services_fail() corrects it when it was
 * killed. What they print is beside it, in rings (ring.h).
 *
 * There is one record a name: a service that is started again after its end replaces it.
 */
#ifndef WORKSPACE_SERVICES_H
#define WORKSPACE_SERVICES_H

#include <pyro/ops.h>

struct pyro_error;
struct records;

#define SERVICES_MAX 64                  /* names of a workspace */
#define SERVICES_LOG_BYTES (1024 * 1024) /* the last of each stream are kept */

enum services_stream {
	SERVICES_STDOUT,
	SERVICES_STDERR,
};

/* What a service is when it is started. The texts are JSON but name and cwd. */
struct services_new {
	const char *name;
	const char *command; /* a text or a list */
	const char *cwd;
	const char *readiness;       /* an object; NULL: none */
	const char *published_ports; /* a list of objects */
};

/* How it ended. */
struct services_result {
	const char *state;       /* exited, failed or stopped */
	int64_t exit_code;       /* PYRO_NONE: there is none */
	const char *stop_reason; /* NULL: it ended by itself */
};

/* PYRO_E_INVALID, saying what is allowed. */
int services_check_name(const char *name, struct pyro_error *err);
/*
 * One begins, and replaces the one that had its name. If there are too many names, the one that
 * ended first goes, and *ret_dropped is its name, the caller's: its logs are to be removed; else
 * NULL. PYRO_E_LIMIT if all of them run.
 */
int services_begin(struct records *r, const char *id, const struct services_new *service,
		   double now, char **ret_dropped, struct pyro_error *err);
int services_set_pid(struct records *r, const char *id, const char *name, int64_t pid,
		     struct pyro_error *err);
int services_set_ready(struct records *r, const char *id, const char *name, double now,
		       struct pyro_error *err);
/* Of one that is on record as running; any other is fine, and stays. */
int services_end(struct records *r, const char *id, const char *name,
		 const struct services_result *result, double now, struct pyro_error *err);
/* Whatever seems to run does not any more: its machine is gone. */
int services_fail(struct records *r, const char *id, const char *reason, double now,
		  struct pyro_error *err);

/* PYRO_E_NOT_FOUND if there is none, naming those there are. The caller: pyro_service_done(). */
int services_get(struct records *r, const char *id, const char *name, struct pyro_service *ret,
		 struct pyro_error *err);
/* Sorted by name. Each is the caller's, and the array. */
int services_list(struct records *r, const char *id, struct pyro_service **ret, size_t *ret_count,
		  struct pyro_error *err);

/* The ring of a stream in the VM's directory. Owned by the caller. */
char *services_log_path(const char *dir, const char *name, enum services_stream stream);
void services_remove_logs(const char *dir, const char *name);
void services_remove_all_logs(const char *dir);

#endif
