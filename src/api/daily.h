/*
 * daily: the proof that the everyday loop works here, and whether it still holds.
 *
 * `prepare` writes <state>/daily/<environment>.json; it holds as long as pyro, the environment, the
 * kernel and the accelerator are the ones it was made with.
 */
#ifndef API_DAILY_H
#define API_DAILY_H

#include "pyro.h"

/* Fills *ret: COLD, WARM or STALE with the reason. The caller calls pyro_daily_loop_done(). */
int daily_examine(struct pyro *p, const char *environment, struct pyro_daily_loop *ret,
		  struct pyro_error *err);

#endif
