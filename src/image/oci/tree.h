/*
 * tree: the names of a root file system while its layers are laid over each other, in memory. What
 * a name stands for, a file, is told by the layer and the place in it where its entry is.
 *
 * Paths are those of archives. A leading '/' means nothing, since there is nothing above the root;
 * ".." is refused. Symbolic links among a path's directories are followed inside this tree, as the
 * container engines do it, and lead nowhere else. PYRO_E_INVALID for what cannot be, PYRO_E_LIMIT
 * for too much. Layers have numbers from 1 on and come in that order.
 */
#ifndef OCI_TREE_H
#define OCI_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pyro_error;
struct tree;
struct tree_file;

struct tree *tree_new(void);
struct tree *tree_free(struct tree *tree);

/* An entry: `place` counts the entries of a layer from 0 on. target: of a symbolic link. */
int tree_add(struct tree *tree, const char *path, mode_t mode, const char *target, unsigned layer,
	     uint32_t place, struct pyro_error *err);
/* Another name for what is there. */
int tree_link(struct tree *tree, const char *path, const char *existing, unsigned layer,
	      struct pyro_error *err);
/* Takes away what lower layers have at path, with all below; nothing there is fine. */
int tree_remove(struct tree *tree, const char *path, unsigned layer, struct pyro_error *err);
/* The same of all that lower layers have below the directory path, which stays. */
int tree_clear(struct tree *tree, const char *path, unsigned layer, struct pyro_error *err);

/* --- when all is there */

/* What the entry at a place has become, if a file; it may have no name any more. */
const struct tree_file *tree_file_at(const struct tree *tree, unsigned layer, uint32_t place);
/* The next of its names, as a path without a leading '/'; the caller's. NULL: no more. */
char *tree_file_path(const struct tree_file *file, size_t *cursor);
/* Whether the root has an entry of that name. */
bool tree_has(const struct tree *tree, const char *name);

#endif
