#include "api/toml.h"

#include "base/buf.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (64 * 1024 * 1024) /* of what is made; what is read is shorter */
#define BARE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* What toml_set() looks for, and where it is. */
struct search {
	const char *text;
	const char *const *table;
	const char *key; /* NULL: only the table */
	bool is_inside;  /* the line is in the table */
	bool has_table;
	size_t body;  /* behind the line of its header */
	size_t value; /* 0: the key is not there */
	size_t value_end;
};

/* All of the following return false, or NULL, where the text is no TOML. */

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* Behind a string of any of the four kinds. */
static const char *skip_string(const char *p)
{
	char quote = *p;
	bool is_long = p[1] == quote && p[2] == quote;

	for (p += is_long ? 3 : 1; *p; p++) {
		if (*p == '\\' && quote == '"' && p[1])
			p++;
		else if (*p == '\n' && !is_long)
			return NULL;
		else if (*p == quote && !is_long)
			return p + 1;
		else if (*p == quote && p[1] == quote && p[2] == quote) {
			/* One or two quotes may stand before the three that end it. */
			for (int i = 0; i < 2 && p[3] == quote; i++)
				p++;
			return p + 3;
		}
	}
	return NULL;
}

static const char *skip_value(const char *p)
{
	const char *end = p;
	size_t depth = 0;

	do {
		p += depth ? strspn(p, " \t\r\n,=") : 0;
		if (*p == '"' || *p == '\'') {
			p = skip_string(p);
			if (!p)
				return NULL;
		} else if (*p == '[' || *p == '{') {
			depth++;
			p++;
		} else if (depth && (*p == ']' || *p == '}')) {
			depth--;
			p++;
		} else if (depth && *p == '#') {
			p += strcspn(p, "\n");
		} else {
			size_t n = strcspn(p, "[]{}\"',=# \t\r\n");

			if (!n) /* among others at the end */
				return NULL;
			p += n;
		}
		end = p;
	} while (depth);
	/* A date and a time may have a space between them. */
	while (*p == ' ' && strchr("0123456789", p[1]) && p[1]) {
		p += 1 + strcspn(p + 1, "# \t\r\n");
		end = p;
	}
	return end;
}

/* A key, its parts divided by dots. *ret_matches: they are `names`, and then `last`, if any. */
static const char *read_key(const char *p, const char *const *names, const char *last,
			    bool *ret_matches)
{
	bool matches = true;

	for (;;) {
		const char *name = *names ? *names++ : last, *begin, *end;

		if (name && name == last)
			last = NULL;
		p = skip_blanks(p);
		begin = p;
		p = *p == '"' || *p == '\'' ? skip_string(p) : p + strspn(p, BARE);
		if (!p || p == begin)
			return NULL;
		end = p;
		if (*begin == '"' || *begin == '\'') {
			begin++;
			end--;
		}
		matches = matches && name && strlen(name) == (size_t)(end - begin) &&
			  memcmp(name, begin, (size_t)(end - begin)) == 0;
		p = skip_blanks(p);
		if (*p != '.')
			break;
		p++;
	}
	*ret_matches = matches && !*names && !last;
	return p;
}

/* The rest of a line: nothing, or a comment. Behind its end. */
static const char *skip_line(const char *p)
{
	p = skip_blanks(p);
	if (*p == '#')
		p += strcspn(p, "\n");
	if (*p == '\r')
		p++;
	return *p == '\n' ? p + 1 : *p ? NULL : p;
}

/* [table] or [[element of an array of tables]] */
static const char *read_header(struct search *s, const char *p)
{
	bool is_array = p[1] == '[', matches;

	p = read_key(p + 1 + is_array, s->table, NULL, &matches);
	if (!p || *p != ']' || (is_array && p[1] != ']'))
		return NULL;
	p = skip_line(p + 1 + is_array);
	s->is_inside = matches && !is_array;
	if (s->is_inside && p) {
		s->has_table = true;
		s->body = (size_t)(p - s->text);
	}
	return p;
}

static const char *read_member(struct search *s, const char *p)
{
	static const char *const none[] = {NULL};
	const char *value;
	bool matches;

	p = read_key(p, none, s->key, &matches);
	if (!p || *p != '=')
		return NULL;
	value = skip_blanks(p + 1);
	p = skip_value(value);
	if (!p)
		return NULL;
	if (s->is_inside && s->key && matches) {
		s->value = (size_t)(value - s->text);
		s->value_end = (size_t)(p - s->text);
	}
	return skip_line(p);
}

static int search(struct search *s, struct pyro_error *err)
{
	const char *p = s->text;

	for (int line = 1; *p;) {
		const char *begin = p;

		if (begin == s->text && strncmp(p, "\xef\xbb\xbf", 3) == 0)
			p += 3;
		p = skip_blanks(p);
		if (*p == '[')
			p = read_header(s, p);
		else
			p = strchr("#\r\n", *p) ? skip_line(p) : read_member(s, p);
		if (!p)
			return err_set(err, PYRO_E_INVALID, "line %d is not TOML", line);
		for (; begin < p; begin++)
			line += *begin == '\n';
	}
	return 0;
}

bool toml_has_table(const char *text, const char *const *table)
{
	struct search s = {.text = text, .table = table};

	return search(&s, NULL) == 0 && s.has_table;
}

char *toml_set(const char *text, const char *const *table, const char *key, const char *value,
	       struct pyro_error *err)
{
	struct search s = {.text = text, .table = table, .key = key};
	AUTO_BUF struct buf out = BUF_INIT(TEXT_MAX);

	if (search(&s, err) < 0)
		return NULL;
	if (!s.has_table) {
		(void)err_set(err, PYRO_E_INVALID, "it has no table of that name");
		return NULL;
	}
	buf_append(&out, text, s.value ? s.value : s.body);
	if (s.value)
		buf_printf(&out, "%s%s", value, text + s.value_end);
	else
		buf_printf(&out, "%s%s = %s\n%s", text[s.body - 1] == '\n' ? "" : "\n", key, value,
			   text + s.body);
	return buf_take(&out);
}

/* A JSON text is a basic string of TOML, too. */
static void put(struct buf *out, json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	buf_puts(out, text ? text : "\"\"");
	free(text);
}

static void put_table(struct buf *out, json_t *object)
{
	const char *key, *between = "";
	json_t *value;

	buf_puts(out, "{");
	json_object_foreach(object, key, value)
	{
		json_t *name = json_string(key);

		buf_puts(out, between);
		buf_puts(out, " ");
		put(out, name);
		buf_puts(out, " = ");
		put(out, value);
		between = ",";
		json_decref(name);
	}
	buf_puts(out, " }");
}

char *toml_value(json_t *value)
{
	AUTO_BUF struct buf out = BUF_INIT(TEXT_MAX);

	if (json_is_object(value))
		put_table(&out, value);
	else
		put(&out, value);
	return buf_take(&out);
}
