#include "cli/form.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

void form_coloured(struct buf *out, bool colour, const char *sequence, const char *text)
{
	buf_printf(out, "%s%s%s", colour ? sequence : "", text, colour ? FORM_PLAIN : "");
}

void form_labelled(struct buf *out, size_t width, const char *label, const char *value)
{
	size_t used = strlen(label) + 1;

	buf_printf(out, "%s:%*s%s\n", label, used < width ? (int)(width - used) : 1, "", value);
}

void form_line(struct buf *out, size_t width, const char *label, const char *value)
{
	AUTO_BUF struct buf clean = BUF_INIT(FORM_LINE_MAX);

	form_clean(&clean, value);
	form_labelled(out, width, label, buf_text(&clean));
}

void form_time(struct buf *out, double at)
{
	time_t seconds = (time_t)at;
	struct tm tm;
	char text[32];

	if (localtime_r(&seconds, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		buf_puts(out, text);
}

void form_duration(struct buf *out, double seconds)
{
	if (seconds < 100)
		buf_printf(out, "%.0f s", seconds);
	else if (seconds < 100 * 60)
		buf_printf(out, "%.0f min", seconds / 60);
	else if (seconds < 48 * 3600)
		buf_printf(out, "%.0f h", seconds / 3600);
	else
		buf_printf(out, "%.0f days", seconds / 86400);
}

void form_relative(struct buf *out, double at)
{
	double left = at - clock_wall();

	if (left > -0.5 && left < 0.5) {
		buf_puts(out, "now");
		return;
	}
	buf_puts(out, left > 0 ? "in " : "");
	form_duration(out, left > 0 ? left : -left);
	buf_puts(out, left > 0 ? "" : " ago");
}

void form_moment(struct buf *out, double at)
{
	form_relative(out, at);
	buf_puts(out, ", at ");
	form_time(out, at);
}

void form_millis(struct buf *out, double ms)
{
	buf_printf(out, ms < 1000 ? "%.0f ms" : "%.2f s", ms < 1000 ? ms : ms / 1000);
}

void form_count(struct buf *out, long long n, const char *one, const char *several)
{
	buf_printf(out, "%lld %s", n, n == 1 ? one : several);
}

void form_clean(struct buf *out, const char *text)
{
	AUTO_FREE char *copy = mem_strdup(text);

	utf8_clean_line(copy);
	buf_puts(out, copy);
}

void form_tabbed(struct buf *out, const char *text, size_t len)
{
	AUTO_FREE char *copy = mem_strndup(text, len);
	char *rest = copy, *part;

	while ((part = strsep(&rest, "\t"))) {
		form_clean(out, part);
		buf_puts(out, rest ? "\t" : "");
	}
}

void form_lines(struct buf *out, const char *prefix, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		buf_puts(out, prefix);
		form_tabbed(out, text, len);
		buf_puts(out, "\n");
		text += len + (text[len] == '\n');
	}
}

static bool needs_quotes(const char *word)
{
	return !*word || strpbrk(word, " \t\n'\"\\$&|;<>()*?[]#~`!{}");
}

void form_command(struct buf *out, char *const *command)
{
	if (command[0] && !command[1]) {
		form_clean(out, command[0]);
		return;
	}
	for (size_t i = 0; command[i]; i++) {
		AUTO_FREE char *word = mem_strdup(command[i]);
		const char *quote = needs_quotes(word) ? "'" : "";

		utf8_clean_line(word);
		buf_printf(out, "%s%s", i ? " " : "", quote);
		for (const char *c = word; *c; c++) {
			if (*c == '\'')
				buf_puts(out, "'\\'");
			buf_append(out, c, 1);
		}
		buf_puts(out, quote);
	}
}

/*
 * Tables.
 */

struct form_cell *form_cell(struct form_table *table, const char *text)
{
	struct form_cell *cell;
	AUTO_BUF struct buf clean = BUF_INIT(64 * 1024);

	if ((table->n & (table->n - 1)) == 0)
		table->cells = mem_resize(table->cells, table->n ? table->n * 2 : 1,
					  sizeof(*table->cells));
	form_clean(&clean, text);
	cell = &table->cells[table->n++];
	*cell = (struct form_cell){.text = mem_strdup(buf_text(&clean))};
	return cell;
}

/*
 * The table of characters that the C library has for any UTF-8 locale, whatever the caller's is;
 * loaded when it is needed first, and kept. (locale_t)0 where it is not installed.
 */
static locale_t utf8_locale(void)
{
	static locale_t locale;
	static bool is_loaded;

	if (!is_loaded)
		locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	is_loaded = true;
	return locale;
}

/* The cells of a terminal that one character takes: two if it is wide, none if it combines. */
static size_t cells_of(const char *text, size_t len)
{
	mbstate_t state = {0};
	wchar_t c;
	int width = 1;

	if (mbrtowc(&c, text, len, &state) == len)
		width = wcwidth(c);
	return width < 0 ? 0 : (size_t)width;
}

size_t form_width(const char *text)
{
	size_t width = 0, len = strlen(text);
	locale_t before = utf8_locale() ? uselocale(utf8_locale()) : (locale_t)0;

	while (len) {
		int n = utf8_next((const unsigned char *)text, len);

		n = n > 0 ? n : 1;
		width += cells_of(text, (size_t)n);
		text += n;
		len -= (size_t)n;
	}
	if (before)
		(void)uselocale(before);
	return width;
}

static size_t column_width(const struct form_table *table, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < table->n; i += table->columns)
		if (form_width(table->cells[i].text) > width)
			width = form_width(table->cells[i].text);
	return width;
}

void form_table_fit(struct form_table *table, size_t width, const size_t *least, size_t n)
{
	size_t needed = 0, kept = 0, dropped = 0, columns = table->columns;
	uint32_t gone = 0;

	for (size_t i = 0; i < columns; i++)
		needed += column_width(table, i) + (i ? 2 : 0);
	for (; dropped < n && needed > width; dropped++) {
		needed -= column_width(table, least[dropped]) + 2;
		gone |= 1U << least[dropped];
	}
	for (size_t i = 0, column = 0; i < table->n; i++) {
		if (gone & 1U << column)
			free(table->cells[i].text);
		else
			table->cells[kept++] = table->cells[i];
		column = column + 1 < columns ? column + 1 : 0;
	}
	table->columns -= dropped;
	table->n = kept;
}

/* What is to be left free before the next cell is written only if there is one. */
static size_t print_cell(const struct form_cell *cell, size_t width, size_t pending, bool colour,
			 struct buf *out)
{
	size_t pad = width - form_width(cell->text);

	if (!*cell->text)
		return pending + width + 2;
	buf_printf(out, "%*s", (int)(pending + (cell->is_right ? pad : 0)), "");
	form_coloured(out, colour && cell->colour, cell->colour, cell->text);
	return cell->is_right ? 2 : pad + 2;
}

void form_headings(struct form_table *table, const char *const *names)
{
	for (; *names; names++, table->columns++)
		form_cell(table, *names)->colour = FORM_DIM;
}

void form_table_end(struct form_table *table, bool colour, struct buf *out)
{
	AUTO_FREE size_t *widths = mem_zalloc(table->columns, sizeof(*widths));
	size_t column = 0, pending = 0;

	for (size_t i = 0; i < table->columns; i++)
		widths[i] = column_width(table, i);
	for (size_t i = 0; i < table->n; i++) {
		pending = print_cell(&table->cells[i], widths[column], column ? pending : 0, colour,
				     out);
		column = column + 1 < table->columns ? column + 1 : 0;
		buf_puts(out, column ? "" : "\n");
	}
	for (size_t i = 0; i < table->n; i++)
		free(table->cells[i].text);
	free(table->cells);
	*table = (struct form_table){.columns = table->columns};
}

const char *form_ending(const char *state, bool timed_out)
{
	return timed_out ? "timed out," : strcmp(state, "cancelled") == 0 ? "cancelled," : "exit";
}
