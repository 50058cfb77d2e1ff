/*
 * readiness: finds out when a service can be used, by one attempt after the other.
 *
 * The first attempt is made at once, others an interval after the one before began, the last one
 * shortly before the time is over. An attempt that takes longer than ten seconds has failed.
 */
#ifndef SUPERVISOR_READINESS_H
#define SUPERVISOR_READINESS_H

#include <jansson.h>
#include <stdint.h>

struct pyro_error;
struct readiness;
struct supervisor;

struct readiness_options {
	const json_t *probe; /* {"type", and "path", "address", "url" or "command"} */
	const json_t *exec;  /* how the service runs: "cwd" and "env", for a command */
	int64_t timeout_ms;
	int64_t interval_ms;
	/*
	 * The end, once; frees the readiness. error NULL: it is ready. PYRO_E_TIMEOUT says what
	 * was waited for and what came of the last attempt, or of the one before if the last had
	 * no time for an answer; PYRO_E_INVALID what is wrong with it.
	 */
	void (*on_end)(void *ctx, const struct pyro_error *error);
	void *ctx;
};

/* Begins. The options are borrowed for the call. on_end is called later, never at once. */
struct readiness *readiness_begin(struct supervisor *s, const struct readiness_options *options);
/* Gives up. NULL is fine; returns NULL. */
struct readiness *readiness_free(struct readiness *r);

#endif
