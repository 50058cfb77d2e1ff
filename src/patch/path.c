#include "patch/path.h"

#include "base/buf.h"

#include <string.h>
#include <strings.h>

/* What follows a backslash, and what it means. */
static const char escapes[] = "abtnvfr\"\\", meanings[] = "\a\b\t\n\v\f\r\"\\";

static const char *next_part(const char **at, size_t *ret_len)
{
	const char *part = *at;

	*ret_len = strcspn(part, "/");
	*at = part[*ret_len] ? part + *ret_len + 1 : NULL;
	return part;
}

bool path_is_git(const char *path)
{
	while (path) {
		size_t len;
		const char *part = next_part(&path, &len);

		if (len == 4 && strncasecmp(part, ".git", 4) == 0)
			return true;
	}
	return false;
}

const char *path_fault(const char *path)
{
	if (!*path)
		return "is empty";
	if (*path == '/')
		return "is absolute";
	if (strlen(path) > PATH_LEN_MAX)
		return "is too long";
	if (path_is_git(path))
		return "is git's own";
	while (path) {
		size_t len;
		const char *part = next_part(&path, &len);

		if (len == 0)
			return "has an empty part";
		if (len == 1 && *part == '.')
			return "has a part '.'";
		if (len == 2 && part[0] == '.' && part[1] == '.')
			return "leads out of the workspace";
	}
	return NULL;
}

static void quote_part(struct buf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		const char *meaning = strchr(meanings, c);

		if (meaning)
			buf_printf(out, "\\%c", escapes[meaning - meanings]);
		else if (c < ' ' || c >= 0x7f)
			buf_printf(out, "\\%03o", c);
		else
			buf_append(out, text, 1);
	}
}

/* Git cannot tell two names apart where a part ends with a space, unless they are in quotes. */
static bool is_plain(const char *text)
{
	if (strstr(text, " /"))
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f || *text == '"' ||
		    *text == '\\')
			return false;
	return true;
}

void path_quote(struct buf *out, const char *prefix, const char *path)
{
	if (is_plain(path)) {
		buf_puts(out, prefix);
		buf_puts(out, path);
		return;
	}
	buf_puts(out, "\"");
	quote_part(out, prefix);
	quote_part(out, path);
	buf_puts(out, "\"");
}

static bool is_octal(const char *p, const char *end)
{
	if (end - p < 3 || p[0] > '3')
		return false;
	for (int i = 0; i < 3; i++)
		if (p[i] < '0' || p[i] > '7')
			return false;
	return true;
}

/* What follows the opening quote. */
static bool unquote(const char **at, const char *end, struct buf *out)
{
	const char *p = *at;

	while (p < end && *p != '"') {
		char c = *p++;

		if (c == '\\' && is_octal(p, end)) {
			c = (char)((p[0] - '0') * 64 + (p[1] - '0') * 8 + p[2] - '0');
			p += 3;
		} else if (c == '\\') {
			const char *escape = p < end && *p ? strchr(escapes, *p) : NULL;

			if (!escape)
				return false;
			c = meanings[escape - escapes];
			p++;
		}
		buf_append(out, &c, 1);
	}
	if (p == end)
		return false;
	*at = p + 1;
	return true;
}

char *path_take(const char **at, const char *end, char stop)
{
	AUTO_BUF struct buf name = BUF_INIT((size_t)(end - *at) + 1);

	if (*at < end && **at == '"') {
		(*at)++;
		if (!unquote(at, end, &name))
			return NULL;
	} else {
		const char *found = memchr(*at, stop, (size_t)(end - *at));

		found = found ? found : end;
		buf_append(&name, *at, (size_t)(found - *at));
		*at = found;
	}
	if (memchr(buf_text(&name), '\0', name.len))
		return NULL;
	return mem_strdup(buf_text(&name));
}
