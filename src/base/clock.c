#include "base/clock.h"

#include <limits.h>
#include <time.h>

static int64_t now_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

int64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

double clock_wall(void)
{
	return (double)now_ns(CLOCK_REALTIME) / 1e9;
}

int64_t deadline_in(int64_t ms)
{
	int64_t now = clock_ms();

	return ms >= DEADLINE_NONE - now ? DEADLINE_NONE : now + ms;
}

int deadline_left(int64_t deadline)
{
	int64_t left;

	if (deadline == DEADLINE_NONE)
		return -1;
	left = deadline - clock_ms();
	if (left <= 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}
