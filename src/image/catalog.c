#include "image/catalog.h"

#include "base/err.h"
#include "base/parse.h"

#include <string.h>

static const struct catalog_entry entries[] = {
#define ENV(name, version, text, suite, need_mib, ...) \
	{name, version, text, suite, need_mib, (const char *const[]){__VA_ARGS__, NULL}},
#include "image/catalog.def"
#undef ENV
	{.name = NULL},
};

static const char all_names[] =
#define ENV(name, ...) " " name
#include "image/catalog.def"
#undef ENV
	;

const struct catalog_entry *catalog_entries(void)
{
	return entries;
}

const struct catalog_entry *catalog_find(const char *name, struct pyro_error *err)
{
	const char *names[ARRAY_SIZE(entries)], *nearest;

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		names[i] = entries[i].name;
		if (names[i] && strcmp(names[i], name) == 0)
			return &entries[i];
	}
	nearest = parse_nearest(name, names);
	(void)err_set(err, PYRO_E_UNKNOWN_ENVIRONMENT, "unknown environment '%s'", name);
	if (nearest)
		(void)err_hint(err, "did you mean '%s'? There are%s", nearest, all_names);
	else
		(void)err_hint(err,
			       "there are%s; an OCI image is named with its registry, "
			       "as docker.io/library/python:3.12",
			       all_names);
	return NULL;
}
