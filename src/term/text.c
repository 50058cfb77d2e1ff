/*
 * At the end of the context a digest is taken of every row that main shows, of the cursor's row
 * only up to the cursor. A row keeps its number (its mark) when it scrolls, so whenever a row goes,
 * or at the end, it is known whether it is as it was. Nothing is written until the first one that
 * is not, or the cursor's.
 */
#include "term/text.h"

#include "base/buf.h"
#include "base/err.h"
#include "term/screen.h"

#include <stdlib.h>
#include <string.h>

struct before {
	uint64_t digest;
	int limit; /* columns in it */
};

struct text {
	struct screen *s;
	struct buf *out;
	struct before *before; /* by row; NULL while the context is read */
	int cursor_mark;
	size_t line_at; /* where in out the last line begins */
	bool is_started;
	bool is_line_over; /* another row begins a new line */
};

void text_cell(const struct screen_cell *cell, struct buf *out)
{
	char text[SCREEN_CHARS_MAX * 4];
	size_t n = 0;

	if (cell->chars[0] == SCREEN_TAIL)
		return;
	for (int i = 0; i < SCREEN_CHARS_MAX && cell->chars[i]; i++) {
		uint32_t c = cell->chars[i];

		if (c < 0x80) {
			text[n++] = (char)c;
			continue;
		}
		if (c >= 0x10000)
			text[n++] = (char)(0xF0 | c >> 18);
		if (c >= 0x800)
			text[n++] = (char)((c >= 0x10000 ? 0x80 : 0xE0) | (c >> 12 & 0x3F));
		text[n++] = (char)((c >= 0x800 ? 0x80 : 0xC0) | (c >> 6 & 0x3F));
		text[n++] = (char)(0x80 | (c & 0x3F));
	}
	if (n)
		buf_append(out, text, n);
	else
		buf_append(out, " ", 1);
}

/*
 * Rows that are as they were.
 */

/* The column behind the last cell before `limit` that shows something. */
static int content_end(const struct screen_row *row, int limit)
{
	int end = limit < row->used ? limit : row->used;

	while (end > 0 && screen_is_blank(&row->cells[end - 1]))
		end--;
	return end;
}

static uint64_t digest_of(const struct screen_row *row, int limit)
{
	uint64_t digest = 0xcbf29ce484222325; /* FNV-1a, of characters */
	int end = content_end(row, limit);

	for (int col = 0; col < end; col++) {
		const struct screen_cell *cell = &row->cells[col];

		for (int i = 0; i < SCREEN_CHARS_MAX && (i == 0 || cell->chars[i]); i++)
			digest = (digest ^ (cell->chars[i] ? cell->chars[i] : ' ')) * 0x100000001b3;
		digest *= 0x100000001b3; /* ends the cell */
	}
	return digest;
}

static void take_marks(struct text *t)
{
	struct screen *s = t->s;
	bool is_main = s->now == s->main;
	VTermPos cursor = is_main ? s->cursor : s->main_cursor;

	t->before = mem_zalloc((size_t)s->rows, sizeof(*t->before));
	t->cursor_mark = cursor.row + 1;
	for (int i = 0; i < s->rows; i++) {
		struct before *b = &t->before[i];

		b->limit = i != cursor.row ? s->cols : is_main ? screen_column(s) : cursor.col;
		b->digest = digest_of(&s->main[i], b->limit);
		s->main[i].mark = i + 1;
	}
}

static bool is_as_before(const struct text *t, const struct screen_row *row)
{
	const struct before *b = row->mark ? &t->before[row->mark - 1] : NULL;

	return b && digest_of(row, b->limit) == b->digest;
}

/* The column of the row with which the text begins; -1: it begins further down. */
static int start_in(const struct text *t, const struct screen_row *row)
{
	if (!is_as_before(t, row))
		return 0;
	return row->mark == t->cursor_mark ? t->before[row->mark - 1].limit : -1;
}

/*
 * Writing.
 */

static void end_line(struct text *t)
{
	struct buf *out = t->out;

	while (out->len > t->line_at && out->data[out->len - 1] == ' ')
		out->len--;
	t->is_line_over = true;
}

static void begin_line(struct text *t)
{
	if (t->is_line_over)
		buf_append(t->out, "\n", 1);
	t->line_at = t->out->len;
	t->is_line_over = false;
}

static void write_row(struct text *t, const struct screen_row *row, int from)
{
	int end = row->wraps ? t->s->cols : content_end(row, t->s->cols);

	/* No wide character fitted there. */
	if (row->wraps && screen_cell(row, end - 1)->chars[0] == 0)
		end--;
	if (t->is_line_over)
		begin_line(t);
	for (int col = from; col < end; col++)
		text_cell(screen_cell(row, col), t->out);
	if (!row->wraps)
		end_line(t);
}

static void row_gone(void *ctx, const struct screen_row *row)
{
	struct text *t = ctx;
	int from = t->is_started ? 0 : start_in(t, row);

	if (from < 0)
		return;
	t->is_started = true;
	write_row(t, row, from);
}

static void write_alt(struct text *t)
{
	struct screen *s = t->s;
	int rows = s->rows;

	buf_reset(t->out);
	t->line_at = 0;
	t->is_line_over = false;
	while (rows && !content_end(&s->alt[rows - 1], s->cols))
		rows--;
	for (int i = 0; i < rows; i++)
		write_row(t, &s->alt[i], 0);
	if (rows)
		begin_line(t);
}

/* The row of main with which the text goes on, or begins, and the column. */
static int first_row(const struct text *t, int *ret_col)
{
	const struct screen *s = t->s;
	int row = 0, col = t->is_started ? 0 : -1;

	while (row < s->rows && (col = t->is_started ? 0 : start_in(t, &s->main[row])) < 0)
		row++;
	if (col == 0 && !t->is_started)
		while (row > 0 && s->main[row - 1].wraps)
			row--;
	*ret_col = col;
	return row;
}

/* Whether the text need not go on to this row. */
static bool is_old(const struct text *t, const struct screen_row *row)
{
	return !content_end(row, t->s->cols) ||
	       (row->mark != t->cursor_mark && is_as_before(t, row));
}

static void write_main(struct text *t)
{
	const struct screen *s = t->s;
	int col, first = first_row(t, &col), end = s->rows;

	while (end > first && is_old(t, &s->main[end - 1]))
		end--;
	for (int i = first; i < end; i++)
		write_row(t, &s->main[i], i == first ? col : 0);
	if (!t->is_line_over)
		end_line(t);
	if (s->cursor.row >= end && (t->is_started || s->cursor.row > first))
		begin_line(t);
}

int text_render(struct screen *s, const char *data, size_t len, size_t context, struct buf *out,
		struct pyro_error *err)
{
	struct text t = {.s = s, .out = out};

	screen_feed(s, data, context);
	take_marks(&t);
	s->on_gone = row_gone;
	s->ctx = &t;
	screen_feed(s, data + context, len - context);
	s->on_gone = NULL;
	if (s->now == s->alt)
		write_alt(&t);
	else
		write_main(&t);
	free(t.before);
	return out->is_full ? err_set(err, PYRO_E_LIMIT, "the text is larger than %zu MiB",
				      out->max >> 20)
			    : 0;
}
