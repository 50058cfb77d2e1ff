/*
 * service: one long-running process with all that it starts. Its exec at the agent, its record, the
 * rings of what it printed, its probe and its ports.
 */
#ifndef SUPERVISOR_SERVICE_H
#define SUPERVISOR_SERVICE_H

#include "base/buf.h"
#include "base/loop.h"
#include "base/redact.h"
#include "pyro/error.h"

#include <jansson.h>
#include <stdbool.h>

struct mux_call;
struct ports;
struct readiness;
struct request;
struct ring;
struct supervisor;

enum service_phase {
	SERVICE_STARTING,
	SERVICE_RUNNING,
	SERVICE_ENDING,
};

struct service_outlet {
	struct service *service;
	struct ring *ring;
	struct redactor redactor;
};

struct service {
	struct supervisor *s;
	struct service *next;
	char *name;
	enum service_phase phase;
	struct mux_call *exec; /* NULL once over */
	struct service_outlet out;
	struct service_outlet err;
	struct buf tail; /* the last of both, in the order it came */
	struct ports *ports;
	struct readiness *readiness;
	bool has_readiness;
	bool has_started; /* says the agent */
	bool is_killed;
	json_t *result;
	struct request *requests; /* that wait for it: services.c */
	struct loop_timer timer;
	const char *state;     /* what it ends as; NULL: not decided */
	struct pyro_error why; /* "exited with 1 right after its start" */
};

/*
 * Puts a service on record and has the agent run it: the arguments of service_start, which were
 * looked at. It becomes one of s->services. NULL with err.
 */
struct service *service_start(struct supervisor *s, const char *name, const json_t *args,
			      struct pyro_error *err);
/*
 * Ends it, kindly at first. `state` and the message say as what and why, if nobody said so before;
 * the code is for whoever waits for its start.
 */
void service_end(struct service *service, const char *state, enum pyro_code code,
		 const char *message);
/* Somebody did something to it: the workspace was active now. */
void service_touch(struct service *service);
/* The machine is gone, and it with it: puts that on record unless the workspace goes, and frees. */
void service_drop(struct service *service);

#endif
