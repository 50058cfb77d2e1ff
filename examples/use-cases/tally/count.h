/* Counts what is in a text. */
#ifndef COUNT_H
#define COUNT_H

#include <stddef.h>

struct count {
	size_t lines; /* newlines */
	size_t words; /* what stands between white space */
	size_t bytes;
};

struct count count_text(const char *text, size_t size);

#endif
