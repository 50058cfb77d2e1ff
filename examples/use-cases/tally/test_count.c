#include "count.h"

#include <expect.h>
#include <string.h>

static size_t words(const char *text)
{
	return count_text(text, strlen(text)).words;
}

int main(void)
{
	expect("an empty text has no word", words("") == 0);
	expect("white space parts words", words(" one\t two\n") == 2);
	expect("the last word needs no newline", words("one two") == 2);
	expect("lines are newlines", count_text("a\nb\n", 4).lines == 2);
	return expect_failures;
}
