/*
 * The life of a shell: the agent is asked for an interactive exec with a terminal; when it says
 * that the shell has started, the shell is entered into the records and counts as open; output goes
 * into the ring as it comes; the agent's result is the shell's end, which is entered, too, and what
 * was printed can be read until the shell is closed.
 *
 * A close is a hang-up of the foreground job, a moment, and a kill of the whole tree. It ends like
 * every other end, or, if the agent does not report one, without it.
 *
 * The machine's end is none of these: then all shells vanish at once (shells_drop).
 */
#include "supervisor/shell.h"

#include "base/clock.h"
#include "base/err.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "channel/outcome.h"
#include "supervisor/shells.h"
#include "supervisor/supervisor.h"
#include "workspace/ring.h"
#include "workspace/state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MS 200
#define KILL_MS 5000
#define PAUSE_MS 300 /* without output: what looks like a secret's beginning is shown */
#define RESULT_MAX (64 * 1024)
#define CELLS_MAX 1000
#define STUCK_INPUT ((size_t)(64 * 1024))

/* An agent that is gone needs to hear nothing. */
static void tell(const struct shell *shell, json_t *message)
{
	if (shell->agent)
		call_send(shell->agent, message);
	else
		json_decref(message);
}

static int take_size(const json_t *size, struct pyro_shell *record, struct pyro_error *err)
{
	json_int_t cols = json_integer_value(json_object_get(size, "cols"));
	json_int_t rows = json_integer_value(json_object_get(size, "rows"));

	if (cols < 1 || rows < 1 || cols > CELLS_MAX || rows > CELLS_MAX)
		return err_set(err, PYRO_E_INVALID, "a terminal of %lld columns and %lld rows",
			       (long long)cols, (long long)rows);
	record->cols = cols;
	record->rows = rows;
	return 0;
}

json_t *shell_to_json(const struct shell *shell)
{
	const struct pyro_shell *r = &shell->record;
	json_t *object = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:f}", "workspace_id",
				   r->workspace_id, "shell_id", r->shell_id, "cwd", r->cwd, "cols",
				   (json_int_t)r->cols, "rows", (json_int_t)r->rows, "state",
				   r->state, "started_at", r->started_at);

	if (shell->is_ended)
		(void)json_object_set_new(object, "ended_at", json_real(r->ended_at));
	if (r->exit_code != PYRO_NONE)
		(void)json_object_set_new(object, "exit_code", json_integer(r->exit_code));
	return object;
}

static void set_state(struct shell *shell, const char *state)
{
	free(shell->record.state);
	shell->record.state = mem_strdup(state);
}

/* What cannot be written down is still true. */
static void save(struct shell *shell)
{
	struct records *records = supervisor_records(shell->s, NULL);

	if (records)
		(void)shells_update(records, &shell->record, NULL);
}

static char *ring_path(const struct shell *shell)
{
	return shells_path(shell->s->dir, shell->record.shell_id);
}

/* Off the books, then gone. */
static void finish_close(struct shell *shell)
{
	const struct pyro_shell *r = &shell->record;
	struct pyro_error error;
	struct records *records = supervisor_records(shell->s, &error);

	if (!records || shells_remove(records, r->workspace_id, r->shell_id, &error) < 0) {
		shell->is_closing = false;
		shells_failed(shell, &error);
		return;
	}
	shells_dismiss(shell);
	shell_free(shell);
}

static void shell_end(struct shell *shell, int64_t exit_code)
{
	if (shell->is_ended)
		return;
	redactor_flush(&shell->redactor);
	shell->is_ended = true;
	shell->record.ended_at = clock_wall();
	shell->record.exit_code = exit_code;
	set_state(shell, "stopped");
	loop_clear_timer(shell->s->loop, &shell->timer);
	loop_clear_timer(shell->s->loop, &shell->pause);
	if (shell->is_closing) {
		finish_close(shell);
		return;
	}
	save(shell);
	shells_changed(shell);
}

/* It did not come to be, or must not be: who opened it is told. */
static void give_up(struct shell *shell, const struct pyro_error *why)
{
	struct pyro_error shown = *why;

	redact_error(supervisor_patterns(shell->s), &shown);
	shells_failed(shell, &shown);
	shell_free(shell);
}

static int enter(struct shell *shell, struct pyro_error *err)
{
	AUTO_FREE char *path = ring_path(shell);
	struct records *records = supervisor_records(shell->s, err);

	if (!records)
		return -1;
	shell->ring = ring_open(path, SHELLS_KEPT, err);
	if (!shell->ring)
		return -1;
	shell->record.started_at = clock_wall();
	return shells_add(records, &shell->record, err);
}

/* The agent's error, from a guest that may be hostile: the hint is ours. */
static void agent_refused(struct shell *shell, struct pyro_error *error)
{
	const struct vm *vm = shell->s->vm;

	(void)err_hint(error, "%s", err_default_hint(error->code));
	if (vm && vm->engine->explain)
		(void)vm->engine->explain(vm, error);
	if (!shell->ring)
		give_up(shell, error);
	else
		shell_end(shell, PYRO_NONE);
}

static void agent_started(struct shell *shell)
{
	struct pyro_error error;

	if (enter(shell, &error) < 0)
		give_up(shell, &error);
	else
		shells_changed(shell);
}

static int take_end(const struct shell *shell, const json_t *said, struct outcome *ret,
		    struct pyro_error *err)
{
	if (call_error_from_json(said, err) < 0 || outcome_take(said, ret, err) < 0)
		return -1;
	return shell->ring ? 0 : err_set(err, PYRO_E_PROTOCOL, "the shell ended before it began");
}

static void agent_said(struct shell *shell, const char *data, size_t len)
{
	json_t *said =
		len <= RESULT_MAX ? json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct outcome outcome;
	struct pyro_error error;

	if (!shell->ring && json_object_get(said, "event"))
		agent_started(shell);
	else if (take_end(shell, said, &outcome, &error) < 0)
		agent_refused(shell, &error);
	else
		shell_end(shell, outcome.exit_code);
	json_decref(said);
}

/* What may be seen; never called before there is a ring. */
static void keep_output(void *ctx, const char *data, size_t len)
{
	struct shell *shell = ctx;

	ring_add(shell->ring, data, len);
}

static void take_output(struct shell *shell, const char *data, size_t len)
{
	redactor_add(&shell->redactor, data, len);
	shell->output_ms = clock_ms();
	if (redactor_is_holding(&shell->redactor))
		loop_set_timer(shell->s->loop, &shell->pause, deadline_in(PAUSE_MS));
	shells_changed(shell);
}

/* The end of a prompt must be seen, even if a secret begins like it. */
static void output_paused(struct loop_timer *timer)
{
	struct shell *shell = timer->ctx;

	redactor_release(&shell->redactor);
	shells_changed(shell);
}

static void agent_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct shell *shell = mux_call_ctx(call);

	if (kind == MUX_JSON) {
		if (!shell->is_ended)
			agent_said(shell, data, len);
		return;
	}
	mux_consume(call, len);
	if (shell->ring && len && !shell->is_ended)
		take_output(shell, data, len);
}

static void agent_drained(struct mux_call *call)
{
	shells_drained(mux_call_ctx(call));
}

static void agent_closed(struct mux_call *call, const struct pyro_error *error)
{
	struct shell *shell = mux_call_ctx(call);
	struct supervisor *s = shell->s;
	struct pyro_error gone;

	shell->agent = NULL;
	if (error && error->code == PYRO_E_VM_DIED)
		supervisor_end(s, ENDING_FAILED, error->code, SUPERVISOR_VM_DIED);
	if (shell->is_ended || s->is_ending || s->is_resetting)
		return;
	(void)err_set(&gone, PYRO_E_PROTOCOL, "the guest says nothing of its shell");
	if (!shell->ring)
		give_up(shell, error ? error : &gone);
	else
		shell_end(shell, PYRO_NONE);
}

static const struct mux_call_ops agent_ops = {
	.on_record = agent_record,
	.on_drained = agent_drained,
	.on_close = agent_closed,
};

static int start_exec(struct shell *shell, const char *cwd, json_t *secret_env,
		      struct pyro_error *err)
{
	const struct pyro_shell *r = &shell->record;
	json_t *args =
		json_pack("{s:b, s:b, s:b, s:s, s:{s:I, s:I}, s:O*}", "interactive", 1, "whole", 1,
			  "tell_pid", 1, "cwd", cwd, "pty", "cols", (json_int_t)r->cols, "rows",
			  (json_int_t)r->rows, "secret_env", secret_env);
	int result = supervisor_resolve_secret_env(shell->s, args, err);
	AUTO_FREE char *text = json_dumps(args, JSON_COMPACT);

	json_decref(args);
	if (result < 0)
		return -1;
	shell->agent = mux_start(shell->s->vm->agent, "exec", text, &agent_ops, shell);
	return shell->agent ? 0 : err_set(err, PYRO_E_VM_DIED, "the guest is gone");
}

struct shell *shell_new(struct supervisor *s, const json_t *args, struct pyro_error *err)
{
	const char *cwd = json_string_value(json_object_get(args, "cwd"));
	const struct redact_patterns *patterns = supervisor_patterns(s);
	struct shell *shell;

	if (!cwd)
		cwd = "/workspace";
	shell = mem_zalloc(1, sizeof(*shell));
	shell->s = s;
	shell->pause = (struct loop_timer){.on_time = output_paused, .ctx = shell};
	redactor_init(&shell->redactor, patterns, keep_output, shell);
	shell->next = s->shells;
	s->shells = shell;
	shell->record = (struct pyro_shell){
		.workspace_id = mem_strdup(s->vm_id),
		.shell_id = state_new_id("sh"),
		.cwd = redact_text(patterns, cwd),
		.state = mem_strdup("running"),
		.ended_at = (double)PYRO_NONE,
		.exit_code = PYRO_NONE,
	};
	if (take_size(args, &shell->record, err) == 0 &&
	    start_exec(shell, cwd, json_object_get(args, "secret_env"), err) == 0)
		return shell;
	shell_free(shell);
	return NULL;
}

static void unlink_ring(struct shell *shell)
{
	AUTO_FREE char *path = ring_path(shell);

	if (shell->ring)
		(void)unlink(path);
	(void)ring_close(shell->ring);
}

void shell_free(struct shell *shell)
{
	struct shell **at = &shell->s->shells;

	while (*at != shell)
		at = &(*at)->next;
	*at = shell->next;
	shell->is_ended = true;
	loop_clear_timer(shell->s->loop, &shell->timer);
	loop_clear_timer(shell->s->loop, &shell->pause);
	redactor_done(&shell->redactor);
	if (shell->agent)
		mux_cancel(shell->agent);
	unlink_ring(shell);
	free(shell->record.workspace_id);
	free(shell->record.shell_id);
	free(shell->record.cwd);
	free(shell->record.state);
	free(shell);
}

int shell_check_running(const struct shell *shell, struct pyro_error *err)
{
	const struct pyro_shell *r = &shell->record;

	if (!shell->is_ended && shell->agent)
		return 0;
	(void)err_set(err, PYRO_E_BAD_STATE, "shell '%s' has ended", r->shell_id);
	return err_hint(err, "pyro workspace shell list %s, and open another one", r->workspace_id);
}

/* A signal would wait behind input that nobody takes. */
static int check_input(const struct shell *shell, struct pyro_error *err)
{
	const struct pyro_shell *r = &shell->record;

	if (mux_queued(shell->agent) < STUCK_INPUT)
		return 0;
	(void)err_set(err, PYRO_E_BUSY, "shell '%s' does not take its input", r->shell_id);
	return err_hint(err, "pyro workspace shell close %s %s", r->workspace_id, r->shell_id);
}

int shell_signal(struct shell *shell, const char *name, struct pyro_error *err)
{
	static const char *const names[] = {"HUP", "INT", "TERM", "KILL"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (name && strcmp(name, names[i]) == 0) {
			if (shell_check_running(shell, err) < 0 || check_input(shell, err) < 0)
				return -1;
			tell(shell, json_pack("{s:s}", "signal", name));
			return 0;
		}
	(void)err_set(err, PYRO_E_INVALID, "a shell takes no signal '%.20s'", name ? name : "");
	return err_hint(err, "HUP, INT, TERM or KILL");
}

int shell_resize(struct shell *shell, const json_t *size, struct pyro_error *err)
{
	struct pyro_shell *r = &shell->record;

	if (shell_check_running(shell, err) < 0 || take_size(size, r, err) < 0)
		return -1;
	save(shell);
	tell(shell, json_pack("{s:{s:I, s:I}}", "resize", "cols", (json_int_t)r->cols, "rows",
			      (json_int_t)r->rows));
	return 0;
}

static int64_t patience(const struct shell *shell, int64_t ms)
{
	return deadline_in(vm_patience_ms(shell->s->vm->spec.accel, ms));
}

/* The agent says nothing, though it should have killed it long ago. */
static void close_late(struct loop_timer *timer)
{
	shell_end(timer->ctx, PYRO_NONE);
}

static void close_by_force(struct loop_timer *timer)
{
	struct shell *shell = timer->ctx;

	timer->on_time = close_late;
	if (shell->agent && mux_queued(shell->agent)) {
		mux_cancel(shell->agent); /* no message gets past input that nobody takes */
		return;
	}
	tell(shell, json_pack("{s:b}", "kill", 1));
	loop_set_timer(shell->s->loop, timer, patience(shell, KILL_MS));
}

void shell_close(struct shell *shell)
{
	if (shell->is_closing)
		return;
	shell->is_closing = true;
	if (shell->is_ended) {
		finish_close(shell);
		return;
	}
	tell(shell, json_pack("{s:s}", "signal", "HUP"));
	shell->timer.on_time = close_by_force;
	shell->timer.ctx = shell;
	loop_set_timer(shell->s->loop, &shell->timer, deadline_in(GRACE_MS));
}
