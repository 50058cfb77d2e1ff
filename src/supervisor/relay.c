/*
 * A relayed call is two calls, one with the client and one with the agent, and records pass from
 * each to the other as they come. Bytes count against the sender's window until the receiver's
 * queue has room again, so a slow reader slows down the writer and nothing piles up here.
 *
 * The agent is the guest's, so of its JSON only one small result is taken, no events, and the hint
 * of an error is ours: what it says is shown to people and agents as pyro's. And the timeout of an
 * exec is kept here too: if the agent has not reported some time after it should have, the answer
 * is made here and the agent's call dropped.
 *
 * An exec of a workspace is recorded (recording.h): what it prints goes to disk on its way, and it
 * is not its client's any more: it ends by itself, when its client cancels it, when somebody calls
 * kill, or with the machine, but not because a connection broke. A client that gave a time to wait
 * is let go when that is over: it is told the number, and the command goes on as if it had left.
 *
 * What a command prints is redacted before anybody sees or keeps it; errors are, too. What other
 * calls stream are files, whose bytes stay as they are on this way.
 */
#include "supervisor/supervisor.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/redact.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "supervisor/recording.h"

#include <stdlib.h>
#include <string.h>

#define GRACE_MS 3000
#define EXIT_TIMED_OUT 124
#define RESULT_MAX (64 * 1024)
/* What an agent that keeps the timeout may still send: its queue, and what was in the pipes. */
#define LATE_MAX (8 * 1024 * 1024)

struct side {
	struct mux_call *call; /* NULL once closed */
	struct relay *relay;
	size_t owed; /* bytes that came from this side and are not consumed yet */
};

/* A stream of what a command prints. */
struct printed {
	struct relay *relay;
	enum mux_kind kind;
	struct redactor redactor;
};

struct relay {
	struct supervisor *s;
	struct relay *next;
	struct recording *recording; /* NULL: it is not recorded */
	char *name;
	struct side client;
	struct side agent;
	struct printed out;
	struct printed err;
	struct loop_timer timeout;
	struct loop_timer wait; /* when the client is let go */
	int64_t started_at;
	size_t late; /* bytes that came after it should have ended */
	bool is_late;
	bool has_args;
	bool has_result;
	bool has_input;   /* the agent still waits for input */
	bool is_answered; /* nothing more of the agent is wanted */
};

static struct side *other_side(struct side *side)
{
	return side == &side->relay->client ? &side->relay->agent : &side->relay->client;
}

static void relay_free(struct relay *relay)
{
	struct relay **at = &relay->s->relays;

	while (*at != relay)
		at = &(*at)->next;
	*at = relay->next;
	loop_clear_timer(relay->s->loop, &relay->timeout);
	loop_clear_timer(relay->s->loop, &relay->wait);
	(void)recording_end(relay->recording, NULL, NULL);
	redactor_done(&relay->out.redactor);
	redactor_done(&relay->err.redactor);
	free(relay->name);
	free(relay);
}

/* Received bytes count as dealt with once the receiver of what became of them keeps up. */
static void account(struct side *from, const struct mux_call *to, size_t len)
{
	if (to && mux_queued(to) > MUX_QUEUE_GOAL)
		from->owed += len;
	else
		mux_consume(from->call, len);
}

static void side_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct side *from = mux_call_ctx(call), *to = other_side(from);

	if (to->call)
		mux_send(to->call, kind, data, len);
	if (kind == MUX_IN && len == 0)
		from->relay->has_input = false;
	account(from, to->call, len);
}

/* What was printed and is fit to be seen: to the record, and to the client. */
static void pass_printed(void *ctx, const char *data, size_t len)
{
	struct printed *printed = ctx;
	struct relay *relay = printed->relay;

	recording_output(relay->recording, printed->kind, data, len);
	if (relay->client.call)
		mux_send(relay->client.call, printed->kind, data, len);
}

/* Nothing more is printed: what looked like the beginning of a secret was none. */
static void flush_printed(struct relay *relay)
{
	redactor_flush(&relay->out.redactor);
	redactor_flush(&relay->err.redactor);
}

/* The client is told; the agent is not asked any more. */
static void answer_error(struct relay *relay, const struct pyro_error *error)
{
	struct pyro_error shown = *error;

	relay->is_answered = true;
	flush_printed(relay);
	redact_error(supervisor_patterns(relay->s), &shown);
	if (relay->client.call)
		mux_fail(relay->client.call, &shown);
	if (relay->agent.call)
		mux_cancel(relay->agent.call);
}

/* A recorded command has ended, and the client may hear of it once that is on record. */
static int record_result(struct relay *relay, json_t *result, struct pyro_error *err)
{
	return recording_end(TAKE_PTR(relay->recording), result, err);
}

/* A guest that is being stopped kills what runs in it: no result, but the end of the machine. */
static bool ended_by_stop(const struct relay *relay, const json_t *result)
{
	return relay->s->is_ending && json_is_integer(json_object_get(result, "signal"));
}

/* The result of a call, from a guest that may be hostile. */
static void agent_result(struct relay *relay, const char *data, size_t len)
{
	json_t *result =
		len <= RESULT_MAX ? json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct pyro_error error;

	flush_printed(relay);
	if (!json_is_object(result) || json_object_get(result, "event")) {
		(void)err_set(&error, PYRO_E_PROTOCOL, "the guest's answer is not one");
		answer_error(relay, &error);
	} else if (call_error_from_json(result, &error) < 0) {
		(void)err_hint(&error, "%s", err_default_hint(error.code));
		if (relay->s->vm->engine->explain)
			(void)relay->s->vm->engine->explain(relay->s->vm, &error);
		answer_error(relay, &error);
	} else if (ended_by_stop(relay, result)) {
		answer_error(relay, &relay->s->reason);
	} else if (relay->recording && record_result(relay, result, &error) < 0) {
		answer_error(relay, &error);
	} else if (relay->client.call) {
		call_send(relay->client.call, json_incref(result));
	}
	json_decref(result);
}

static void send_timeout(struct relay *relay)
{
	struct mux_call *agent = relay->agent.call;
	json_t *result = json_pack("{s:i, s:n, s:b, s:I}", "exit_code", EXIT_TIMED_OUT, "signal",
				   "timed_out", 1, "duration_ms",
				   (json_int_t)(clock_ms() - relay->started_at));

	relay->is_answered = true;
	flush_printed(relay);
	if (relay->recording)
		(void)record_result(relay, result, NULL);
	if (relay->client.call)
		call_answer(relay->client.call, json_incref(result));
	json_decref(result);
	if (agent)
		mux_cancel(agent);
}

static void agent_output(struct relay *relay, enum mux_kind kind, const char *data, size_t len)
{
	struct printed *printed = kind == MUX_OUT ? &relay->out : &relay->err;

	if (len) {
		redactor_add(&printed->redactor, data, len);
	} else {
		redactor_flush(&printed->redactor);
		if (relay->client.call)
			mux_send(relay->client.call, kind, NULL, 0);
	}
	account(&relay->agent, relay->client.call, len);
	relay->late += relay->is_late ? len : 0;
	if (relay->late > LATE_MAX && !relay->is_answered)
		send_timeout(relay);
}

static void agent_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct side *side = mux_call_ctx(call);
	struct relay *relay = side->relay;

	if (kind != MUX_JSON) {
		agent_output(relay, kind, data, len);
	} else if (!relay->has_result) {
		relay->has_result = true;
		agent_result(relay, data, len);
	} else if (!relay->is_answered) {
		struct pyro_error error;

		(void)err_set(&error, PYRO_E_PROTOCOL, "the guest answered twice");
		answer_error(relay, &error);
	}
}

static void side_drained(struct mux_call *call)
{
	struct side *from = other_side(mux_call_ctx(call));
	size_t owed = from->owed;

	from->owed = 0;
	if (from->call && owed)
		mux_consume(from->call, owed);
}

static void side_finish(struct mux_call *call)
{
	struct side *to = other_side(mux_call_ctx(call));

	/* The way to the agent of a recorded command stays open for a kill. */
	if (to->call && !(to->relay->recording && to == &to->relay->agent))
		mux_finish(to->call);
}

static void kill_command(struct relay *relay)
{
	static const char kill[] = "{\"kill\":true}";

	recording_cancel(relay->recording);
	if (relay->agent.call)
		mux_send(relay->agent.call, MUX_JSON, kill, strlen(kill));
}

/* A recorded command goes on without its client: no more input comes, nobody slows it down. */
static void go_on_alone(struct relay *relay)
{
	size_t owed = relay->agent.owed;

	if (relay->has_input)
		mux_send(relay->agent.call, MUX_IN, NULL, 0);
	relay->has_input = false;
	relay->agent.owed = 0;
	mux_consume(relay->agent.call, owed);
}

/* What nobody waits for any more is dropped; a recorded command only if its client said so. */
static void client_gone(struct relay *relay, const struct pyro_error *error)
{
	if (!relay->recording) {
		mux_cancel(relay->agent.call);
		return;
	}
	if (error->code == PYRO_E_CANCELLED)
		kill_command(relay);
	go_on_alone(relay);
}

/* The client's time to wait is over. */
static void let_client_go(struct loop_timer *timer)
{
	static const struct mux_call_ops no_ops = {0};
	struct relay *relay = timer->ctx;
	struct mux_call *client = relay->client.call;

	if (!client || !relay->recording || !relay->agent.call)
		return;
	relay->client.call = NULL;
	mux_accept(client, &no_ops, NULL);
	call_answer(client, json_pack("{s:I, s:s}", "sequence",
				      (json_int_t)recording_sequence(relay->recording), "state",
				      "running"));
	go_on_alone(relay);
}

static void side_close(struct mux_call *call, const struct pyro_error *error)
{
	struct side *side = mux_call_ctx(call), *other = other_side(side);
	struct relay *relay = side->relay;

	side->call = NULL;
	if (side == &relay->agent) {
		flush_printed(relay);
		(void)recording_end(TAKE_PTR(relay->recording), NULL, NULL);
	}
	/* A recorded command has its timeout also when nobody waits for it any more. */
	if (side == &relay->agent || !relay->recording)
		loop_clear_timer(relay->s->loop, &relay->timeout);
	if (!other->call) {
		relay_free(relay);
		return;
	}
	if (!error || relay->is_answered)
		return; /* the other side finishes by itself */
	if (side == &relay->client) {
		client_gone(relay, error);
		return;
	}
	if (error->code == PYRO_E_VM_DIED)
		supervisor_end(relay->s, ENDING_FAILED, error->code, SUPERVISOR_VM_DIED);
	mux_fail(other->call,
		 relay->s->is_ending || relay->s->is_resetting ? &relay->s->reason : error);
}

static const struct mux_call_ops agent_ops = {
	.on_record = agent_record,
	.on_finish = side_finish,
	.on_drained = side_drained,
	.on_close = side_close,
};

static int64_t grace_deadline(const struct relay *relay)
{
	return deadline_in(vm_patience_ms(relay->s->vm->spec.accel, GRACE_MS));
}

/* The agent did not keep the timeout: answer for it. */
static void answer_timeout(struct loop_timer *timer)
{
	struct relay *relay = timer->ctx;

	/* Or it did, and its answer waits behind output that the client is slow to read. */
	if (relay->agent.owed) {
		relay->is_late = true;
		loop_set_timer(relay->s->loop, timer, grace_deadline(relay));
		return;
	}
	send_timeout(relay);
}

static void keep_timeout(struct relay *relay, const char *args, size_t len)
{
	json_t *object = json_loadb(args, len, 0, NULL);
	json_int_t ms = json_integer_value(json_object_get(object, "timeout_ms"));

	json_decref(object);
	if (ms > 0) {
		relay->timeout.on_time = answer_timeout;
		relay->timeout.ctx = relay;
		loop_set_timer(relay->s->loop, &relay->timeout,
			       deadline_in(ms +
					   vm_patience_ms(relay->s->vm->spec.accel, GRACE_MS)));
	}
}

bool relay_refuse(struct supervisor *s, struct mux_call *call)
{
	struct pyro_error error;

	if (s->vm && !s->is_ending && !s->is_resetting)
		return false;
	if (s->is_ending)
		(void)err_set(&error, PYRO_E_BAD_STATE, "'%s' is being ended", s->vm_id);
	else
		(void)err_set(&error, PYRO_E_BUSY, "'%s' is being started or reset", s->vm_id);
	mux_fail(call, &error);
	return true;
}

static void keep_wait(struct relay *relay, const json_t *record)
{
	json_int_t ms = json_integer_value(json_object_get(record, "wait_ms"));

	if (ms > 0) {
		relay->wait.on_time = let_client_go;
		relay->wait.ctx = relay;
		loop_set_timer(relay->s->loop, &relay->wait, deadline_in(ms));
	}
}

/*
 * What the agent is told: what the client said, without "record", which is for us, and with the
 * values of secrets where it named them. NULL with err.
 */
static char *agent_args(struct relay *relay, const char *data, size_t len, struct pyro_error *err)
{
	json_t *args = json_loadb(data, len, 0, NULL);
	const json_t *record = json_object_get(args, "record");
	char *text = NULL;

	relay->has_input = json_is_true(json_object_get(args, "stdin"));
	if (!json_is_object(args)) {
		text = mem_strndup(data, len); /* the agent says what is wrong with it */
	} else if (supervisor_resolve_secret_env(relay->s, args, err) == 0) {
		if (record)
			relay->recording = recording_begin(relay->s, record, err);
		if (!record || relay->recording) {
			keep_wait(relay, record);
			(void)json_object_del(args, "record");
			text = json_dumps(args, JSON_COMPACT);
		}
	}
	json_decref(args);
	return text;
}

/* From the client: the first JSON holds the arguments, and starts the call at the agent. */
static void client_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct side *side = mux_call_ctx(call);
	struct relay *relay = side->relay;
	AUTO_FREE char *args = NULL;
	struct pyro_error error;

	if (relay->has_args || kind != MUX_JSON) {
		side_record(call, kind, data, len);
		return;
	}
	relay->has_args = true;
	if (relay_refuse(relay->s, call))
		return;
	args = agent_args(relay, data, len, &error);
	if (!args) {
		mux_fail(call, &error);
		return;
	}
	keep_timeout(relay, data, len);
	relay->agent.call =
		mux_start(relay->s->vm->agent, relay->name, args, &agent_ops, &relay->agent);
	if (!relay->agent.call) {
		(void)err_set(&error, PYRO_E_VM_DIED, "the guest is gone");
		mux_fail(call, &error);
	}
}

static const struct mux_call_ops client_ops = {
	.on_record = client_record,
	.on_finish = side_finish,
	.on_drained = side_drained,
	.on_close = side_close,
};

void relay_open(struct supervisor *s, struct mux_call *call, const char *name)
{
	const struct redact_patterns *patterns =
		strcmp(name, "exec") == 0 ? supervisor_patterns(s) : NULL;
	struct relay *relay;

	if (relay_refuse(s, call))
		return;
	relay = mem_zalloc(1, sizeof(*relay));
	relay->s = s;
	relay->name = mem_strdup(name);
	relay->started_at = clock_ms();
	relay->client = (struct side){.call = call, .relay = relay};
	relay->agent = (struct side){.relay = relay};
	relay->out = (struct printed){.relay = relay, .kind = MUX_OUT};
	relay->err = (struct printed){.relay = relay, .kind = MUX_ERR};
	redactor_init(&relay->out.redactor, patterns, pass_printed, &relay->out);
	redactor_init(&relay->err.redactor, patterns, pass_printed, &relay->err);
	relay->next = s->relays;
	s->relays = relay;
	mux_accept(call, &client_ops, &relay->client);
}

/* That of a recorded command which runs, or NULL. */
static struct relay *find(struct supervisor *s, int64_t sequence)
{
	for (struct relay *relay = s->relays; relay; relay = relay->next)
		if (relay->recording && recording_sequence(relay->recording) == sequence)
			return relay;
	return NULL;
}

void relay_wait(struct supervisor *s, struct mux_call *call, int64_t sequence)
{
	struct relay *relay = find(s, sequence);

	if (relay)
		recording_wait(relay->recording, call);
	else
		call_answer(call, json_object());
}

bool relay_kill(struct supervisor *s, int64_t sequence)
{
	struct relay *relay = find(s, sequence);

	if (relay)
		kill_command(relay);
	return relay;
}
