/*
 * Layers of an image that a stranger made, up to the file system that they become. First byte: 0
 * an archive of docker save, 1 a compressed layer, else two layers, the second of which begins
 * after so many blocks of 512 bytes less two.
 */
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "fuzz.h"
#include "image/builder/ext4.h"
#include "image/oci/layers.h"
#include "image/oci/local.h"
#include "image/oci/spec.h"
#include "image/reference.h"
#include "scratch.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_BYTES (2 << 20)
#define BLOCK 512
#define PAGE 4096

static char tmp[64], root[64];
static char empty[ROOT_BYTES]; /* a file system with nothing in it */

int __real_proc_check(const struct argv *a, const struct proc_options *opt, struct pyro_error *err);
int __wrap_proc_check(const struct argv *a, const struct proc_options *opt, struct pyro_error *err);

/* mke2fs, which is started once only; then there is what it made, but for what is zero. */
int __wrap_proc_check(const struct argv *a, const struct proc_options *opt, struct pyro_error *err)
{
	static const char zeros[PAGE];
	static bool is_made;
	AUTO_FD int fd = open(root, O_RDWR | O_CLOEXEC);

	assert(fd >= 0);
	for (off_t at = 0; is_made && at < ROOT_BYTES; at += PAGE)
		if (memcmp(empty + at, zeros, PAGE) != 0)
			assert(pwrite(fd, empty + at, PAGE, at) == PAGE);
	if (is_made)
		return 0;
	is_made = true;
	assert(__real_proc_check(a, opt, err) == 0);
	assert(pread(fd, empty, sizeof(empty), 0) == (ssize_t)sizeof(empty));
	return 0;
}

static void write_root(const struct layers *layers)
{
	struct pyro_error err;
	struct ext4 *fs = ext4_new(root, ROOT_BYTES, "root", "fuzz", &err);
	json_t *notes = json_object();

	assert(fs);
	if (layers_write(layers, fs, notes, &err) == 0)
		(void)ext4_close(fs, &err);
	else
		(void)ext4_free(fs);
	json_decref(notes);
}

static void unpack(const struct spec *spec)
{
	AUTO_LAYERS struct layers layers = {NULL};
	struct pyro_error err;
	int64_t bytes;

	if (layers_open(spec, tmp, &layers, &err) == 0 && layers_unpack(&layers, &bytes, &err) == 0)
		write_root(&layers);
}

static void try_archive(char *path)
{
	const struct reference reference = {.kind = REFERENCE_ARCHIVE, .path = path};
	struct spec spec = {NULL};
	struct pyro_error err;

	if (local_archive(&reference, tmp, &spec, &err) == 0)
		unpack(&spec);
	spec_done(&spec);
}

/* It is unpacked as a whole before it proves to have another digest. */
static void try_compressed(char *path)
{
	char digest[] = SPEC_DIGEST_PREFIX "?";
	struct spec_layer layer = {.diff_id = digest, .path = path};

	unpack(&(struct spec){.layers = &layer, .n_layers = 1});
}

static void try_layers(const uint8_t *bytes, size_t size, size_t cut)
{
	int fds[2];

	cut = cut < size ? cut : size;
	fds[0] = scratch_memory(bytes, cut);
	fds[1] = scratch_memory(bytes + cut, size - cut);
	write_root(&(struct layers){.fds = fds, .n = ARRAY_SIZE(fds)});
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char path[64];
	int fd;

	if (size < 1)
		return 0;
	(void)snprintf(root, sizeof(root), "%s/root", scratch_dir());
	(void)snprintf(tmp, sizeof(tmp), "%s/tmp", scratch_dir());
	if (bytes[0] > 1) {
		try_layers(bytes + 1, size - 1, (size_t)(bytes[0] - 2) * BLOCK);
		(void)unlink(root);
		assert(scratch_names(scratch_dir()) == 0);
		return 0;
	}
	fd = scratch_memory(bytes + 1, size - 1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert(mkdir(tmp, 0700) == 0);
	(bytes[0] ? try_compressed : try_archive)(path);
	assert(dir_remove(tmp, NULL) == 0);
	(void)unlink(root);
	assert(scratch_names(scratch_dir()) == 0);
	(void)close(fd);
	return 0;
}
