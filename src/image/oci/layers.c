#include "image/oci/layers.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "image/builder/bootstrap.h"
#include "image/builder/event.h"
#include "image/builder/ext4.h"
#include "image/builder/untar.h"
#include "image/image.h"
#include "image/oci/spec.h"
#include "image/oci/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#define BLOCK 65536
#define CHUNK (1024 * 1024)
#define EVENT_BYTES (16 << 20)
#define EVENT_ENTRIES 2000
/* A bomb; deflate itself cannot make more than 1032 bytes out of one. */
#define RATIO_MAX 1100
#define RATIO_FREE_BYTES (64 << 20)
#define OS_RELEASE_MAX 65536
#define WORD_MAX 64
#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"
#define AUFS ".wh..wh." /* what it keeps for itself, at the top */

static int archive_failed(struct archive *a, const char *what, struct pyro_error *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, PYRO_E_INVALID, "read %s: %s", what, why ? why : "it is damaged");
}

/* --- uncompressing ---------------------------------------------------------------------- */

struct unpacking {
	const struct spec_layer *layer;
	int64_t total_bytes; /* what all layers have become */
	int64_t told_bytes;
};

static int check_size(const struct unpacking *u, int64_t len, int64_t packed,
		      struct pyro_error *err)
{
	if (u->total_bytes > IMAGE_DISK_BYTES)
		return err_set(err, PYRO_E_LIMIT, "the image is larger than %lld GiB",
			       (long long)(IMAGE_DISK_BYTES >> 30));
	if (len - RATIO_FREE_BYTES > packed * RATIO_MAX)
		return err_set(err, PYRO_E_LIMIT, "a layer of %lld bytes becomes more than %lld",
			       (long long)packed, (long long)len);
	return bootstrap_check_cancelled(err);
}

static int copy_out(struct unpacking *u, struct archive *a, int fd, int64_t packed,
		    struct pyro_error *err)
{
	AUTO_FREE char *chunk = mem_zalloc(1, CHUNK);
	char digest[SPEC_DIGEST_SIZE] = SPEC_DIGEST_PREFIX;
	int64_t len = 0;
	SHA2_CTX sha;
	la_ssize_t n;

	SHA256Init(&sha);
	while ((n = archive_read_data(a, chunk, CHUNK)) > 0) {
		SHA256Update(&sha, (const uint8_t *)chunk, (size_t)n);
		len += n;
		u->total_bytes += n;
		if (check_size(u, len, packed, err) < 0 ||
		    file_write_all(fd, chunk, (size_t)n, err) < 0)
			return -1;
		if (u->total_bytes - u->told_bytes > EVENT_BYTES)
			event_progress("unpack", u->told_bytes = u->total_bytes, 0, "bytes");
	}
	if (n < 0)
		return archive_failed(a, "a layer", err);
	(void)SHA256End(&sha, digest + 7);
	if (strcmp(digest, u->layer->diff_id) != 0)
		return err_set(err, PYRO_E_PULL_FAILED,
			       "a layer of the image does not match its digest '%s'",
			       u->layer->diff_id);
	return 0;
}

/* libarchive takes the stream for a file: one without a name, compressed or not. */
static int unpack(struct unpacking *u, int from, int to, struct pyro_error *err)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	struct stat st;
	int r = -1;

	(void)archive_read_support_filter_gzip(a);
	(void)archive_read_support_filter_zstd(a);
	(void)archive_read_support_format_raw(a);
	(void)archive_read_support_format_empty(a);
	if (fstat(from, &st) < 0 || archive_read_open_fd(a, from, BLOCK) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) < ARCHIVE_WARN)
		(void)archive_failed(a, "a layer", err);
	else
		r = copy_out(u, a, to, st.st_size, err);
	(void)archive_read_free(a);
	return r;
}

int layers_open(const struct spec *spec, const char *tmp, struct layers *ret,
		struct pyro_error *err)
{
	*ret = (struct layers){.spec = spec,
			       .packed_fds = mem_zalloc(spec->n_layers + 1, sizeof(int)),
			       .fds = mem_zalloc(spec->n_layers + 1, sizeof(int))};
	for (; ret->n < spec->n_layers; ret->n++) {
		const char *from = spec->layers[ret->n].path;
		AUTO_FREE char *to = mem_printf("%s/layer.%zu", tmp, ret->n);
		AUTO_FD int from_fd = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		AUTO_FD int to_fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (from_fd < 0 || to_fd < 0)
			return err_sys(err, errno, "open '%s'", from_fd < 0 ? from : to);
		ret->packed_fds[ret->n] = TAKE_FD(from_fd);
		ret->fds[ret->n] = TAKE_FD(to_fd);
	}
	return 0;
}

int layers_unpack(const struct layers *layers, int64_t *ret_bytes, struct pyro_error *err)
{
	struct unpacking u = {NULL};

	for (size_t i = 0; i < layers->n; i++) {
		u.layer = &layers->spec->layers[i];
		if (unpack(&u, layers->packed_fds[i], layers->fds[i], err) < 0)
			return -1;
	}
	*ret_bytes = u.total_bytes;
	return 0;
}

void layers_done(struct layers *layers)
{
	for (size_t i = 0; i < layers->n; i++) {
		(void)close(layers->packed_fds[i]);
		(void)close(layers->fds[i]);
	}
	free(layers->packed_fds);
	free(layers->fds);
	*layers = (struct layers){NULL};
}

/* --- reading ---------------------------------------------------------------------------- */

/* Where a pass over all layers is. */
struct pass {
	const struct layers *layers;
	struct tree *tree;
	struct ext4 *fs;
	struct buf os_release;
	unsigned layer; /* from 1 on */
	uint32_t place;
	int64_t n_entries; /* so far, of all layers */
	int64_t total;     /* of this pass */
};

typedef int (*on_entry)(struct pass *pass, struct archive *a, struct archive_entry *entry,
			struct pyro_error *err);

static int each_entry(struct pass *pass, struct archive *a, on_entry take, struct pyro_error *err)
{
	struct archive_entry *entry;
	int got;

	for (pass->place = 0; (got = archive_read_next_header(a, &entry)) != ARCHIVE_EOF;
	     pass->place++) {
		/* A warning is about a name that is not in the locale's character set: bytes are
		 * fine. */
		if (got < ARCHIVE_WARN)
			return archive_failed(a, "a layer", err);
		if (!archive_entry_pathname(entry))
			return err_set(err, PYRO_E_INVALID, "a layer has an entry without a name");
		if (take(pass, a, entry, err) < 0 || bootstrap_check_cancelled(err) < 0)
			return -1;
		if (++pass->n_entries % EVENT_ENTRIES == 0 && pass->total)
			event_progress("root", pass->n_entries, pass->total, "files");
	}
	return 0;
}

static int each_layer(struct pass *pass, on_entry take, struct pyro_error *err)
{
	pass->n_entries = 0;
	for (pass->layer = 1; pass->layer <= pass->layers->n; pass->layer++) {
		int fd = pass->layers->fds[pass->layer - 1], r = -1;
		struct archive *a = archive_read_new();

		(void)archive_read_support_format_tar(a);
		(void)archive_read_support_format_empty(a);
		if (lseek(fd, 0, SEEK_SET) < 0 || archive_read_open_fd(a, fd, BLOCK) != ARCHIVE_OK)
			(void)archive_failed(a, "a layer", err);
		else
			r = each_entry(pass, a, take, err);
		(void)archive_read_free(a);
		if (r < 0)
			return -1;
	}
	return 0;
}

/* --- which entries stay ----------------------------------------------------------------- */

/* A whiteout says what it takes away by its name, ".wh.NAME". */
static int take_whiteout(struct pass *pass, const char *path, const char *name,
			 struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_strndup(path, (size_t)(name - path));
	AUTO_FREE char *target = mem_printf("%s%s", dir, name + strlen(WHITEOUT));

	if (strcmp(name, OPAQUE) == 0)
		return tree_clear(pass->tree, dir, pass->layer, err);
	if (strncmp(name, AUFS, strlen(AUFS)) == 0)
		return 0;
	if (strcmp(target, dir) == 0 || strcmp(name + strlen(WHITEOUT), ".") == 0)
		return err_set(err, PYRO_E_INVALID, "a layer removes '%.200s', which is nothing",
			       path);
	return tree_remove(pass->tree, target, pass->layer, err);
}

/* What a distribution calls itself, for whoever looks at the environment. */
static void keep_os_release(struct pass *pass, struct archive *a, struct archive_entry *entry)
{
	const char *path = archive_entry_pathname(entry);
	char text[OS_RELEASE_MAX];
	la_ssize_t n;

	path += strspn(path, "./");
	if (archive_entry_filetype(entry) != AE_IFREG ||
	    (strcmp(path, "usr/lib/os-release") != 0 && strcmp(path, "etc/os-release") != 0))
		return;
	n = archive_read_data(a, text, sizeof(text));
	if (n > 0) {
		buf_reset(&pass->os_release);
		buf_append(&pass->os_release, text, (size_t)n);
	}
}

static int scan_entry(struct pass *pass, struct archive *a, struct archive_entry *entry,
		      struct pyro_error *err)
{
	const char *path = archive_entry_pathname(entry), *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	mode_t mode = archive_entry_mode(entry);

	if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0)
		return take_whiteout(pass, path, name, err);
	if (strncmp(path + (strncmp(path, "./", 2) == 0 ? 2 : 0), AUFS, strlen(AUFS)) == 0)
		return 0;
	if (archive_entry_hardlink(entry))
		return tree_link(pass->tree, path, archive_entry_hardlink(entry), pass->layer, err);
	if (S_ISSOCK(mode)) /* belongs to a process that is not there */
		return 0;
	keep_os_release(pass, a, entry);
	return tree_add(pass->tree, path, mode, archive_entry_symlink(entry), pass->layer,
			pass->place, err);
}

/* --- writing ---------------------------------------------------------------------------- */

static int write_entry(struct pass *pass, struct archive *a, struct archive_entry *entry,
		       struct pyro_error *err)
{
	const struct tree_file *file = tree_file_at(pass->tree, pass->layer, pass->place);
	size_t cursor = 0;
	AUTO_FREE char *first = file ? tree_file_path(file, &cursor) : NULL;
	char *also;
	int r;

	if (!first)
		return 0;
	r = untar_add(pass->fs, first, a, entry, err);
	while (r == 0 && (also = tree_file_path(file, &cursor))) {
		r = ext4_link(pass->fs, also, first, err);
		free(also);
	}
	return r;
}

/* What programs and the guest's agent expect, and images of a single program lack. */
static int add_dirs(struct pass *pass, struct pyro_error *err)
{
	static const struct {
		const char *path;
		mode_t mode;
	} dirs[] = {{"root", 0700}, {"tmp", 01777}, {"var", 0755}, {"etc", 0755}};
	static const char *const mounts[] = {"dev", "proc", "sys", "run"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		const struct ext4_entry e = {.path = dirs[i].path, .mode = S_IFDIR | dirs[i].mode};

		if (!tree_has(pass->tree, dirs[i].path) && ext4_add(pass->fs, &e, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		if (ext4_need_dir(pass->fs, mounts[i], err) < 0)
			return err_wrap(err, "there is no machine with another '/%s'", mounts[i]);
	return 0;
}

/* A value of os-release, which is one word, with or without quotes. */
static void note(json_t *notes, const char *key, const char *text, const char *name)
{
	static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789.-_+~";
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0) {
			const char *value = line + len + strspn(line + len, "\"'");
			size_t n = strspn(value, word);

			(void)json_object_set_new(notes, key,
						  json_stringn(value, n < WORD_MAX ? n : WORD_MAX));
			return;
		}
	}
}

static int write_all(struct pass *pass, json_t *notes, struct pyro_error *err)
{
	if (each_layer(pass, scan_entry, err) < 0)
		return -1;
	pass->total = pass->n_entries;
	if (each_layer(pass, write_entry, err) < 0 || add_dirs(pass, err) < 0)
		return -1;
	note(notes, "distribution", buf_text(&pass->os_release), "ID=");
	note(notes, "distribution_version", buf_text(&pass->os_release), "VERSION_ID=");
	return 0;
}

int layers_write(const struct layers *layers, struct ext4 *fs, json_t *notes,
		 struct pyro_error *err)
{
	struct pass pass = {.layers = layers,
			    .tree = tree_new(),
			    .fs = fs,
			    .os_release = BUF_INIT(OS_RELEASE_MAX)};
	int r = write_all(&pass, notes, err);

	(void)tree_free(pass.tree);
	buf_done(&pass.os_release);
	return r;
}
