#include "helper/report.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "pyro/error.h"

#include <string.h>

#define PROGRESS_MS 100

static void tell(int fd, json_t *line)
{
	AUTO_FREE char *text = json_dumps(line, JSON_COMPACT);
	AUTO_FREE char *whole = text ? mem_printf("%s\n", text) : NULL;

	if (whole)
		(void)file_write_all(fd, whole, strlen(whole), NULL);
	json_decref(line);
}

bool report_is_due(void)
{
	static int64_t next_ms;
	int64_t now = clock_ms();

	if (now < next_ms)
		return false;
	next_ms = now + PROGRESS_MS;
	return true;
}

void report_progress(int fd, json_t *line)
{
	tell(fd, line);
}

int report_end(int fd, json_t *result, const struct pyro_error *err)
{
	if (result) {
		tell(fd, json_pack("{s:o}", "result", result));
		return 0;
	}
	tell(fd, json_pack("{s:{s:s, s:s, s:s, s:b}}", "error", "code", pyro_code_name(err->code),
			   "message", err->message, "hint", err->hint, "retryable",
			   (int)pyro_code_retryable(err->code)));
	return 1;
}
