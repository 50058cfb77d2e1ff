/*
 * rename: finds deleted files that are among the added ones under another name.
 */
#ifndef PATCH_RENAME_H
#define PATCH_RENAME_H

struct diff;

/*
 * Joins pairs of a deleted and an added file or symlink: with the same content; and, if at most 200
 * files are left on each side, those that are at least half alike. Empty files are no renames. The
 * order of the changes is undone.
 */
void rename_detect(struct diff *diff);

#endif
