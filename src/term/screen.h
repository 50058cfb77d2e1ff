/*
 * screen: what a terminal shows, of the bytes that were printed to it. libvterm understands the
 * bytes; the cells are kept here, because it does not tell which lines were wrapped, and to be
 *quick when lines scroll.
 *
 *	struct screen *s = screen_new(80, 24);
 *	screen_feed(s, bytes, len);
 *	screen_cell(&s->now[s->cursor.row], 0)->chars[0];
 *	s = screen_free(s);
 *
 * The bytes are anybody's. Whatever they ask for, the screen has its size, and every cell holds
 * printable characters.
 */
#ifndef TERM_SCREEN_H
#define TERM_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vterm.h>

#define SCREEN_SIDE_MAX 1000
#define SCREEN_CHARS_MAX VTERM_MAX_CHARS_PER_CELL
#define SCREEN_TAIL UINT32_MAX /* the only "character" of a wide character's right half */

enum screen_color_kind { SCREEN_DEFAULT, SCREEN_INDEXED, SCREEN_RGB };

struct screen_color {
	uint8_t kind;
	uint8_t v[3]; /* red, green, blue; an index is v[0] */
};

struct screen_pen {
	struct screen_color fg, bg;
	uint8_t bold, underline, italic, blink, reverse, strike, font;
};

/* All zero: blank, in default colours. */
struct screen_cell {
	uint32_t chars[SCREEN_CHARS_MAX]; /* the first, and what combines with it; 0 ends them */
	struct screen_pen pen;
};

struct screen_row {
	struct screen_cell *cells;
	int used;   /* the cells from here on are blank, whatever is in them */
	bool wraps; /* its last character and the first one below are of one line */
	int mark;   /* the user's, stays with the row; 0 for a new one */
};

struct screen {
	int cols, rows;
	struct screen_row *main, *alt;
	struct screen_row *now; /* main or alt */
	VTermPos cursor;
	VTermPos main_cursor; /* while alt is shown, what `cursor` was on main */
	struct screen_pen pen;
	bool is_cursor_hidden;
	bool is_reverse;
	/* Called, if set, before a row of main leaves at the top. */
	void (*on_gone)(void *ctx, const struct screen_row *row);
	void *ctx;

	/* The rest is private. */
	VTerm *vt;
	VTermPos next;   /* where the cursor is after the last character; its column may be cols */
	bool is_running; /* it has not been moved since */
	bool has_lone_mark;
};

/* Sizes from 1 to SCREEN_SIDE_MAX. */
struct screen *screen_new(int cols, int rows);
/* NULL is fine; returns NULL. */
struct screen *screen_free(struct screen *s);

/* data is what input_clean() makes; it may be fed in parts, cut between characters. */
void screen_feed(struct screen *s, const char *data, size_t len);

/* A cell of a row; never NULL for a column within the screen. */
const struct screen_cell *screen_cell(const struct screen_row *row, int col);
/* Whether the cell shows nothing: never written, or a space. */
bool screen_is_blank(const struct screen_cell *cell);
/* The column behind the cursor's last character: cols, where the next one will wrap. */
int screen_column(const struct screen *s);

/* Modes of the keyboard that decide what keys send. */
struct screen_keys {
	bool has_cursor_keys; /* DECCKM */
	bool has_keypad;      /* DECKPAM */
	bool brackets_paste;
};
struct screen_keys screen_keys(struct screen *s);

#endif
