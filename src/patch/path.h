/*
 * path: names as they stand in patches.
 *
 * A path is relative to /workspace, any bytes but NUL, without ".", "..", empty parts and without
 * parts that git keeps for itself.
 */
#ifndef PATCH_PATH_H
#define PATCH_PATH_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

#define PATH_LEN_MAX 4095

/* Whether a part of it is ".git" in any case: git refuses such names in every patch. */
bool path_is_git(const char *path);
/* NULL if it is a path in the form above, else what is wrong with it: "is absolute". */
const char *path_fault(const char *path);

/* Appends prefix and path as git prints them: in double quotes, with escapes, where needed. */
void path_quote(struct buf *out, const char *prefix, const char *path);
/*
 * Takes a name off the text [*at, end): one in double quotes, else all up to `stop` or the end.
 * Owned by the caller; NULL if the quotes are wrong, or if it holds a NUL.
 */
char *path_take(const char **at, const char *end, char stop);

#endif
