/*
 * Wrapped lines: libvterm wraps within one call and tells nobody. But it calls back for every
 * character it puts and for every other movement of the cursor. So a character in column 0 is the
 * continuation of the row above if the character before it ended where this one did not fit any
 * more, and nothing has moved the cursor since. The mark is on the upper row and is lost when its
 * last column, or the beginning of the lower row, is erased or moved.
 *
 * Ways in which version 0.1.4 can be hurt are kept from it. C1 controls that are encoded as UTF-8
 * would move its cursor to the left of the screen; many parameters or some control strings make it
 * use memory that is not its own: input_clean() lets none through. REP repeats a character of no
 * width for ever: screen_feed() leaves it out then. A long run of text overflows the stack: it is
 * fed in parts.
 */
#include "term/screen.h"

#include "base/buf.h"
#include "term/input.h"

#include <stdlib.h>
#include <string.h>

#define CAN "\x18" /* ends a sequence without effect */
#define FEED_MAX 4096
#define NO_CHARACTER 0xFFFD

static int clamp(int v, int low, int high)
{
	return v < low ? low : v > high ? high : v;
}

const struct screen_cell *screen_cell(const struct screen_row *row, int col)
{
	static const struct screen_cell blank;

	return col < row->used ? &row->cells[col] : &blank;
}

bool screen_is_blank(const struct screen_cell *cell)
{
	return cell->chars[0] == 0 || (cell->chars[0] == ' ' && cell->chars[1] == 0);
}

int screen_column(const struct screen *s)
{
	return s->is_running ? s->next.col : s->cursor.col;
}

/*
 * Changing cells.
 */

/* From then on the cells before col may be written one by one. */
static void use(struct screen_row *row, int col)
{
	if (col <= row->used)
		return;
	memset(row->cells + row->used, 0, (size_t)(col - row->used) * sizeof(*row->cells));
	row->used = col;
}

/* If the border before col goes through a wide character, nothing of it stays. */
static void split(struct screen_row *row, int col)
{
	if (col > 0 && col < row->used && row->cells[col].chars[0] == SCREEN_TAIL) {
		memset(row->cells[col - 1].chars, 0, sizeof(row->cells->chars));
		memset(row->cells[col].chars, 0, sizeof(row->cells->chars));
	}
}

static void erase_row(struct screen *s, struct screen_row *row, int from, int to)
{
	const struct screen_cell blank = {.pen.bg = s->pen.bg};

	split(row, from);
	split(row, to);
	if (to >= row->used && blank.pen.bg.kind == SCREEN_DEFAULT) {
		row->used = from < row->used ? from : row->used;
		return;
	}
	use(row, to);
	for (int col = from; col < to; col++)
		row->cells[col] = blank;
}

/* The columns from..to of the row are another's now. */
static void unwrap(struct screen *s, int row, int from, int to)
{
	if (to == s->cols)
		s->now[row].wraps = false;
	if (from == 0 && row > 0)
		s->now[row - 1].wraps = false;
}

static VTermRect clip(const struct screen *s, VTermRect r)
{
	return (VTermRect){clamp(r.start_row, 0, s->rows), clamp(r.end_row, 0, s->rows),
			   clamp(r.start_col, 0, s->cols), clamp(r.end_col, 0, s->cols)};
}

static int on_erase(VTermRect given, int selective, void *user)
{
	struct screen *s = user;
	VTermRect r = clip(s, given);

	(void)selective;
	if (r.start_col >= r.end_col)
		return 1;
	for (int row = r.start_row; row < r.end_row; row++) {
		erase_row(s, &s->now[row], r.start_col, r.end_col);
		unwrap(s, row, r.start_col, r.end_col);
	}
	return 1;
}

static void copy_chars(uint32_t *to, const uint32_t *from)
{
	size_t n = 0;

	for (; n < SCREEN_CHARS_MAX && from[n]; n++) {
		bool is_control = from[n] < 0x20 || (from[n] >= 0x7f && from[n] < 0xa0);

		to[n] = is_control ? NO_CHARACTER : from[n];
	}
	memset(to + n, 0, (SCREEN_CHARS_MAX - n) * sizeof(*to));
}

static void note_wrap(struct screen *s, VTermPos pos, int width)
{
	if (pos.col == 0 && pos.row > 0 && s->is_running && s->next.row == pos.row - 1 &&
	    s->next.col > 0 && s->next.col + width > s->cols)
		s->now[pos.row - 1].wraps = true;
}

static int on_put(VTermGlyphInfo *info, VTermPos pos, void *user)
{
	static const uint32_t not_shown[] = {NO_CHARACTER, 0};
	struct screen *s = user;
	struct screen_row *row;
	int end = pos.col + info->width;

	if (info->width <= 0)
		s->has_lone_mark = true;
	if (info->width <= 0 || pos.row < 0 || pos.row >= s->rows || pos.col < 0 ||
	    pos.col >= s->cols)
		return 1;
	if (end > s->cols) { /* a wide one on a screen of one column */
		info->chars = not_shown;
		end = s->cols;
	}
	row = &s->now[pos.row];
	split(row, pos.col);
	split(row, end);
	use(row, end);
	copy_chars(row->cells[pos.col].chars, info->chars);
	row->cells[pos.col].pen = s->pen;
	for (int col = pos.col + 1; col < end; col++)
		row->cells[col] = (struct screen_cell){{SCREEN_TAIL}, s->pen};
	if (end == s->cols)
		row->wraps = false;
	note_wrap(s, pos, info->width);
	s->next = (VTermPos){pos.row, end};
	s->is_running = true;
	return 1;
}

static int on_move(VTermRect dest, VTermRect src, void *user)
{
	struct screen *s = user;
	int rows, cols, step;

	dest = clip(s, dest);
	src = clip(s, src);
	rows = dest.end_row - dest.start_row;
	cols = dest.end_col - dest.start_col;
	if (rows != src.end_row - src.start_row || cols != src.end_col - src.start_col)
		return 1;
	step = dest.start_row > src.start_row ? -1 : 1;
	for (int i = step > 0 ? 0 : rows - 1; i >= 0 && i < rows; i += step) {
		struct screen_row *to = &s->now[dest.start_row + i];
		struct screen_row *from = &s->now[src.start_row + i];

		use(from, s->cols);
		use(to, s->cols);
		split(from, src.start_col);
		split(from, src.end_col);
		split(to, dest.start_col);
		split(to, dest.end_col);
		memmove(to->cells + dest.start_col, from->cells + src.start_col,
			(size_t)cols * sizeof(*to->cells));
		unwrap(s, dest.start_row + i, dest.start_col, dest.end_col);
	}
	return 1;
}

/* Rows start..end go up by n, which is less than 0 for down. */
static void roll(struct screen *s, int start, int end, int n)
{
	struct screen_row *rows = s->now + start, spare[SCREEN_SIDE_MAX];
	size_t height = (size_t)(end - start), lost = (size_t)abs(n), kept = height - lost;
	struct screen_row *from = n > 0 ? rows : rows + kept;
	struct screen_row *to = n > 0 ? rows + kept : rows;

	memcpy(spare, from, lost * sizeof(*rows));
	memmove(n > 0 ? rows : rows + lost, n > 0 ? rows + lost : rows, kept * sizeof(*rows));
	memcpy(to, spare, lost * sizeof(*rows));
	for (size_t i = 0; i < lost; i++) {
		to[i].wraps = false;
		to[i].mark = 0;
		erase_row(s, &to[i], 0, s->cols);
	}
	if (start > 0)
		s->now[start - 1].wraps = false;
	if (n > 0 && kept)
		rows[kept - 1].wraps = false;
	rows[height - 1].wraps = false;
}

static int on_scroll(VTermRect given, int downward, int rightward, void *user)
{
	struct screen *s = user;
	VTermRect r = clip(s, given);
	int n = clamp(downward, r.start_row - r.end_row, r.end_row - r.start_row);

	if (rightward || r.start_col > 0 || r.end_col < s->cols || r.start_row >= r.end_row || !n)
		return 0; /* libvterm does it by on_move and on_erase */
	if (n > 0 && r.start_row == 0 && s->now == s->main && s->on_gone)
		for (int row = 0; row < n; row++)
			s->on_gone(s->ctx, &s->main[row]);
	roll(s, r.start_row, r.end_row, n);
	if (s->next.row >= r.start_row && s->next.row < r.end_row) {
		s->next.row -= n;
		s->is_running &= s->next.row >= r.start_row && s->next.row < r.end_row;
	}
	return 1;
}

static int on_cursor(VTermPos pos, VTermPos old, int is_visible, void *user)
{
	struct screen *s = user;
	int col = clamp(pos.col, 0, s->cols - 1);

	(void)old;
	(void)is_visible;
	s->cursor = (VTermPos){clamp(pos.row, 0, s->rows - 1), col};
	if (s->cursor.row != s->next.row || clamp(s->next.col, 0, s->cols - 1) != col)
		s->is_running = false;
	return 1;
}

/*
 * Attributes and properties.
 */

static struct screen_color color_of(const VTermColor *c)
{
	if (VTERM_COLOR_IS_DEFAULT_FG(c) || VTERM_COLOR_IS_DEFAULT_BG(c))
		return (struct screen_color){SCREEN_DEFAULT, {0}};
	if (VTERM_COLOR_IS_INDEXED(c))
		return (struct screen_color){SCREEN_INDEXED, {c->indexed.idx}};
	return (struct screen_color){SCREEN_RGB, {c->rgb.red, c->rgb.green, c->rgb.blue}};
}

static int on_attribute(VTermAttr attr, VTermValue *val, void *user)
{
	struct screen_pen *pen = &((struct screen *)user)->pen;

	switch (attr) {
	case VTERM_ATTR_BOLD:
		pen->bold = val->boolean != 0;
		break;
	case VTERM_ATTR_UNDERLINE:
		pen->underline = (uint8_t)clamp(val->number, 0, 3);
		break;
	case VTERM_ATTR_ITALIC:
		pen->italic = val->boolean != 0;
		break;
	case VTERM_ATTR_BLINK:
		pen->blink = val->boolean != 0;
		break;
	case VTERM_ATTR_REVERSE:
		pen->reverse = val->boolean != 0;
		break;
	case VTERM_ATTR_STRIKE:
		pen->strike = val->boolean != 0;
		break;
	case VTERM_ATTR_FONT:
		pen->font = (uint8_t)clamp(val->number, 0, 9);
		break;
	case VTERM_ATTR_FOREGROUND:
		pen->fg = color_of(&val->color);
		break;
	case VTERM_ATTR_BACKGROUND:
		pen->bg = color_of(&val->color);
		break;
	default:
		return 0;
	}
	return 1;
}

static void show_alt(struct screen *s, bool is_alt)
{
	if (is_alt && s->now == s->main)
		s->main_cursor = s->cursor;
	s->now = is_alt ? s->alt : s->main;
	s->is_running = false;
}

static int on_property(VTermProp prop, VTermValue *val, void *user)
{
	struct screen *s = user;

	switch (prop) {
	case VTERM_PROP_ALTSCREEN:
		show_alt(s, val->boolean);
		break;
	case VTERM_PROP_CURSORVISIBLE:
		s->is_cursor_hidden = !val->boolean;
		break;
	case VTERM_PROP_REVERSE:
		s->is_reverse = val->boolean;
		break;
	default:
		break;
	}
	return 1;
}

/*
 * Making and feeding.
 */

/* Answers to what the output asks for go nowhere. */
static void ignore_output(const char *data, size_t len, void *user)
{
	(void)data;
	(void)len;
	(void)user;
}

static void *allocate(size_t size, void *user)
{
	(void)user;
	return mem_zalloc(1, size);
}

static void release(void *p, void *user)
{
	(void)user;
	free(p);
}

static struct screen_row *new_rows(int cols, int rows)
{
	struct screen_row *v = mem_zalloc((size_t)rows, sizeof(*v));

	for (int i = 0; i < rows; i++)
		v[i].cells = mem_zalloc((size_t)cols, sizeof(*v->cells));
	return v;
}

struct screen *screen_new(int cols, int rows)
{
	static VTermAllocatorFunctions functions = {allocate, release};
	static const VTermStateCallbacks callbacks = {
		.putglyph = on_put,
		.movecursor = on_cursor,
		.scrollrect = on_scroll,
		.moverect = on_move,
		.erase = on_erase,
		.setpenattr = on_attribute,
		.settermprop = on_property,
	};
	struct screen *s = mem_zalloc(1, sizeof(*s));

	s->cols = cols;
	s->rows = rows;
	s->main = s->now = new_rows(cols, rows);
	s->alt = new_rows(cols, rows);
	s->vt = vterm_new_with_allocator(rows, cols, &functions, NULL);
	vterm_set_utf8(s->vt, 1);
	vterm_output_set_callback(s->vt, ignore_output, NULL);
	vterm_state_set_callbacks(vterm_obtain_state(s->vt), &callbacks, s);
	vterm_state_reset(vterm_obtain_state(s->vt), 1);
	/* REP is possible from now on. */
	screen_feed(s, " \r\x1b[K", 5);
	return s;
}

static void free_rows(struct screen_row *v, int rows)
{
	for (int i = 0; i < rows; i++)
		free(v[i].cells);
	free(v);
}

struct screen *screen_free(struct screen *s)
{
	if (s) {
		vterm_free(s->vt);
		free_rows(s->main, s->rows);
		free_rows(s->alt, s->rows);
		free(s);
	}
	return NULL;
}

static void feed(struct screen *s, const char *data, size_t len)
{
	while (len) {
		size_t n = len < FEED_MAX ? len : FEED_MAX;

		while (n < len && ((unsigned char)data[n] & 0xC0) == 0x80)
			n--;
		vterm_input_write(s->vt, data, n);
		data += n;
		len -= n;
	}
}

void screen_feed(struct screen *s, const char *data, size_t len)
{
	size_t fed = 0, at = 0;
	const char *found;

	while ((found = memchr(data + at, 'b', len - at))) {
		at = (size_t)(found - data);
		if (input_is_repeat(data, at)) {
			feed(s, data + fed, at - fed);
			feed(s, s->has_lone_mark ? CAN : "b", 1);
			fed = at + 1;
		}
		at++;
	}
	feed(s, data + fed, len - fed);
}

/*
 * The keyboard's modes show in what libvterm would send for a key.
 */

struct sent {
	char text[32];
	size_t len;
};

static void take_output(const char *data, size_t len, void *user)
{
	struct sent *sent = user;

	for (size_t i = 0; i < len && sent->len + 1 < sizeof(sent->text); i++)
		sent->text[sent->len++] = data[i];
}

struct screen_keys screen_keys(struct screen *s)
{
	struct sent up = {{0}, 0}, keypad = {{0}, 0}, paste = {{0}, 0};

	vterm_output_set_callback(s->vt, take_output, &up);
	vterm_keyboard_key(s->vt, VTERM_KEY_UP, VTERM_MOD_NONE);
	vterm_output_set_callback(s->vt, take_output, &keypad);
	vterm_keyboard_key(s->vt, VTERM_KEY_KP_0, VTERM_MOD_NONE);
	vterm_output_set_callback(s->vt, take_output, &paste);
	vterm_keyboard_start_paste(s->vt);
	vterm_output_set_callback(s->vt, ignore_output, NULL);
	return (struct screen_keys){strcmp(up.text, "\x1bOA") == 0, keypad.text[0] == '\x1b',
				    paste.len > 0};
}
