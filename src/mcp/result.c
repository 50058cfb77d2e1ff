/*
 * In this order: the page of what comes in pages; long texts, of which the beginning and the end
 * stay, with a note of what is missing in between and how to see it; and if that is not enough,
 * what is longest is halved until it is, with the number of entries left out in "omitted".
 */
#include "mcp/result.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "mcp/tool.h"
#include "mcp/words.h"
#include "ops/values.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TEXT_MAX 8000  /* a text of the record itself */
#define ENTRY_MAX 1200 /* a text of an entry of a list */
/* For all but the page of a result that has one; on later pages it was seen before. */
#define BESIDE_FIRST_MAX (RESULT_MAX / 3)
#define BESIDE_MAX 1000

/* The size of a value as JSON. */
static size_t size_of(const json_t *value)
{
	return json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* The last place up to `at` where a character begins. */
static size_t boundary(const char *text, size_t at)
{
	while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
		at--;
	return at;
}

/* --- pages --- */

static void halve_longest(const struct profile *profile, json_t *result, size_t max);

/* An entry that is longer than a page, which only long names are, is cut to it. */
static json_t *fit_entry(const struct profile *profile, json_t *entry, size_t max)
{
	json_t *copy;

	if (size_of(entry) < max)
		return json_incref(entry);
	copy = json_deep_copy(entry);
	halve_longest(profile, copy, max - 1);
	return copy;
}

static json_t *page_list(const struct profile *profile, const json_t *list, int64_t offset,
			 size_t max, int64_t *ret_next)
{
	size_t n = json_array_size(list), i = (size_t)offset < n ? (size_t)offset : n;
	json_t *page = json_array();
	size_t size = 0;

	for (; i < n; i++) {
		json_t *entry = fit_entry(profile, json_array_get(list, i), max);

		size += size_of(entry) + 1;
		if (size > max && json_array_size(page)) {
			json_decref(entry);
			break;
		}
		json_array_append_new(page, entry);
	}
	*ret_next = i < n ? (int64_t)i : -1;
	return page;
}

/* A page of a text ends with a line where it can. */
static json_t *page_text(const json_t *text, int64_t offset, size_t max, int64_t *ret_next)
{
	const char *p = json_string_value(text);
	size_t len = json_string_length(text), from = (size_t)offset < len ? (size_t)offset : len;
	size_t n = len - from;
	const char *newline;
	json_t *page;

	from = boundary(p, from);
	for (n = n < max ? n : boundary(p + from, max);; n = boundary(p + from, n / 4 * 3)) {
		newline = from + n < len ? memrchr(p + from, '\n', n) : NULL;
		if (newline && newline > p + from)
			n = (size_t)(newline + 1 - (p + from));
		page = json_stringn(p + from, n);
		if (n < 64 || size_of(page) <= max)
			break;
		json_decref(page);
	}
	*ret_next = from + n < len ? (int64_t)(from + n) : -1;
	return page;
}

/* The page of `whole`, with the room that the other members leave. */
static void put_page(const struct profile *profile, const struct tool_call *call, json_t *result,
		     const json_t *whole)
{
	size_t max = RESULT_MAX - size_of(result) - 64;
	json_t *page = json_null(); /* there is none */
	int64_t next = -1;

	if (json_is_array(whole))
		page = page_list(profile, whole, call->offset, max, &next);
	else if (json_is_string(whole))
		page = page_text(whole, call->offset, max, &next);
	json_object_set_new(result, call->paged, page);
	json_object_set_new(result, "next_offset", next < 0 ? json_null() : json_integer(next));
}

/* --- long texts --- */

/*
 * How many bytes a piece of text stood for: each that was none of a character became a U+FFFD.
 * Less, if the text had such characters itself: then the rest begins with what was shown already.
 */
static int64_t raw_bytes(const char *p, size_t len)
{
	static const char replacement[] = "\xEF\xBF\xBD";
	int64_t n = (int64_t)len;

	for (const char *at = p; (at = memmem(at, len - (size_t)(at - p), replacement, 3)); at += 3)
		n -= 2;
	return n;
}

/* What stays of a text when its middle goes. */
struct ends {
	size_t head, tail; /* where the one ends and the other begins */
	int64_t from;      /* the bytes before the middle */
	int64_t cut;       /* and those in it */
};

static struct ends ends_of(const json_t *text, size_t max, int64_t total)
{
	const char *p = json_string_value(text);
	size_t len = json_string_length(text);
	struct ends ends = {.head = boundary(p, max / 2), .tail = boundary(p, len - max / 2)};

	ends.from = raw_bytes(p, ends.head);
	if (total < 0)
		total = raw_bytes(p, len);
	ends.cut = total - ends.from - raw_bytes(p + ends.tail, len - ends.tail);
	return ends;
}

static json_t *cut_text(const json_t *text, const struct ends *ends, const char *rest)
{
	const char *p = json_string_value(text);
	AUTO_FREE char *shown =
		mem_printf("%.*s\n[... %lld bytes are left out%s ...]\n%s", (int)ends->head, p,
			   (long long)ends->cut, rest, p + ends->tail);

	return json_string(shown);
}

/* How the middle of a text of `object`, which is in `around` or is it, can be seen. */
static char *way_to_rest(const struct profile *profile, const json_t *object, const json_t *around,
			 int64_t from)
{
	const char *id = json_string_value(json_object_get(around, "workspace_id"));
	const json_t *sequence = json_object_get(object, "sequence");
	AUTO_FREE char *command = NULL;

	if (json_object_get(object, "tail_lines"))
		return mem_strdup("; fewer tail_lines show the end as a whole");
	if (!id || !json_is_integer(sequence))
		return mem_strdup("");
	command = mem_printf(": pyro workspace logs %s --sequence %lld --offset %lld shows them",
			     id, (long long)json_integer_value(sequence), (long long)from);
	return words_for_tools(profile, command);
}

/* stdout: stdout_bytes, or -1. */
static int64_t total_of(const json_t *object, const char *name)
{
	AUTO_FREE char *bytes = mem_printf("%s_bytes", name);
	const json_t *total = json_object_get(object, bytes);

	return json_is_integer(total) ? json_integer_value(total) : -1;
}

/* Whether the call bounded the text itself, so that it has to stay as it is. */
static bool is_bounded(const struct tool_call *call, const char *name)
{
	return strcmp(name, "content") == 0 || strcmp(name, "output") == 0 ||
	       (call->op == &ops_rows[OP_logs_workspace] &&
		json_object_get(call->arguments, "sequence"));
}

/* Brings a text to about max bytes. `around` is the result, or the object itself. */
static void shorten(const struct profile *profile, json_t *object, const json_t *around,
		    const char *name, size_t max)
{
	const json_t *text = json_object_get(object, name);
	struct ends ends = ends_of(text, max, total_of(object, name));
	AUTO_FREE char *rest = way_to_rest(profile, object, around, ends.from);
	AUTO_FREE char *truncated = mem_printf("%s_truncated", name);

	json_object_set_new(object, name, cut_text(text, &ends, rest));
	if (json_object_get(object, truncated))
		json_object_set_new(object, truncated, json_true());
}

/* Cuts the texts of an object that are longer than max, and those of its lists. */
static void cut_texts(const struct profile *profile, const struct tool_call *call, json_t *object,
		      const json_t *parent, size_t max)
{
	const char *name;
	json_t *value, *entry;
	void *next;
	size_t i;

	json_object_foreach_safe(object, next, name, value)
	{
		json_array_foreach(value, i, entry)
		{
			if (json_is_object(entry))
				cut_texts(profile, call, entry, object, ENTRY_MAX);
		}
		if (json_is_object(value))
			cut_texts(profile, call, value, object, max);
		if (json_string_length(value) <= max || is_bounded(call, name))
			continue;
		shorten(profile, object, parent ? parent : object, name, max);
	}
}

/* --- what is too long still --- */

/* The object that a member is, or the only one in a list. */
static json_t *object_in(json_t *value)
{
	json_t *only = json_array_size(value) == 1 ? json_array_get(value, 0) : value;

	return json_is_object(only) ? only : NULL;
}

/* The member, also of objects within, that takes most room. */
static json_t *find_longest(json_t *object, json_t **ret_in, const char **ret_name)
{
	json_t *longest = NULL, *value;
	const char *name;

	json_object_foreach(object, name, value)
	{
		json_t *in = object, *found = value;
		const char *found_name = name;

		if (object_in(value))
			found = find_longest(object_in(value), &in, &found_name);
		if (!json_array_size(found) && json_string_length(found) <= 128)
			continue;
		if (longest && size_of(found) <= size_of(longest))
			continue;
		longest = found;
		*ret_in = in;
		*ret_name = found_name;
	}
	return longest;
}

/* Of a history the latest entries stay. */
static void halve_list(json_t *result, json_t *list, const char *name)
{
	json_t *omitted = json_object_get(result, "omitted");
	size_t n = (json_array_size(list) + 1) / 2;

	if (!omitted) {
		omitted = json_object();
		json_object_set_new(result, "omitted", omitted);
	}
	for (size_t i = 0; i < n; i++)
		(void)json_array_remove(list, json_object_get(json_array_get(list, 0), "sequence")
						      ? 0
						      : json_array_size(list) - 1);
	json_object_set_new(omitted, name,
			    json_integer(json_integer_value(json_object_get(omitted, name)) +
					 (json_int_t)n));
}

static void halve_longest(const struct profile *profile, json_t *result, size_t max)
{
	size_t size = size_of(result), before = SIZE_MAX;
	json_t *in = NULL, *longest;
	const char *name = NULL;

	/* What says that something is missing may be longer than that. */
	while (size > max && size < before && (longest = find_longest(result, &in, &name))) {
		if (json_is_array(longest))
			halve_list(result, longest, name);
		else
			shorten(profile, in, result, name, json_string_length(longest) / 2);
		before = size;
		size = size_of(result);
	}
}

static json_t *make_page(const struct profile *profile, const struct tool_call *call,
			 json_t *result)
{
	json_t *whole = json_incref(json_object_get(result, call->paged));

	json_object_set_new(result, call->paged, json_null()); /* its place */
	cut_texts(profile, call, result, NULL, TEXT_MAX);
	halve_longest(profile, result, call->offset ? BESIDE_MAX : BESIDE_FIRST_MAX);
	put_page(profile, call, result, whole);
	json_decref(whole);
	return result;
}

/* A text of the result that names commands names tools. */
static void name_tools(const struct profile *profile, json_t *result, const char *member)
{
	const char *text = json_string_value(json_object_get(result, member));

	if (text) {
		AUTO_FREE char *named = words_for_tools(profile, text);

		json_object_set_new(result, member, json_string(named));
	}
}

/* After the end of a command there is no step; but what a timeout cut short can be run again. */
static void explain_timeout(json_t *result)
{
	if (json_is_null(json_object_get(result, "next_step")) &&
	    json_is_true(json_object_get(result, "timed_out")))
		json_object_set_new(result, "next_step",
				    json_string("it was killed at its timeout; run it again with "
						"a longer timeout_seconds to let it go on"));
}

json_t *result_make(const struct profile *profile, struct tool_call *call, const void *record)
{
	json_t *result = values_encode(call->op->ret, record);

	name_tools(profile, result, "next_step");
	name_tools(profile, result, "warning");
	explain_timeout(result);
	if (call->paged)
		return make_page(profile, call, result);
	cut_texts(profile, call, result, NULL, TEXT_MAX);
	if (size_of(result) > RESULT_MAX && tool_call_shrink(call)) {
		json_decref(result);
		return NULL;
	}
	halve_longest(profile, result, RESULT_MAX);
	return result;
}
