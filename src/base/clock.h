/*
 * Time. Deadlines are points on the monotonic clock in milliseconds; records are wall-clock
 * seconds. DEADLINE_NONE waits for ever and is only right where something else ends the wait.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define DEADLINE_NONE INT64_MAX

/* Milliseconds on CLOCK_MONOTONIC. */
int64_t clock_ms(void);
/* Nanoseconds on CLOCK_MONOTONIC, for measuring. */
int64_t clock_ns(void);
/* Seconds since the epoch, with the fraction. */
double clock_wall(void);
/* The deadline that lies ms milliseconds ahead. */
int64_t deadline_in(int64_t ms);
/* Milliseconds left, in the form poll() and epoll_wait() take: 0 if past, -1 for none. */
int deadline_left(int64_t deadline);

#endif
