/*
 * toml: changes one value in a TOML file with every other byte kept.
 *
 * It follows the syntax of a whole file (strings of all kinds, nested arrays, comments), and looks
 * for a table that has a header of its own, `[a.b]`. What is written in other ways, `a.b = {…}` or
 * a.b.c = 1, it takes for absent.
 */
#ifndef API_TOML_H
#define API_TOML_H

#include <jansson.h>
#include <stdbool.h>

struct pyro_error;

/* Whether there is that table; names that end with NULL. False also for what is no TOML. */
bool toml_has_table(const char *text, const char *const *table);

/*
 * The text with `key = value` in that table, where it is or as its first line. NULL with
 * PYRO_E_INVALID: there is no such table, or a line is no TOML. Owned by the caller.
 */
char *toml_set(const char *text, const char *const *table, const char *key, const char *value,
	       struct pyro_error *err);

/*
 * A JSON text, list of texts, boolean, or object of texts as a value in TOML, on one line. Owned
 * by the caller.
 */
char *toml_value(json_t *value);

#endif
