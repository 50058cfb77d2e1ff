#include "tar/unpack.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "tar/tally.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK (256 * 1024)
/* What libarchive may read until it has an entry: of a file's map of holes it keeps twelvefold. */
#define HEADER_MAX (32 * 1024 * 1024)
#define DIR_PATHS_MAX (128 * 1024 * 1024)

/* What a directory gets when everything is in it. */
struct dir {
	char *path;
	mode_t mode;
	struct timespec mtime;
};

struct unpack {
	struct archive *in;
	bool is_ended;       /* there was nothing more to read */
	bool is_in_content;  /* of an entry, whose header is complete */
	size_t header_bytes; /* of the stream, for one header */
	int64_t bytes_max;
	struct tally *tally;
	mode_t umask;

	int fd;       /* of the directory that the item is made in */
	bool is_any;  /* the item has come */
	char *parent; /* the directory of the last entry, and its descriptor */
	int parent_fd;
	struct dir *dirs;
	size_t n_dirs;
	size_t dir_paths; /* bytes of the paths of dirs */
};

static la_ssize_t read_stream(struct archive *in, void *ctx, const void **ret_block)
{
	static char block[BLOCK];
	struct unpack *u = ctx;
	ssize_t n = read(STDIN_FILENO, block, sizeof(block));

	if (n < 0)
		archive_set_error(in, errno, "the stream broke");
	u->header_bytes += n > 0 && !u->is_in_content ? (size_t)n : 0;
	if (u->header_bytes > HEADER_MAX) {
		archive_set_error(in, EFBIG, "a header does not end");
		return -1;
	}
	u->is_ended = n == 0;
	*ret_block = block;
	return n;
}

static int err_in(struct pyro_error *err, const struct unpack *u)
{
	const char *why = archive_error_string(u->in);

	return err_set(err, PYRO_E_PROTOCOL, "what the guest sends is damaged: %s",
		       why ? why : "unknown");
}

/* "a/b" of what is in the archive as "./a//b/"; NULL with err for what no honest sender writes. */
static char *clean_name(const char *name, struct pyro_error *err)
{
	AUTO_BUF struct buf clean = BUF_INIT(strlen(name) + 1);
	AUTO_FREE char *copy = mem_strdup(name);
	char *rest = copy, *part;
	bool is_bad = *name == '/';

	while ((part = strsep(&rest, "/"))) {
		if (!*part || strcmp(part, ".") == 0)
			continue;
		is_bad |= strcmp(part, "..") == 0;
		buf_printf(&clean, "%s%s", clean.len ? "/" : "", part);
	}
	if (!is_bad)
		return mem_strdup(buf_text(&clean));
	(void)err_set(err, PYRO_E_REFUSED, "entry '%s' would be outside of the export", name);
	return NULL;
}

int unpack_open(int dir_fd, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

/* The descriptor of the directory at `path`, borrowed; mostly it is that of the last entry. */
static int enter(struct unpack *u, const char *path, struct pyro_error *err)
{
	if (u->parent && strcmp(u->parent, path) == 0)
		return u->parent_fd;
	fd_close(&u->parent_fd);
	free(u->parent);
	u->parent = mem_strdup(path);
	u->parent_fd = unpack_open(u->fd, path);
	if (u->parent_fd >= 0)
		return u->parent_fd;
	free(TAKE_PTR(u->parent));
	if (errno == ELOOP)
		return err_set(err, PYRO_E_REFUSED, "an entry goes through symbolic link '%s'",
			       path);
	return err_sys(err, errno, "enter '%s'", path);
}

static int note_dir(struct unpack *u, const char *path, mode_t mode, struct timespec mtime,
		    struct pyro_error *err)
{
	u->dir_paths += strlen(path);
	if (u->dir_paths > DIR_PATHS_MAX)
		return err_set(err, PYRO_E_LIMIT, "the export holds too many directories");
	if ((u->n_dirs & (u->n_dirs - 1)) == 0)
		u->dirs = mem_resize(u->dirs, u->n_dirs ? u->n_dirs * 2 : 1, sizeof(*u->dirs));
	u->dirs[u->n_dirs++] = (struct dir){mem_strdup(path), mode, mtime};
	return 0;
}

static int err_create(struct pyro_error *err, const char *path)
{
	if (errno == EEXIST)
		return err_set(err, PYRO_E_REFUSED, "entry '%s' comes twice", path);
	return err_sys(err, errno, "create '%s'", path);
}

static int write_block(int fd, const char *block, size_t len, int64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, block, len, offset);

		if (n < 0)
			return -1;
		block += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_content(struct unpack *u, int fd, const char *path, struct pyro_error *err)
{
	const char *block;
	la_int64_t offset;
	size_t len;
	int r;

	while ((r = archive_read_data_block(u->in, (const void **)&block, &len, &offset)) ==
	       ARCHIVE_OK) {
		u->tally->bytes += (int64_t)len;
		if (u->tally->bytes > u->bytes_max)
			return err_set(err, PYRO_E_LIMIT, "the export holds more than %lld MiB",
				       (long long)(u->bytes_max >> 20));
		if (write_block(fd, block, len, offset) < 0)
			return err_sys(err, errno, "write '%s'", path);
		tally_tell(u->tally);
	}
	return r == ARCHIVE_EOF ? 0 : err_in(err, u);
}

static int make_file(struct unpack *u, struct archive_entry *e, int dir_fd, const char *name,
		     const char *path, struct pyro_error *err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					  {archive_entry_mtime(e), archive_entry_mtime_nsec(e)}};
	AUTO_FD int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_create(err, path);
	if (write_content(u, fd, path, err) < 0)
		return -1;
	/* A sparse file may end with a hole. */
	if ((archive_entry_sparse_count(e) && ftruncate(fd, archive_entry_size(e)) < 0) ||
	    fchmod(fd, archive_entry_perm(e) & 0777 & ~u->umask) < 0 || futimens(fd, times) < 0)
		return err_sys(err, errno, "finish '%s'", path);
	return 0;
}

static int make_symlink(struct archive_entry *e, int dir_fd, const char *name, const char *path,
			struct pyro_error *err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					  {archive_entry_mtime(e), archive_entry_mtime_nsec(e)}};
	const char *target = archive_entry_symlink(e);

	if (!target || !*target)
		return err_set(err, PYRO_E_REFUSED, "link '%s' has no readable target", path);
	if (symlinkat(target, dir_fd, name) < 0)
		return err_create(err, path);
	(void)utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int make_dir(struct unpack *u, struct archive_entry *e, int dir_fd, const char *name,
		    const char *path, struct pyro_error *err)
{
	if (mkdirat(dir_fd, name, 0700) < 0)
		return err_create(err, path);
	return note_dir(u, path, archive_entry_perm(e) & 0777 & ~u->umask,
			(struct timespec){archive_entry_mtime(e), archive_entry_mtime_nsec(e)},
			err);
}

static int make_entry(struct unpack *u, struct archive_entry *e, const char *path,
		      struct pyro_error *err)
{
	AUTO_FREE char *parent = mem_strdup(path);
	char *slash = strrchr(parent, '/');
	const char *name = slash ? path + (slash - parent) + 1 : path;
	int fd = u->fd;

	if (slash) {
		*slash = '\0';
		fd = enter(u, parent, err);
		if (fd < 0)
			return -1;
	}
	if (archive_entry_hardlink(e))
		return err_set(err, PYRO_E_REFUSED, "entry '%s' is a hard link", path);
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return make_file(u, e, fd, name, path, err);
	case AE_IFLNK:
		return make_symlink(e, fd, name, path, err);
	case AE_IFDIR:
		return make_dir(u, e, fd, name, path, err);
	default:
		(void)err_set(err, PYRO_E_REFUSED, "entry '%s' is a device or a pipe",
			      archive_entry_pathname(e));
		return err_hint(err, "remove it in the workspace, then export again");
	}
}

/* The first entry is the item itself, whatever its name; all others are in it. */
static int take_entry(struct unpack *u, struct archive_entry *e, struct pyro_error *err)
{
	const char *name = archive_entry_pathname(e);
	AUTO_FREE char *clean = name ? clean_name(name, err) : NULL;
	AUTO_FREE char *path = NULL;

	if (!name)
		return err_set(err, PYRO_E_REFUSED, "an entry has no readable name");
	if (!clean)
		return -1;
	if (!u->is_any) {
		u->is_any = true;
		u->tally->entries += archive_entry_filetype(e) != AE_IFDIR;
		return make_entry(u, e, UNPACK_ITEM, err);
	}
	if (++u->tally->entries > UNPACK_ENTRIES_MAX)
		return err_set(err, PYRO_E_LIMIT, "the export holds more than %d entries",
			       UNPACK_ENTRIES_MAX);
	tally_tell(u->tally);
	if (!u->n_dirs || !*clean)
		return err_set(err, PYRO_E_REFUSED, "entry '%s' is not in the export", name);
	path = mem_printf(UNPACK_ITEM "/%s", clean);
	return make_entry(u, e, path, err);
}

static int next_entry(struct unpack *u, struct archive_entry **ret)
{
	int r;

	u->header_bytes = 0;
	u->is_in_content = false;
	r = archive_read_next_header(u->in, ret);
	u->is_in_content = true;
	return r;
}

static int take_all(struct unpack *u, struct pyro_error *err)
{
	struct archive_entry *e;
	int r;

	archive_read_support_format_tar(u->in);
	if (archive_read_open(u->in, u, NULL, read_stream, NULL) < ARCHIVE_OK)
		return err_in(err, u);
	while ((r = next_entry(u, &e)) >= ARCHIVE_WARN && r != ARCHIVE_EOF)
		if (take_entry(u, e, err) < 0)
			return -1;
	if (r != ARCHIVE_EOF)
		return err_in(err, u);
	/* A sender that died may have stopped between two entries: the end is two zero blocks. */
	if (u->is_ended || !u->is_any)
		return err_set(err, PYRO_E_PROTOCOL, "what the guest sends stops before its end");
	return file_drain(STDIN_FILENO, err); /* the padding */
}

/* Directories last and the deepest first: their modes may forbid to enter them. */
static int finish_dirs(struct unpack *u, struct pyro_error *err)
{
	for (size_t i = u->n_dirs; i-- > 1;) {
		const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, u->dirs[i].mtime};
		AUTO_FD int fd = unpack_open(u->fd, u->dirs[i].path);

		if (fd < 0 || fchmod(fd, u->dirs[i].mode) < 0 || futimens(fd, times) < 0)
			return err_sys(err, errno, "finish '%s'", u->dirs[i].path);
	}
	return 0;
}

int unpack(int dir_fd, mode_t umask, int64_t bytes_max, struct unpacked *ret,
	   struct pyro_error *err)
{
	struct unpack u = {.in = archive_read_new(),
			   .bytes_max = bytes_max,
			   .tally = &ret->tally,
			   .umask = umask,
			   .fd = dir_fd,
			   .parent_fd = -1};
	int r = take_all(&u, err) < 0 ? -1 : finish_dirs(&u, err);

	if (u.n_dirs) {
		ret->mode = u.dirs[0].mode;
		ret->mtime = u.dirs[0].mtime;
	}
	archive_read_free(u.in);
	fd_close(&u.parent_fd);
	free(u.parent);
	for (size_t i = 0; i < u.n_dirs; i++)
		free(u.dirs[i].path);
	free(u.dirs);
	return r;
}
