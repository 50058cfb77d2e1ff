/*
 * The life of a service:
 *
 *	STARTING	the agent runs it; it is on record as running; its ports are open; until it
 *			is ready (readiness.h) or, without a probe, has run for a moment
 *	RUNNING		until it ends by itself, or somebody stops it
 *	ENDING		TERM was sent to all of its processes; after some seconds they are killed
 *
 * and from each of these to its end, which is when the agent's exec is over: then the end is put on
 * record, and whoever waits is answered. Why it ends is decided by what comes first (`state`): a
 * stop, a probe that gives up, a client that cancels its start, or else the process itself.
 *
 * While the machine is being ended or reset, execs break off without a meaning of their own: then
 * service_drop() says what became of them.
 */
#include "supervisor/service.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/utf8.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "channel/outcome.h"
#include "supervisor/ports.h"
#include "supervisor/readiness.h"
#include "supervisor/services.h"
#include "supervisor/supervisor.h"
#include "workspace/history.h"
#include "workspace/ring.h"
#include "workspace/services.h"
#include "workspace/workspaces.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_MS 150  /* what cannot start has ended by then */
#define BEGIN_MS 10000 /* for the agent to say that it started */
#define TERM_MS 10000  /* from TERM to KILL */
#define KILL_MS 5000   /* for the agent to report the end after that */
#define TAIL_MAX 1024  /* bytes of the log that may get into an error */
#define RESULT_MAX 65536

/*
 * Records. What cannot be written down is still true.
 */

static void note(struct service *service, const char *kind, const char *detail)
{
	struct records *records = supervisor_records(service->s, NULL);

	if (records)
		(void)history_event(records, service->s->vm_id, kind, clock_wall(), service->name,
				    detail, NULL);
}

void service_touch(struct service *service)
{
	struct records *records = supervisor_records(service->s, NULL);

	if (records)
		(void)workspaces_touch(records, service->s->vm_id, clock_wall(), NULL);
}

static void record_end(struct service *service, const struct outcome *outcome)
{
	struct records *records = supervisor_records(service->s, NULL);
	struct services_result result = {
		.state = service->state,
		.exit_code = outcome ? outcome->exit_code : PYRO_NONE,
		.stop_reason = *service->why.message ? service->why.message : NULL,
	};
	AUTO_FREE char *exited =
		outcome ? mem_printf("exited with %d", (int)outcome->exit_code) : NULL;

	if (records)
		(void)services_end(records, service->s->vm_id, service->name, &result, clock_wall(),
				   NULL);
	if (strcmp(service->state, "exited") == 0)
		note(service, "service_exit", exited);
	else
		note(service,
		     strcmp(service->state, "failed") == 0 ? "service_fail" : "service_stop",
		     result.stop_reason);
}

/*
 * The end.
 */

/* The first decision counts. `message` is what comes behind "service 'web' ". */
static void decide(struct service *service, const char *state, enum pyro_code code,
		   const char *message)
{
	if (service->state)
		return;
	service->state = state;
	(void)err_set(&service->why, code, "%s", message);
	utf8_clean_line(service->why.message); /* it may be the guest's */
	redact_error(supervisor_patterns(service->s), &service->why);
}

/* The log's last lines as one, "a | b", as much as fits into `room` bytes. The caller's. */
static char *last_lines(const struct service *service, size_t room)
{
	AUTO_BUF struct buf line = BUF_INIT(TAIL_MAX * 3);
	const char *text = buf_text(&service->tail);
	size_t cut;

	for (size_t i = 0; i < service->tail.len; i++) {
		if (text[i] != '\n')
			buf_append(&line, &text[i], 1);
		else if (i + 1 < service->tail.len)
			buf_puts(&line, " | ");
	}
	cut = line.len > room ? line.len - room : 0;
	while (cut < line.len && (line.data[cut] & 0xc0) == 0x80)
		cut++;
	return mem_strdup(buf_text(&line) + cut);
}

/* What the client of its start is told: why, and what it printed. */
static struct pyro_error start_error(const struct service *service)
{
	static const char log[] = "; its log: ";
	struct pyro_error error;
	size_t len;

	(void)err_set(&error, service->why.code, "service '%s' %s", service->name,
		      service->why.message);
	len = strlen(error.message) + sizeof(log);
	if (service->tail.len && len < sizeof(error.message)) {
		AUTO_FREE char *lines = last_lines(service, sizeof(error.message) - len);

		(void)err_set(&error, service->why.code, "service '%s' %s%s%s", service->name,
			      service->why.message, log, lines);
	}
	utf8_clean_line(error.message);
	if (service->tail.len)
		(void)err_hint(&error, "pyro workspace service logs %s %s", service->s->vm_id,
			       service->name);
	return error;
}

static void outlet_done(struct service_outlet *outlet)
{
	redactor_done(&outlet->redactor);
	outlet->ring = ring_close(outlet->ring);
}

static void service_free(struct service *service)
{
	struct supervisor *s = service->s;
	struct service **at = &s->services;

	while (*at != service)
		at = &(*at)->next;
	*at = service->next;
	loop_clear_timer(s->loop, &service->timer);
	(void)readiness_free(service->readiness);
	(void)ports_free(service->ports);
	outlet_done(&service->out);
	outlet_done(&service->err);
	buf_done(&service->tail);
	json_decref(service->result);
	free(service->name);
	free(service);
}

static void flush_output(struct service *service)
{
	redactor_flush(&service->out.redactor);
	redactor_flush(&service->err.redactor);
}

/* How the process ended; NULL if the agent did not say that. */
static const struct outcome *take_outcome(struct service *service, struct outcome *ret)
{
	struct pyro_error error;
	char text[160];

	if (!service->result)
		return NULL;
	if (call_error_from_json(service->result, &error) < 0 ||
	    outcome_take(service->result, ret, &error) < 0) {
		redact_error(supervisor_patterns(service->s), &error); /* before it is cut */
		(void)snprintf(text, sizeof(text), "cannot start: %.140s", error.message);
		decide(service, "failed", error.code, text);
		return NULL;
	}
	if (service->phase == SERVICE_STARTING && (service->has_readiness || ret->exit_code)) {
		(void)snprintf(text, sizeof(text), "exited with %d %s", (int)ret->exit_code,
			       service->has_readiness ? "before it was ready"
						      : "right after its start");
		decide(service, "failed", PYRO_E_BAD_STATE, text);
	}
	return ret;
}

/* The exec is over, and nobody ends the machine. */
static void service_ended(struct service *service, const struct pyro_error *error)
{
	struct outcome told;
	const struct outcome *outcome = take_outcome(service, &told);
	struct pyro_error why;

	flush_output(service);
	if (outcome && !service->state)
		service->state = "exited";
	decide(service, "failed", error ? error->code : PYRO_E_PROTOCOL,
	       error ? error->message : "ended, and the guest does not say how");
	record_end(service, outcome);
	why = start_error(service);
	services_answer(service, true, strcmp(service->state, "exited") == 0 ? NULL : &why);
	service_free(service);
}

static void send_text(struct service *service, const char *text)
{
	if (service->exec)
		mux_send(service->exec, MUX_JSON, text, strlen(text));
}

/* Listens no more, then everything of it is asked to end. */
void service_end(struct service *service, const char *state, enum pyro_code code,
		 const char *message)
{
	decide(service, state, code, message);
	if (service->phase == SERVICE_ENDING)
		return;
	service->phase = SERVICE_ENDING;
	service->readiness = readiness_free(service->readiness);
	ports_close(service->ports);
	send_text(service, "{\"signal\":\"TERM\"}");
	loop_set_timer(service->s->loop, &service->timer, deadline_in(TERM_MS));
}

/*
 * While it runs.
 */

static void became_ready(struct service *service)
{
	struct records *records = supervisor_records(service->s, NULL);

	loop_clear_timer(service->s->loop, &service->timer);
	service->phase = SERVICE_RUNNING;
	if (service->has_readiness && records)
		(void)services_set_ready(records, service->s->vm_id, service->name, clock_wall(),
					 NULL);
	services_answer(service, false, NULL);
}

static void readiness_ended(void *ctx, const struct pyro_error *error)
{
	struct service *service = ctx;

	service->readiness = NULL;
	if (!error)
		became_ready(service);
	else
		service_end(service, "failed", error->code, error->message);
}

/* Three waits, one for each phase in which there is one. */
static void on_time(struct loop_timer *timer)
{
	struct service *service = timer->ctx;

	if (service->phase == SERVICE_STARTING && service->has_started) {
		became_ready(service);
	} else if (service->phase == SERVICE_STARTING) {
		service_end(service, "failed", PYRO_E_TIMEOUT, "did not start in time");
	} else if (!service->is_killed) {
		service->is_killed = true;
		send_text(service, "{\"kill\":true}");
		loop_set_timer(service->s->loop, timer,
			       deadline_in(vm_patience_ms(service->s->vm->spec.accel, KILL_MS)));
	} else {
		mux_cancel(service->exec);
	}
}

static void take_started(struct service *service, const json_t *event)
{
	struct records *records = supervisor_records(service->s, NULL);
	json_int_t pid = json_integer_value(json_object_get(event, "pid"));

	service->has_started = true;
	if (records && pid > 0 && pid <= INT_MAX)
		(void)services_set_pid(records, service->s->vm_id, service->name, pid, NULL);
	if (service->phase == SERVICE_STARTING && !service->has_readiness)
		loop_set_timer(service->s->loop, &service->timer,
			       deadline_in(vm_patience_ms(service->s->vm->spec.accel, SETTLE_MS)));
}

/* From a guest that may be hostile: at most one event, then the result. */
static void take_json(struct service *service, const char *data, size_t len)
{
	json_t *object =
		len <= RESULT_MAX ? json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (!service->has_started && json_object_get(object, "event")) {
		take_started(service, object);
		json_decref(object);
		return;
	}
	json_decref(service->result);
	service->result = object ? object : json_object();
}

static void keep_output(void *ctx, const char *data, size_t len)
{
	struct service_outlet *outlet = ctx;

	ring_add(outlet->ring, data, len);
	buf_append_last(&outlet->service->tail, data, len);
}

static void exec_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct service *service = mux_call_ctx(call);

	if (kind == MUX_JSON) {
		take_json(service, data, len);
		return;
	}
	if (len)
		redactor_add(kind == MUX_OUT ? &service->out.redactor : &service->err.redactor,
			     data, len);
	mux_consume(call, len);
}

static void exec_close(struct mux_call *call, const struct pyro_error *error)
{
	struct service *service = mux_call_ctx(call);
	struct supervisor *s = service->s;

	/* Nothing asks the machine for anything more: it may be about to go. */
	service->exec = NULL;
	loop_clear_timer(s->loop, &service->timer);
	service->readiness = readiness_free(service->readiness);
	ports_close(service->ports);
	if (error && error->code == PYRO_E_VM_DIED)
		supervisor_end(s, ENDING_FAILED, error->code, SUPERVISOR_VM_DIED);
	if (!s->is_ending && !s->is_resetting)
		service_ended(service, error);
}

static const struct mux_call_ops exec_ops = {.on_record = exec_record, .on_close = exec_close};

/*
 * The start.
 */

static struct service *service_new(struct supervisor *s, const char *name)
{
	struct service *service = mem_zalloc(1, sizeof(*service));

	*service = (struct service){
		.s = s,
		.next = s->services,
		.name = mem_strdup(name),
		.out = {.service = service},
		.err = {.service = service},
		.tail = BUF_INIT(TAIL_MAX),
		.timer = {.on_time = on_time, .ctx = service},
	};
	redactor_init(&service->out.redactor, supervisor_patterns(s), keep_output, &service->out);
	redactor_init(&service->err.redactor, supervisor_patterns(s), keep_output, &service->err);
	s->services = service;
	return service;
}

static int open_logs(struct service *service, struct pyro_error *err)
{
	const char *dir = service->s->dir;
	AUTO_FREE char *out = services_log_path(dir, service->name, SERVICES_STDOUT);
	AUTO_FREE char *errors = services_log_path(dir, service->name, SERVICES_STDERR);

	service->out.ring = ring_open(out, SERVICES_LOG_BYTES, err);
	if (service->out.ring)
		service->err.ring = ring_open(errors, SERVICES_LOG_BYTES, err);
	return service->err.ring ? 0 : -1;
}

/* A copy without secrets: what is on record is shown. */
static json_t *redacted(const struct service *service, json_t *value)
{
	json_t *copy = json_copy(value), *item;
	AUTO_FREE char *text =
		redact_text(supervisor_patterns(service->s), json_string_value(value));
	const char *key;
	size_t i;

	if (text)
		(void)json_string_set(copy, text);
	json_array_foreach(value, i, item)
	{
		(void)json_array_set_new(copy, i, redacted(service, item));
	}
	json_object_foreach(value, key, item)
	{
		(void)json_object_set_new(copy, key, redacted(service, item));
	}
	return copy;
}

/* Its text; NULL for NULL. The caller's. */
static char *shown(const struct service *service, json_t *value)
{
	json_t *copy = value ? redacted(service, value) : NULL;
	char *text = copy ? json_dumps(copy, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	json_decref(copy);
	return text;
}

static int enter(struct service *service, const json_t *args, struct pyro_error *err)
{
	struct supervisor *s = service->s;
	json_t *ports = ports_to_json(service->ports);
	AUTO_FREE char *command = shown(service, json_object_get(args, "command"));
	AUTO_FREE char *readiness = shown(service, json_object_get(args, "readiness"));
	AUTO_FREE char *published = json_dumps(ports, JSON_COMPACT);
	AUTO_FREE char *cwd = redact_text(supervisor_patterns(s),
					  json_string_value(json_object_get(args, "cwd")));
	AUTO_FREE char *dropped = NULL;
	struct services_new entry = {
		.name = service->name,
		.command = command,
		.cwd = cwd,
		.readiness = readiness,
		.published_ports = published,
	};
	struct records *records = supervisor_records(s, err);

	json_decref(ports);
	if (!records || services_begin(records, s->vm_id, &entry, clock_wall(), &dropped, err) < 0)
		return -1;
	if (dropped)
		services_remove_logs(s->dir, dropped);
	service_touch(service);
	note(service, "service_start", NULL);
	return 0;
}

/* The members of `args` that are there, of those that `keys` name; the caller's. */
static json_t *pick(const json_t *args, const char *const *keys)
{
	json_t *picked = json_object();

	for (; *keys; keys++)
		if (json_object_get(args, *keys))
			(void)json_object_set(picked, *keys, json_object_get(args, *keys));
	return picked;
}

static int start_exec(struct service *service, const json_t *args, struct pyro_error *err)
{
	static const char *const keys[] = {"argv", "shell", "cwd", "env", NULL};
	json_t *exec = pick(args, keys);
	AUTO_FREE char *text = NULL;

	(void)json_object_set_new(exec, "whole", json_true());
	(void)json_object_set_new(exec, "tell_pid", json_true());
	text = json_dumps(exec, JSON_COMPACT);
	json_decref(exec);
	if (text)
		service->exec = mux_start(service->s->vm->agent, "exec", text, &exec_ops, service);
	return service->exec ? 0 : err_set(err, PYRO_E_VM_DIED, "the guest is gone");
}

static void await_readiness(struct service *service, const json_t *args)
{
	static const char *const keys[] = {"cwd", "env", NULL};
	json_t *exec = pick(args, keys);
	const struct readiness_options options = {
		.probe = json_object_get(args, "readiness"),
		.exec = exec,
		.timeout_ms = json_integer_value(json_object_get(args, "ready_timeout_ms")),
		.interval_ms = json_integer_value(json_object_get(args, "ready_interval_ms")),
		.on_end = readiness_ended,
		.ctx = service,
	};

	service->has_readiness = json_is_object(options.probe);
	if (service->has_readiness)
		service->readiness = readiness_begin(service->s, &options);
	else
		loop_set_timer(service->s->loop, &service->timer,
			       deadline_in(vm_patience_ms(service->s->vm->spec.accel, BEGIN_MS)));
	json_decref(exec);
}

struct service *service_start(struct supervisor *s, const char *name, const json_t *args,
			      struct pyro_error *err)
{
	struct service *service = service_new(s, name);

	service->ports = ports_open(s, json_object_get(args, "publish"), err);
	if (!service->ports || open_logs(service, err) < 0 || enter(service, args, err) < 0) {
		service_free(service);
		return NULL;
	}
	if (start_exec(service, args, err) < 0) {
		decide(service, "failed", PYRO_E_VM_DIED, "cannot start: the guest is gone");
		record_end(service, NULL);
		service_free(service);
		return NULL;
	}
	await_readiness(service, args);
	return service;
}

void service_drop(struct service *service)
{
	const struct supervisor *s = service->s;
	const struct outcome *outcome = NULL;
	struct outcome told;

	flush_output(service);
	if (s->ending == ENDING_STOP) {
		decide(service, "stopped", PYRO_E_CANCELLED, "workspace stopped");
		outcome = take_outcome(service, &told);
	}
	decide(service, "failed", s->reason.code, s->reason.message);
	if (!s->is_resetting && s->ending != ENDING_DESTROY)
		record_end(service, outcome);
	services_answer(service, true, &s->reason);
	service_free(service);
}
