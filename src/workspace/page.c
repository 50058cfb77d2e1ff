#include "workspace/page.h"

#include "base/redact.h"
#include "base/utf8.h"

#include <string.h>

#define CHARACTER_MAX 4

size_t page_margin(const struct redact_patterns *patterns)
{
	return redact_longest(patterns) + CHARACTER_MAX;
}

size_t page_show(const struct redact_patterns *patterns, const struct buf *data, size_t from,
		 size_t max, struct buf *out, bool *ret_is_text)
{
	const char *bytes = buf_text(data);
	size_t to = max < data->len - from ? from + max : data->len;
	size_t cut = utf8_start(bytes, data->len, to);
	size_t text = from;

	if (cut > from)
		to = cut;
	else
		text = to; /* a piece of one character, or nothing */
	to = redact_part(patterns, bytes, data->len, from, to, out);
	while (text < to && utf8_start(bytes, data->len, text) < text)
		text++;
	*ret_is_text =
		utf8_is_valid(bytes + text, to - text) && !memchr(bytes + text, '\0', to - text);
	return to;
}
