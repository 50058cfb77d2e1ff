/*
 * diff: what changed from one side to the other, and that as a patch.
 */
#ifndef PATCH_DIFF_H
#define PATCH_DIFF_H

#include "patch/side.h"

#include <stdbool.h>

struct buf;
struct pyro_error;

/* Beyond it there is no patch. */
#define DIFF_PATCH_MAX ((size_t)64 * 1024 * 1024)

/* What happened to one path. Without a side it was not there; renamed: the paths differ. */
struct diff_change {
	const struct side_file *old_file;
	const struct side_file *new_file;
	int similarity; /* of a renamed file, in per cent */
};

/* Borrows from the sides. */
struct diff {
	struct diff_change *v; /* sorted by diff_path */
	size_t n;
};

/* What differs in type, content or executability; renames are found. */
void diff_compare(const struct side *old_side, const struct side *new_side, struct diff *ret);
void diff_done(struct diff *diff);

/* The new path; of what is gone, the old one. */
const char *diff_path(const struct diff_change *change);
/* "added", "modified", "deleted", "type_changed" or "renamed". */
const char *diff_status(const struct diff_change *change);
/* Whether its change can be shown as text: both contents are UTF-8 without NUL. */
bool diff_is_text(const struct diff_change *change);

/*
 * Appends what `git apply` takes. If a file's content that is needed was not kept, returns its
 * path and the patch is worth nothing; else NULL. What does not fit makes out->is_full.
 */
const char *diff_print(const struct diff *diff, struct buf *out);

#endif
