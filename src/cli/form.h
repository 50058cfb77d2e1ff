/*
 * form: what output for people is made of: labelled lines, tables, times and sizes as words, and
 * text of a guest that must not move the cursor. `colour` is whether escape sequences are wanted.
 */
#ifndef CLI_FORM_H
#define CLI_FORM_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

#define FORM_LINE_MAX (256 * 1024) /* of what is made of one value */
#define FORM_GREEN "\033[32m"
#define FORM_RED "\033[1;31m"
#define FORM_YELLOW "\033[33m"
#define FORM_CYAN "\033[36m"
#define FORM_BOLD "\033[1m"
#define FORM_DIM "\033[2m"
#define FORM_PLAIN "\033[0m"

void form_coloured(struct buf *out, bool colour, const char *sequence, const char *text);
/* "Label:   value", the value at column `width`. */
void form_labelled(struct buf *out, size_t width, const char *label, const char *value);
/* The same of foreign text, as form_clean() makes it. */
void form_line(struct buf *out, size_t width, const char *label, const char *value);
/* "2026-11-21 10:42:11", local time; `at` in seconds since the epoch. */
void form_time(struct buf *out, double at);
/* A duration in one unit: "8 s", "2 min", "3 h", "5 days". */
void form_duration(struct buf *out, double seconds);
/* When it was, or will be, seen from now: "2 min ago", "in 8 min", "now". */
void form_relative(struct buf *out, double at);
/* Both: "2 min ago, at 2026-11-21 10:42:11". */
void form_moment(struct buf *out, double at);
/* "12 ms", "1.20 s" */
void form_millis(struct buf *out, double ms);
/* "1 entry", "2 entries" */
void form_count(struct buf *out, long long n, const char *one, const char *several);
/* One line of foreign text, without control characters. */
void form_clean(struct buf *out, const char *text);
/* The same of the first len bytes, with tabs kept. */
void form_tabbed(struct buf *out, const char *text, size_t len);
/* Lines of foreign text, each behind `prefix` and without control characters other than tabs. */
void form_lines(struct buf *out, const char *prefix, const char *text);
/* A command as a person would type it: one text is a shell's line, words are quoted if need be. */
void form_command(struct buf *out, char *const *command);

/* The cells of a terminal that clean text takes: a wide character two, a combining one none. */
size_t form_width(const char *text);

/* A table of text, as wide as its widest cells. Zeroed but for the number of columns, or
 * entirely where form_headings() comes first. */
struct form_table {
	size_t columns;
	struct form_cell *cells;
	size_t n;
};

struct form_cell {
	char *text;
	const char *colour; /* NULL: none */
	bool is_right;
};

/* The next cell, from left to right and line by line; the text is copied. Returns it, borrowed
 * until the next one is added, so that more can be said of it. */
struct form_cell *form_cell(struct form_table *table, const char *text);
/* The first line, and with it the number of columns; `names` end with NULL. */
void form_headings(struct form_table *table, const char *const *names);
/* Takes columns away, those of `least` one by one, until the table is at most `width` wide or there
 * are no more of them; they are numbers in the table as it was, the largest 31. */
void form_table_fit(struct form_table *table, size_t width, const size_t *least, size_t n);
/* Prints it and frees it. */
void form_table_end(struct form_table *table, bool colour, struct buf *out);

/* What stands before a command's exit status: "exit", "timed out," or "cancelled,". */
const char *form_ending(const char *state, bool timed_out);

#endif
