/*
 * input: what a terminal printed, made fit for libvterm 0.1.4.
 */
#ifndef TERM_INPUT_H
#define TERM_INPUT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Appends at most three bytes to `out` for each byte of the input. */
#define INPUT_GROWTH 3

/*
 * Appends data as valid UTF-8 without C1 controls; what is none becomes U+FFFD. Control strings
 * (titles and other OSC, DCS, APC) are left out, and escape sequences that are not whole, not well
 * formed, or too long. Returns where in `out` the character or sequence begins that data[at] is in.
 */
size_t input_clean(const char *data, size_t len, size_t at, struct buf *out);

/* Whether data[at], a 'b' in what input_clean() made, ends REP, which repeats a character. */
bool input_is_repeat(const char *data, size_t at);

#endif
