/*
 * term: the output of a terminal as a person saw it, by the helper pyro-term.
 *
 * cols and rows (1 to 1000 each) are the terminal's size at the end of the output; more than 4 MiB
 * of output is PYRO_E_LIMIT. What comes back is a string owned by the caller, or NULL with err.
 */
#ifndef API_TERM_H
#define API_TERM_H

#include <stddef.h>

struct pyro;
struct pyro_error;

/*
 * Text of raw[context, len): lines without escape sequences, as they stayed. The bytes before were
 * read earlier; the more of them, the better is known what they left on the screen.
 */
char *term_text(struct pyro *p, int cols, int rows, const void *raw, size_t len, size_t context,
		struct pyro_error *err);
/* Escape sequences that bring another terminal of this size to the same screen. */
char *term_repaint(struct pyro *p, int cols, int rows, const void *raw, size_t len,
		   struct pyro_error *err);

#endif
