/*
 * Text from outside becomes numbers and names here.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* The whole of text as a decimal integer in [min, max]; false if it is not one. */
bool parse_int(const char *text, int64_t min, int64_t max, int64_t *ret);

/* The text with "%20" and the like decoded, but for "%00". Owned by the caller. */
char *parse_percent(const char *text);

/*
 * The candidate that a person most likely meant by `word` (a small edit distance, or it begins with
 * the word), or NULL.
 * `candidates` ends with NULL.
 */
const char *parse_nearest(const char *word, const char *const *candidates);

#endif
