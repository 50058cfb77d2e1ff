/*
 * Attempts of file, tcp and http are the agent's call `probe`; a command is an exec. The agent
 * keeps an attempt's deadline, and if it does not, the timer here drops the call. The same timer
 * waits for the next attempt. What is ready soon is seen soon: the pauses double until they are as
 * long as was asked for.
 */
#include "supervisor/readiness.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "channel/outcome.h"
#include "supervisor/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPT_MS 10000
#define FIRST_MS 20  /* between the first two attempts; then as long as it took already */
#define LAST_MS 250  /* so long before the end the last attempt is made */
#define FAIR_MS 1000 /* an attempt with less time tells nothing by running out of it */
#define GRACE_MS 500 /* for an agent that has to answer at its deadline */
#define SAID_MAX 512 /* bytes of what a command printed, the last */
#define RESULT_MAX 4096

struct readiness {
	struct supervisor *s;
	struct readiness_options o;
	json_t *probe; /* ours, and so is exec */
	json_t *exec;
	struct mux_call *call; /* the attempt under way */
	struct loop_timer timer;
	int64_t deadline;
	int64_t attempt_at;
	json_t *result;
	struct redactor redactor;
	struct buf said; /* without secrets: half of one would not be known again */
	char last[240];  /* what came of the last attempt that tells something */
};

static bool is_command(const struct readiness *r)
{
	const char *type = json_string_value(json_object_get(r->probe, "type"));

	return type && strcmp(type, "command") == 0;
}

static void end(struct readiness *r, const struct pyro_error *error)
{
	struct readiness_options o = r->o;

	(void)readiness_free(r);
	o.on_end(o.ctx, error);
}

/* "http http://127.0.0.1:80/", for people. */
static void describe(const struct readiness *r, struct buf *to)
{
	static const char *const keys[] = {"path", "address", "url", "command"};
	const char *type = json_string_value(json_object_get(r->probe, "type"));

	buf_puts(to, type);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = json_string_value(json_object_get(r->probe, keys[i]));

		if (value)
			buf_printf(to, " '%.100s'", value);
	}
}

static void time_is_over(struct readiness *r)
{
	AUTO_BUF struct buf probe = BUF_INIT(160);
	struct pyro_error error;

	describe(r, &probe);
	(void)err_set(&error, PYRO_E_TIMEOUT, "was not ready after %g s (%s): %s",
		      (double)r->o.timeout_ms / 1000, buf_text(&probe), r->last);
	end(r, &error);
}

static void plan(struct readiness *r)
{
	int64_t now = clock_ms(), last = r->deadline - LAST_MS;
	int64_t waited = now - (r->deadline - r->o.timeout_ms);
	int64_t pause_ms = waited < FIRST_MS ? FIRST_MS : waited;
	int64_t next;

	if (pause_ms > r->o.interval_ms)
		pause_ms = r->o.interval_ms;
	next = r->attempt_at + pause_ms;
	if (next < now)
		next = now;
	if (next > last && now < last)
		next = last;
	if (next > last)
		time_is_over(r);
	else
		loop_set_timer(r->s->loop, &r->timer, next);
}

/* Secrets are taken out before it is cut. */
static void note(struct readiness *r, const char *message)
{
	AUTO_FREE char *shown = redact_text(supervisor_patterns(r->s), message);

	(void)snprintf(r->last, sizeof(r->last), "%.230s", shown ? shown : "no good answer");
	utf8_clean_line(r->last);
}

/* The last line that a command printed is its reason. */
static bool judge_command(struct readiness *r)
{
	struct outcome outcome;
	struct pyro_error error;
	size_t len;
	const char *line;

	if (outcome_take(r->result, &outcome, &error) < 0) {
		note(r, error.message);
		return false;
	}
	redactor_flush(&r->redactor);
	len = r->said.len;
	while (len && r->said.data[len - 1] == '\n')
		r->said.data[--len] = '\0';
	line = strrchr(buf_text(&r->said), '\n');
	line = line ? line + 1 : buf_text(&r->said);
	if (outcome.timed_out)
		(void)snprintf(r->last, sizeof(r->last), "it did not end in time");
	else
		(void)snprintf(r->last, sizeof(r->last), "it exited with %d%s%s",
			       (int)outcome.exit_code, *line ? ": " : "", line);
	utf8_clean_line(r->last);
	return outcome.exit_code == 0 && !outcome.timed_out;
}

static bool judge_probe(struct readiness *r)
{
	note(r, json_string_value(json_object_get(r->result, "message")));
	return json_is_true(json_object_get(r->result, "ready"));
}

/* Whether the end of all attempts ended this one before it could tell more than those before. */
static bool is_cut_short(const struct readiness *r)
{
	return *r->last && r->deadline - r->attempt_at < FAIR_MS && clock_ms() >= r->deadline;
}

static void attempt_ended(struct readiness *r, const struct pyro_error *error)
{
	bool keeps_last = is_cut_short(r);
	char last[sizeof(r->last)];
	struct pyro_error told;

	memcpy(last, r->last, sizeof(last));
	loop_clear_timer(r->s->loop, &r->timer);
	if (error) {
		note(r, error->message);
	} else if (call_error_from_json(r->result, &told) < 0) {
		note(r, told.message);
		if (told.code == PYRO_E_INVALID) { /* nor will it be better */
			(void)err_set(&told, PYRO_E_INVALID, "cannot be probed: %s", r->last);
			end(r, &told);
			return;
		}
	} else if (is_command(r) ? judge_command(r) : judge_probe(r)) {
		end(r, NULL);
		return;
	}
	if (keeps_last)
		memcpy(r->last, last, sizeof(last));
	plan(r);
}

static void keep_said(void *ctx, const char *data, size_t len)
{
	struct readiness *r = ctx;

	buf_append_last(&r->said, data, len);
}

static void on_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct readiness *r = mux_call_ctx(call);

	if (kind == MUX_JSON) {
		json_decref(r->result);
		r->result = len <= RESULT_MAX ? json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL)
					      : NULL;
		return;
	}
	if (len)
		redactor_add(&r->redactor, data, len);
	mux_consume(call, len);
}

static void on_close(struct mux_call *call, const struct pyro_error *error)
{
	struct readiness *r = mux_call_ctx(call);

	r->call = NULL;
	attempt_ended(r, error);
}

static const struct mux_call_ops attempt_ops = {.on_record = on_record, .on_close = on_close};

/* The arguments of an attempt that may take so long; the caller's. */
static char *arguments(const struct readiness *r, int64_t timeout_ms)
{
	json_t *args = json_deep_copy(is_command(r) ? r->exec : r->probe);
	json_t *command = json_object_get(r->probe, "command");
	char *text;

	(void)json_object_set_new(args, "timeout_ms", json_integer(timeout_ms));
	if (is_command(r)) {
		(void)json_object_set(args, json_is_string(command) ? "shell" : "argv", command);
		(void)json_object_set_new(args, "whole", json_true());
	}
	text = json_dumps(args, JSON_COMPACT);
	json_decref(args);
	return text;
}

/* Ends the call under way, whose end is no attempt's any more. */
static void drop(struct readiness *r)
{
	struct mux_call *call = TAKE_PTR(r->call);

	if (call)
		mux_abandon(call);
}

static void attempt(struct readiness *r)
{
	static const struct pyro_error gone = {.message = "the guest is gone"};
	int64_t now = clock_ms(), left = r->deadline - now;
	int64_t timeout_ms = left > ATTEMPT_MS ? ATTEMPT_MS : left > LAST_MS ? left : LAST_MS;
	AUTO_FREE char *args = arguments(r, timeout_ms);

	r->attempt_at = now;
	json_decref(r->result);
	r->result = NULL;
	redactor_flush(&r->redactor);
	buf_reset(&r->said);
	if (r->s->vm && args)
		r->call = mux_start(r->s->vm->agent, is_command(r) ? "exec" : "probe", args,
				    &attempt_ops, r);
	if (!r->call) {
		attempt_ended(r, &gone);
		return;
	}
	mux_finish(r->call);
	loop_set_timer(r->s->loop, &r->timer, now + timeout_ms + GRACE_MS);
}

/* Either it is time for the next attempt, or one did not end. */
static void on_time(struct loop_timer *timer)
{
	static const struct pyro_error silent = {.message = "it was not answered in time"};
	struct readiness *r = timer->ctx;

	if (!r->call) {
		attempt(r);
		return;
	}
	drop(r);
	attempt_ended(r, &silent);
}

struct readiness *readiness_begin(struct supervisor *s, const struct readiness_options *options)
{
	struct readiness *r = mem_zalloc(1, sizeof(*r));

	*r = (struct readiness){
		.s = s,
		.o = *options,
		.probe = json_deep_copy(options->probe),
		.exec = json_deep_copy(options->exec),
		.timer = {.on_time = on_time, .ctx = r},
		.said = BUF_INIT(SAID_MAX),
	};
	redactor_init(&r->redactor, supervisor_patterns(s), keep_said, r);
	r->deadline = deadline_in(options->timeout_ms);
	loop_set_timer(s->loop, &r->timer, clock_ms());
	return r;
}

struct readiness *readiness_free(struct readiness *r)
{
	if (!r)
		return NULL;
	drop(r);
	loop_clear_timer(r->s->loop, &r->timer);
	json_decref(r->probe);
	json_decref(r->exec);
	json_decref(r->result);
	redactor_done(&r->redactor);
	buf_done(&r->said);
	free(r);
	return NULL;
}
