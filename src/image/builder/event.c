#include "image/builder/event.h"

#include "base/err.h"
#include "base/file.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

/* A caller that is gone is no error here: its death ends this program. */
static void emit(json_t *event)
{
	AUTO_FREE char *text = json_dumps(event, JSON_COMPACT);
	AUTO_FREE char *line = mem_printf("%s\n", text);

	(void)file_write_all(STDOUT_FILENO, line, strlen(line), NULL);
	json_decref(event);
}

void event_phase(const char *phase)
{
	emit(json_pack("{ssss}", "event", "phase", "phase", phase));
}

void event_progress(const char *what, int64_t done, int64_t total, const char *unit)
{
	emit(json_pack("{sssssIsIss}", "event", "progress", "what", what, "done", (json_int_t)done,
		       "total", (json_int_t)total, "unit", unit));
}

void event_error(const struct pyro_error *error)
{
	emit(json_pack("{ssssssss}", "event", "error", "code", pyro_code_name(error->code),
		       "message", error->message, "hint", error->hint));
}
