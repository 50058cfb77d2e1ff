#include "term/repaint.h"

#include "base/buf.h"
#include "term/screen.h"
#include "term/text.h"

#include <string.h>

#define CSI "\x1b["
/* Soft reset; main screen, no wrapping, no cursor, the whole screen scrolls, default pen. */
#define PREPARE CSI "!p" CSI "?1049l" CSI "?6l" CSI "?7l" CSI "?25l" CSI "4l" CSI "r" CSI "m"
#define CLEAR CSI "H" CSI "2J"

/* In a sequence of its own: terminals give up one of more than 16 parameters. */
static void put_color(const struct screen_color *c, int base, struct buf *out)
{
	if (c->kind == SCREEN_INDEXED && c->v[0] < 8)
		buf_printf(out, CSI "%dm", base + c->v[0]);
	else if (c->kind == SCREEN_INDEXED && c->v[0] < 16)
		buf_printf(out, CSI "%dm", base + 60 + c->v[0] - 8);
	else if (c->kind == SCREEN_INDEXED)
		buf_printf(out, CSI "%d;5;%dm", base + 8, c->v[0]);
	else if (c->kind == SCREEN_RGB)
		buf_printf(out, CSI "%d;2;%d;%d;%dm", base + 8, c->v[0], c->v[1], c->v[2]);
}

static void put_pen(const struct screen_pen *pen, struct buf *out)
{
	static const char *const underlines[] = {"", ";4", ";21", ";4:3"};

	buf_puts(out, CSI "0");
	buf_puts(out, pen->bold ? ";1" : "");
	buf_puts(out, pen->italic ? ";3" : "");
	buf_puts(out, underlines[pen->underline]);
	buf_puts(out, pen->blink ? ";5" : "");
	buf_puts(out, pen->reverse ? ";7" : "");
	buf_puts(out, pen->strike ? ";9" : "");
	if (pen->font)
		buf_printf(out, ";%d", 10 + pen->font);
	buf_puts(out, "m");
	put_color(&pen->fg, 30, out);
	put_color(&pen->bg, 40, out);
}

static void put_row(const struct screen_row *row, struct screen_pen *pen, struct buf *out)
{
	for (int col = 0; col < row->used; col++) {
		const struct screen_cell *cell = &row->cells[col];

		if (memcmp(&cell->pen, pen, sizeof(*pen)) != 0) {
			*pen = cell->pen;
			put_pen(pen, out);
		}
		text_cell(cell, out);
	}
}

static void put_cursor(VTermPos pos, struct buf *out)
{
	buf_printf(out, CSI "%d;%dH", pos.row + 1, pos.col + 1);
}

/* The terminal is cleared, its pen the default one; so it is afterwards. */
static void put_screen(const struct screen *s, const struct screen_row *rows, struct buf *out)
{
	struct screen_pen pen = {0};

	for (int row = 0; row < s->rows; row++) {
		if (!rows[row].used)
			continue;
		put_cursor((VTermPos){row, 0}, out);
		put_row(&rows[row], &pen, out);
	}
	buf_puts(out, CSI "m");
}

static void put_modes(const struct screen_keys *keys, bool is_reverse, struct buf *out)
{
	buf_puts(out, keys->has_cursor_keys ? CSI "?1h" : CSI "?1l");
	buf_puts(out, keys->has_keypad ? "\x1b=" : "\x1b>");
	buf_puts(out, keys->brackets_paste ? CSI "?2004h" : CSI "?2004l");
	buf_puts(out, is_reverse ? CSI "?5h" : CSI "?5l");
	buf_puts(out, CSI "?7h");
}

void repaint(struct screen *s, struct buf *out)
{
	bool is_alt = s->now == s->alt;
	struct screen_keys keys = screen_keys(s);

	buf_puts(out, PREPARE CLEAR);
	put_screen(s, s->main, out);
	if (is_alt) {
		put_cursor(s->main_cursor, out);
		buf_puts(out, CSI "?1049h" CLEAR);
		put_screen(s, s->alt, out);
	}
	put_modes(&keys, s->is_reverse, out);
	put_pen(&s->pen, out);
	put_cursor(s->cursor, out);
	if (!s->is_cursor_hidden)
		buf_puts(out, CSI "?25h");
}
