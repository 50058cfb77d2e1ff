/*
 * The parser goes line by line. Outside of sections everything is prose but the beginnings of
 * sections:
 *
 *	diff --git a/X b/X	then headers of git's, then hunks or binary parts
 *	--- X			followed by "+++ X" and a hunk
 *
 * A hunk ends when the counts in its header are used up, so what follows is known to be no part of
 * it; if it looks like one, the counts are wrong, and that is an error rather than prose.
 */
#include "patch/parse.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "patch/binary.h"
#include "patch/names.h"
#include "patch/path.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COUNT_MAX 1000000000

struct parser {
	const char *at; /* the beginning of the line that is next */
	const char *end;
	size_t number; /* of that line, from 1 */
	struct parse_patch *patch;
	struct pyro_error *err;
};

/* One section's headers, before they are judged. */
struct header {
	struct parse_file *file;
	char *old_name; /* in ---, or in "diff --git" */
	char *new_name;
	char *from;
	char *to;
	bool has_names; /* --- and +++ were there */
	bool is_new;    /* stated in words or by /dev/null */
	bool is_deleted;
	bool has_mode_change;
};

/*
 * Lines.
 */

PRINTF(3, 4)
static int fail(struct parser *p, size_t number, const char *fmt, ...)
{
	va_list ap;
	AUTO_FREE char *text = NULL;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	return err_set(p->err, PYRO_E_INVALID, "line %zu of the patch: %s", number, text);
}

static const char *line_end(const struct parser *p)
{
	return memchr(p->at, '\n', (size_t)(p->end - p->at));
}

/* Where the text of a header's line ends: a carriage return before the newline is none of it. */
static const char *header_end(const struct parser *p)
{
	const char *end = line_end(p);

	return end > p->at && end[-1] == '\r' ? end - 1 : end;
}

static bool is_at_end(const struct parser *p)
{
	return p->at == p->end;
}

static void skip_line(struct parser *p)
{
	p->at = line_end(p) + 1;
	p->number++;
}

static bool text_begins(const char *at, const char *end, const char *with)
{
	size_t len = strlen(with);

	return (size_t)(end - at) >= len && memcmp(at, with, len) == 0;
}

static bool begins(const struct parser *p, const char *with)
{
	return text_begins(p->at, p->end, with);
}

static bool is_blank(const struct parser *p)
{
	return header_end(p) == p->at;
}

/* A whole number in decimal; moves *at behind it. */
static bool take_number(const char **at, size_t *ret)
{
	const char *p = *at;
	size_t n = 0;

	for (; *p >= '0' && *p <= '9' && n <= COUNT_MAX; p++)
		n = n * 10 + (size_t)(*p - '0');
	if (p == *at || n > COUNT_MAX)
		return false;
	*at = p;
	*ret = n;
	return true;
}

static bool take_text(const char **at, const char *text)
{
	if (strncmp(*at, text, strlen(text)) != 0)
		return false;
	*at += strlen(text);
	return true;
}

/*
 * Hunks.
 */

static struct parse_hunk *add_hunk(struct parse_file *file)
{
	file->hunks = mem_resize(file->hunks, file->n_hunks + 1, sizeof(*file->hunks));
	file->hunks[file->n_hunks] = (struct parse_hunk){0};
	return &file->hunks[file->n_hunks++];
}

/* "START" or "START,COUNT" */
static bool take_range(const char **at, size_t *ret_start, size_t *ret_count)
{
	*ret_count = 1;
	if (!take_number(at, ret_start))
		return false;
	if (take_text(at, ",") && !take_number(at, ret_count))
		return false;
	return *ret_start > 0 || *ret_count == 0;
}

static int parse_hunk_header(struct parser *p, struct parse_hunk *hunk)
{
	const char *at = p->at;
	size_t new_start;

	hunk->line = p->number;
	if (!take_text(&at, "@@ -") || !take_range(&at, &hunk->old_start, &hunk->old_count) ||
	    !take_text(&at, " +") || !take_range(&at, &new_start, &hunk->new_count) ||
	    !take_text(&at, " @@"))
		return fail(p, p->number,
			    "a hunk's header has the form '@@ -START,COUNT +START,COUNT @@'");
	if (!hunk->old_count && !hunk->new_count)
		return fail(p, p->number, "the hunk has no lines");
	skip_line(p);
	return 0;
}

static void add_line(struct parse_hunk *hunk, char kind, const char *text, size_t len)
{
	if ((hunk->n_lines & (hunk->n_lines - 1)) == 0)
		hunk->lines = mem_resize(hunk->lines, hunk->n_lines ? hunk->n_lines * 2 : 1,
					 sizeof(*hunk->lines));
	hunk->lines[hunk->n_lines++] = (struct parse_line){kind, text, len};
	hunk->trailing = kind == ' ' ? hunk->trailing + 1 : 0;
}

/* What of each side is still to come, and whether its last line has come without a newline. */
struct rest {
	size_t old_lines;
	size_t new_lines;
	bool old_ended;
	bool new_ended;
};

/* "\ No newline at end of file", in whatever language. */
static int parse_no_newline(struct parser *p, struct parse_hunk *hunk, struct rest *rest)
{
	struct parse_line *last = hunk->n_lines ? &hunk->lines[hunk->n_lines - 1] : NULL;

	if (!last || !last->len || last->text[last->len - 1] != '\n')
		return fail(p, p->number, "no line for '\\ No newline at end of file' to be about");
	last->len--;
	rest->old_ended |= last->kind != '+';
	rest->new_ended |= last->kind != '-';
	skip_line(p);
	return 0;
}

static int parse_line(struct parser *p, struct parse_hunk *hunk, struct rest *rest)
{
	/* Editors and mailers cut the space of an empty context line off. */
	bool is_cut = *p->at == '\n' || begins(p, "\r\n");
	char kind = is_cut ? ' ' : *p->at;
	const char *text = is_cut ? p->at : p->at + 1;
	bool is_old = kind == ' ' || kind == '-', is_new = kind == ' ' || kind == '+';

	if (!is_old && !is_new)
		return fail(p, p->number,
			    "within a hunk (from line %zu) a line begins with ' ', '-', '+' or "
			    "'\\'; the hunk lacks %zu old and %zu new lines",
			    hunk->line, rest->old_lines, rest->new_lines);
	if ((is_old && !rest->old_lines) || (is_new && !rest->new_lines))
		return fail(p, p->number, "the hunk (from line %zu) has more %s lines than it says",
			    hunk->line, is_old && !rest->old_lines ? "old" : "new");
	if ((is_old && rest->old_ended) || (is_new && rest->new_ended))
		return fail(p, p->number, "a line follows the one without newline at the end");
	rest->old_lines -= is_old;
	rest->new_lines -= is_new;
	add_line(hunk, kind, text, (size_t)(line_end(p) + 1 - text));
	skip_line(p);
	return 0;
}

/* What follows a hunk and looks like one more line of it. "-- " is the signature of a mail. */
static bool is_surplus(const struct parser *p)
{
	if (is_at_end(p) || begins(p, "--- ") || begins(p, "-- \n") || begins(p, "-- \r\n") ||
	    begins(p, "--\n"))
		return false;
	return *p->at == ' ' || *p->at == '+' || *p->at == '-';
}

static int parse_hunk(struct parser *p, struct parse_file *file)
{
	struct parse_hunk *hunk = add_hunk(file), *before = file->n_hunks > 1 ? hunk - 1 : NULL;
	struct rest rest = {0};

	if (parse_hunk_header(p, hunk) < 0)
		return -1;
	if (before && hunk->old_start < before->old_start + before->old_count)
		return fail(p, hunk->line, "the hunk begins before the end of the one before it");
	rest = (struct rest){hunk->old_count, hunk->new_count, false, false};
	while (rest.old_lines || rest.new_lines) {
		if (is_at_end(p))
			return fail(p, p->number,
				    "the patch ends within a hunk (from line %zu): %zu old and %zu "
				    "new lines are missing",
				    hunk->line, rest.old_lines, rest.new_lines);
		if ((*p->at == '\\' ? parse_no_newline(p, hunk, &rest)
				    : parse_line(p, hunk, &rest)) < 0)
			return -1;
	}
	if (begins(p, "\\ ") && parse_no_newline(p, hunk, &rest) < 0)
		return -1;
	if (is_surplus(p))
		return fail(p, p->number, "the hunk (from line %zu) has more lines than it says",
			    hunk->line);
	return 0;
}

static int parse_hunks(struct parser *p, struct parse_file *file)
{
	while (begins(p, "@@ -"))
		if (parse_hunk(p, file) < 0)
			return -1;
	return 0;
}

/*
 * Binary parts.
 */

static bool has_binary_part(const struct parser *p)
{
	return begins(p, "literal ") || begins(p, "delta ");
}

static int parse_binary_part(struct parser *p, struct parse_binary *part)
{
	struct buf deflated = BUF_INIT(PARSE_PATCH_MAX);
	const char *at = p->at;

	*part = (struct parse_binary){.line = p->number, .is_delta = take_text(&at, "delta ")};
	if ((!part->is_delta && !take_text(&at, "literal ")) || !take_number(&at, &part->size) ||
	    at != header_end(p))
		return fail(p, p->number,
			    "a binary part begins with 'literal' or 'delta' and its size");
	if (part->size > PARSE_BINARY_MAX)
		return fail(p, p->number, "the binary part is larger than 16 MiB");
	for (skip_line(p); !is_at_end(p) && !is_blank(p); skip_line(p))
		if (!binary_decode(p->at, (size_t)(header_end(p) - p->at), &deflated)) {
			buf_done(&deflated);
			return fail(p, p->number, "the line is no base-85 of a binary part");
		}
	if (!is_at_end(p))
		skip_line(p);
	part->deflated_len = deflated.len;
	part->deflated = buf_take(&deflated);
	return 0;
}

/* The way forth, and perhaps the way back, which must be well-formed and is not needed. */
static int parse_binary(struct parser *p, struct parse_file *file)
{
	struct parse_binary back = {0};
	int r = 0;

	skip_line(p);
	file->binary = mem_zalloc(1, sizeof(*file->binary));
	if (is_at_end(p) || parse_binary_part(p, file->binary) < 0)
		return is_at_end(p) ? fail(p, p->number, "the binary patch is cut off") : -1;
	if (has_binary_part(p))
		r = parse_binary_part(p, &back);
	free(back.deflated);
	return r;
}

/*
 * Headers.
 */

/* The name behind --- or +++; "/dev/null" becomes NULL. */
static int parse_name(struct parser *p, const char *at, char stop, char **ret)
{
	AUTO_FREE char *name = path_take(&at, header_end(p), stop);

	free(*ret);
	*ret = NULL;
	if (!name)
		return fail(p, p->number, "the name's quotes or escapes are wrong");
	if (strcmp(name, "/dev/null") != 0)
		*ret = TAKE_PTR(name);
	return 0;
}

/* What diff -N says of a file that does not exist: it was changed when time began. */
static bool has_epoch(const struct parser *p)
{
	const char *end = header_end(p), *tab = memchr(p->at, '\t', (size_t)(end - p->at));

	return tab &&
	       (text_begins(tab, end, "\t1970-01-01 ") || text_begins(tab, end, "\t1969-12-31 "));
}

static int parse_from_to(struct parser *p, struct header *h, bool *ret_is_epoch)
{
	if (parse_name(p, p->at + 4, '\t', &h->old_name) < 0)
		return -1;
	skip_line(p);
	if (!begins(p, "+++ "))
		return fail(p, p->number, "'--- ' must be followed by '+++ '");
	*ret_is_epoch = has_epoch(p);
	if (parse_name(p, p->at + 4, '\t', &h->new_name) < 0)
		return -1;
	if (!h->old_name && !h->new_name)
		return fail(p, p->number, "both names are /dev/null");
	h->has_names = true;
	h->is_new |= !h->old_name;
	h->is_deleted |= !h->new_name;
	skip_line(p);
	return 0;
}

static int parse_mode(struct parser *p, const char *at, unsigned *mode)
{
	const char *end = header_end(p);
	unsigned value = 0;

	for (; at < end && *at >= '0' && *at <= '7' && value < 01000000; at++)
		value = value * 8 + (unsigned)(*at - '0');
	if (at != end || (!S_ISREG(value) && !S_ISLNK(value)))
		return fail(p, p->number,
			    "mode: neither a file's (100644, 100755) nor a symlink's (120000)");
	value = S_ISLNK(value) ? 0120000 : value & 0100 ? 0100755 : 0100644;
	if (*mode && *mode != value)
		return fail(p, p->number, "the mode contradicts an earlier one");
	*mode = value;
	return 0;
}

static const char *take_id(const char *at, const char *end, char id[41])
{
	size_t n = 0;

	for (; at < end && n < 40 && strchr("0123456789abcdef", *at) && *at; at++)
		id[n++] = *at;
	id[n] = '\0';
	return at;
}

/* "index OLD..NEW" or "index OLD..NEW MODE" */
static int parse_index(struct parser *p, struct header *h)
{
	const char *end = header_end(p);
	const char *at = take_id(p->at + strlen("index "), end, h->file->old_id);

	if (!text_begins(at, end, ".."))
		return fail(p, p->number, "an index line has the form 'index OLD..NEW MODE'");
	at = take_id(at + 2, end, h->file->new_id);
	if (at == end)
		return 0;
	if (parse_mode(p, at + 1, &h->file->old_mode) < 0)
		return -1;
	return parse_mode(p, at + 1, &h->file->new_mode);
}

/* 1: a header of git's, and taken; 0: none; -1 with err. */
static int parse_git_header(struct parser *p, struct header *h)
{
	struct parse_file *file = h->file;
	int r = 0;

	if (begins(p, "old mode ")) {
		h->has_mode_change = true;
		r = parse_mode(p, p->at + strlen("old mode "), &file->old_mode);
	} else if (begins(p, "new mode ")) {
		r = parse_mode(p, p->at + strlen("new mode "), &file->new_mode);
	} else if (begins(p, "new file mode ")) {
		h->is_new = true;
		r = parse_mode(p, p->at + strlen("new file mode "), &file->new_mode);
	} else if (begins(p, "deleted file mode ")) {
		h->is_deleted = true;
		r = parse_mode(p, p->at + strlen("deleted file mode "), &file->old_mode);
	} else if (begins(p, "rename from ")) {
		r = parse_name(p, p->at + strlen("rename from "), '\n', &h->from);
	} else if (begins(p, "rename to ")) {
		r = parse_name(p, p->at + strlen("rename to "), '\n', &h->to);
	} else if (begins(p, "index ")) {
		r = parse_index(p, h);
	} else if (begins(p, "copy from ") || begins(p, "copy to ")) {
		return fail(p, p->number, "copies are not supported: %.*s",
			    (int)(header_end(p) - p->at), p->at);
	} else if (!begins(p, "similarity index ") && !begins(p, "dissimilarity index ")) {
		return 0;
	}
	if (r < 0)
		return -1;
	skip_line(p);
	return 1;
}

static int set_git_names(struct parser *p, struct header *h)
{
	const char *fault = NULL;

	if (h->from && h->to) {
		names_set(h->file, h->from);
		h->file->new_name = TAKE_PTR(h->to);
	} else if (!h->old_name && !h->new_name) {
		fault = "the names cannot be told from the line: git writes --- and +++ lines, too";
	} else {
		fault = names_of_git(h->file, h->old_name, h->new_name);
	}
	return fault ? fail(p, h->file->line, "%s", fault) : 0;
}

static int set_action(struct parser *p, struct header *h)
{
	struct parse_file *file = h->file;
	bool is_rename = h->from || h->to;

	if (!h->from != !h->to)
		return fail(p, file->line, "of 'rename from' and 'rename to' one is missing");
	if (h->is_new + h->is_deleted + is_rename > 1)
		return fail(p, file->line, "a file is new, deleted or renamed, not two of these");
	if (h->has_mode_change &&
	    (!file->old_mode || !file->new_mode || h->is_new || h->is_deleted))
		return fail(p, file->line, "'old mode' goes with 'new mode', and with an old file");
	if (!h->is_new && file->old_mode && file->new_mode &&
	    S_ISLNK(file->old_mode) != S_ISLNK(file->new_mode))
		return fail(p, file->line,
			    "a file becomes a symlink by a section that deletes and one that adds");
	file->action = h->is_new       ? PARSE_ADD
		       : h->is_deleted ? PARSE_DELETE
		       : is_rename     ? PARSE_RENAME
				       : PARSE_MODIFY;
	return 0;
}

/* The hunks fit what the headers say. */
static int check_hunks(struct parser *p, const struct parse_file *file)
{
	const struct parse_hunk *first = file->n_hunks ? &file->hunks[0] : NULL;

	if (first && file->action == PARSE_ADD && (file->n_hunks > 1 || first->old_count))
		return fail(p, first->line, "a file that is new has no old lines");
	if (first && file->action == PARSE_DELETE && (file->n_hunks > 1 || first->new_count))
		return fail(p, first->line, "a file that is deleted has no new lines");
	return 0;
}

static int check_names(struct parser *p, const struct parse_file *file)
{
	for (size_t i = 0; i <= file->n_names; i++) {
		const char *name = i < file->n_names ? file->names[i] : file->new_name;
		const char *fault = name ? path_fault(name) : NULL;

		if (fault)
			return fail(p, file->line, "name '%s' %s", name, fault);
	}
	return 0;
}

/*
 * Sections.
 */

static int parse_git_body(struct parser *p, struct header *h)
{
	struct parse_file *file = h->file;
	bool is_epoch;
	int r;

	while ((r = is_at_end(p) ? 0 : parse_git_header(p, h)) > 0)
		;
	if (r < 0)
		return -1;
	if (begins(p, "Binary files "))
		return fail(p, p->number,
			    "a binary file's content is not in the patch (git diff --binary)");
	if (begins(p, "GIT binary patch"))
		return parse_binary(p, file);
	if (begins(p, "--- ") && parse_from_to(p, h, &is_epoch) < 0)
		return -1;
	if (h->has_names && !begins(p, "@@ -"))
		return fail(p, p->number, "'+++ ' must be followed by a hunk ('@@ -')");
	return parse_hunks(p, file);
}

static int parse_git_section(struct parser *p, struct header *h)
{
	AUTO_FREE char *old_name = NULL, *new_name = NULL;
	struct parse_file *file = h->file;

	names_cut(p->at + strlen("diff --git "), header_end(p), &old_name, &new_name);
	skip_line(p);
	if (parse_git_body(p, h) < 0)
		return -1;
	/* Both names together tell more than the one beside a /dev/null. */
	if (old_name && (!h->old_name || !h->new_name)) {
		free(h->old_name);
		free(h->new_name);
		h->old_name = TAKE_PTR(old_name);
		h->new_name = TAKE_PTR(new_name);
	}
	if (set_action(p, h) < 0 || set_git_names(p, h) < 0)
		return -1;
	if (file->action == PARSE_MODIFY && !h->has_mode_change && !file->n_hunks && !file->binary)
		return fail(p, file->line, "'%s': the section changes nothing", file->names[0]);
	return 0;
}

static int parse_plain_section(struct parser *p, struct header *h)
{
	struct parse_file *file = h->file;
	const char *fault;
	bool is_epoch = false;

	if (parse_from_to(p, h, &is_epoch) < 0 || parse_hunks(p, file) < 0)
		return -1;
	if (is_epoch && file->n_hunks == 1 && !file->hunks[0].new_count)
		h->is_deleted = true;
	file->may_add = file->n_hunks == 1 && file->hunks[0].old_start == 0;
	if (set_action(p, h) < 0)
		return -1;
	fault = names_of_plain(file, h->old_name, h->new_name);
	return fault ? fail(p, file->line, "%s", fault) : 0;
}

static int parse_section(struct parser *p, bool is_git)
{
	struct parse_patch *patch = p->patch;
	struct header h = {0};
	int r;

	if ((patch->n & (patch->n - 1)) == 0)
		patch->files = mem_resize(patch->files, patch->n ? patch->n * 2 : 1,
					  sizeof(*patch->files));
	h.file = &patch->files[patch->n++];
	*h.file = (struct parse_file){.line = p->number};
	r = is_git ? parse_git_section(p, &h) : parse_plain_section(p, &h);
	if (r == 0)
		r = check_names(p, h.file);
	if (r == 0)
		r = check_hunks(p, h.file);
	free(h.old_name);
	free(h.new_name);
	free(h.from);
	free(h.to);
	return r;
}

/* Whether a plain section begins here: three lines make one. */
static bool is_plain_section(const struct parser *p)
{
	const char *next = line_end(p) + 1, *third;

	if (!begins(p, "--- ") || !text_begins(next, p->end, "+++ "))
		return false;
	third = (const char *)memchr(next, '\n', (size_t)(p->end - next)) + 1;
	return text_begins(third, p->end, "@@ -");
}

/* "Binary files X and Y differ", as diff says it: a change that the patch does not have. */
static bool is_lost_binary(const struct parser *p)
{
	static const char differ[] = " differ";
	const char *end = header_end(p);

	return begins(p, "Binary files ") && (size_t)(end - p->at) > sizeof(differ) &&
	       memcmp(end - strlen(differ), differ, strlen(differ)) == 0;
}

static int parse_any(struct parser *p)
{
	if (begins(p, "diff --git "))
		return parse_section(p, true);
	if (is_plain_section(p))
		return parse_section(p, false);
	if (begins(p, "@@ -"))
		return fail(p, p->number, "a hunk without '--- ' and '+++ ' before it");
	if (is_lost_binary(p))
		return fail(p, p->number,
			    "a binary file's content is not in the patch (git diff --binary)");
	skip_line(p);
	return 0;
}

int parse_patch(const char *text, size_t len, struct parse_patch *ret, struct pyro_error *err)
{
	struct parser p = {text, text + len, 1, ret, err};

	*ret = (struct parse_patch){0};
	while (!is_at_end(&p))
		if (parse_any(&p) < 0)
			return -1;
	if (ret->n)
		return 0;
	(void)err_set(err, PYRO_E_INVALID,
		      "the patch has no file section: neither 'diff --git' nor '--- ', '+++ ' and "
		      "'@@ -'");
	return err_hint(err, "give what git diff or diff -u prints");
}

static void free_file(struct parse_file *file)
{
	for (size_t i = 0; i < file->n_names; i++)
		free(file->names[i]);
	free(file->new_name);
	for (size_t i = 0; i < file->n_hunks; i++)
		free(file->hunks[i].lines);
	free(file->hunks);
	if (file->binary)
		free(file->binary->deflated);
	free(file->binary);
}

void parse_done(struct parse_patch *patch)
{
	for (size_t i = 0; i < patch->n; i++)
		free_file(&patch->files[i]);
	free(patch->files);
	*patch = (struct parse_patch){0};
}
