#include "patch/hunk.h"

#include "base/buf.h"
#include "base/err.h"
#include "patch/parse.h"

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#define SHOWN_MAX 60
/* Comparisons of lines that one file may cost: a patch can be made to match almost everywhere. */
#define WORK_MAX 200000000

struct text {
	const char *const *lines; /* n + 1 beginnings: the last one is the end */
	size_t n;
	size_t work; /* comparisons so far */
};

static const char **split(const char *data, size_t len, size_t *ret_n)
{
	const char *end = data + len, **lines, *at;
	size_t n = 0;

	for (at = data; at < end; n++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		at = newline ? newline + 1 : end;
	}
	lines = mem_zalloc(n + 1, sizeof(*lines));
	*ret_n = n;
	n = 0;
	for (at = data; at < end; n++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		lines[n] = at;
		at = newline ? newline + 1 : end;
	}
	lines[n] = end;
	return lines;
}

static bool is_line(const struct text *t, size_t number, const struct parse_line *line)
{
	return number < t->n && (size_t)(t->lines[number + 1] - t->lines[number]) == line->len &&
	       memcmp(t->lines[number], line->text, line->len) == 0;
}

/* The first of the hunk's lines that is not where it should be; NULL: they all are. */
static const struct parse_line *find_odd_line(struct text *t, const struct parse_hunk *hunk,
					      size_t at, size_t *ret_number)
{
	size_t number = at;

	for (size_t i = 0; i < hunk->n_lines; i++) {
		const struct parse_line *line = &hunk->lines[i];

		if (line->kind == '+')
			continue;
		t->work++;
		*ret_number = number;
		if (!is_line(t, number++, line))
			return line;
	}
	return NULL;
}

static bool is_at_begin(const struct parse_hunk *hunk)
{
	return hunk->old_start <= 1;
}

static bool fits(struct text *t, const struct parse_hunk *hunk, size_t at)
{
	size_t number;

	if (at + hunk->old_count > t->n || (is_at_begin(hunk) && at != 0) ||
	    (!hunk->trailing && at + hunk->old_count != t->n))
		return false;
	return !find_odd_line(t, hunk, at, &number);
}

/* The nearest place that fits, from `first` on; the later one of two that are as near. */
static bool find_place(struct text *t, const struct parse_hunk *hunk, size_t first, size_t wanted,
		       size_t *ret)
{
	wanted = wanted < t->n ? wanted : t->n;
	for (size_t away = 0; away <= t->n && t->work < WORK_MAX; away++) {
		if (wanted + away >= first && fits(t, hunk, wanted + away))
			return *ret = wanted + away, true;
		if (away <= wanted && wanted - away >= first && fits(t, hunk, wanted - away))
			return *ret = wanted - away, true;
	}
	return false;
}

/* The beginning of a line, for an error. Owned by the caller. */
static char *show(const char *text, size_t len)
{
	bool has_newline = len && text[len - 1] == '\n';
	size_t shown = has_newline ? len - 1 : len;
	bool is_long = shown > SHOWN_MAX;
	AUTO_BUF struct buf out = BUF_INIT(4 * SHOWN_MAX);

	/* Whoever wrote spaces for tabs must see it. */
	for (size_t i = 0; i < (is_long ? SHOWN_MAX : shown); i++) {
		if (text[i] == '\t')
			buf_puts(&out, "\\t");
		else
			buf_append(&out, &text[i], 1);
	}
	return mem_printf("'%s%s'%s", buf_text(&out), is_long ? "..." : "",
			  has_newline ? "" : " without a newline");
}

static int err_hunk(struct pyro_error *err, const char *path, const struct parse_file *section,
		    const struct parse_hunk *hunk, const char *why)
{
	(void)err_set(err, PYRO_E_INVALID,
		      "patch does not apply: '%s' hunk %zu (line %zu of the patch): %s", path,
		      (size_t)(hunk - section->hunks) + 1, hunk->line, why);
	return err_hint(err, "read the file as it is now, and make the patch from that");
}

/* Why it does not fit where it should. Owned by the caller. */
static char *explain(struct text *t, const struct parse_hunk *hunk, size_t wanted)
{
	size_t number;
	const struct parse_line *line = find_odd_line(t, hunk, wanted, &number);
	AUTO_FREE char *expected = line ? show(line->text, line->len) : NULL;
	AUTO_FREE char *found = NULL;

	if (!line)
		return mem_printf("without context at its end it only fits at the end of the file, "
				  "which has %zu lines",
				  t->n);
	if (number >= t->n)
		return mem_printf("the file has %zu lines, the patch expects line %zu to be %s",
				  t->n, number + 1, expected);
	found = show(t->lines[number], (size_t)(t->lines[number + 1] - t->lines[number]));
	return mem_printf("line %zu is %s, the patch expects %s", number + 1, found, expected);
}

static void append_lines(const struct text *t, size_t from, size_t to, struct buf *out)
{
	if (from < to)
		buf_append(out, t->lines[from], (size_t)(t->lines[to] - t->lines[from]));
}

static void append_new(const struct parse_hunk *hunk, struct buf *out)
{
	for (size_t i = 0; i < hunk->n_lines; i++)
		if (hunk->lines[i].kind != '-')
			buf_append(out, hunk->lines[i].text, hunk->lines[i].len);
}

int hunk_apply(const struct parse_file *section, const char *path, const char *data, size_t len,
	       struct buf *out, struct pyro_error *err)
{
	size_t n, done = 0, at = 0;
	AUTO_FREE const char **lines = split(data, len, &n);
	struct text t = {.lines = lines, .n = n};
	ssize_t moved = 0;

	for (size_t i = 0; i < section->n_hunks; i++) {
		const struct parse_hunk *hunk = &section->hunks[i];
		/* Without old lines it stands behind the line that it states. */
		ssize_t stated = (ssize_t)hunk->old_start - (hunk->old_count ? 1 : 0);
		size_t wanted = stated + moved < 0 ? 0 : (size_t)(stated + moved);

		if (!find_place(&t, hunk, done, wanted, &at)) {
			AUTO_FREE char *why =
				t.work < WORK_MAX ? explain(&t, hunk, wanted)
						  : mem_strdup("finding its place takes too long");

			return err_hunk(err, path, section, hunk, why);
		}
		moved = (ssize_t)at - stated;
		append_lines(&t, done, at, out);
		append_new(hunk, out);
		done = at + hunk->old_count;
	}
	append_lines(&t, done, t.n, out);
	return 0;
}
