#include "term/input.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <string.h>

#define ESC 0x1b
#define BEL 0x07
#define CAN 0x18
#define SUB 0x1a
#define PARAMETERS_MAX 16
#define DIGITS_MAX 9
#define MIDDLE_MAX 2

static bool is_c1(const unsigned char *u, int n)
{
	return n == 2 && u[0] == 0xC2 && u[1] < 0xA0;
}

/* How far the bytes go on to be from low..high. */
static size_t run_end(const unsigned char *u, size_t len, size_t at, int low, int high)
{
	while (at < len && u[at] >= low && u[at] <= high)
		at++;
	return at;
}

/* The end of a control string whose content begins at `at`. */
static size_t string_end(const unsigned char *u, size_t len, size_t at)
{
	while (at < len && u[at] != BEL && u[at] != ESC && u[at] != CAN && u[at] != SUB)
		at++;
	if (at + 1 < len && u[at] == ESC)
		return u[at + 1] == '\\' ? at + 2 : at;
	return at < len ? at + 1 : len;
}

/* Few enough parameters, none too long, and they begin with the private marker if there is one. */
static bool is_fit(const unsigned char *u, size_t len)
{
	size_t n = 1, digits = 0;

	for (size_t i = 0; i < len; i++) {
		bool is_digit = u[i] >= '0' && u[i] <= '9';

		if (u[i] >= '<' && i > 0)
			return false;
		n += u[i] == ';' || u[i] == ':';
		digits = is_digit ? digits + 1 : 0;
		if (n > PARAMETERS_MAX || digits > DIGITS_MAX)
			return false;
	}
	return true;
}

/* The end of the sequence at u, which begins with ESC, and whether libvterm may have it. */
static size_t sequence_end(const unsigned char *u, size_t len, bool *ret_is_fit)
{
	size_t params = 1, middle, end;

	*ret_is_fit = false;
	if (len > 1 && u[1] && strchr("P]X^_", u[1]))
		return string_end(u, len, 2);
	if (len > 1 && u[1] == '[') {
		params = 2;
		middle = run_end(u, len, params, '0', '?');
	} else {
		middle = params;
	}
	end = run_end(u, len, middle, ' ', '/');
	if (end == len || u[end] < (params == 2 ? '@' : '0') || u[end] > '~')
		return end;
	/* libvterm takes these for the beginning of a sequence also behind other bytes. */
	if (params == 1 && strchr("[P]X^_", u[end]))
		return end + 1;
	*ret_is_fit = end - middle <= MIDDLE_MAX && is_fit(u + params, middle - params);
	return end + 1;
}

/* The length of what stands at u, one thing; *ret_instead is what is to be there, NULL: just it. */
static size_t next_thing(const unsigned char *u, size_t len, const char **ret_instead)
{
	bool is_sequence_fit;
	size_t end;
	int n;

	*ret_instead = NULL;
	if (*u == ESC) {
		end = sequence_end(u, len, &is_sequence_fit);
		if (!is_sequence_fit)
			*ret_instead = "";
		return end;
	}
	n = utf8_next(u, len);
	if (n <= 0 || is_c1(u, n))
		*ret_instead = "\xEF\xBF\xBD";
	return n > 0 ? (size_t)n : 1;
}

size_t input_clean(const char *data, size_t len, size_t at, struct buf *out)
{
	size_t i = 0, plain = 0, found = 0;

	while (i < len) {
		const unsigned char *u = (const unsigned char *)data + i;
		const char *instead = NULL;
		size_t n = *u < 0x80 && *u != ESC ? 1 : next_thing(u, len - i, &instead);

		if (i <= at)
			found = out->len + (i - plain);
		i += n;
		if (instead) {
			buf_append(out, data + plain, i - n - plain);
			buf_puts(out, instead);
			plain = i;
		}
	}
	buf_append(out, data + plain, len - plain);
	return at >= len ? out->len : found;
}

bool input_is_repeat(const char *data, size_t at)
{
	while (at && data[at - 1] >= '0' && data[at - 1] <= '?')
		at--;
	return at > 1 && data[at - 1] == '[' && data[at - 2] == ESC;
}
