/*
 * report: what a helper program tells libpyro, which started it: one JSON object a line, on a
 * descriptor that the program was given.
 *
 *	{"entries": 812, "bytes": 3355443}        progress, ten times a second at the most
 *	{"result": {…}}                            the last line, when all went well
 *	{"error": {code, message, hint, retryable}}    or this
 */
#ifndef HELPER_REPORT_H
#define HELPER_REPORT_H

#include <jansson.h>
#include <stdbool.h>

struct pyro_error;

/* Whether enough time has passed since progress was last told; then the caller does. */
bool report_is_due(void);
/* Takes the reference. A reader that is gone is no error: it has ended this program's purpose. */
void report_progress(int fd, json_t *line);
/* Writes the last line, of `result` (a reference that this takes) or, where that is NULL, of err.
 * Returns the program's exit status. */
int report_end(int fd, json_t *result, const struct pyro_error *err);

#endif
