/*
 * The text is first made plain: comments and commas behind a last member become spaces, byte for
 * byte. jansson reads and so checks the plain text; an edit looks for its place there, where no
 * syntax can surprise it, and is made at the same place of the original.
 */
#include "api/jsonc.h"

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (64 * 1024 * 1024) /* of what is made; what is read is shorter */
#define LAST_COMMA '\r' /* stands in the plain text for such a comma; white space to JSON, too */
#define INDENT 2

/* Behind the string that begins at `at`, or the end of a text in which it does not end. */
static size_t skip_string(const char *text, size_t at)
{
	for (at++; text[at] && text[at] != '"'; at++)
		if (text[at] == '\\' && text[at + 1])
			at++;
	return text[at] ? at + 1 : at;
}

/* Behind the comment that begins at `at`; `at` if none does. */
static size_t skip_comment(const char *text, size_t at)
{
	const char *end;

	if (text[at] != '/')
		return at;
	if (text[at + 1] == '/')
		return at + strcspn(text + at, "\n");
	end = text[at + 1] == '*' ? strstr(text + at + 2, "*/") : NULL;
	return end ? (size_t)(end - text) + 2 : at; /* one without an end stays, as an error */
}

static char *make_plain(const char *text)
{
	size_t len = strlen(text);
	char *plain = mem_strndup(text, len);
	size_t comma = len; /* the last byte that counts, if it is a comma */

	for (size_t at = 0; at < len;) {
		size_t behind = skip_comment(text, at);

		if (behind > at) {
			memset(plain + at, ' ', behind - at);
			at = behind;
			continue;
		}
		if (text[at] == '/') /* no JSON, so what follows does not matter */
			break;
		if ((text[at] == '}' || text[at] == ']') && comma < len)
			plain[comma] = LAST_COMMA;
		if (text[at] == '\r')
			plain[at] = ' ';
		if (!strchr(" \t\r\n", text[at]))
			comma = text[at] == ',' ? at : len;
		at = text[at] == '"' ? skip_string(text, at) : at + 1;
	}
	if (len >= 3 && memcmp(plain, "\xef\xbb\xbf", 3) == 0)
		memset(plain, ' ', 3);
	return plain;
}

static int line_of(const char *text, size_t at)
{
	int line = 1;

	for (size_t i = 0; i < at; i++)
		line += text[i] == '\n';
	return line;
}

/* The value, and the plain text that it was read from. */
static json_t *load(const char *text, char **ret_plain, struct pyro_error *err)
{
	size_t len = strlen(text);
	AUTO_FREE char *plain = make_plain(text);
	json_error_t why;
	json_t *value;

	value = json_loadb(plain, len, 0, &why);
	if (!value) {
		size_t at =
			why.position > 0 && (size_t)why.position < len ? (size_t)why.position : len;

		(void)err_set(err, PYRO_E_INVALID, "line %d: %s", line_of(text, at), why.text);
		return NULL;
	}
	*ret_plain = TAKE_PTR(plain);
	return value;
}

json_t *jsonc_load(const char *text, struct pyro_error *err)
{
	AUTO_FREE char *plain = NULL;

	return load(text, &plain, err);
}

/* Where things are in the object that begins at `open`. */
struct place {
	size_t open;
	size_t first_key; /* 0: it is empty */
	size_t key;       /* of the last member with the name; 0: there is none */
	size_t value;
	size_t value_end;
	size_t last_end; /* behind the value of the last member */
};

/* From here on `plain` is known to be valid JSON, and ends with a NUL. */

static size_t skip_space(const char *plain, size_t at)
{
	return at + strspn(plain + at, " \t\r\n");
}

static size_t skip_value(const char *plain, size_t at)
{
	size_t depth = 0;

	do {
		if (plain[at] == '"') {
			at = skip_string(plain, at);
			continue;
		}
		if (plain[at] == '{' || plain[at] == '[')
			depth++;
		else if (plain[at] == '}' || plain[at] == ']')
			depth--;
		else if (!depth)
			return at + strcspn(plain + at, ",]} \t\r\n");
		at++;
	} while (depth);
	return at;
}

static bool is_key(const char *plain, size_t from, size_t to, const char *name)
{
	json_t *key = json_loadb(plain + from, to - from, JSON_DECODE_ANY, NULL);
	bool is_same = key && strcmp(json_string_value(key), name) == 0;

	json_decref(key);
	return is_same;
}

static struct place find(const char *plain, size_t open, const char *name)
{
	struct place place = {.open = open};
	size_t at = skip_space(plain, open + 1);

	if (plain[at] != '}')
		place.first_key = at;
	while (plain[at] != '}') {
		size_t key = at, key_end = skip_string(plain, at);

		at = skip_space(plain, skip_space(plain, key_end) + 1);
		place.last_end = skip_value(plain, at);
		if (is_key(plain, key, key_end, name)) {
			place.key = key;
			place.value = at;
			place.value_end = place.last_end;
		}
		at = skip_space(plain, place.last_end);
		if (plain[at] == ',')
			at = skip_space(plain, at + 1);
	}
	return place;
}

static size_t line_begin(const char *text, size_t at)
{
	while (at && text[at - 1] != '\n')
		at--;
	return at;
}

/* The white space that the line of `at` begins with. */
static char *indent_of(const char *text, size_t at)
{
	const char *line = text + line_begin(text, at);

	return mem_strndup(line, strspn(line, " \t"));
}

/* How members of the object are indented that have lines of their own. */
static char *inner_indent(const char *text, const struct place *place)
{
	AUTO_FREE char *outer = indent_of(text, place->open);
	size_t line = line_begin(text, place->first_key);

	if (place->first_key && line > place->open)
		return indent_of(text, place->first_key);
	return mem_printf("%s%*s", outer, INDENT, "");
}

/* The value, its further lines indented. */
static void put_value(struct buf *out, json_t *value, const char *indent)
{
	AUTO_FREE char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_INDENT(INDENT));

	for (const char *p = text; p && *p; p++) {
		buf_append(out, p, 1);
		if (*p == '\n')
			buf_puts(out, indent);
	}
}

static void put_member(struct buf *out, const char *name, json_t *value, const char *indent)
{
	json_t *key = json_string(name);

	put_value(out, key, "");
	buf_puts(out, ": ");
	put_value(out, value, indent);
	json_decref(key);
}

/* The first member of an object. */
static void insert_first(struct buf *out, const char *text, const struct place *place,
			 const char *name, json_t *value)
{
	AUTO_FREE char *outer = indent_of(text, place->open), *inner = inner_indent(text, place);

	buf_append(out, text, place->open + 1);
	buf_printf(out, "\n%s", inner);
	put_member(out, name, value, inner);
	buf_printf(out, "\n%s%s", outer, text + place->open + 1);
}

/*
 * A new last member. The comma goes behind the value that was the last, and the member behind what
 * else its line says, which is a comment about that value.
 */
static void insert_last(struct buf *out, const char *text, const char *plain,
			const struct place *place, const char *name, json_t *value)
{
	AUTO_FREE char *indent = NULL;
	size_t at = place->last_end, next = at + strspn(plain + at, " \t\n");
	bool has_comma = plain[next] == LAST_COMMA;

	if (has_comma)
		at = next + 1;
	buf_append(out, text, at);
	buf_puts(out, has_comma ? "" : ",");
	next = at + strspn(plain + at, " \t");
	if (plain[next] == '\n') {
		indent = inner_indent(text, place);
		buf_append(out, text + at, next - at);
		at = next;
		buf_printf(out, "\n%s", indent);
	} else {
		indent = indent_of(text, place->first_key);
		buf_puts(out, " ");
	}
	put_member(out, name, value, indent);
	buf_puts(out, text + at);
}

static void replace(struct buf *out, const char *text, const struct place *place, json_t *value)
{
	AUTO_FREE char *indent = indent_of(text, place->key);

	buf_append(out, text, place->value);
	put_value(out, value, indent);
	buf_puts(out, text + place->value_end);
}

/* {"b": {"c": value}} for the path b, c. */
static json_t *wrap(const char *const *path, json_t *value)
{
	return *path ? json_pack("{s:o}", *path, wrap(path + 1, value)) : json_incref(value);
}

char *jsonc_set(const char *text, const char *const *path, json_t *value, struct pyro_error *err)
{
	AUTO_BUF struct buf out = BUF_INIT(TEXT_MAX);
	AUTO_FREE char *plain = NULL;
	json_t *root = load(text, &plain, err), *tail;
	struct place place;
	size_t open;

	if (!root)
		return NULL;
	open = skip_space(plain, 0);
	json_decref(root);
	if (plain[open] != '{') {
		(void)err_set(err, PYRO_E_INVALID, "it is a list, not an object");
		return NULL;
	}
	for (;; path++) {
		place = find(plain, open, *path);
		if (!path[1] || !place.key || plain[place.value] != '{')
			break;
		open = place.value;
	}
	tail = wrap(path + 1, value);
	if (place.key)
		replace(&out, text, &place, tail);
	else if (place.first_key)
		insert_last(&out, text, plain, &place, *path, tail);
	else
		insert_first(&out, text, &place, *path, tail);
	json_decref(tail);
	return buf_take(&out);
}
