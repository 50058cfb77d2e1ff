#include "image/image.h"

#include "base/err.h"
#include "base/file.h"
#include "image/catalog.h"
#include "image/initrd.h"
#include "image/reference.h"
#include "image/store.h"
#include "pyro/ops.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

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

int image_check_name(const char *name, struct pyro_error *err)
{
	AUTO_REFERENCE struct reference reference = REFERENCE_INIT;

	if (reference_is(name))
		return reference_parse(name, &reference, err);
	return catalog_find(name, err) ? 0 : -1;
}

int image_open(const char *name, const char *agent_path, struct image *ret, struct pyro_error *err)
{
	AUTO_INSTALL struct install install = INSTALL_INIT;
	AUTO_FREE char *full = reference_install_name(name);
	AUTO_FREE char *root = store_root(err);

	if (!root || store_open(&install, root, full, err) < 0)
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

/* What is on disk of an environment that is described but for that. */
static void describe_install(const char *root, const char *name, struct install *install,
			     struct pyro_environment *ret)
{
	struct pyro_error why;

	ret->platform = mem_strdup("linux-x86_64");
	ret->cache_dir = mem_strdup(root);
	ret->disk_bytes = PYRO_NONE;
	ret->installed = store_open(install, root, name, &why) == 0;
	if (ret->installed) {
		ret->disk_bytes = dir_disk_bytes(install->dir);
		ret->install_dir = mem_strdup(install->dir);
	} else if (why.code != PYRO_E_NOT_FOUND) {
		ret->reason = mem_strdup(why.message);
	}
}

static void describe_entry(const char *root, const struct catalog_entry *entry,
			   struct pyro_environment *ret)
{
	AUTO_INSTALL struct install install = INSTALL_INIT;

	*ret = (struct pyro_environment){
		.name = mem_strdup(entry->name),
		.version = mem_strdup(entry->version),
		.description = mem_strdup(entry->description),
		.distribution = mem_strdup(CATALOG_DISTRIBUTION),
		.distribution_version = mem_strdup(CATALOG_DISTRIBUTION_VERSION),
		.default_packages = strv_dup(entry->packages),
		.source = mem_printf("Debian archive, suite %s", entry->suite),
	};
	describe_install(root, entry->name, &install, ret);
}

/* An image says about itself what its manifest remembers, and nothing when it is not installed. */
static void describe_reference(const char *root, const char *name, struct pyro_environment *ret)
{
	AUTO_INSTALL struct install install = INSTALL_INIT;
	const char *source;

	*ret = (struct pyro_environment){
		.name = mem_strdup(name),
		.description = mem_strdup("OCI image"),
		.default_packages = mem_zalloc(1, sizeof(char *)),
	};
	describe_install(root, name, &install, ret);
	ret->version = mem_strdup(manifest_text(&install.image, "version"));
	ret->distribution = mem_strdup(manifest_text(&install.image, "distribution"));
	ret->distribution_version =
		mem_strdup(manifest_text(&install.image, "distribution_version"));
	source = manifest_text(&install.image, "source");
	ret->source = mem_strdup(*source ? source : name);
}

/* The name of the install that is current in a directory of the store if it is an OCI image. */
static char *installed_reference(const char *images, const char *leaf)
{
	AUTO_FREE char *path = mem_printf("%s/%s/current/manifest.json", images, leaf);
	AUTO_MANIFEST struct manifest m = {NULL};

	if (*leaf == '.' || manifest_load(&m, path, NULL) < 0 ||
	    !reference_is(manifest_text(&m, "name")))
		return NULL;
	return mem_strdup(manifest_text(&m, "name"));
}

static void add_references(const char *root, struct pyro_environment_list *ret)
{
	AUTO_FREE char *images = mem_printf("%s/images", root);
	struct dirent **found = NULL;
	int n = scandir(images, &found, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		AUTO_FREE char *name = installed_reference(images, found[i]->d_name);
		size_t at = ret->environments_count;

		if (name) {
			ret->environments =
				mem_resize(ret->environments, at + 1, sizeof(*ret->environments));
			describe_reference(root, name, &ret->environments[at]);
			ret->environments_count++;
		}
		free(found[i]);
	}
	free(found);
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
		describe_entry(root, &entries[i], &ret->environments[i]);
	add_references(root, ret);
	return 0;
}

int image_inspect(const char *name, struct pyro_environment *ret, struct pyro_error *err)
{
	AUTO_FREE char *full = reference_install_name(name);
	AUTO_FREE char *root = store_root(err);

	if (!root || image_check_name(name, err) < 0)
		return -1;
	if (reference_is(name))
		describe_reference(root, full, ret);
	else
		describe_entry(root, catalog_find(name, NULL), ret);
	return 0;
}
