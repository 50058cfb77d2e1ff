#include "base/log.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool log_is_on(void)
{
	static int state = -1;

	if (state < 0) {
		const char *value = getenv("PYRO_DEBUG");

		state = value && *value && *value != '0';
	}
	return state;
}

void log_debug(const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	int64_t now = clock_ns() / 1000;
	va_list ap;

	if (!log_is_on())
		return;
	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	(void)dprintf(STDERR_FILENO, "[%d %lld.%06lld] %s\n", (int)getpid(),
		      (long long)(now / 1000000), (long long)(now % 1000000), text);
}
