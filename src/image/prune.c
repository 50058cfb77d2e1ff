/*
 * Pruning walks the store from installs to kernels to initial RAM disks: what an install that stays
 * does not name goes. Everything is renamed into tmp before it is removed, so a reader finds it
 * whole or not at all. The lock is held throughout; only initial RAM disks are made without it,
 * which is why young files are left alone there.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "image/catalog.h"
#include "image/image.h"
#include "image/reference.h"
#include "image/store.h"
#include "pyro/ops.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_MS 2000
#define YOUNG_SECONDS 60

struct prune {
	const char *root;
	const char *const *keep;
	struct pyro_pruned *ret;
	char **kernels; /* ids that installs name; NULL-terminated */
	size_t n_kernels;
	char **blobs; /* their names, likewise */
	size_t n_blobs;
	unsigned n_moved;
};

static bool is_in(const char *word, const char *const *list)
{
	for (; list && *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

static int not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* The names in a directory, none if it is not there. Owned by the caller. */
static char **names_in(const char *dir)
{
	struct dirent **found = NULL;
	int n = scandir(dir, &found, not_dots, alphasort);
	char **names = mem_zalloc((size_t)(n > 0 ? n : 0) + 1, sizeof(*names));

	for (int i = 0; i < n; i++) {
		names[i] = mem_strdup(found[i]->d_name);
		free(found[i]);
	}
	free(found);
	return names;
}

static void add_name(char ***list, size_t *n, const char *name)
{
	*list = mem_resize(*list, *n + 2, sizeof(**list));
	(*list)[(*n)++] = mem_strdup(name);
	(*list)[*n] = NULL;
}

static int remove_dir(struct prune *p, const char *dir, struct pyro_error *err)
{
	AUTO_FREE char *away = mem_printf("%s/tmp/%u", p->root, p->n_moved++);
	size_t n = (size_t)p->ret->count;

	p->ret->freed_bytes += dir_disk_bytes(dir);
	if (rename(dir, away) < 0)
		return err_sys(err, errno, "remove '%s'", dir);
	add_name(&p->ret->deleted_environment_dirs, &n, dir);
	p->ret->count = (int64_t)n;
	return store_remove(away, err);
}

/* The name of the environment whose directory this is; NULL if there is no such any more. */
static char *name_of(const char *root, const char *parent)
{
	AUTO_FREE char *path = mem_printf("%s/current/manifest.json", parent);
	AUTO_MANIFEST struct manifest m = {NULL};
	AUTO_FREE char *dir = NULL;

	for (const struct catalog_entry *e = catalog_entries(); e->name; e++) {
		AUTO_FREE char *own = store_image_dir(root, e->name);

		if (strcmp(own, parent) == 0)
			return mem_strdup(e->name);
	}
	(void)manifest_load(&m, path, NULL);
	dir = store_image_dir(root, manifest_text(&m, "name"));
	return strcmp(dir, parent) == 0 && reference_is(manifest_text(&m, "name"))
		       ? mem_strdup(manifest_text(&m, "name"))
		       : NULL;
}

/* The directory of the current install if it counts, or if a newer pyro made it; else NULL. */
static char *good_install(struct prune *p, const char *parent)
{
	AUTO_FREE char *name = name_of(p->root, parent);
	AUTO_INSTALL struct install install = INSTALL_INIT;
	struct pyro_error why;

	if (!name ||
	    (store_open(&install, p->root, name, &why) < 0 && why.code != PYRO_E_STATE_VERSION))
		return NULL;
	return TAKE_PTR(install.dir);
}

/* What an install that stays needs. */
static void note_needs(struct prune *p, const char *dir)
{
	AUTO_FREE char *path = mem_printf("%s/manifest.json", dir);
	AUTO_MANIFEST struct manifest m = {NULL};
	const json_t *blob;
	size_t i;

	(void)manifest_load(&m, path, NULL);
	add_name(&p->kernels, &p->n_kernels, manifest_text(&m, "kernel"));
	json_array_foreach(json_object_get(m.json, "blobs"), i, blob) if (json_is_string(blob))
		add_name(&p->blobs, &p->n_blobs, json_string_value(blob));
}

/* All installs of one environment. */
static int prune_environment(struct prune *p, const char *parent, struct pyro_error *err)
{
	AUTO_FREE char *good = good_install(p, parent);
	AUTO_STRV char **ids = names_in(parent);
	AUTO_FREE char *current = mem_printf("%s/current", parent);
	bool is_empty = true;

	for (size_t i = 0; ids[i]; i++) {
		AUTO_FREE char *dir = mem_printf("%s/%s", parent, ids[i]);

		if (strcmp(ids[i], "current") == 0 || strcmp(ids[i], "next") == 0)
			continue;
		if ((good && strcmp(good, dir) == 0) || is_in(dir, p->keep)) {
			note_needs(p, dir);
			is_empty = false;
		} else if (remove_dir(p, dir, err) < 0) {
			return -1;
		}
	}
	if (is_empty && unlink(current) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove '%s'", current);
	return is_empty ? store_remove(parent, err) : 0;
}

static int prune_images(struct prune *p, struct pyro_error *err)
{
	AUTO_FREE char *images = mem_printf("%s/images", p->root);
	AUTO_STRV char **names = names_in(images);

	for (size_t i = 0; names[i]; i++) {
		AUTO_FREE char *parent = mem_printf("%s/%s", images, names[i]);

		if (prune_environment(p, parent, err) < 0)
			return -1;
	}
	return 0;
}

static int prune_kernels(struct prune *p, struct pyro_error *err)
{
	AUTO_FREE char *kernels = mem_printf("%s/kernels", p->root);
	AUTO_STRV char **ids = names_in(kernels);

	for (size_t i = 0; ids[i]; i++) {
		AUTO_FREE char *dir = mem_printf("%s/%s", kernels, ids[i]);

		if (strcmp(ids[i], "current") != 0 && strcmp(ids[i], "next") != 0 &&
		    !is_in(ids[i], (const char *const *)p->kernels) && remove_dir(p, dir, err) < 0)
			return -1;
	}
	return 0;
}

/* Whether a record of an initial RAM disk is true and its kernel stays; names the file then. */
static bool is_initrd_used(const struct prune *p, const char *record, char **ret_file)
{
	AUTO_MANIFEST struct manifest m = {NULL};

	if (manifest_load(&m, record, NULL) < 0 || manifest_verify(&m, NULL) < 0 ||
	    !is_in(manifest_text(&m, "kernel"), (const char *const *)p->kernels))
		return false;
	*ret_file = mem_strdup(manifest_text(&m, "initrd"));
	return true;
}

static int prune_initrds(struct prune *p, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_printf("%s/initrds", p->root);
	AUTO_STRV char **names = names_in(dir);
	AUTO_STRV char **used = NULL;
	size_t n_used = 0;
	struct stat st;

	for (size_t i = 0; names[i]; i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", dir, names[i]);
		AUTO_FREE char *file = NULL;

		if (!is_initrd_used(p, path, &file))
			continue;
		add_name(&used, &n_used, names[i]);
		add_name(&used, &n_used, file);
	}
	for (size_t i = 0; names[i]; i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", dir, names[i]);

		if (is_in(names[i], (const char *const *)used) || lstat(path, &st) < 0 ||
		    time(NULL) - st.st_mtime < YOUNG_SECONDS)
			continue;
		p->ret->freed_bytes += (int64_t)st.st_blocks * 512;
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(err, errno, "remove '%s'", path);
	}
	return 0;
}

/*
 * Blobs serve to install the same again, and images that share them; so they go with these. While a
 * pull is under way they are left alone.
 */
static int prune_blobs(struct prune *p, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_printf("%s/blobs", p->root);
	AUTO_FD int lock_fd = store_lock_blobs(p->root, false, NULL);
	AUTO_STRV char **names = names_in(dir);

	if (lock_fd < 0)
		return 0;
	for (size_t i = 0; names[i]; i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", dir, names[i]);
		struct stat st;

		if (is_in(names[i], (const char *const *)p->blobs))
			continue;
		if (lstat(path, &st) == 0)
			p->ret->freed_bytes += (int64_t)st.st_blocks * 512;
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(err, errno, "remove '%s'", path);
	}
	return 0;
}

static int prune_remains(struct prune *p, struct pyro_error *err)
{
	AUTO_FREE char *tmp = mem_printf("%s/tmp", p->root);

	p->ret->freed_bytes += dir_disk_bytes(tmp);
	return store_remove(tmp, err) < 0 ? -1 : dir_make(tmp, 0700, err);
}

int image_prune(const char *const *keep, struct pyro_pruned *ret, struct pyro_error *err)
{
	AUTO_FREE char *root = store_root(err);
	AUTO_FD int lock_fd = -1;
	struct pyro_pruned pruned = {.deleted_environment_dirs = mem_zalloc(1, sizeof(char *))};
	struct prune p = {.root = root, .keep = keep, .ret = &pruned};
	int r = -1;

	if (root && file_exists(root))
		lock_fd = store_lock(root, deadline_in(LOCK_MS), err);
	if (root && !file_exists(root))
		r = 0;
	else if (lock_fd >= 0 && prune_remains(&p, err) == 0 && prune_images(&p, err) == 0 &&
		 prune_kernels(&p, err) == 0 && prune_blobs(&p, err) == 0)
		r = prune_initrds(&p, err);
	strv_free(p.kernels);
	strv_free(p.blobs);
	if (r == 0)
		*ret = pruned;
	else
		strv_free(pruned.deleted_environment_dirs);
	return r;
}
