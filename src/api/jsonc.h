/*
 * jsonc: JSON with comments and commas behind the last member, as people write configuration:
 * reading it, and changing one value of it with every other byte kept.
 */
#ifndef API_JSONC_H
#define API_JSONC_H

#include <jansson.h>

struct pyro_error;

/*
 * The value of a whole text; the last of two members of one name counts. NULL with
 * PYRO_E_INVALID, which names the line. Owned by the caller.
 */
json_t *jsonc_load(const char *text, struct pyro_error *err);

/*
 * The text with `value` (borrowed) at path, names that end with NULL and of which there is at least
 * one. Objects on the way that are missing are made, and what stands in the way and is no object is
 * replaced. The root must be an object. NULL with PYRO_E_INVALID. Owned by the caller.
 */
char *jsonc_set(const char *text, const char *const *path, json_t *value, struct pyro_error *err);

#endif
