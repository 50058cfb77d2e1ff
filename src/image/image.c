#include "image/image.h"

#include "base/err.h"
#include "base/file.h"
#include "image/catalog.h"
#include "image/initrd.h"
#include "image/store.h"
#include "pyro/ops.h"

#include <stdlib.h>

/* Paths and digests of an install that was opened; takes its directory. */
static int fill(struct image *ret, struct install *install, const char *root,
		const char *agent_path, struct pyro_error *err)
{
	struct image image = IMAGE_INIT;

	if (initrd_open(root, install, agent_path, &image.initrd_path, &image.initrd_digest, err) <
	    0)
		return -1;
	image.root_path = mem_printf("%s/root.ext4", install->dir);
	image.blank_path = mem_printf("%s/blank.qcow2", install->dir);
	image.kernel_path = mem_printf("%s/vmlinux", install->kernel_dir);
	image.root_digest = mem_strdup(manifest_digest(&install->image, "root.ext4"));
	image.kernel_digest = mem_strdup(manifest_digest(&install->kernel, "vmlinux"));
	image.dir = TAKE_PTR(install->dir);
	*ret = image;
	return 0;
}

int image_open(const char *name, const char *agent_path, struct image *ret, struct pyro_error *err)
{
	const struct catalog_entry *entry = catalog_find(name, err);
	AUTO_INSTALL struct install install = INSTALL_INIT;
	AUTO_FREE char *root = entry ? store_root(err) : NULL;

	if (!root || store_open(&install, root, entry, err) < 0)
		return -1;
	return fill(ret, &install, root, agent_path, err);
}

int image_open_dir(const char *dir, const char *agent_path, struct image *ret,
		   struct pyro_error *err)
{
	AUTO_INSTALL struct install install = INSTALL_INIT;
	AUTO_FREE char *root = store_root(err);

	if (!root || store_open_dir(&install, root, dir, err) < 0)
		return -1;
	return fill(ret, &install, root, agent_path, err);
}

void image_done(struct image *image)
{
	free(image->dir);
	free(image->root_path);
	free(image->blank_path);
	free(image->kernel_path);
	free(image->initrd_path);
	free(image->root_digest);
	free(image->kernel_digest);
	free(image->initrd_digest);
	*image = (struct image)IMAGE_INIT;
}

static void describe(const char *root, const struct catalog_entry *entry,
		     struct pyro_environment *ret)
{
	AUTO_INSTALL struct install install = INSTALL_INIT;
	struct pyro_error why;
	int r = store_open(&install, root, entry, &why);

	*ret = (struct pyro_environment){
		.name = mem_strdup(entry->name),
		.version = mem_strdup(entry->version),
		.description = mem_strdup(entry->description),
		.distribution = mem_strdup(CATALOG_DISTRIBUTION),
		.distribution_version = mem_strdup(CATALOG_DISTRIBUTION_VERSION),
		.default_packages = strv_dup(entry->packages),
		.platform = mem_strdup("linux-x86_64"),
		.installed = r == 0,
		.cache_dir = mem_strdup(root),
		.source = mem_printf("Debian archive, suite %s", entry->suite),
		.disk_bytes = PYRO_NONE,
	};
	if (r == 0) {
		ret->disk_bytes = dir_disk_bytes(install.dir);
		ret->install_dir = TAKE_PTR(install.dir);
	} else if (why.code != PYRO_E_NOT_FOUND) {
		ret->reason = mem_strdup(why.message);
	}
}

int image_list(struct pyro_environment_list *ret, struct pyro_error *err)
{
	const struct catalog_entry *entries = catalog_entries();
	AUTO_FREE char *root = store_root(err);
	size_t n = 0;

	if (!root)
		return -1;
	while (entries[n].name)
		n++;
	ret->catalog_version = mem_strdup(CATALOG_VERSION);
	ret->environments = mem_zalloc(n, sizeof(*ret->environments));
	ret->environments_count = n;
	for (size_t i = 0; i < n; i++)
		describe(root, &entries[i], &ret->environments[i]);
	return 0;
}

int image_inspect(const char *name, struct pyro_environment *ret, struct pyro_error *err)
{
	const struct catalog_entry *entry = catalog_find(name, err);
	AUTO_FREE char *root = entry ? store_root(err) : NULL;

	if (!root)
		return -1;
	describe(root, entry, ret);
	return 0;
}
