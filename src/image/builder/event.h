/*
 * event: what pyro-image tells its caller, one JSON object a line on standard output:
 *
 *	{"event": "phase", "phase": "install"}
 *	{"event": "progress", "what": "install", "done": 3, "total": 140, "unit": "packages"}
 *	{"event": "error", "code": "no_space", "message": "…", "hint": "…"}
 */
#ifndef BUILDER_EVENT_H
#define BUILDER_EVENT_H

#include <stdint.h>

struct pyro_error;

void event_phase(const char *phase);
/* total 0: unknown. */
void event_progress(const char *what, int64_t done, int64_t total, const char *unit);
void event_error(const struct pyro_error *error);

#endif
