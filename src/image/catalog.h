/*
 * The official environments (catalog.def), as a table.
 */
#ifndef IMAGE_CATALOG_H
#define IMAGE_CATALOG_H

#include <stdint.h>

struct pyro_error;

#define CATALOG_VERSION "1.0.0"
#define CATALOG_DEFAULT "debian:12"
#define CATALOG_DISTRIBUTION "debian"
#define CATALOG_DISTRIBUTION_VERSION "12"

struct catalog_entry {
	const char *name;
	const char *version; /* of this definition; an install of another version is stale */
	const char *description;
	const char *suite;
	int64_t need_mib;            /* disk space that building takes at its peak */
	const char *const *packages; /* NULL-terminated */
};

/* Every entry, in the order of catalog.def; the last one has no name. */
const struct catalog_entry *catalog_entries(void);

/* NULL with PYRO_E_UNKNOWN_ENVIRONMENT, whose hint names the nearest. */
const struct catalog_entry *catalog_find(const char *name, struct pyro_error *err);

#endif
