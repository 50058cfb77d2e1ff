/*
 * A client's call on a service is a request: a start waits until the service is ready or has ended,
 * a stop until it has ended. Several may wait for the same.
 */
#include "supervisor/services.h"

#include "base/clock.h"
#include "base/err.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "supervisor/ports.h"
#include "supervisor/service.h"
#include "supervisor/supervisor.h"
#include "workspace/services.h"

#include <stdlib.h>
#include <string.h>

#define QUIT_MS 2000 /* from TERM to the end of the machine */

struct request {
	struct supervisor *s;
	struct mux_call *call;
	struct service *service; /* that it waits for */
	struct request *next;
	bool is_stop;
	bool has_args;
};

static void detach(struct request *request)
{
	struct request **at;

	if (!request->service)
		return;
	for (at = &request->service->requests; *at != request;)
		at = &(*at)->next;
	*at = request->next;
	request->service = NULL;
}

static void attach(struct request *request, struct service *service)
{
	request->service = service;
	request->next = service->requests;
	service->requests = request;
}

/* error NULL: it went well. */
static void answer(struct request *request, const struct pyro_error *error)
{
	detach(request);
	if (error)
		mux_fail(request->call, error);
	else
		call_answer(request->call, json_object());
}

void services_answer(struct service *service, bool is_over, const struct pyro_error *error)
{
	struct request *next;

	for (struct request *request = service->requests; request; request = next) {
		next = request->next;
		if (!request->is_stop)
			answer(request, error);
		else if (is_over)
			answer(request, NULL);
	}
}

static struct service *find(const struct supervisor *s, const char *name)
{
	struct service *service = s->services;

	while (service && strcmp(service->name, name) != 0)
		service = service->next;
	return service;
}

static int check_new(const struct supervisor *s, const char *name, struct pyro_error *err)
{
	const struct service *other;

	if (services_check_name(name, err) < 0)
		return -1;
	other = find(s, name);
	if (!other)
		return 0;
	if (other->phase == SERVICE_ENDING)
		return err_set(err, PYRO_E_BUSY, "service '%s' is being stopped", name);
	(void)err_set(err, PYRO_E_BAD_STATE, "service '%s' %s", name,
		      other->phase == SERVICE_STARTING ? "is being started" : "runs already");
	return err_hint(err, "pyro workspace service stop %s %s, or another name", s->vm_id, name);
}

static int start(struct request *request, json_t *args, struct pyro_error *err)
{
	struct supervisor *s = request->s;
	const char *name = json_string_value(json_object_get(args, "service_name"));
	struct service *service;

	if (!name || !json_object_get(args, "command") ||
	    !json_is_string(json_object_get(args, "cwd")))
		return err_set(err, PYRO_E_INVALID, "service_start needs a name, command and cwd");
	if (check_new(s, name, err) < 0 || supervisor_resolve_secret_env(s, args, err) < 0)
		return -1;
	service = service_start(s, name, args, err);
	if (!service)
		return -1;
	attach(request, service);
	return 0;
}

/* That it ended could not be written down when it did. */
static void forget(struct supervisor *s, const char *name)
{
	const struct services_result result = {
		.state = "failed",
		.exit_code = PYRO_NONE,
		.stop_reason = "its end could not be put on record",
	};
	struct records *records = supervisor_records(s, NULL);

	if (records)
		(void)services_end(records, s->vm_id, name, &result, clock_wall(), NULL);
}

/* One that does not run is fine: the records say what became of it. */
static int stop(struct request *request, json_t *args, struct pyro_error *err)
{
	const char *name = json_string_value(json_object_get(args, "service_name"));
	struct service *service = name ? find(request->s, name) : NULL;

	if (!name)
		return err_set(err, PYRO_E_INVALID, "service_stop needs a name");
	if (!service) {
		forget(request->s, name);
		answer(request, NULL);
		return 0;
	}
	service_touch(service);
	attach(request, service);
	service_end(service, "stopped", PYRO_E_CANCELLED, "stopped by service stop");
	return 0;
}

static void request_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct request *request = mux_call_ctx(call);
	json_t *args;
	struct pyro_error error;

	if (kind != MUX_JSON || request->has_args) {
		mux_consume(call, len);
		return;
	}
	request->has_args = true;
	if (relay_refuse(request->s, call))
		return;
	args = json_loadb(data, len, 0, NULL);
	if ((request->is_stop ? stop : start)(request, args, &error) < 0) {
		redact_error(supervisor_patterns(request->s), &error);
		mux_fail(call, &error);
	}
	json_decref(args);
}

/* Who cancels a start ends the service; who vanishes does not. */
static void request_close(struct mux_call *call, const struct pyro_error *error)
{
	struct request *request = mux_call_ctx(call);
	struct service *service = request->service;

	detach(request);
	if (service && !request->is_stop && error && error->code == PYRO_E_CANCELLED)
		service_end(service, "stopped", PYRO_E_CANCELLED, "cancelled at its start");
	free(request);
}

static const struct mux_call_ops request_ops = {
	.on_record = request_record,
	.on_close = request_close,
};

bool services_call(struct supervisor *s, struct mux_call *call, const char *name)
{
	bool is_stop = strcmp(name, "service_stop") == 0;
	struct request *request;

	if (!is_stop && strcmp(name, "service_start") != 0)
		return false;
	request = mem_zalloc(1, sizeof(*request));
	request->s = s;
	request->call = call;
	request->is_stop = is_stop;
	mux_accept(call, &request_ops, request);
	return true;
}

void services_quit(struct supervisor *s)
{
	int64_t deadline = deadline_in(QUIT_MS);
	const bool never = false;
	bool is_any = true;

	for (struct service *service = s->services; service; service = service->next)
		service_end(service, "stopped", PYRO_E_CANCELLED, "workspace stopped");
	while (is_any && deadline_left(deadline)) {
		is_any = false;
		for (struct service *service = s->services; service; service = service->next)
			is_any = is_any || service->exec;
		if (is_any)
			(void)loop_until(s->loop, &never, deadline_in(2), "services", NULL);
	}
}

void services_drop(struct supervisor *s)
{
	for (struct service *service = s->services, *next; service; service = next) {
		next = service->next;
		service_drop(service);
	}
	ports_end_connections(s);
}
