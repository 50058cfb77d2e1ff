/*
 * The output of a terminal. First byte: columns; second: rows; third: how many bytes are context.
 * The screen repainted must be the screen, and the text must be text.
 */
#include "base/buf.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "term/input.h"
#include "term/repaint.h"
#include "term/screen.h"
#include "term/text.h"

#include <assert.h>
#include <string.h>

#define SIZE_MAX_BYTES 65536

static void check_same_rows(const struct screen_row *a, const struct screen_row *b, int cols,
			    int rows)
{
	for (int row = 0; row < rows; row++)
		for (int col = 0; col < cols; col++) {
			const struct screen_cell *x = screen_cell(&a[row], col);
			const struct screen_cell *y = screen_cell(&b[row], col);

			assert(screen_is_blank(x) == screen_is_blank(y));
			assert(screen_is_blank(x) ||
			       memcmp(x->chars, y->chars, sizeof(x->chars)) == 0);
			assert(memcmp(&x->pen, &y->pen, sizeof(x->pen)) == 0);
		}
}

static void check_repaint(struct screen *s)
{
	struct buf out = BUF_INIT((size_t)64 << 20);
	struct screen *copy = screen_new(s->cols, s->rows);

	repaint(s, &out);
	assert(!out.is_full && utf8_is_valid(out.data, out.len));
	screen_feed(copy, out.data, out.len);
	assert((s->now == s->alt) == (copy->now == copy->alt));
	check_same_rows(s->main, copy->main, s->cols, s->rows);
	if (s->now == s->alt)
		check_same_rows(s->alt, copy->alt, s->cols, s->rows);
	assert(s->cursor.row == copy->cursor.row && s->cursor.col == copy->cursor.col);
	assert(s->is_cursor_hidden == copy->is_cursor_hidden);
	(void)screen_free(copy);
	buf_done(&out);
}

static void check_text(const char *text, size_t len)
{
	assert(utf8_is_valid(text, len));
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		assert((c >= 0x20 && c != 0x7f) || c == '\n');
		assert(c != 0xC2 || (unsigned char)text[i + 1] >= 0xA0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct buf clean = BUF_INIT(SIZE_MAX_BYTES * INPUT_GROWTH), out = BUF_INIT(TEXT_MAX);
	struct screen *s;
	size_t context;

	if (size < 3 || size > SIZE_MAX_BYTES)
		return 0;
	s = screen_new(bytes[0] % 100 + 1, bytes[1] % 50 + 1);
	context = input_clean((const char *)bytes + 3, size - 3, bytes[2] % (size - 2), &clean);
	if (text_render(s, buf_text(&clean), clean.len, context, &out, NULL) == 0)
		check_text(buf_text(&out), out.len);
	check_repaint(s);
	(void)screen_free(s);
	buf_done(&out);
	buf_done(&clean);
	return 0;
}
