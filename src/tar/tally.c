#include "tar/tally.h"

#include "helper/report.h"

#define REPORT_FD 3

void tally_tell(const struct tally *t)
{
	json_t *line;

	if (!report_is_due())
		return;
	line = json_pack("{s:I, s:I}", "entries", (json_int_t)t->entries, "bytes",
			 (json_int_t)t->bytes);
	if (t->total_entries) {
		json_object_set_new(line, "total_entries", json_integer(t->total_entries));
		json_object_set_new(line, "total_bytes", json_integer(t->total_bytes));
	}
	report_progress(REPORT_FD, line);
}
