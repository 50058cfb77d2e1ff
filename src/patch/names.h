/*
 * names: which file a section of a patch is about.
 */
#ifndef PATCH_NAMES_H
#define PATCH_NAMES_H

struct parse_file;

/*
 * The names as they stand behind ---, +++ or in the "diff --git" line become file->names. NULL is
 * /dev/null; not both are. Returns NULL, or what is wrong with them.
 */
const char *names_of_git(struct parse_file *file, const char *old_name, const char *new_name);
const char *names_of_plain(struct parse_file *file, const char *old_name, const char *new_name);
/* One name as it is. */
void names_set(struct parse_file *file, const char *name);

/*
 * Cuts what follows "diff --git " into its two names, owned by the caller. Where it cannot be
 * told how (two that differ, as in renames, with spaces) both are NULL.
 */
void names_cut(const char *text, const char *end, char **ret_old, char **ret_new);

#endif
