/*
 * call: what both ends of a mux do again and again: one call as straight code, which runs the loop
 * until the answer is there; JSON objects sent as texts; errors as JSON.
 */
#ifndef CHANNEL_CALL_H
#define CHANNEL_CALL_H

#include <jansson.h>
#include <stdint.h>

struct loop;
struct mux;
struct mux_call;
struct pyro_error;

/*
 * Calls `name` with `args` (a reference that this takes; NULL: {}) and waits for the result.
 * Returns the result object, owned by the caller, or NULL with err: the server's own error,
 * PYRO_E_TIMEOUT, PYRO_E_CANCELLED, PYRO_E_VM_DIED, or PYRO_E_PROTOCOL for nonsense. What the call
 * streams is dropped. The call is cancelled where it did not end.
 */
json_t *call_wait(struct loop *loop, struct mux *mux, const char *name, json_t *args,
		  int64_t deadline, struct pyro_error *err);

/* Sends an object (a reference that this takes) as one text. */
void call_send(struct mux_call *call, json_t *object);
/* The same, as the result: the call is finished. */
void call_answer(struct mux_call *call, json_t *object);

/*
 * {"error": {code, message, hint, retryable}} and back. error_from_json returns 0 if the object has
 * no "error", or -1 with err: what it says, or PYRO_E_PROTOCOL if that is no error of this form.
 */
json_t *call_error_to_json(const struct pyro_error *error);
int call_error_from_json(const json_t *object, struct pyro_error *err);

#endif
