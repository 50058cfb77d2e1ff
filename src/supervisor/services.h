/*
 * services: the long-running processes of a workspace, which belong to no client (supervisor.h has
 * the calls). What they print goes to the rings of workspace/services.h, what becomes of them to
 * the records, their ports are ports.h.
 */
#ifndef SUPERVISOR_SERVICES_H
#define SUPERVISOR_SERVICES_H

#include <stdbool.h>

struct mux_call;
struct pyro_error;
struct service;
struct supervisor;

/* Takes the call if its name is one of these. */
bool services_call(struct supervisor *s, struct mux_call *call, const char *name);
/* The machine is about to be stopped: asks all of them to end, and waits a moment. */
void services_quit(struct supervisor *s);
/* The machine is gone, and all of them with it. */
void services_drop(struct supervisor *s);

/*
 * For service.c: who waits for its start is told how that went (error NULL: well), and with is_over
 * who waits for its end is told, too.
 */
void services_answer(struct service *service, bool is_over, const struct pyro_error *error);

#endif
