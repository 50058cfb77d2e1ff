/*
 * install: environments, from the point of view of an operation.
 */
#ifndef API_INSTALL_H
#define API_INSTALL_H

struct image;
struct pyro;
struct pyro_error;

/* Where environments, templates and what is known of the host are kept. Owned by the caller. */
char *install_cache_dir(struct pyro_error *err);

/* Opens an environment, installing it first if it is missing or broken. */
int install_open(struct pyro *p, const char *name, const char *agent_path, struct image *ret,
		 struct pyro_error *err);

#endif
