/*
 * image: the environments of this machine, as the rest of pyro sees them.
 *
 * image_open() is on the way of every start: it trusts file stamps (manifest.h) and hashes nothing
 * as long as nothing was touched. Everything here may run in many processes at once. A name is one
 * of the catalog (catalog.h) or a reference to an OCI image (reference.h).
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdint.h>

struct pyro_environment;
struct pyro_environment_list;
struct pyro_error;
struct pyro_pruned;

/*
 * The size of every guest's disk. It is one constant, because a VM that is restored from a template
 * must find a disk of the size that it knows.
 */
#define IMAGE_DISK_BYTES (INT64_C(16) << 30)

/* An installed environment: what is needed to start a guest of it. All strings are owned. */
struct image {
	char *dir;        /* the install; also what image_prune() is told to keep */
	char *root_path;  /* ext4, read-only, the backing of every disk */
	char *blank_path; /* an empty qcow2 overlay of the same size, naming no backing file */
	char *kernel_path;
	char *initrd_path;
	/* Digests: two images with the same ones boot the same. */
	char *root_digest;
	char *kernel_digest;
	char *initrd_digest;
};

#define AUTO_IMAGE __attribute__((cleanup(image_done)))
#define IMAGE_INIT   \
	{            \
		NULL \
	}

/* PYRO_E_UNKNOWN_ENVIRONMENT or PYRO_E_INVALID for what cannot be the name of an environment. */
int image_check_name(const char *name, struct pyro_error *err);

/*
 * Opens an installed environment. agent_path is the guest agent's binary, absolute; the initial RAM
 * disk is made (milliseconds) when there is none of this kernel and this agent. Errors:
 * PYRO_E_UNKNOWN_ENVIRONMENT, PYRO_E_NOT_FOUND when it is not installed,
 * PYRO_E_ENVIRONMENT_BROKEN or PYRO_E_STATE_VERSION when an install does not count.
 */
int image_open(const char *name, const char *agent_path, struct image *ret, struct pyro_error *err);
/* The very install that a disk lies over (image.dir), be it current or not. */
int image_open_dir(const char *dir, const char *agent_path, struct image *ret,
		   struct pyro_error *err);
void image_done(struct image *image);

/* The catalog with what is installed of it, then the OCI images that are installed. */
int image_list(struct pyro_environment_list *ret, struct pyro_error *err);
int image_inspect(const char *name, struct pyro_environment *ret, struct pyro_error *err);

/*
 * Removes installs that are broken, stale, superseded or of an environment that the catalog no
 * longer has; kernels, initial RAM disks and blobs that nothing uses; remains of builds. keep lists
 * directories (image.dir) that stay whatever they are, because disks lie over them; it ends with
 * NULL and may be NULL. PYRO_E_BUSY while a pull is under way.
 */
int image_prune(const char *const *keep, struct pyro_pruned *ret, struct pyro_error *err);

#endif
