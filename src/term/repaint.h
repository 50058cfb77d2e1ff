/*
 * repaint: sequences that make any terminal of the same size show what a screen shows: its cells on
 * both of its screens, the cursor, the attributes that come next, and the modes that decide what
 * keys send. They are xterm's, and made of the screen's state alone.
 */
#ifndef TERM_REPAINT_H
#define TERM_REPAINT_H

struct buf;
struct screen;

void repaint(struct screen *s, struct buf *out);

#endif
