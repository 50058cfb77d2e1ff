/*
 * initrd: the initial RAM disk of a guest: the agent as /init, the kernel's modules in /modules,
 * and /dev/console. It is made of the installed kernel and whatever agent binary this pyro has, so
 * it is not part of an install; it is made again when either changed.
 */
#ifndef IMAGE_INITRD_H
#define IMAGE_INITRD_H

struct install;
struct pyro_error;

/* The initial RAM disk for an install and an agent. Path and digest are the caller's. */
int initrd_open(const char *root, const struct install *install, const char *agent_path,
		char **ret_path, char **ret_digest, struct pyro_error *err);

#endif
