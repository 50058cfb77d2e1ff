/* What a terminal shows after it was painted again, judged by libvterm's own screen. */
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "term/input.h"
#include "term/repaint.h"
#include "term/screen.h"
#include "tests/test.h"

#include <dirent.h>
#include <vterm.h>

struct judge {
	VTerm *vt;
	VTermScreen *screen;
};

static struct judge judge_of(const struct buf *raw, int cols, int rows)
{
	struct judge j = {.vt = vterm_new(rows, cols)};
	size_t n;

	vterm_set_utf8(j.vt, 1);
	j.screen = vterm_obtain_screen(j.vt);
	vterm_screen_enable_altscreen(j.screen, 1);
	vterm_screen_reset(j.screen, 1);
	for (size_t at = 0; at < raw->len; at += n) {
		n = raw->len - at < 4096 ? raw->len - at : 4096;
		vterm_input_write(j.vt, raw->data + at, n);
	}
	return j;
}

static bool is_blank(const VTermScreenCell *cell)
{
	return cell->chars[0] == 0 || cell->chars[0] == ' ' || cell->chars[0] == UINT32_MAX;
}

static bool is_same_cell(const VTermScreenCell *a, const VTermScreenCell *b)
{
	bool is_visible = !is_blank(a);

	if (is_visible == is_blank(b) || !vterm_color_is_equal(&a->bg, &b->bg))
		return false;
	return !is_visible || (memcmp(a->chars, b->chars, sizeof(a->chars)) == 0 &&
			       memcmp(&a->attrs, &b->attrs, sizeof(a->attrs)) == 0 &&
			       vterm_color_is_equal(&a->fg, &b->fg));
}

static void check_same_screen(const struct judge *a, const struct judge *b, int cols, int rows,
			      const char *name)
{
	VTermPos pos, other;

	for (pos.row = 0; pos.row < rows; pos.row++)
		for (pos.col = 0; pos.col < cols; pos.col++) {
			VTermScreenCell x = {0}, y = {0};

			vterm_screen_get_cell(a->screen, pos, &x);
			vterm_screen_get_cell(b->screen, pos, &y);
			if (!is_same_cell(&x, &y))
				test_fail(__FILE__, __LINE__, "%s: row %d, column %d: %x, %x", name,
					  pos.row, pos.col, x.chars[0], y.chars[0]);
		}
	vterm_state_get_cursorpos(vterm_obtain_state(a->vt), &pos);
	vterm_state_get_cursorpos(vterm_obtain_state(b->vt), &other);
	CHECK_INT(other.row, pos.row);
	CHECK_INT(other.col, pos.col);
}

static void check_repaint(const struct buf *clean, int cols, int rows, const char *name)
{
	struct screen *s = screen_new(cols, rows);
	struct buf out = BUF_INIT((size_t)1 << 20);
	struct judge raw = judge_of(clean, cols, rows), again;

	screen_feed(s, clean->data, clean->len);
	repaint(s, &out);
	again = judge_of(&out, cols, rows);
	check_same_screen(&raw, &again, cols, rows, name);
	vterm_free(raw.vt);
	vterm_free(again.vt);
	buf_done(&out);
	(void)screen_free(s);
}

static void check_session(const char *name)
{
	struct buf file = BUF_INIT((size_t)1 << 20), clean = BUF_INIT((size_t)4 << 20);
	char *path = mem_printf("%s/%s", SESSIONS, name), *line, *raw;
	struct pyro_error err;
	int64_t cols, rows;

	CHECK_OK(file_read(path, &file, &err), err);
	raw = strchr(file.data, '\n') + 1;
	line = file.data;
	CHECK(parse_int(strsep(&line, " "), 1, SCREEN_SIDE_MAX, &cols));
	CHECK(parse_int(strsep(&line, " "), 1, SCREEN_SIDE_MAX, &rows));
	(void)input_clean(raw, file.len - (size_t)(raw - file.data), 0, &clean);
	check_repaint(&clean, (int)cols, (int)rows, name);
	buf_done(&clean);
	buf_done(&file);
	free(path);
}

TEST("a real program's screen comes back cell by cell")
{
	DIR *dir = opendir(SESSIONS);
	struct dirent *entry;
	int n = 0;

	CHECK(dir);
	while ((entry = readdir(dir)))
		if (strstr(entry->d_name, ".raw")) {
			check_session(entry->d_name);
			n++;
		}
	CHECK(n > 20);
	(void)closedir(dir);
}

TEST("any mixture of text and sequences comes back cell by cell")
{
	static const char *const pieces[] = {
		"word",
		"x",
		"\r\n",
		"\n",
		"\b",
		"\t",
		"\x1b[1m",
		"\x1b[0m",
		"\x1b[31;44m",
		"\x1b[97m",
		"\x1b[K",
		"\x1b[1J",
		"\x1b[38;5;99m",
		"\x1b[48;2;1;2;3m",
		"\x1b[4;7m",
		"\x1b[3;9H",
		"\x1b[2P",
		"\x1b[2@",
		"\x1b[L",
		"\x1b[2M",
		"\x1b[2;5r",
		"\x1b[r",
		"\x1b[S",
		"\x1b[2T",
		"\x1b[?1049h",
		"\x1b[?1049l",
		"\x1b[?25l",
		"\x1bM",
		"e\xCC\x81",
		"\x1b[2J",
		"long line that wraps around",
		"\x1b[4h",
		"\x1b[4l",
		"\x1b[3X",
		"-\x1b[5b",
	};
	unsigned seed = 1;

	for (int round = 0; round < 2000; round++) {
		struct buf raw = BUF_INIT(64 * 1024);

		for (int i = 0; i < 60; i++) {
			seed = seed * 1103515245 + 12345;
			buf_puts(&raw, pieces[(seed >> 16) % ARRAY_SIZE(pieces)]);
		}
		/* A cursor that is about to wrap cannot be told from one that is not. */
		buf_puts(&raw, "\r");
		check_repaint(&raw, 20, 7, raw.data);
		buf_done(&raw);
	}
}
