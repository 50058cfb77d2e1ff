/*
 * build: makes an environment and its kernel and installs them into the store. In this folder err
 * is never NULL.
 */
#ifndef BUILDER_BUILD_H
#define BUILDER_BUILD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct catalog_entry;
struct ext4;
struct pyro_error;

/* Does nothing if an intact install is there. Waits while another process builds. */
int build_environment(const char *root, const struct catalog_entry *entry, struct pyro_error *err);

/* A build under way: it holds the store's lock, and has ROOT/tmp for itself. */
struct build {
	const char *root; /* of the store; borrowed */
	char *tmp;
	int lock_fd;
};

/* What makes an environment of its own. All is borrowed. */
struct build_root {
	const char *name; /* the install name */
	const char *version;
	const char *identity; /* any text: the file system's UUID comes from it */
	int64_t need_mib;     /* disk space at the peak, but for the kernel */
	const char *suite;    /* where a kernel comes from */
	bool keeps_kernel;    /* any intact kernel will do */
	bool is_confined;     /* `fill` runs by build_apart() */
	/*
	 * Fills the file system, all but what belongs to the place (names, resolver, /workspace).
	 * What it puts into `notes`, an object, goes into the manifest.
	 */
	int (*fill)(const struct build *b, const struct build_root *root, struct ext4 *fs,
		    json_t *notes, struct pyro_error *err);
	const json_t *texts; /* so does this; may be NULL */
	void *ctx;
};

/* Waits for the lock. Ended by build_end() unless it fails. */
int build_begin(struct build *b, const char *root, struct pyro_error *err);
int build_install(const struct build *b, const struct build_root *root, struct pyro_error *err);
/*
 * Runs something about content that nobody vouches for in a process of its own, which has open what
 * this one has and can open nothing else; its memory and processor time are limited (PYRO_E_LIMIT).
 * What it puts into its `notes` is put into these.
 */
int build_apart(int (*run)(void *ctx, json_t *notes, struct pyro_error *err), void *ctx,
		json_t *notes, struct pyro_error *err);
/* Removes what is left and gives the lock up. Returns r, with err as it was if that is negative. */
int build_end(struct build *b, int r, struct pyro_error *err);

#endif
