/*
 * text: what a person saw of the end of a terminal's output.
 *
 * The first `context` bytes were read before and only set the stage. Of the rest:
 *  - From where the cursor stood, or, if something above or before it changed, from the beginning
 *    of the first line that did; through all lines that scrolled away; to the screen's last line
 *    that is new and not empty. Lines that were wrapped at the edge are one line again.
 *  - While the alternate screen is shown: all of it as it is now.
 * Lines lose trailing blanks. The text ends with a line feed if the cursor is below it.
 */
#ifndef TERM_TEXT_H
#define TERM_TEXT_H

#include <stddef.h>

struct buf;
struct pyro_error;
struct screen;

#define TEXT_MAX ((size_t)8 << 20)

/*
 * Feeds the new screen s with data, of which [0, context) is the context, and appends the text to
 * out. data is as input_clean() makes it. PYRO_E_LIMIT if out is full.
 */
int text_render(struct screen *s, const char *data, size_t len, size_t context, struct buf *out,
		struct pyro_error *err);

/* Appends a cell's characters, UTF-8; nothing for the right half of a wide one. */
struct screen_cell;
void text_cell(const struct screen_cell *cell, struct buf *out);

#endif
