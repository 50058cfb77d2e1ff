#include "tar/pack.h"

#include "base/buf.h"
#include "base/err.h"
#include "tar/out.h"
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

#define NAMED_MAX 20

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

static const char *relative(const struct out *o, const FTSENT *e)
{
	const char *name = e->fts_path + strlen(o->path);

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
static int walk(struct out *o,
		int (*each)(struct out *o, FTS *fts, FTSENT *e, void *ctx, struct pyro_error *err),
		void *ctx, struct pyro_error *err)
{
	char *const roots[] = {mem_strdup(o->path), NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	FTSENT *e;
	int r = 0;

	if (!fts) {
		free(roots[0]);
		return err_sys(err, errno, "read '%s'", o->path);
	}
	while (r == 0 && (errno = 0, e = fts_read(fts)))
		if (e->fts_info != FTS_DP)
			r = each(o, fts, e, ctx, err);
	if (r == 0 && errno)
		r = err_sys(err, errno, "read '%s'", o->path);
	fts_close(fts);
	free(roots[0]);
	return r;
}

static int look_at(struct out *o, FTS *fts, FTSENT *e, void *ctx, struct pyro_error *err)
{
	const int wanted = e->fts_info == FTS_D ? R_OK | X_OK : R_OK;
	struct survey *found = ctx;

	(void)err;
	switch (e->fts_info) {
	case FTS_D:
	case FTS_F:
		if (faccessat(AT_FDCWD, e->fts_accpath, wanted, AT_EACCESS) == 0)
			break;
		add_name(&found->unreadable, relative(o, e));
		(void)fts_set(fts, e, FTS_SKIP);
		return 0;
	case FTS_SL:
	case FTS_SLNONE:
		break;
	case FTS_DEFAULT:
		if (!S_ISSOCK(e->fts_statp->st_mode))
			add_name(&found->special, relative(o, e));
		return 0;
	default:
		add_name(&found->unreadable, relative(o, e));
		return 0;
	}
	o->tally->total_entries += e->fts_level > 0;
	o->tally->total_bytes += e->fts_info == FTS_F ? e->fts_statp->st_size : 0;
	tally_tell(o->tally);
	return 0;
}

static int refuse(const struct out *o, struct names *names, const char *one, const char *several,
		  struct pyro_error *err)
{
	if (!names->n)
		return 0;
	if (names->n > NAMED_MAX)
		buf_printf(&names->text, " and %d more", names->n - NAMED_MAX);
	(void)err_set(err, PYRO_E_REFUSED, "'%s' holds %d %s: %s", o->path, names->n,
		      names->n == 1 ? one : several, buf_text(&names->text));
	return err_hint(err, "change or move them, or seed from a copy or an archive without them");
}

/* Everything that is wrong is said at once, before the first byte is sent. */
static int survey(struct out *o, struct pyro_error *err)
{
	struct survey found = {{.text.max = 64 * 1024}, {.text.max = 64 * 1024}};
	int r = walk(o, look_at, &found, err);

	if (r == 0)
		r = refuse(o, &found.unreadable, "entry that cannot be read",
			   "entries that cannot be read", err);
	if (r == 0)
		r = refuse(o, &found.special, "device or pipe", "devices and pipes", err);
	buf_done(&found.unreadable.text);
	buf_done(&found.special.text);
	return r;
}

static int send_file(struct out *o, const FTSENT *e, const char *name, struct pyro_error *err)
{
	AUTO_FD int fd = open(e->fts_accpath, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return out_changed(err, name);
	return out_file(o, fd, &st, name, err);
}

static int send_entry(struct out *o, FTS *fts, FTSENT *e, void *ctx, struct pyro_error *err)
{
	const char *name = relative(o, e);
	const struct stat *st = e->fts_statp;
	char target[PATH_MAX];
	ssize_t n;

	(void)fts;
	(void)ctx;
	if (e->fts_info == FTS_F)
		return send_file(o, e, name, err);
	if (e->fts_info == FTS_DEFAULT && S_ISSOCK(st->st_mode))
		return 0;
	if (e->fts_info != FTS_D && e->fts_info != FTS_SL && e->fts_info != FTS_SLNONE)
		return out_changed(err, name);
	if (e->fts_info != FTS_D) {
		n = readlink(e->fts_accpath, target, sizeof(target) - 1);
		if (n < 0)
			return out_changed(err, name);
		target[n] = '\0';
	}
	return out_item(o,
			&(struct out_item){name, st->st_mode, 0, st->st_mtim,
					   e->fts_info == FTS_D ? NULL : target, NULL},
			err);
}

static int pack_directory(struct out *o, struct pyro_error *err)
{
	return survey(o, err) < 0 ? -1 : walk(o, send_entry, NULL, err);
}

/*
 * Archives.
 */

static int err_in(struct pyro_error *err, const struct out *o, struct archive *in)
{
	const char *why = archive_error_string(in);

	(void)err_set(err, PYRO_E_INVALID, "'%s' cannot be read as a tar archive: %s", o->path,
		      why ? why : "it is damaged");
	return err_hint(err, "give a directory, a .tar, a .tar.gz or a .tgz");
}

static int pass_on(struct out *o, struct archive *in, struct archive_entry *e,
		   struct pyro_error *err)
{
	const struct out_item item = {
		.name = archive_entry_pathname(e),
		.mode = archive_entry_hardlink(e) ? S_IFREG | 0600 : archive_entry_mode(e),
		.size = archive_entry_hardlink(e) ? 0 : archive_entry_size(e),
		.mtime = {archive_entry_mtime(e), archive_entry_mtime_nsec(e)},
		.symlink = archive_entry_symlink(e),
		.hardlink = archive_entry_hardlink(e),
	};
	static char block[OUT_BLOCK];
	ssize_t n = 0;

	if (!item.name)
		return err_set(err, PYRO_E_REFUSED, "'%s': entry %lld has no readable name",
			       o->path, (long long)o->tally->entries + 1);
	if (!S_ISREG(item.mode) && !S_ISDIR(item.mode) && !S_ISLNK(item.mode)) {
		(void)err_set(err, PYRO_E_REFUSED, "'%s': entry '%s' is a device or a pipe",
			      o->path, item.name);
		return err_hint(err, "make the archive without it");
	}
	if (out_item(o, &item, err) < 0)
		return -1;
	while (item.size > 0 && (n = archive_read_data(in, block, sizeof(block))) > 0)
		if (out_data(o, block, (size_t)n, err) < 0)
			return -1;
	return n < 0 ? err_in(err, o, in) : 0;
}

static int pass_all(struct out *o, struct archive *in, struct pyro_error *err)
{
	struct archive_entry *e;
	int r;

	archive_read_support_filter_gzip(in);
	archive_read_support_format_tar(in);
	if (archive_read_open_filename(in, o->path, OUT_BLOCK) < ARCHIVE_OK)
		return err_in(err, o, in);
	/* A warning is about a name that is not in the locale's character set: bytes are fine. */
	while ((r = archive_read_next_header(in, &e)) >= ARCHIVE_WARN && r != ARCHIVE_EOF)
		if (pass_on(o, in, e, err) < 0)
			return -1;
	return r == ARCHIVE_EOF ? 0 : err_in(err, o, in);
}

static int pack_archive(struct out *o, struct pyro_error *err)
{
	struct archive *in = archive_read_new();
	int r = pass_all(o, in, err);

	archive_read_free(in);
	return r;
}

static int pack_to(struct out *o, struct pyro_error *err)
{
	struct stat st;

	if (stat(o->path, &st) < 0)
		return err_sys(err, errno, "read '%s'", o->path);
	return S_ISDIR(st.st_mode) ? pack_directory(o, err) : pack_archive(o, err);
}

int pack(const char *path, int64_t bytes_max, struct tally *ret, struct pyro_error *err)
{
	struct out o = {.path = path, .bytes_max = bytes_max, .tally = ret};
	int r = out_begin(&o, err);

	return out_end(&o, r < 0 ? r : pack_to(&o, err), err);
}
