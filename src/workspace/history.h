/*
 * history: what was run in a workspace and done to it, since its last reset. It outlives every
 * process; what commands printed is beside it, in files (output.h).
 *
 * The last HISTORY_MAX commands and events are kept.
 */
#ifndef WORKSPACE_HISTORY_H
#define WORKSPACE_HISTORY_H

#include <pyro/ops.h>

struct pyro_error;
struct records;

#define HISTORY_MAX 1000

/* How a command came to its end. */
struct history_result {
	const char *state; /* finished, cancelled or interrupted */
	int64_t exit_code; /* PYRO_NONE: there is none */
	int64_t duration_ms;
	bool timed_out;
};

/*
 * A command that is about to be started; `command` is JSON, a text or a list. *ret_sequence is its
 * number, which names its output too; *ret_dropped the highest number that was dropped for it, 0
 * if none was: the caller removes that output.
 */
int history_begin(struct records *r, const char *id, const char *command, const char *cwd,
		  const char *execution_mode, double now, int64_t *ret_sequence,
		  int64_t *ret_dropped, struct pyro_error *err);
int history_end(struct records *r, const char *id, int64_t sequence,
		const struct history_result *result, struct pyro_error *err);
/* Whatever seems to run does not any more: its machine is gone. */
int history_interrupt(struct records *r, const char *id, struct pyro_error *err);
/* One command, without output, the caller's. PYRO_E_NOT_FOUND if there is none of that number. */
int history_command(struct records *r, const char *id, int64_t sequence,
		    struct pyro_workspace_command *ret, struct pyro_error *err);
/* The oldest first, without output. Each is the caller's, and the array. */
int history_commands(struct records *r, const char *id, struct pyro_workspace_command **ret,
		     size_t *ret_count, struct pyro_error *err);

/* kind: see records.def, review_event. path and detail may be NULL. */
int history_event(struct records *r, const char *id, const char *kind, double now, const char *path,
		  const char *detail, struct pyro_error *err);
/* The oldest first. Each is the caller's, and the array. */
int history_events(struct records *r, const char *id, struct pyro_review_event **ret,
		   size_t *ret_count, struct pyro_error *err);

#endif
