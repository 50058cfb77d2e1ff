#include "count.h"

#include <ctype.h>
#include <stdbool.h>

struct count count_text(const char *text, size_t size)
{
	struct count count = {.bytes = size};
	bool in_word = false;

	for (size_t i = 0; i < size; i++) {
		const bool is_space = isspace((unsigned char)text[i]);

		if (text[i] == '\n')
			count.lines++;
		if (is_space && in_word)
			count.words++;
		in_word = !is_space;
	}
	return count;
}
