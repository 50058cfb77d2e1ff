/*
 * Commands in a workspace, and their history.
 */
#include "api/handle.h"
#include "api/machine.h"
#include "api/remote.h"
#include "api/workspace.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/redact.h"
#include "ops/ops.h"
#include "workspace/history.h"
#include "workspace/output.h"
#include "workspace/state.h"
#include "workspace/workspaces.h"

#include <stdlib.h>
#include <string.h>

#define LOGS_MAX (64 * 1024 * 1024) /* output of all commands together, the latest first */

#define SOON_SECONDS 120 /* before a workspace is removed, whoever uses it is warned */

/* Which part of the output is asked for. */
struct range {
	int64_t offset;
	int64_t max_bytes; /* of each stream; 0: all */
};

/*
 * Output, from the files that the supervisor writes.
 */

/* A stream that cannot be read is told of in its place: the rest is still good. */
static char *open_stream(const char *dir, int64_t sequence, enum output_stream stream,
			 struct output_view *ret)
{
	struct pyro_error why;

	*ret = (struct output_view){.fd = -1};
	return output_view_init(ret, dir, sequence, stream, &why) == 0
		       ? NULL
		       : mem_printf("[%s]", why.message);
}

static bool is_part(const struct output_view *v, int64_t offset, int64_t end)
{
	return v->bytes > OUTPUT_KEPT || end < v->bytes || (v->bytes && offset > 0);
}

/*
 * Fills the part of both streams that `range` asks for. One offset is for both: where neither has
 * kept anything, the part begins behind that.
 */
static void read_output(const char *dir, const struct range *range,
			struct pyro_workspace_command *c)
{
	struct output_view out, error;
	char *out_failed = open_stream(dir, c->sequence, OUTPUT_STDOUT, &out);
	char *error_failed = open_stream(dir, c->sequence, OUTPUT_STDERR, &error);
	int64_t out_next = output_view_next(&out, range->offset);
	int64_t error_next = output_view_next(&error, range->offset);
	int64_t offset = out_next < error_next ? out_next : error_next;
	int64_t end;

	if (offset == INT64_MAX) /* there is no more */
		offset = range->offset;
	end = range->max_bytes ? offset + range->max_bytes : INT64_MAX;
	c->stdout = out_failed ? out_failed : output_view_text(&out, offset, end);
	c->stderr = error_failed ? error_failed : output_view_text(&error, offset, end);
	c->stdout_bytes = out.bytes;
	c->stderr_bytes = error.bytes;
	c->stdout_truncated = is_part(&out, offset, end);
	c->stderr_truncated = is_part(&error, offset, end);
	c->next_offset = end < out.bytes || end < error.bytes ? end : PYRO_NONE;
	output_view_done(&out);
	output_view_done(&error);
}

/*
 * Running and waiting. What is told of a command that runs, or ended long ago, is what its history
 * says.
 */

/* What a run says of a command, and a workspace too. */
static struct pyro_workspace_exec take_run(struct pyro_run *run, const char *id, int64_t sequence,
					   char *state)
{
	struct pyro_workspace_exec exec = {
		.workspace_id = mem_strdup(id),
		.sequence = sequence,
		.state = state,
		.command = TAKE_PTR(run->command),
		.cwd = mem_strdup(WORKSPACE_PATH),
		.stdout = TAKE_PTR(run->stdout),
		.stderr = TAKE_PTR(run->stderr),
		.stdout_bytes = run->stdout_bytes,
		.stderr_bytes = run->stderr_bytes,
		.stdout_truncated = run->stdout_truncated,
		.stderr_truncated = run->stderr_truncated,
		.exit_code = run->exit_code,
		.duration_ms = run->duration_ms,
		.execution_mode = TAKE_PTR(run->execution_mode),
		.timed_out = run->timed_out,
	};

	pyro_run_done(run);
	return exec;
}

static bool is_running(const char *state)
{
	return strcmp(state, "running") == 0;
}

/* The same from the history. */
static struct pyro_workspace_exec take_command(struct pyro *p, const char *id,
					       struct pyro_workspace_command *c)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, id);
	bool runs = is_running(c->state);
	struct pyro_workspace_exec exec;

	read_output(dir, &(struct range){0}, c);
	exec = (struct pyro_workspace_exec){
		.workspace_id = mem_strdup(id),
		.sequence = c->sequence,
		.state = TAKE_PTR(c->state),
		.command = TAKE_PTR(c->command),
		.cwd = TAKE_PTR(c->cwd),
		.stdout = TAKE_PTR(c->stdout),
		.stderr = TAKE_PTR(c->stderr),
		.stdout_bytes = c->stdout_bytes,
		.stderr_bytes = c->stderr_bytes,
		.stdout_truncated = c->stdout_truncated,
		.stderr_truncated = c->stderr_truncated,
		.exit_code = c->exit_code,
		.duration_ms = c->duration_ms,
		.execution_mode = TAKE_PTR(c->execution_mode),
		.timed_out = c->timed_out,
	};
	if (runs) {
		exec.duration_ms = (int64_t)((clock_wall() - c->started_at) * 1000);
		exec.next_step =
			mem_printf("pyro workspace wait %s %lld", id, (long long)c->sequence);
	}
	pyro_workspace_command_done(c);
	return exec;
}

/* Whoever works there is told in time. What still runs may need all of its timeout. */
static void warn_of_end(struct pyro *p, int64_t timeout_seconds, struct pyro_workspace_exec *exec)
{
	int64_t soon = is_running(exec->state) && timeout_seconds > SOON_SECONDS ? timeout_seconds
										 : SOON_SECONDS;
	struct pyro_workspace ws = {0};
	double left;

	if (workspaces_get(p->records, exec->workspace_id, &ws, NULL) < 0)
		return; /* it is gone already */
	left = ws.expires_at - clock_wall();
	if (left < (double)soon)
		exec->warning =
			mem_printf("the workspace is removed in %.0f s; pyro workspace "
				   "update %s --ttl-seconds 3600 keeps it",
				   left > 0 ? left : 0, ws.name ? ws.name : ws.workspace_id);
	pyro_workspace_done(&ws);
}

/* Runs c over the connection m has, in the workspace of that id. */
static int run_recorded(struct pyro *p, struct machine *m, struct machine_command *c,
			const char *id, struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	struct pyro_workspace_command begun = {0};
	struct pyro_run run = {0};
	AUTO_FREE char *state = NULL;
	int64_t sequence;

	if (machine_exec_recorded(m, c, &run, &sequence, &state, err) < 0)
		return -1;
	if (is_running(state)) {
		if (history_command(p->records, id, sequence, &begun, err) < 0)
			return -1;
		*ret = take_command(p, id, &begun);
	} else {
		*ret = take_run(&run, id, sequence, TAKE_PTR(state));
	}
	warn_of_end(p, c->timeout_seconds, ret);
	/* It has run, whatever becomes of this. */
	(void)workspaces_touch(p->records, id, clock_wall(), NULL);
	return 0;
}

static int exec_in(struct pyro *p, const struct pyro_exec_workspace_args *a,
		   struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	AUTO_STRV char **shown = NULL;
	struct redact_patterns *patterns;
	struct machine m = {0};
	int result;

	if (workspace_connect(p, a->workspace_id, &ws, &m.remote, err) < 0)
		return -1;
	m.execution_mode = mem_strdup(ws.execution_mode);
	m.accel = mem_strdup(ws.accel);
	result = workspace_patterns(p, ws.workspace_id, &patterns, err);
	if (result == 0) {
		shown = workspace_redact_words(patterns, a->command);
		(void)redact_patterns_free(patterns);
		result = run_recorded(p, &m,
				      &(struct machine_command){
					      .command = a->command,
					      .shown = (const char *const *)shown,
					      .cwd = WORKSPACE_PATH,
					      .timeout_seconds = a->timeout_seconds,
					      .wait_seconds = a->wait_seconds,
					      .secret_env = a->secret_env,
				      },
				      ws.workspace_id, ret, err);
	}
	machine_done(&m);
	pyro_workspace_done(&ws);
	return result;
}

int pyro_exec_workspace(struct pyro *p, const struct pyro_exec_workspace_args *given,
			struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	struct pyro_exec_workspace_args a;

	if (ops_apply_defaults(OP_exec_workspace, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, exec_in(p, &a, ret, err));
}

/*
 * Returns when the command runs no more, or the wait is over; which of them, the history says. A
 * machine that is gone has ended its commands.
 */
static int await_end(struct pyro *p, const char *id, int64_t sequence, int64_t wait_seconds,
		     struct pyro_error *err)
{
	int64_t deadline = wait_seconds ? deadline_in(wait_seconds * 1000) : DEADLINE_NONE;
	struct pyro_error why;
	struct remote *remote = remote_connect(p, id, &why);
	int result;

	if (!remote && why.code == PYRO_E_BAD_STATE)
		return 0;
	result = remote ? remote_call(remote, "workspace-wait", "wait",
				      json_pack("{s:I}", "sequence", (json_int_t)sequence),
				      deadline, NULL, &why)
			: -1;
	(void)remote_free(remote);
	if (result == 0 || why.code == PYRO_E_VM_DIED ||
	    (why.code == PYRO_E_TIMEOUT && deadline_left(deadline) == 0))
		return 0;
	if (err)
		*err = why;
	return -1;
}

/* Not before then is the history read again: it may have ended with its machine. */
static int find_again(struct pyro *p, const char *id, int64_t sequence,
		      struct pyro_workspace_command *ret, struct pyro_error *err)
{
	struct pyro_workspace ws = {0};

	pyro_workspace_command_done(ret);
	*ret = (struct pyro_workspace_command){0};
	if (workspace_reload(p, id, &ws, err) < 0)
		return -1;
	pyro_workspace_done(&ws);
	return history_command(p->records, id, sequence, ret, err);
}

static void show_output(struct pyro *p, const struct pyro_workspace_exec *exec)
{
	const struct pyro_observer *o = &p->observer;

	if (!o->on_output)
		return;
	o->on_output(o->ctx, 1, exec->stdout, strlen(exec->stdout));
	o->on_output(o->ctx, 2, exec->stderr, strlen(exec->stderr));
}

static int wait_in(struct pyro *p, const struct pyro_wait_workspace_exec_args *a,
		   struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	struct pyro_workspace_command c = {0};
	int result;

	if (workspace_find(p, a->workspace_id, &ws, err) < 0)
		return -1;
	result = history_command(p->records, ws.workspace_id, a->sequence, &c, err);
	if (result == 0 && is_running(c.state)) {
		result = await_end(p, ws.workspace_id, a->sequence, a->wait_seconds, err);
		if (result == 0)
			result = find_again(p, ws.workspace_id, a->sequence, &c, err);
	}
	if (result == 0) {
		*ret = take_command(p, ws.workspace_id, &c);
		warn_of_end(p, 0, ret);
		show_output(p, ret);
	}
	pyro_workspace_command_done(&c);
	pyro_workspace_done(&ws);
	return result;
}

int pyro_wait_workspace_exec(struct pyro *p, const struct pyro_wait_workspace_exec_args *given,
			     struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	struct pyro_wait_workspace_exec_args a;

	if (ops_apply_defaults(OP_wait_workspace_exec, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, wait_in(p, &a, ret, err));
}

/* A command that does not run has ended, or there never was one. */
static int check_known(struct pyro *p, const char *id, int64_t sequence, struct pyro_error *err)
{
	struct pyro_workspace_command c = {0};
	int result = history_command(p->records, id, sequence, &c, err);

	pyro_workspace_command_done(&c);
	return result;
}

static int cancel(struct pyro *p, const struct pyro_cancel_workspace_exec_args *a,
		  struct pyro_workspace_cancelled *ret, struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	struct remote *remote = NULL;
	json_t *answer = NULL;
	bool is_cancelled;
	int result;

	if (workspace_connect(p, a->workspace_id, &ws, &remote, err) < 0)
		return -1;
	result = remote_call(remote, "workspace-cancel", "kill",
			     json_pack("{s:I}", "sequence", (json_int_t)a->sequence),
			     deadline_in(WORKSPACE_CALL_MS), &answer, err);
	(void)remote_free(remote);
	is_cancelled = json_is_true(json_object_get(answer, "cancelled"));
	json_decref(answer);
	if (result == 0 && !is_cancelled)
		result = check_known(p, ws.workspace_id, a->sequence, err);
	if (result == 0)
		*ret = (struct pyro_workspace_cancelled){
			.workspace_id = TAKE_PTR(ws.workspace_id),
			.sequence = a->sequence,
			.cancelled = is_cancelled,
		};
	pyro_workspace_done(&ws);
	return result;
}

int pyro_cancel_workspace_exec(struct pyro *p, const struct pyro_cancel_workspace_exec_args *given,
			       struct pyro_workspace_cancelled *ret, struct pyro_error *err)
{
	struct pyro_cancel_workspace_exec_args a;

	if (ops_apply_defaults(OP_cancel_workspace_exec, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, cancel(p, &a, ret, err));
}

/*
 * Logs.
 */

/* What cannot be held is told of in its place. *room is how much may still be held. */
static void limit_text(size_t *room, char **text, bool *is_truncated)
{
	if (strlen(*text) > *room) {
		free(*text);
		*text = mem_strdup("[not shown: what later commands printed fills these logs]");
		*is_truncated = true;
	} else {
		*room -= strlen(*text);
	}
}

/* The commands that are asked for, without output. */
static int find_commands(struct pyro *p, const char *id, int64_t sequence,
			 struct pyro_workspace_logs *list, struct pyro_error *err)
{
	if (!sequence)
		return history_commands(p->records, id, &list->entries, &list->entries_count, err);
	list->entries = mem_zalloc(1, sizeof(*list->entries));
	list->entries_count = 1;
	return history_command(p->records, id, sequence, &list->entries[0], err);
}

static int logs(struct pyro *p, const struct pyro_workspace *ws,
		const struct pyro_logs_workspace_args *a, struct pyro_workspace_logs *ret,
		struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, ws->workspace_id);
	const struct range range = {a->offset, a->max_bytes};
	struct pyro_workspace_logs list = {0};
	size_t room = LOGS_MAX;

	if (find_commands(p, ws->workspace_id, a->sequence, &list, err) < 0) {
		pyro_workspace_logs_done(&list);
		return -1;
	}
	list.workspace_id = mem_strdup(ws->workspace_id);
	list.count = (int64_t)list.entries_count;
	for (size_t i = list.entries_count; i-- > 0;) {
		struct pyro_workspace_command *c = &list.entries[i];

		read_output(dir, &range, c);
		limit_text(&room, &c->stdout, &c->stdout_truncated);
		limit_text(&room, &c->stderr, &c->stderr_truncated);
	}
	*ret = list;
	return 0;
}

int pyro_logs_workspace(struct pyro *p, const struct pyro_logs_workspace_args *given,
			struct pyro_workspace_logs *ret, struct pyro_error *err)
{
	struct pyro_logs_workspace_args a;
	struct pyro_workspace ws = {0};
	int result;

	if (ops_apply_defaults(OP_logs_workspace, given, &a, err) < 0 ||
	    workspace_find(p, a.workspace_id, &ws, err) < 0)
		return -1;
	result = logs(p, &ws, &a, ret, err);
	pyro_workspace_done(&ws);
	return result;
}
