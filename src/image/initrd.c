/*
 * A cpio archive in the "newc" form, which the kernel unpacks (its documentation calls the page
 * "initramfs buffer format"): for each file a header of hexadecimal numbers, the name and the
 * content, each padded to four bytes, and a file called TRAILER!!! at the end.
 */
#include "image/initrd.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "image/digest.h"
#include "image/manifest.h"
#include "image/store.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AGENT_MAX (64 << 20)
#define INITRD_MAX (128 << 20)
#define ID_DIGITS 16

struct cpio {
	struct buf data;
	unsigned n_files;
};

static void pad(struct cpio *cpio)
{
	buf_append(&cpio->data, "\0\0\0", -cpio->data.len % 4);
}

/* rdev: major and minor number of a device, else 0, 0. */
static void add(struct cpio *cpio, const char *name, unsigned mode, const struct buf *data,
		const unsigned rdev[2])
{
	static const unsigned none[2];
	size_t len = data ? data->len : 0;

	rdev = rdev ? rdev : none;
	buf_printf(&cpio->data, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		   ++cpio->n_files, mode, 0U, 0U, 1U, 0U, (unsigned)len, 0U, 0U, rdev[0], rdev[1],
		   (unsigned)strlen(name) + 1, 0U);
	buf_append(&cpio->data, name, strlen(name) + 1);
	pad(cpio);
	if (len)
		buf_append(&cpio->data, data->data, len);
	pad(cpio);
}

static int add_file(struct cpio *cpio, const char *name, unsigned mode, const char *path,
		    struct pyro_error *err)
{
	AUTO_BUF struct buf data = BUF_INIT(AGENT_MAX);

	if (file_read(path, &data, err) < 0)
		return -1;
	add(cpio, name, S_IFREG | mode, &data, NULL);
	return 0;
}

static int add_modules(struct cpio *cpio, const struct install *install, struct pyro_error *err)
{
	const json_t *artifact;
	size_t i;

	add(cpio, "modules", S_IFDIR | 0755, NULL, NULL);
	json_array_foreach(json_object_get(install->kernel.json, "artifacts"), i, artifact)
	{
		const char *name = json_string_value(json_object_get(artifact, "path"));
		AUTO_FREE char *path = mem_printf("%s/%s", install->kernel_dir, name);

		if (strncmp(name, "modules/", 8) == 0 && add_file(cpio, name, 0644, path, err) < 0)
			return -1;
	}
	return 0;
}

static int fill(struct cpio *cpio, const struct install *install, const char *agent_path,
		struct pyro_error *err)
{
	static const unsigned console[2] = {5, 1};

	if (add_file(cpio, "init", 0755, agent_path, err) < 0 ||
	    add_modules(cpio, install, err) < 0)
		return -1;
	add(cpio, "dev", S_IFDIR | 0755, NULL, NULL);
	add(cpio, "dev/console", S_IFCHR | 0600, NULL, console);
	add(cpio, "TRAILER!!!", 0, NULL, NULL);
	return cpio->data.is_full ? err_set(err, PYRO_E_LIMIT, "the initial RAM disk is too large")
				  : 0;
}

/* Writes the archive under the name that its content gives it, then the record about it. */
static int save(const char *dir, const char *record, const struct buf *cpio,
		const struct install *install, const char *agent_path, struct pyro_error *err)
{
	AUTO_FREE char *name = NULL, *path = NULL;
	char hex[DIGEST_HEX];

	digest_bytes(cpio->data, cpio->len, hex);
	name = mem_printf("%.*s.cpio", ID_DIGITS, hex);
	path = mem_printf("%s/%s", dir, name);
	if (dir_make(dir, 0700, err) < 0 ||
	    file_write_atomic(path, cpio->data, cpio->len, 0644, err) < 0)
		return -1;
	return manifest_write(record,
			      json_pack("{ssss}", "initrd", name, "kernel",
					manifest_text(&install->kernel, "id")),
			      (const char *const[]){name, agent_path, NULL}, err);
}

static int make(const char *dir, const char *record, const struct install *install,
		const char *agent_path, struct pyro_error *err)
{
	struct cpio cpio = {.data = BUF_INIT(INITRD_MAX)};
	int r = fill(&cpio, install, agent_path, err);

	if (r == 0)
		r = save(dir, record, &cpio.data, install, agent_path, err);
	buf_done(&cpio.data);
	return r;
}

/* Whether the record is there and still true; then it tells path and digest. */
static int use(const char *dir, const char *record, char **ret_path, char **ret_digest,
	       struct pyro_error *err)
{
	AUTO_MANIFEST struct manifest m = {NULL};

	if (manifest_load(&m, record, err) < 0 || manifest_verify(&m, err) < 0)
		return -1;
	*ret_path = mem_printf("%s/%s", dir, manifest_text(&m, "initrd"));
	*ret_digest = mem_strdup(manifest_digest(&m, manifest_text(&m, "initrd")));
	return 0;
}

int initrd_open(const char *root, const struct install *install, const char *agent_path,
		char **ret_path, char **ret_digest, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_printf("%s/initrds", root);
	AUTO_FREE char *inputs =
		mem_printf("%s\n%s", manifest_text(&install->kernel, "id"), agent_path);
	AUTO_FREE char *record = NULL;
	char key[DIGEST_HEX];

	if (*agent_path != '/' || !file_exists(agent_path)) {
		(void)err_set(err, PYRO_E_MISSING_DEPENDENCY, "the guest agent '%s' is missing",
			      agent_path);
		return err_hint(err, "build or install pyro again");
	}
	digest_bytes(inputs, strlen(inputs), key);
	record = mem_printf("%s/%.*s.json", dir, ID_DIGITS, key);
	if (use(dir, record, ret_path, ret_digest, NULL) == 0)
		return 0;
	if (make(dir, record, install, agent_path, err) < 0)
		return err_wrap(err, "make the initial RAM disk");
	return use(dir, record, ret_path, ret_digest, err);
}
