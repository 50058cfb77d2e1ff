/*
 * parse: a patch as anybody may have written it becomes sections, hunks and lines.
 *
 * Taken is what `git diff` prints, with its prefixes or without, and what `diff -u`, `diff -ru` and
 * `diff -ruN` print; prose before and between the sections is passed over. Copies, submodules, and
 * binary files without their content are refused. Every error is PYRO_E_INVALID and names the line
 * of the patch.
 */
#ifndef PATCH_PARSE_H
#define PATCH_PARSE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct pyro_error;

#define PARSE_PATCH_MAX ((size_t)1024 * 1024)
/* What a binary file may become. */
#define PARSE_BINARY_MAX ((size_t)16 * 1024 * 1024)

struct parse_line {
	char kind;        /* ' ', '-' or '+' */
	const char *text; /* borrowed from the patch */
	size_t len;       /* with its newline, unless the file has none there */
};

struct parse_hunk {
	size_t line;      /* of its header in the patch, from 1 */
	size_t old_start; /* the first line, from 1; with old_count 0: the line before it */
	size_t old_count;
	size_t new_count;
	size_t trailing; /* context lines at the end */
	struct parse_line *lines;
	size_t n_lines;
};

/* One direction of a binary change. */
struct parse_binary {
	size_t line;
	bool is_delta;
	size_t size; /* what it inflates to */
	char *deflated;
	size_t deflated_len;
};

enum parse_action {
	PARSE_MODIFY,
	PARSE_ADD,
	PARSE_DELETE,
	PARSE_RENAME,
};

#define PARSE_NAMES_MAX 4

struct parse_file {
	size_t line; /* where the section begins */
	enum parse_action action;
	bool may_add; /* a plain diff against nothing, or against an empty file */
	/* The file's possible names, the likeliest first: only a plain diff has several. */
	char *names[PARSE_NAMES_MAX];
	size_t n_names;
	char *new_name;    /* of a renamed file */
	unsigned old_mode; /* git's; 0: the patch does not say */
	unsigned new_mode;
	struct parse_hunk *hunks;
	size_t n_hunks;
	struct parse_binary *binary;
	char old_id[41]; /* blob ids as far as they are given; "" */
	char new_id[41];
};

struct parse_patch {
	struct parse_file *files;
	size_t n;
};

/* The text ends with a newline and is borrowed as long as *ret lives; parse_done in any case. */
int parse_patch(const char *text, size_t len, struct parse_patch *ret, struct pyro_error *err);
void parse_done(struct parse_patch *patch);

#endif
