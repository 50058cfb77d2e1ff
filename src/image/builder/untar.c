#include "image/builder/untar.h"

#include "base/err.h"
#include "image/builder/ext4.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>

#define CHUNK (256 * 1024)
#define XATTR_MAX 65536
#define ID_MAX 4294967294 /* one more means nobody */

struct reader {
	const struct untar_source *source;
	struct pyro_error *err;
	bool is_failed; /* the source failed, and err says why */
	char chunk[CHUNK];
};

static ssize_t read_chunk(struct archive *archive, void *ctx, const void **data)
{
	struct reader *r = ctx;
	ssize_t n = r->source->read(r->source->ctx, r->chunk, sizeof(r->chunk), r->err);

	*data = r->chunk;
	if (n < 0) {
		r->is_failed = true;
		archive_set_error(archive, EIO, "the source failed");
	}
	return n;
}

static int archive_failed(const struct reader *r, struct archive *archive)
{
	const char *why = archive_error_string(archive);

	if (r->is_failed)
		return -1;
	return err_set(r->err, PYRO_E_INVALID, "read the archive: %s", why ? why : "it is damaged");
}

int untar_each(const struct untar_source *source,
	       int (*on_entry)(void *ctx, struct archive *archive, struct archive_entry *entry,
			       struct pyro_error *err),
	       void *ctx, struct pyro_error *err)
{
	AUTO_FREE struct reader *reader = mem_zalloc(1, sizeof(*reader));
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	int got, r = 0;

	*reader = (struct reader){.source = source, .err = err};
	(void)archive_read_support_filter_all(archive);
	(void)archive_read_support_format_tar(archive);
	got = archive_read_open(archive, reader, NULL, read_chunk, NULL);
	while (got >= ARCHIVE_WARN && r == 0) {
		got = archive_read_next_header(archive, &entry);
		if (got == ARCHIVE_EOF)
			break;
		if (got >= ARCHIVE_WARN)
			r = on_entry(ctx, archive, entry, err);
	}
	if (r == 0 && got < ARCHIVE_WARN)
		r = archive_failed(reader, archive);
	(void)archive_read_free(archive);
	return r;
}

/* What a kernel keeps for programs; access lists have a form of their own. */
static bool is_plain_xattr(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strncmp(name, "security.", 9) == 0 ||
	       strncmp(name, "trusted.", 8) == 0;
}

static int add_xattrs(struct ext4 *fs, struct archive_entry *entry, struct pyro_error *err)
{
	const char *name;
	const void *value;
	size_t len;

	(void)archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &len) == ARCHIVE_OK) {
		if (!is_plain_xattr(name))
			continue;
		if (len > XATTR_MAX)
			return err_set(err, PYRO_E_INVALID, "attribute '%s' is too long", name);
		if (ext4_set_xattr(fs, name, value, len, err) < 0)
			return err_wrap(err, "'%s'", archive_entry_pathname(entry));
	}
	return 0;
}

static int add_content(struct ext4 *fs, struct archive *archive, struct archive_entry *entry,
		       struct pyro_error *err)
{
	const void *data;
	int64_t offset;
	size_t len;
	int got;

	while ((got = archive_read_data_block(archive, &data, &len, &offset)) == ARCHIVE_OK)
		if (ext4_write(fs, data, len, offset, err) < 0)
			return -1;
	if (got != ARCHIVE_EOF)
		return err_set(err, PYRO_E_INVALID, "read the archive: %s",
			       archive_error_string(archive));
	return ext4_finish(fs, archive_entry_size(entry), err);
}

int untar_add(struct ext4 *fs, const char *path, struct archive *archive,
	      struct archive_entry *entry, struct pyro_error *err)
{
	const char *target = archive_entry_symlink(entry);
	struct ext4_entry e = {
		.path = path,
		.mode = archive_entry_mode(entry),
		.uid = (uint32_t)archive_entry_uid(entry),
		.gid = (uint32_t)archive_entry_gid(entry),
		.mtime_s = archive_entry_mtime(entry),
		.mtime_ns = (uint32_t)archive_entry_mtime_nsec(entry),
		.target = target ? target : "",
		.dev_major = (uint32_t)archive_entry_rdevmajor(entry),
		.dev_minor = (uint32_t)archive_entry_rdevminor(entry),
	};

	if (archive_entry_uid(entry) < 0 || archive_entry_uid(entry) > ID_MAX ||
	    archive_entry_gid(entry) < 0 || archive_entry_gid(entry) > ID_MAX)
		return err_set(err, PYRO_E_INVALID, "'%.200s' has an owner that cannot be", path);
	if (ext4_add(fs, &e, err) < 0)
		return -1;
	if (S_ISREG(e.mode) && add_content(fs, archive, entry, err) < 0)
		return -1;
	return add_xattrs(fs, entry, err);
}

static int add_entry(void *ctx, struct archive *archive, struct archive_entry *entry,
		     struct pyro_error *err)
{
	const char *path = archive_entry_pathname(entry);
	struct ext4 *fs = ctx;

	if (!path)
		return err_set(err, PYRO_E_INVALID, "an entry of the archive has no usable name");
	if (archive_entry_hardlink(entry))
		return ext4_link(fs, path, archive_entry_hardlink(entry), err);
	return untar_add(fs, path, archive, entry, err);
}

int untar_to_ext4(const struct untar_source *source, struct ext4 *fs, struct pyro_error *err)
{
	return untar_each(source, add_entry, fs, err);
}
