#include "base/parse.h"

#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEGINNING_MIN 3 /* of so many characters it says which word is meant */

bool parse_int(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	char *end = NULL;
	long long value;

	if (!text || !(isdigit((unsigned char)*text) || *text == '-'))
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

char *parse_percent(const char *text)
{
	char *out = mem_strdup(text), *to = out;

	for (const char *at = text; *at; at++) {
		int high = *at == '%' ? hex_digit(at[1]) : -1;
		int low = high < 0 ? -1 : hex_digit(at[2]);
		bool is_coded = low >= 0 && high + low > 0;

		*to++ = is_coded ? (char)(high * 16 + low) : *at;
		at += is_coded ? 2 : 0;
	}
	*to = '\0';
	return out;
}

/* Levenshtein's distance, two rows; words are short names. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[2][65];
	size_t la = strnlen(a, 64), lb = strnlen(b, 64);

	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *prev = rows[(i - 1) % 2], *cur = rows[i % 2];

		cur[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = prev[j - 1] + (a[i - 1] != b[j - 1]);

			if (prev[j] + 1 < best)
				best = prev[j] + 1;
			if (cur[j - 1] + 1 < best)
				best = cur[j - 1] + 1;
			cur[j] = best;
		}
	}
	return rows[la % 2][lb];
}

const char *parse_nearest(const char *word, const char *const *candidates)
{
	const char *best = NULL;
	size_t len = strlen(word), best_distance = len / 2 + 1;

	for (; *candidates; candidates++) {
		size_t d = distance(word, *candidates);

		if (d > 1 && len >= BEGINNING_MIN && strncmp(word, *candidates, len) == 0)
			d = 1;
		if (d < best_distance) {
			best_distance = d;
			best = *candidates;
		}
	}
	return best;
}
