#include "tar/out.h"

#include "base/err.h"
#include "tar/tally.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int err_out(struct pyro_error *err, const struct out *o)
{
	return err_sys(err, archive_errno(o->archive), "send the archive");
}

static void fill(struct archive_entry *entry, const struct out_item *item)
{
	archive_entry_clear(entry);
	archive_entry_copy_pathname(entry, item->name);
	archive_entry_set_mode(entry, item->mode & (S_IFMT | 0777));
	archive_entry_set_uid(entry, 0);
	archive_entry_set_gid(entry, 0);
	archive_entry_set_mtime(entry, item->mtime.tv_sec, item->mtime.tv_nsec);
	archive_entry_set_size(entry, S_ISREG(item->mode) ? item->size : 0);
	if (item->symlink)
		archive_entry_copy_symlink(entry, item->symlink);
	if (item->hardlink)
		archive_entry_copy_hardlink(entry, item->hardlink);
}

/* "." and "./", which is what the others are in and does not count. */
static bool is_top(const char *name)
{
	return name[strspn(name, "./")] == '\0';
}

static int send_header(struct out *o, struct pyro_error *err)
{
	if (archive_write_header(o->archive, o->entry) < ARCHIVE_WARN)
		return err_out(err, o);
	o->tally->entries += !is_top(archive_entry_pathname(o->entry));
	tally_tell(o->tally);
	return 0;
}

int out_item(struct out *o, const struct out_item *item, struct pyro_error *err)
{
	fill(o->entry, item);
	return send_header(o, err);
}

int out_data(struct out *o, const char *data, size_t len, struct pyro_error *err)
{
	o->tally->bytes += (int64_t)len;
	if (o->tally->bytes > o->bytes_max)
		return err_set(err, PYRO_E_LIMIT, "'%s' holds more than %lld MiB", o->path,
			       (long long)(o->bytes_max >> 20));
	if (archive_write_data(o->archive, data, len) < 0)
		return err_out(err, o);
	tally_tell(o->tally);
	return 0;
}

int out_changed(struct pyro_error *err, const char *name)
{
	(void)err_set(err, PYRO_E_BUSY, "'%s' changed while it was read", name);
	return err_hint(err, "try again when nothing writes there, or seed from a copy");
}

static int send_content(struct out *o, int fd, const char *name, int64_t size,
			struct pyro_error *err)
{
	static char block[OUT_BLOCK];

	while (size > 0) {
		ssize_t n = read(fd, block, size < OUT_BLOCK ? (size_t)size : OUT_BLOCK);

		if (n < 0)
			return err_sys(err, errno, "read '%s'", name);
		if (n == 0)
			return out_changed(err, name);
		if (out_data(o, block, (size_t)n, err) < 0)
			return -1;
		size -= n;
	}
	return 0;
}

int out_file(struct out *o, int fd, const struct stat *st, const char *name, struct pyro_error *err)
{
	struct archive_entry *none = NULL;

	fill(o->entry, &(struct out_item){name, st->st_mode, st->st_size, st->st_mtim, NULL, NULL});
	archive_entry_set_dev(o->entry, st->st_dev);
	archive_entry_set_ino64(o->entry, (int64_t)st->st_ino);
	archive_entry_set_nlink(o->entry, (unsigned)st->st_nlink);
	archive_entry_linkify(o->links, &o->entry, &none);
	if (send_header(o, err) < 0)
		return -1;
	return archive_entry_hardlink(o->entry) ? 0 : send_content(o, fd, name, st->st_size, err);
}

int out_begin(struct out *o, struct pyro_error *err)
{
	o->archive = archive_write_new();
	o->entry = archive_entry_new();
	o->links = archive_entry_linkresolver_new();
	archive_write_set_format_pax(o->archive);
	archive_write_set_options(o->archive, "hdrcharset=BINARY");
	archive_write_set_bytes_per_block(o->archive, OUT_BLOCK);
	archive_write_set_bytes_in_last_block(o->archive, 1);
	archive_entry_linkresolver_set_strategy(o->links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
	return archive_write_open_fd(o->archive, STDOUT_FILENO) < ARCHIVE_OK ? err_out(err, o) : 0;
}

int out_end(struct out *o, int result, struct pyro_error *err)
{
	if (result < 0)
		archive_write_fail(o->archive);
	else if (archive_write_close(o->archive) < ARCHIVE_OK)
		result = err_out(err, o);
	archive_entry_linkresolver_free(o->links);
	archive_entry_free(o->entry);
	archive_write_free(o->archive);
	return result;
}
