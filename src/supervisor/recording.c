#include "supervisor/recording.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/redact.h"
#include "channel/call.h"
#include "channel/outcome.h"
#include "supervisor/supervisor.h"
#include "workspace/history.h"
#include "workspace/output.h"

#include <stdlib.h>
#include <string.h>

#define WAITERS_MAX 256

/* A call that is answered at the end. */
struct waiter {
	struct mux_call *call;
	struct recording *recording; /* NULL once it is answered */
	struct waiter *next;
};

struct recording {
	struct supervisor *s;
	int64_t sequence;
	struct output *out;
	struct output *err;
	int64_t started_ms;
	struct waiter *waiters;
	int n_waiters;
	bool is_cancelled;
};

static void recording_free(struct recording *r)
{
	(void)output_close(r->out);
	(void)output_close(r->err);
	free(r);
}

static json_t *redact_word(const struct redact_patterns *p, const json_t *word)
{
	AUTO_FREE char *text = redact_text(p, json_string_value(word));

	return json_string(text ? text : "");
}

/* What was called, as the history keeps it: a text or a list of them. NULL if it is neither. */
static char *command_text(const struct supervisor *s, const json_t *command)
{
	json_t *shown = json_is_string(command) ? redact_word(s->patterns, command) : json_array();
	char *text;

	if (!json_is_string(command) && !json_array_size(command)) {
		json_decref(shown);
		return NULL;
	}
	for (size_t i = 0; i < json_array_size(command); i++)
		(void)json_array_append_new(shown,
					    redact_word(s->patterns, json_array_get(command, i)));
	text = json_dumps(shown, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(shown);
	return text;
}

struct recording *recording_begin(struct supervisor *s, const json_t *record,
				  struct pyro_error *err)
{
	struct records *records = supervisor_records(s, err);
	AUTO_FREE char *command = command_text(s, json_object_get(record, "command"));
	AUTO_FREE char *cwd =
		redact_text(s->patterns, json_string_value(json_object_get(record, "cwd")));
	struct recording *r;
	int64_t dropped;

	if (!records)
		return NULL;
	if (!command || !cwd) {
		(void)err_set(err, PYRO_E_INVALID, "a command is not well described");
		return NULL;
	}
	r = mem_zalloc(1, sizeof(*r));
	r->s = s;
	r->started_ms = clock_ms();
	if (history_begin(records, s->vm_id, command, cwd, s->vm->engine->execution_mode,
			  clock_wall(), &r->sequence, &dropped, err) < 0) {
		free(r);
		return NULL;
	}
	if (dropped)
		output_remove(s->dir, dropped);
	r->out = output_open(s->dir, r->sequence, OUTPUT_STDOUT, err);
	r->err = r->out ? output_open(s->dir, r->sequence, OUTPUT_STDERR, err) : NULL;
	if (r->err)
		return r;
	(void)history_end(records, s->vm_id, r->sequence,
			  &(struct history_result){.state = "interrupted", .exit_code = PYRO_NONE},
			  NULL);
	recording_free(r);
	return NULL;
}

int64_t recording_sequence(const struct recording *r)
{
	return r->sequence;
}

void recording_output(struct recording *r, enum mux_kind kind, const void *data, size_t len)
{
	if (r && (kind == MUX_OUT || kind == MUX_ERR))
		output_add(kind == MUX_OUT ? r->out : r->err, data, len);
}

void recording_cancel(struct recording *r)
{
	r->is_cancelled = true;
}

static void waiter_closed(struct mux_call *call, const struct pyro_error *error)
{
	struct waiter *waiter = mux_call_ctx(call);
	struct recording *r = waiter->recording;

	(void)error;
	if (r) {
		struct waiter **at = &r->waiters;

		while (*at != waiter)
			at = &(*at)->next;
		*at = waiter->next;
		r->n_waiters--;
	}
	free(waiter);
}

void recording_wait(struct recording *r, struct mux_call *call)
{
	static const struct mux_call_ops ops = {.on_close = waiter_closed};
	struct waiter *waiter;
	struct pyro_error error;

	if (r->n_waiters == WAITERS_MAX) {
		(void)err_set(&error, PYRO_E_LIMIT, "%d calls wait for command %lld already",
			      WAITERS_MAX, (long long)r->sequence);
		mux_fail(call, &error);
		return;
	}
	waiter = mem_zalloc(1, sizeof(*waiter));
	*waiter = (struct waiter){call, r, r->waiters};
	r->waiters = waiter;
	r->n_waiters++;
	mux_accept(call, &ops, waiter);
}

static void answer_waiters(struct recording *r)
{
	bool is_forgotten = r->s->is_resetting || r->s->ending == ENDING_DESTROY;

	while (r->waiters) {
		struct waiter *waiter = r->waiters;

		r->waiters = waiter->next;
		waiter->recording = NULL;
		if (is_forgotten)
			mux_fail(waiter->call, &r->s->reason);
		else
			call_answer(waiter->call, json_object());
	}
}

int recording_end(struct recording *r, json_t *result, struct pyro_error *err)
{
	struct history_result outcome = {
		.state = "interrupted",
		.exit_code = PYRO_NONE,
	};
	struct records *records;
	struct outcome told;
	int status = 0;

	if (!r)
		return 0;
	outcome.duration_ms = clock_ms() - r->started_ms;
	if (result)
		status = outcome_take(result, &told, err);
	if (result && status == 0) {
		outcome.state = r->is_cancelled ? "cancelled" : "finished";
		outcome.exit_code = told.exit_code;
		outcome.duration_ms = told.duration_ms;
		outcome.timed_out = told.timed_out;
	}
	records = supervisor_records(r->s, err);
	if (!records || history_end(records, r->s->vm_id, r->sequence, &outcome, err) < 0)
		status = -1;
	if (result) {
		(void)json_object_set_new(result, "sequence", json_integer(r->sequence));
		(void)json_object_set_new(result, "state", json_string(outcome.state));
	}
	answer_waiters(r);
	recording_free(r);
	return status;
}
