/*
 * build: makes an environment and its kernel and installs them into the store. In this folder err
 * is never NULL.
 */
#ifndef BUILDER_BUILD_H
#define BUILDER_BUILD_H

struct catalog_entry;
struct pyro_error;

/* Does nothing if an intact install is there. Waits while another process builds. */
int build_environment(const char *root, const struct catalog_entry *entry, struct pyro_error *err);

#endif
