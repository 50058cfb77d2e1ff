/*
 * UTF-8: foreign bytes become text here and nowhere else.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Length (1 to 4) of the valid character at the start of p[0..len), 0 if the bytes there are
 * invalid, or -1 if they are a valid beginning that needs more bytes. Overlong forms, surrogates
 * and values above U+10FFFF are invalid (RFC 3629).
 */
int utf8_next(const unsigned char *p, size_t len);

/*
 * Where the valid character begins that lies across p + at, or `at` if none does: a text that is
 * cut at the result is cut between characters. at <= len.
 */
size_t utf8_start(const char *p, size_t len, size_t at);

bool utf8_is_valid(const char *p, size_t len);

/*
 * A NUL-terminated copy of p[0..len) with every invalid byte replaced by U+FFFD, and NUL bytes
 * too; *ret_was_invalid (may be NULL) tells whether anything was replaced. Owned by the caller.
 */
char *utf8_repair(const char *p, size_t len, bool *ret_was_invalid);

/* In place: control characters become spaces, invalid bytes '?', a cut-off last character goes. */
void utf8_clean_line(char *text);

#endif
