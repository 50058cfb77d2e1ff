/*
 * The ways out of `pyro`: text to stdout, or an error, and the exit code that goes with it.
 *
 *	0	done; for run, vm exec and workspace exec: their command's own exit code
 *	1	host doctor: a host starts something else
 *	2	wrong usage
 *	124	a wait was over before its command; one that ran out of time has it as its own
 *	125	pyro itself could not do it
 *	128+n	ended by signal n; 141 when nobody reads the output any more
 */
#ifndef CLI_EXIT_H
#define CLI_EXIT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct pyro_error;

#define EXIT_USAGE 2
#define EXIT_WAIT_OVER 124
#define EXIT_OWN 125
#define EXIT_PIPE 141

/* Writes all of data. Returns 0 or an errno; never raises SIGPIPE. */
int exit_write(int fd, const void *data, size_t len);
/* Tells why stdout took no more, unless nobody reads it any more. Returns the exit code. */
int exit_unwritten(int errnum);
/* Writes the text to stdout. Returns `code`, or what the failure to write calls for. */
int exit_text(const struct buf *text, int code);
/* Tells the error, on stderr or as JSON on stdout. Returns its exit code. */
int exit_error(const struct pyro_error *err, bool as_json);

#endif
