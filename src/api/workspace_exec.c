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

/* What a run says of a command, and a workspace too. */
static struct pyro_workspace_exec take_run(struct pyro_run *run, const char *id, int64_t sequence)
{
	struct pyro_workspace_exec exec = {
		.workspace_id = mem_strdup(id),
		.sequence = sequence,
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

static int exec_in(struct pyro *p, const struct pyro_exec_workspace_args *a,
		   struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	struct pyro_workspace ws = {0};
	struct pyro_run run = {0};
	AUTO_STRV char **shown = NULL;
	struct redact_patterns *patterns;
	struct machine m = {0};
	int64_t sequence = 0;
	int result;

	if (workspace_connect(p, a->workspace_id, &ws, &m.remote, err) < 0)
		return -1;
	m.execution_mode = mem_strdup(ws.execution_mode);
	m.accel = mem_strdup(ws.accel);
	result = workspace_patterns(p, ws.workspace_id, &patterns, err);
	if (result == 0) {
		shown = workspace_redact_words(patterns, a->command);
		(void)redact_patterns_free(patterns);
		result = machine_exec_recorded(&m,
					       &(struct machine_command){
						       .command = a->command,
						       .shown = (const char *const *)shown,
						       .cwd = WORKSPACE_PATH,
						       .timeout_seconds = a->timeout_seconds,
						       .secret_env = a->secret_env,
					       },
					       &run, &sequence, err);
	}
	machine_done(&m);
	if (result == 0) {
		*ret = take_run(&run, ws.workspace_id, sequence);
		/* It has run, whatever becomes of this. */
		(void)workspaces_touch(p->records, ws.workspace_id, clock_wall(), NULL);
	}
	pyro_workspace_done(&ws);
	return result;
}

int pyro_exec_workspace(struct pyro *p, const struct pyro_exec_workspace_args *given,
			struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	struct pyro_exec_workspace_args a;

	if (ops_apply_defaults(OP_exec_workspace, given, &a, err) < 0)
		return -1;
	handle_begin(p);
	return handle_end(p, exec_in(p, &a, ret, err));
}

/* A command that does not run has ended, or there never was one. */
static int check_known(struct pyro *p, const char *id, int64_t sequence, struct pyro_error *err)
{
	struct pyro_workspace_logs list = {0};
	bool is_known = false;

	if (history_commands(p->records, id, &list.entries, &list.entries_count, err) < 0)
		return -1;
	for (size_t i = 0; i < list.entries_count; i++)
		is_known = is_known || list.entries[i].sequence == sequence;
	pyro_workspace_logs_done(&list);
	if (is_known)
		return 0;
	(void)err_set(err, PYRO_E_NOT_FOUND, "workspace '%s' has no command %lld", id,
		      (long long)sequence);
	return err_hint(err, "pyro workspace logs %s", id);
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
	handle_begin(p);
	return handle_end(p, cancel(p, &a, ret, err));
}

/*
 * Output that cannot be read, or not be held, is told in its place: the rest of the history is
 * still good. *room is how much may still be held.
 */
static void read_output(const char *dir, int64_t sequence, enum output_stream stream, size_t *room,
			char **text, int64_t *bytes, bool *is_truncated)
{
	struct pyro_error why;

	if (output_read(dir, sequence, stream, text, bytes, is_truncated, &why) < 0) {
		*text = mem_printf("[%s]", why.message);
	} else if (strlen(*text) > *room) {
		free(*text);
		*text = mem_strdup("[not shown: what later commands printed fills these logs]");
		*is_truncated = true;
	} else {
		*room -= strlen(*text);
	}
}

static int logs(struct pyro *p, const struct pyro_workspace *ws, struct pyro_workspace_logs *ret,
		struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, ws->workspace_id);
	struct pyro_workspace_logs list = {0};
	size_t room = LOGS_MAX;

	if (history_commands(p->records, ws->workspace_id, &list.entries, &list.entries_count,
			     err) < 0)
		return -1;
	list.workspace_id = mem_strdup(ws->workspace_id);
	list.count = (int64_t)list.entries_count;
	for (size_t i = list.entries_count; i-- > 0;) {
		struct pyro_workspace_command *c = &list.entries[i];

		read_output(dir, c->sequence, OUTPUT_STDOUT, &room, &c->stdout, &c->stdout_bytes,
			    &c->stdout_truncated);
		read_output(dir, c->sequence, OUTPUT_STDERR, &room, &c->stderr, &c->stderr_bytes,
			    &c->stderr_truncated);
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
	result = logs(p, &ws, ret, err);
	pyro_workspace_done(&ws);
	return result;
}
