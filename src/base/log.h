/*
 * Diagnostics for developers: one line to stderr when PYRO_DEBUG is set, nothing otherwise. What a
 * user must know is never logged; it is an error, a phase line or a result.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/mem.h"

#include <stdbool.h>

bool log_is_on(void);
void log_debug(const char *fmt, ...) PRINTF(1, 2);

#endif
