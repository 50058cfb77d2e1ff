/* Prints lines, words and bytes of standard input, of which it reads 1 MiB. */
#include "count.h"

#include <stdio.h>

int main(void)
{
	static char text[1024 * 1024];
	const struct count count = count_text(text, fread(text, 1, sizeof(text), stdin));

	printf("%zu %zu %zu\n", count.lines, count.words, count.bytes);
	return 0;
}
