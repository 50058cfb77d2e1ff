/*
 * pull: installs an environment by running a builder as a child and relaying what it tells.
 */
#ifndef IMAGE_PULL_H
#define IMAGE_PULL_H

#include <stdint.h>

struct pyro_error;

struct pull_hooks {
	/*
	 * "install" when there is something to do, then as it goes on: "wait" (another pull is
	 * under way), "download", "unpack", "kernel", "root", "check". Borrowed; NULL: nobody wants
	 * to know.
	 */
	void (*on_phase)(void *ctx, const char *phase);
	/* done of total (0: unknown), in `unit`. */
	void (*on_progress)(void *ctx, const char *what, int64_t done, int64_t total,
			    const char *unit);
	void *ctx;
	int cancel_fd; /* becomes readable to cancel; -1: none */
};

/* The program that builds it: "pyro-image", or "pyro-oci" where the name is a reference. */
const char *pull_builder(const char *name);

/*
 * Returns when `name` is installed; an intact install is kept and costs nothing, but that a tag of
 * an OCI image is looked up again, since it may stand for another one now. builder is the path of
 * what pull_builder() says. Whatever ends this, this process's death included, ends the builder,
 * and what was half made is gone or removed by the next pull or prune. Errors: PYRO_E_NO_SPACE,
 * PYRO_E_PULL_FAILED, PYRO_E_MISSING_DEPENDENCY, PYRO_E_CANCELLED and others.
 */
int image_pull(const char *name, const char *builder, const struct pull_hooks *hooks,
	       struct pyro_error *err);

#endif
