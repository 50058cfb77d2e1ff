/*
 * A client's call on a shell is a visit. It is answered at once, or it waits in the list of its
 * shell and is looked at whenever that shell changes: an open until the shell runs, a read until
 * its output is quiet, an attach as long as both are there, a close until the shell is gone.
 *
 * Output is read from the ring, at each reader's own pace; the shell never waits for a reader. What
 * an attached client types waits at the client while the shell takes no more.
 */
#include "supervisor/shells.h"

#include "base/clock.h"
#include "base/err.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "supervisor/shell.h"
#include "supervisor/supervisor.h"
#include "workspace/ring.h"

#include <stdlib.h>
#include <string.h>

#define IDLE_CEILING_MS 30000
#define PROMPT_MS 3000 /* a shell that prints nothing in this time may have no prompt */
#define INPUT_MAX (SHELLS_INPUT_MAX + 1) /* and a newline */
#define PUMP_CHUNK (64 * 1024)

struct verb;

struct visit {
	struct supervisor *s;
	struct mux_call *call;
	const struct verb *verb; /* NULL: its arguments were taken */
	struct shell *shell; /* it waits in that one's list; NULL: it was answered, or not yet */
	struct visit *next;
	void (*advance)(struct visit *v); /* the shell has changed */
	struct loop_timer timer;
	int64_t began_ms;
	int64_t idle_ms;
	int64_t cursor;
	size_t max_bytes;
	size_t context_bytes;
	size_t owed; /* input that is not consumed yet */
};

struct verb {
	const char *name;
	/* Answers the visit, or lets it wait; -1 with err. */
	int (*begin)(struct visit *v, const json_t *args, struct pyro_error *err);
};

static void leave(struct visit *v)
{
	struct visit **at;

	loop_clear_timer(v->s->loop, &v->timer);
	if (!v->shell)
		return;
	at = &v->shell->visits;
	while (*at != v)
		at = &(*at)->next;
	*at = v->next;
	v->shell = NULL;
}

static void await(struct visit *v, struct shell *shell, void (*advance)(struct visit *v))
{
	struct visit **at = &shell->visits;

	while (*at)
		at = &(*at)->next;
	*at = v;
	v->shell = shell;
	v->advance = advance;
}

/* object is taken. */
static void answer(struct visit *v, json_t *object)
{
	leave(v);
	call_answer(v->call, object);
}

static void fail(struct visit *v, const struct pyro_error *error)
{
	leave(v);
	mux_fail(v->call, error);
}

static void answer_record(struct visit *v, const struct shell *shell)
{
	answer(v, shell_to_json(shell));
}

static struct shell *find(struct visit *v, const json_t *args, struct pyro_error *err)
{
	const char *id = json_string_value(json_object_get(args, "shell_id"));

	/* One that is being opened is nobody's yet. */
	for (struct shell *shell = v->s->shells; shell; shell = shell->next)
		if (id && shell->ring && strcmp(shell->record.shell_id, id) == 0)
			return shell;
	(void)shells_unknown(v->s->vm_id, id ? id : "", err);
	return NULL;
}

static int64_t number(const json_t *args, const char *key, int64_t most)
{
	json_int_t value = json_integer_value(json_object_get(args, key));

	return value < 0 ? 0 : value > most ? most : value;
}

/*
 * Open and close.
 */

/*
 * An open is answered when the shell has printed its prompt: what is typed before that would be
 * shown twice, by the terminal and by the shell's line editor.
 */
static void advance_open(struct visit *v)
{
	const struct shell *shell = v->shell;
	bool has_prompt = shell->ring && ring_end(shell->ring);

	if (shell->ring && (has_prompt || shell->is_ended || !v->timer.is_armed))
		answer_record(v, shell);
}

static void prompt_overdue(struct loop_timer *timer)
{
	advance_open(timer->ctx);
}

static int check_room(const struct supervisor *s, struct pyro_error *err)
{
	int n = 0;

	for (const struct shell *shell = s->shells; shell; shell = shell->next)
		n++;
	if (n < SHELLS_MAX)
		return 0;
	(void)err_set(err, PYRO_E_LIMIT, "workspace '%s' has %d shells, which is the most",
		      s->vm_id, SHELLS_MAX);
	return err_hint(err, "pyro workspace shell close %s SHELL_ID", s->vm_id);
}

static int begin_open(struct visit *v, const json_t *args, struct pyro_error *err)
{
	struct shell *shell = check_room(v->s, err) < 0 ? NULL : shell_new(v->s, args, err);

	if (!shell)
		return -1;
	await(v, shell, advance_open);
	v->timer.on_time = prompt_overdue;
	v->timer.ctx = v;
	loop_set_timer(v->s->loop, &v->timer, deadline_in(PROMPT_MS));
	return 0;
}

static void advance_close(struct visit *v)
{
	if (v->shell->is_ended)
		answer_record(v, v->shell);
}

static int begin_close(struct visit *v, const json_t *args, struct pyro_error *err)
{
	struct shell *shell = find(v, args, err);

	if (!shell)
		return -1;
	await(v, shell, advance_close);
	shell_close(shell);
	return 0;
}

/*
 * Reading.
 */

/* Where a reader begins who asks for a cursor. */
static int locate(const struct shell *shell, int64_t cursor, struct ring_span *ret,
		  struct pyro_error *err)
{
	AUTO_BUF struct buf none = BUF_INIT(0);

	if (cursor > ring_end(shell->ring)) {
		(void)err_set(err, PYRO_E_INVALID,
			      "cursor %lld is behind the end of the output, %lld",
			      (long long)cursor, (long long)ring_end(shell->ring));
		return err_hint(err, "go on from next_cursor of the last read, or from 0");
	}
	return ring_read(shell->ring, cursor, 0, &none, ret, err);
}

static int send_output(struct visit *v, json_t **ret, struct pyro_error *err)
{
	const struct shell *shell = v->shell;
	AUTO_BUF struct buf out = BUF_INIT(SHELLS_KEPT);
	struct ring_span at = {0}, whole;
	int64_t context;

	if (locate(shell, v->cursor, &at, err) < 0)
		return -1;
	context = at.from - at.first < (int64_t)v->context_bytes ? at.from - at.first
								 : (int64_t)v->context_bytes;
	if (ring_read(shell->ring, at.from - context, (size_t)context + v->max_bytes, &out, &whole,
		      err) < 0)
		return -1;
	if (out.len)
		mux_send(v->call, MUX_OUT, out.data, out.len);
	*ret = shell_to_json(shell);
	(void)json_object_update_new(
		*ret, json_pack("{s:I, s:I, s:I, s:I, s:I}", "context", (json_int_t)context,
				"cursor", (json_int_t)at.from, "next_cursor",
				(json_int_t)whole.next, "end", (json_int_t)whole.end,
				"skipped_bytes", (json_int_t)(at.from - v->cursor)));
	return 0;
}

/* When the output is quiet for long enough, or the wait too long. */
static int64_t due_ms(const struct visit *v)
{
	int64_t last = v->shell->output_ms > v->began_ms ? v->shell->output_ms : v->began_ms;
	int64_t quiet = last + v->idle_ms, ceiling = v->began_ms + IDLE_CEILING_MS;

	return quiet < ceiling ? quiet : ceiling;
}

static void advance_read(struct visit *v)
{
	struct pyro_error error;
	json_t *result;

	if (!v->shell->is_ended && clock_ms() < due_ms(v))
		loop_set_timer(v->s->loop, &v->timer, due_ms(v));
	else if (send_output(v, &result, &error) < 0)
		fail(v, &error);
	else
		answer(v, result);
}

static void read_due(struct loop_timer *timer)
{
	advance_read(timer->ctx);
}

static int begin_read(struct visit *v, const json_t *args, struct pyro_error *err)
{
	struct shell *shell = find(v, args, err);
	struct ring_span at;

	v->cursor = number(args, "cursor", INT64_MAX);
	v->max_bytes = (size_t)number(args, "max_bytes", SHELLS_KEPT);
	v->context_bytes = (size_t)number(args, "context_bytes", SHELLS_CONTEXT_MAX);
	v->idle_ms = number(args, "wait_for_idle_ms", IDLE_CEILING_MS);
	v->began_ms = clock_ms();
	v->timer.on_time = read_due;
	v->timer.ctx = v;
	if (!shell || locate(shell, v->cursor, &at, err) < 0)
		return -1;
	await(v, shell, advance_read);
	advance_read(v);
	return 0;
}

/*
 * Writing.
 */

static int begin_write(struct visit *v, const json_t *args, struct pyro_error *err)
{
	struct shell *shell = find(v, args, err);
	const json_t *input = json_object_get(args, "input");
	size_t len = json_string_length(input);

	if (!shell || shell_check_running(shell, err) < 0)
		return -1;
	if (len > INPUT_MAX)
		return err_set(err, PYRO_E_INVALID, "an input of %zu bytes is longer than %zu", len,
			       INPUT_MAX);
	if (mux_queued(shell->agent) + len > 2 * INPUT_MAX) {
		(void)err_set(err, PYRO_E_BUSY, "shell '%s' does not take its input",
			      shell->record.shell_id);
		return err_hint(err, "see what runs in it with pyro workspace shell read %s %s",
				shell->record.workspace_id, shell->record.shell_id);
	}
	if (len)
		mux_send(shell->agent, MUX_IN, json_string_value(input), len);
	answer(v, json_pack("{s:I}", "input_bytes", (json_int_t)len));
	return 0;
}

static int begin_signal(struct visit *v, const json_t *args, struct pyro_error *err)
{
	struct shell *shell = find(v, args, err);
	const char *name = json_string_value(json_object_get(args, "signal"));

	if (!shell || shell_signal(shell, name, err) < 0)
		return -1;
	answer_record(v, shell);
	return 0;
}

/*
 * Attaching.
 */

/* Passes on what there is, as far as the client takes it. */
static int pump(struct visit *v, struct pyro_error *err)
{
	const struct ring *ring = v->shell->ring;

	while (v->cursor < ring_end(ring) && mux_queued(v->call) < MUX_QUEUE_GOAL) {
		AUTO_BUF struct buf out = BUF_INIT(PUMP_CHUNK);
		struct ring_span at;

		if (ring_read(ring, v->cursor, PUMP_CHUNK, &out, &at, err) < 0)
			return -1;
		if (out.len)
			mux_send(v->call, MUX_OUT, out.data, out.len);
		v->cursor = at.next;
	}
	return 0;
}

static void advance_attach(struct visit *v)
{
	struct pyro_error error;

	if (pump(v, &error) < 0)
		fail(v, &error);
	else if (v->shell->is_ended && v->cursor >= ring_end(v->shell->ring))
		answer_record(v, v->shell);
}

static int begin_attach(struct visit *v, const json_t *args, struct pyro_error *err)
{
	struct shell *shell = find(v, args, err);
	struct ring_span at;

	v->cursor = number(args, "cursor", INT64_MAX);
	if (!shell || locate(shell, v->cursor, &at, err) < 0)
		return -1;
	await(v, shell, advance_attach);
	advance_attach(v);
	return 0;
}

static void attached_input(struct visit *v, const char *data, size_t len)
{
	struct shell *shell = v->shell;

	if (!len) {
		answer_record(v, shell); /* it detaches */
		return;
	}
	if (shell_check_running(shell, NULL) == 0)
		mux_send(shell->agent, MUX_IN, data, len);
	if (shell->agent && mux_queued(shell->agent) > MUX_QUEUE_GOAL)
		v->owed += len;
	else
		mux_consume(v->call, len);
}

static void attached_message(struct visit *v, const char *data, size_t len)
{
	json_t *message = json_loadb(data, len, 0, NULL);

	/* A shell that has ended has no size; that it ended is what the client hears. */
	(void)shell_resize(v->shell, json_object_get(message, "resize"), NULL);
	json_decref(message);
}

/*
 * Calls.
 */

static const struct verb verbs[] = {
	{"shell_open", begin_open},   {"shell_read", begin_read},
	{"shell_write", begin_write}, {"shell_signal", begin_signal},
	{"shell_close", begin_close}, {"shell_attach", begin_attach},
};

static void take_args(struct visit *v, const char *data, size_t len)
{
	const struct verb *verb = TAKE_PTR(v->verb);
	json_t *args;
	struct pyro_error error;

	if (relay_refuse(v->s, v->call))
		return;
	args = json_loadb(data, len, 0, NULL);
	if (verb->begin(v, args, &error) < 0)
		fail(v, &error);
	json_decref(args);
}

static void visit_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct visit *v = mux_call_ctx(call);

	if (kind == MUX_JSON && v->verb)
		take_args(v, data, len);
	else if (kind == MUX_JSON && v->shell)
		attached_message(v, data, len);
	else if (kind == MUX_IN && v->shell && v->advance == advance_attach)
		attached_input(v, data, len);
	else if (kind == MUX_IN)
		mux_consume(call, len);
}

static void visit_drained(struct mux_call *call)
{
	struct visit *v = mux_call_ctx(call);

	if (v->shell && v->advance == advance_attach)
		advance_attach(v);
}

static void visit_closed(struct mux_call *call, const struct pyro_error *error)
{
	struct visit *v = mux_call_ctx(call);
	struct shell *unwanted = v->shell && v->advance == advance_open ? v->shell : NULL;

	(void)error;
	leave(v);
	/* Nobody knows of it: it is not on record yet, or goes as if it were closed. */
	if (unwanted && unwanted->ring)
		shell_close(unwanted);
	else if (unwanted)
		shell_free(unwanted);
	free(v);
}

static const struct mux_call_ops visit_ops = {
	.on_record = visit_record,
	.on_drained = visit_drained,
	.on_close = visit_closed,
};

bool shells_call(struct supervisor *s, struct mux_call *call, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(name, verbs[i].name) == 0) {
			struct visit *v = mem_zalloc(1, sizeof(*v));

			v->s = s;
			v->call = call;
			v->verb = &verbs[i];
			mux_accept(call, &visit_ops, v);
			return true;
		}
	return false;
}

/*
 * What happens to shells.
 */

void shells_changed(struct shell *shell)
{
	for (struct visit *v = shell->visits, *next; v; v = next) {
		next = v->next;
		v->advance(v);
	}
}

void shells_drained(struct shell *shell)
{
	for (struct visit *v = shell->visits; v; v = v->next) {
		mux_consume(v->call, v->owed);
		v->owed = 0;
	}
}

void shells_failed(struct shell *shell, const struct pyro_error *why)
{
	while (shell->visits)
		fail(shell->visits, why);
}

void shells_dismiss(struct shell *shell)
{
	shells_changed(shell);
	while (shell->visits)
		answer_record(shell->visits, shell);
}

void shells_drop(struct supervisor *s, const struct pyro_error *why)
{
	struct records *records = s->shells ? supervisor_records(s, NULL) : NULL;

	while (s->shells) {
		shells_failed(s->shells, why);
		shell_free(s->shells);
	}
	if (records)
		(void)shells_clear(records, s->dir, s->vm_id, NULL);
}
