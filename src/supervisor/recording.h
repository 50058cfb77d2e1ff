/*
 * recording: one command of a workspace in its history, with its output on disk while it runs.
 */
#ifndef SUPERVISOR_RECORDING_H
#define SUPERVISOR_RECORDING_H

#include "channel/mux.h"

#include <jansson.h>
#include <stdint.h>

struct pyro_error;
struct recording;
struct supervisor;

/*
 * Enters a command that is about to be started: `record` is {"command", "cwd"} of an exec call.
 * NULL with err.
 */
struct recording *recording_begin(struct supervisor *s, const json_t *record,
				  struct pyro_error *err);
int64_t recording_sequence(const struct recording *recording);
/* Output of either stream. A NULL recording records nothing. */
void recording_output(struct recording *recording, enum mux_kind kind, const void *data,
		      size_t len);
/* It is being killed on request: what it ends with is no result. */
void recording_cancel(struct recording *recording);
/*
 * Answers the call, which the recording takes, once its end is in the history: {}, or why the
 * history ends, too. The client may leave before.
 */
void recording_wait(struct recording *recording, struct mux_call *call);
/*
 * Its end: with the agent's result, which gets the members "sequence" and "state" and is checked,
 * or NULL where there is none because the machine is gone. Frees; NULL is fine.
 */
int recording_end(struct recording *recording, json_t *result, struct pyro_error *err);

#endif
