#include "tar/pack.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "tar/tally.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (256 * 1024)
#define NAMED_MAX 20

struct pack {
	const char *path;
	struct archive *out;
	struct archive_entry *entry;
	struct archive_entry_linkresolver *links;
	int64_t bytes_max;
	struct tally *tally;
};

/* One entry, as it is sent. */
struct item {
	const char *name;
	mode_t mode;
	int64_t size;
	struct timespec mtime;
	const char *symlink;
	const char *hardlink;
};

static int err_out(struct pyro_error *err, const struct pack *p)
{
	return err_sys(err, archive_errno(p->out), "send the archive");
}

static void fill(struct archive_entry *entry, const struct item *item)
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

static int send_header(struct pack *p, struct pyro_error *err)
{
	if (archive_write_header(p->out, p->entry) < ARCHIVE_WARN)
		return err_out(err, p);
	p->tally->entries += !is_top(archive_entry_pathname(p->entry));
	tally_tell(p->tally);
	return 0;
}

static int send_data(struct pack *p, const char *data, size_t len, struct pyro_error *err)
{
	p->tally->bytes += (int64_t)len;
	if (p->tally->bytes > p->bytes_max)
		return err_set(err, PYRO_E_LIMIT, "'%s' holds more than %lld MiB", p->path,
			       (long long)(p->bytes_max >> 20));
	if (archive_write_data(p->out, data, len) < 0)
		return err_out(err, p);
	tally_tell(p->tally);
	return 0;
}

/*
 * Directories.
 */

/* Names for one error: some of them, and how many. */
struct names {
	struct buf text;
	int n;
};

/* What the first walk found. */
struct survey {
	struct names unreadable;
	struct names special;
};

static const char *relative(const struct pack *p, const FTSENT *e)
{
	const char *name = e->fts_path + strlen(p->path);

	return e->fts_level == 0 ? "." : name + (*name == '/');
}

static void add_name(struct names *names, const char *name)
{
	if (names->n++ < NAMED_MAX)
		buf_printf(&names->text, "%s%s", names->n > 1 ? ", " : "", name);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Calls each for every entry; directories come once, before what they hold. */
static int walk(struct pack *p,
		int (*each)(struct pack *p, FTS *fts, FTSENT *e, void *ctx, struct pyro_error *err),
		void *ctx, struct pyro_error *err)
{
	char *const roots[] = {mem_strdup(p->path), NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	FTSENT *e;
	int r = 0;

	if (!fts) {
		free(roots[0]);
		return err_sys(err, errno, "read '%s'", p->path);
	}
	while (r == 0 && (errno = 0, e = fts_read(fts)))
		if (e->fts_info != FTS_DP)
			r = each(p, fts, e, ctx, err);
	if (r == 0 && errno)
		r = err_sys(err, errno, "read '%s'", p->path);
	fts_close(fts);
	free(roots[0]);
	return r;
}

static int look_at(struct pack *p, FTS *fts, FTSENT *e, void *ctx, struct pyro_error *err)
{
	const int wanted = e->fts_info == FTS_D ? R_OK | X_OK : R_OK;
	struct survey *found = ctx;

	(void)err;
	switch (e->fts_info) {
	case FTS_D:
	case FTS_F:
		if (faccessat(AT_FDCWD, e->fts_accpath, wanted, AT_EACCESS) == 0)
			break;
		add_name(&found->unreadable, relative(p, e));
		(void)fts_set(fts, e, FTS_SKIP);
		return 0;
	case FTS_SL:
	case FTS_SLNONE:
		break;
	case FTS_DEFAULT:
		if (!S_ISSOCK(e->fts_statp->st_mode))
			add_name(&found->special, relative(p, e));
		return 0;
	default:
		add_name(&found->unreadable, relative(p, e));
		return 0;
	}
	p->tally->total_entries += e->fts_level > 0;
	p->tally->total_bytes += e->fts_info == FTS_F ? e->fts_statp->st_size : 0;
	tally_tell(p->tally);
	return 0;
}

static int refuse(const struct pack *p, struct names *names, const char *one, const char *several,
		  struct pyro_error *err)
{
	if (!names->n)
		return 0;
	if (names->n > NAMED_MAX)
		buf_printf(&names->text, " and %d more", names->n - NAMED_MAX);
	(void)err_set(err, PYRO_E_REFUSED, "'%s' holds %d %s: %s", p->path, names->n,
		      names->n == 1 ? one : several, buf_text(&names->text));
	return err_hint(err, "change or move them, or seed from a copy or an archive without them");
}

/* Everything that is wrong is said at once, before the first byte is sent. */
static int survey(struct pack *p, struct pyro_error *err)
{
	struct survey found = {{.text.max = 64 * 1024}, {.text.max = 64 * 1024}};
	int r = walk(p, look_at, &found, err);

	if (r == 0)
		r = refuse(p, &found.unreadable, "entry that cannot be read",
			   "entries that cannot be read", err);
	if (r == 0)
		r = refuse(p, &found.special, "device or pipe", "devices and pipes", err);
	buf_done(&found.unreadable.text);
	buf_done(&found.special.text);
	return r;
}

static int err_changed(struct pyro_error *err, const char *name)
{
	(void)err_set(err, PYRO_E_BUSY, "'%s' changed while it was read", name);
	return err_hint(err, "try again when nothing writes there, or seed from a copy");
}

static int send_content(struct pack *p, int fd, const char *name, int64_t size,
			struct pyro_error *err)
{
	static char block[BLOCK];

	while (size > 0) {
		ssize_t n = read(fd, block, size < BLOCK ? (size_t)size : BLOCK);

		if (n < 0)
			return err_sys(err, errno, "read '%s'", name);
		if (n == 0)
			return err_changed(err, name);
		if (send_data(p, block, (size_t)n, err) < 0)
			return -1;
		size -= n;
	}
	return 0;
}

static int send_file(struct pack *p, const FTSENT *e, const char *name, struct pyro_error *err)
{
	AUTO_FD int fd = open(e->fts_accpath, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct archive_entry *none = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_changed(err, name);
	fill(p->entry, &(struct item){name, st.st_mode, st.st_size, st.st_mtim, NULL, NULL});
	archive_entry_set_dev(p->entry, st.st_dev);
	archive_entry_set_ino64(p->entry, (int64_t)st.st_ino);
	archive_entry_set_nlink(p->entry, (unsigned)st.st_nlink);
	archive_entry_linkify(p->links, &p->entry, &none);
	if (send_header(p, err) < 0)
		return -1;
	return archive_entry_hardlink(p->entry) ? 0 : send_content(p, fd, name, st.st_size, err);
}

static int send_entry(struct pack *p, FTS *fts, FTSENT *e, void *ctx, struct pyro_error *err)
{
	const char *name = relative(p, e);
	const struct stat *st = e->fts_statp;
	char target[PATH_MAX];
	ssize_t n;

	(void)fts;
	(void)ctx;
	if (e->fts_info == FTS_F)
		return send_file(p, e, name, err);
	if (e->fts_info == FTS_DEFAULT && S_ISSOCK(st->st_mode))
		return 0;
	if (e->fts_info != FTS_D && e->fts_info != FTS_SL && e->fts_info != FTS_SLNONE)
		return err_changed(err, name);
	if (e->fts_info != FTS_D) {
		n = readlink(e->fts_accpath, target, sizeof(target) - 1);
		if (n < 0)
			return err_changed(err, name);
		target[n] = '\0';
	}
	fill(p->entry, &(struct item){name, st->st_mode, 0, st->st_mtim,
				      e->fts_info == FTS_D ? NULL : target, NULL});
	return send_header(p, err);
}

static int pack_directory(struct pack *p, struct pyro_error *err)
{
	return survey(p, err) < 0 ? -1 : walk(p, send_entry, NULL, err);
}

/*
 * Archives.
 */

static int err_in(struct pyro_error *err, const struct pack *p, struct archive *in)
{
	const char *why = archive_error_string(in);

	(void)err_set(err, PYRO_E_INVALID, "'%s' cannot be read as a tar archive: %s", p->path,
		      why ? why : "it is damaged");
	return err_hint(err, "give a directory, a .tar, a .tar.gz or a .tgz");
}

static int pass_on(struct pack *p, struct archive *in, struct archive_entry *e,
		   struct pyro_error *err)
{
	const struct item item = {
		.name = archive_entry_pathname(e),
		.mode = archive_entry_hardlink(e) ? S_IFREG | 0600 : archive_entry_mode(e),
		.size = archive_entry_hardlink(e) ? 0 : archive_entry_size(e),
		.mtime = {archive_entry_mtime(e), archive_entry_mtime_nsec(e)},
		.symlink = archive_entry_symlink(e),
		.hardlink = archive_entry_hardlink(e),
	};
	static char block[BLOCK];
	ssize_t n = 0;

	if (!item.name)
		return err_set(err, PYRO_E_REFUSED, "'%s': entry %lld has no readable name",
			       p->path, (long long)p->tally->entries + 1);
	if (!S_ISREG(item.mode) && !S_ISDIR(item.mode) && !S_ISLNK(item.mode)) {
		(void)err_set(err, PYRO_E_REFUSED, "'%s': entry '%s' is a device or a pipe",
			      p->path, item.name);
		return err_hint(err, "make the archive without it");
	}
	fill(p->entry, &item);
	if (send_header(p, err) < 0)
		return -1;
	while (item.size > 0 && (n = archive_read_data(in, block, sizeof(block))) > 0)
		if (send_data(p, block, (size_t)n, err) < 0)
			return -1;
	return n < 0 ? err_in(err, p, in) : 0;
}

static int pass_all(struct pack *p, struct archive *in, struct pyro_error *err)
{
	struct archive_entry *e;
	int r;

	archive_read_support_filter_gzip(in);
	archive_read_support_format_tar(in);
	if (archive_read_open_filename(in, p->path, BLOCK) < ARCHIVE_OK)
		return err_in(err, p, in);
	/* A warning is about a name that is not in the locale's character set: bytes are fine. */
	while ((r = archive_read_next_header(in, &e)) >= ARCHIVE_WARN && r != ARCHIVE_EOF)
		if (pass_on(p, in, e, err) < 0)
			return -1;
	return r == ARCHIVE_EOF ? 0 : err_in(err, p, in);
}

static int pack_archive(struct pack *p, struct pyro_error *err)
{
	struct archive *in = archive_read_new();
	int r = pass_all(p, in, err);

	archive_read_free(in);
	return r;
}

static int pack_to(struct pack *p, struct pyro_error *err)
{
	struct stat st;
	int r;

	if (stat(p->path, &st) < 0)
		return err_sys(err, errno, "read '%s'", p->path);
	archive_write_set_format_pax(p->out);
	archive_write_set_options(p->out, "hdrcharset=BINARY");
	archive_write_set_bytes_per_block(p->out, BLOCK);
	archive_write_set_bytes_in_last_block(p->out, 1);
	archive_entry_linkresolver_set_strategy(p->links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
	if (archive_write_open_fd(p->out, STDOUT_FILENO) < ARCHIVE_OK)
		return err_out(err, p);
	r = S_ISDIR(st.st_mode) ? pack_directory(p, err) : pack_archive(p, err);
	if (r < 0) {
		/* What was sent must not look whole. */
		archive_write_fail(p->out);
		return -1;
	}
	return archive_write_close(p->out) < ARCHIVE_OK ? err_out(err, p) : 0;
}

int pack(const char *path, int64_t bytes_max, struct tally *ret, struct pyro_error *err)
{
	struct pack p = {
		.path = path,
		.out = archive_write_new(),
		.entry = archive_entry_new(),
		.links = archive_entry_linkresolver_new(),
		.bytes_max = bytes_max,
		.tally = ret,
	};
	int r = pack_to(&p, err);

	archive_entry_linkresolver_free(p.links);
	archive_entry_free(p.entry);
	archive_write_free(p.out);
	return r;
}
