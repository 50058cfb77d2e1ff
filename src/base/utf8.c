#include "base/utf8.h"

#include "base/mem.h"

#include <string.h>

int utf8_next(const unsigned char *p, size_t len)
{
	unsigned char c = len ? p[0] : 0;
	unsigned char low = 0x80, high = 0xBF; /* bounds of the second byte */
	int need;

	if (!len)
		return -1;
	if (c < 0x80)
		return 1;
	if (c >= 0xC2 && c <= 0xDF)
		need = 2;
	else if (c >= 0xE0 && c <= 0xEF)
		need = 3;
	else if (c >= 0xF0 && c <= 0xF4)
		need = 4;
	else
		return 0;
	if (c == 0xE0)
		low = 0xA0;
	else if (c == 0xED)
		high = 0x9F;
	else if (c == 0xF0)
		low = 0x90;
	else if (c == 0xF4)
		high = 0x8F;
	for (int i = 1; i < need; i++) {
		if ((size_t)i >= len)
			return -1;
		if (p[i] < low || p[i] > high)
			return 0;
		low = 0x80;
		high = 0xBF;
	}
	return need;
}

size_t utf8_start(const char *p, size_t len, size_t at)
{
	const unsigned char *u = (const unsigned char *)p;

	for (size_t back = 1; back <= 3 && back <= at; back++) {
		int n = utf8_next(u + at - back, len - at + back);

		if (n > (int)back)
			return at - back;
		if (n > 0)
			break;
	}
	return at;
}

bool utf8_is_valid(const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;

	while (len) {
		int n = utf8_next(u, len);

		if (n <= 0)
			return false;
		u += n;
		len -= (size_t)n;
	}
	return true;
}

char *utf8_repair(const char *p, size_t len, bool *ret_was_invalid)
{
	const unsigned char *u = (const unsigned char *)p;
	char *out = mem_zalloc(len + 1, 3);
	size_t used = 0;
	bool was_invalid = false;

	while (len) {
		int n = *u ? utf8_next(u, len) : 0;

		if (n > 0) {
			memcpy(out + used, u, (size_t)n);
			used += (size_t)n;
		} else {
			memcpy(out + used, "\xEF\xBF\xBD", 3);
			used += 3;
			was_invalid = true;
			n = 1;
		}
		u += n;
		len -= (size_t)n;
	}
	out[used] = '\0';
	if (ret_was_invalid)
		*ret_was_invalid = was_invalid;
	return mem_resize(out, used + 1, 1);
}

void utf8_clean_line(char *text)
{
	unsigned char *u = (unsigned char *)text;
	size_t len = strlen(text);

	while (len) {
		int n = utf8_next(u, len);

		if (n < 0) { /* cut off by a full buffer */
			*u = '\0';
			return;
		}
		if (n == 0)
			*u = '?';
		else if (*u < 0x20 || *u == 0x7F)
			*u = ' ';
		else if (*u == 0xC2 &&
			 u[1] < 0xA0) /* U+0080 to U+009F: some start escape sequences */
			u[0] = u[1] = ' ';
		u += n > 0 ? n : 1;
		len -= (size_t)(n > 0 ? n : 1);
	}
}
