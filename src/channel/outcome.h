/*
 * outcome: how a command ended, as an agent says it in the result of exec.
 */
#ifndef CHANNEL_OUTCOME_H
#define CHANNEL_OUTCOME_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct pyro_error;

struct outcome {
	int64_t exit_code; /* 0 to 255 */
	int64_t duration_ms;
	bool timed_out;
};

/* Believes a guest as far as it makes sense; else PYRO_E_PROTOCOL. */
int outcome_take(const json_t *result, struct outcome *ret, struct pyro_error *err);

#endif
