/*
 * apply: a parsed patch and the files that it is about become the files as they should be.
 *
 * All sections read the files as they are before the patch. So a path may be the old file of one
 * section and the new file of one: of the same, or of two of which the first takes it away.
 */
#ifndef PATCH_APPLY_H
#define PATCH_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct parse_patch;
struct pyro_error;
struct side;

enum apply_status {
	APPLY_ADDED,
	APPLY_MODIFIED,
	APPLY_DELETED,
	APPLY_RENAMED,
};

/* What one section does. */
struct apply_file {
	enum apply_status status;
	bool is_replaced; /* deleted, and another section adds it again */
	size_t line;      /* of the section in the patch */
	const char *path; /* borrowed from the patch; of a renamed file the new one */
	const char *gone; /* the path that was deleted or renamed away, or NULL */
	bool is_symlink;
	mode_t perm;
	int64_t uid;
	int64_t gid;
	char *data; /* the new content or target */
	size_t len;
};

struct apply {
	struct apply_file *files;
	size_t n;
};

/* Writes every name that any section may be about, each once and with a NUL behind it. */
void apply_names(const struct parse_patch *patch, FILE *out);
/*
 * `side` has what exists of these names. PYRO_E_INVALID names file, hunk and line where the patch
 * does not fit; PYRO_E_LIMIT: a file is too large. apply_done in any case, before the patch's end.
 */
int apply_patch(const struct parse_patch *patch, const struct side *side, struct apply *ret,
		struct pyro_error *err);
/* As a tar stream, whiteouts first. */
int apply_write(const struct apply *apply, int fd, struct pyro_error *err);
void apply_done(struct apply *apply);

#endif
