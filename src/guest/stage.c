#include "guest/stage.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "guest/root.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (64 * 1024)

/* One unpacking under way. */
struct unpack {
	struct stage *stage;
	struct archive *in;
	int fd;        /* of the stream */
	bool is_ended; /* there was nothing more to read */
	int dir_fd;
	const char *prefix;
	bool is_root;
	struct root_parent parent;
};

static int err_archive(struct pyro_error *err, struct archive *archive, const char *name)
{
	const char *why = archive_error_string(archive);
	int errnum = archive_errno(archive);

	/* EILSEQ is how libarchive says that the bytes are no archive. */
	if (errnum > 0 && errnum != EILSEQ)
		return err_sys(err, errnum, "read '%s'", name);
	return err_set(err, PYRO_E_INVALID, "read '%s': %s", name, why ? why : "unknown");
}

/* The attributes of a directory that has none of its own. */
static void add_dir(struct stage *stage, const char *path, const struct stage_dir *attributes)
{
	struct stage_dir *dir;

	if ((stage->n_dirs & (stage->n_dirs - 1)) == 0)
		stage->dirs = mem_resize(stage->dirs, stage->n_dirs ? stage->n_dirs * 2 : 1,
					 sizeof(*stage->dirs));
	dir = &stage->dirs[stage->n_dirs++];
	*dir = *attributes;
	dir->path = mem_strdup(path);
}

/* Makes the directories that lead to `path`, where they are missing. */
static int make_parents(struct unpack *u, const char *path, struct pyro_error *err)
{
	struct stage_dir implied = {.mode = 0755, .mtime.tv_nsec = UTIME_NOW};
	AUTO_FREE char *part = mem_strdup(path);

	implied.uid = geteuid();
	implied.gid = getegid();
	for (char *slash = part; (slash = strchr(slash, '/')); *slash++ = '/') {
		const char *name;
		int fd;

		*slash = '\0';
		fd = root_parent(&u->parent, u->dir_fd, part, &name);
		if (fd < 0)
			return root_err(err, errno, part);
		if (mkdirat(fd, name, 0755) == 0)
			add_dir(u->stage, part, &implied);
		else if (errno != EEXIST)
			return err_sys(err, errno, "create directory '%s'", part);
	}
	return 0;
}

/* The directory that an entry belongs into; -1 with err. */
static int open_parent(struct unpack *u, const char *path, const char **ret_name,
		       struct pyro_error *err)
{
	int fd = root_parent(&u->parent, u->dir_fd, path, ret_name);

	if (fd < 0 && errno == ENOENT) {
		if (make_parents(u, path, err) < 0)
			return -1;
		fd = root_parent(&u->parent, u->dir_fd, path, ret_name);
	}
	if (fd >= 0)
		return fd;
	if (errno == ELOOP)
		return err_set(err, PYRO_E_REFUSED, "entry '%s' goes through a symbolic link",
			       path);
	if (errno == ENOTDIR)
		return err_set(err, PYRO_E_REFUSED, "entry '%s' is in what is no directory", path);
	return err_sys(err, errno, "entry '%s'", path);
}

/* Whether a call can be tried once more, now that what the archive had of that name is gone. */
static bool made_way(struct unpack *u, int dir_fd, const char *name)
{
	if (errno != EEXIST || unlinkat(dir_fd, name, 0) < 0)
		return false;
	u->stage->leaves--;
	return true;
}

/* Whether the owner is another one than what is made has by itself. */
static bool has_owner(const struct unpack *u, struct archive_entry *entry)
{
	return u->is_root && (archive_entry_uid(entry) != 0 || archive_entry_gid(entry) != 0);
}

static struct timespec mtime_of(struct archive_entry *entry)
{
	return (struct timespec){archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
}

static int unpack_dir(struct unpack *u, struct archive_entry *entry, const char *path,
		      struct pyro_error *err)
{
	struct stage_dir dir = {
		.is_listed = strcmp(path, u->prefix) != 0,
		.mode = archive_entry_perm(entry),
		.uid = (uid_t)archive_entry_uid(entry),
		.gid = (gid_t)archive_entry_gid(entry),
		.mtime = mtime_of(entry),
	};
	const char *name;
	struct stat st;
	int fd;

	add_dir(u->stage, path, &dir);
	if (!*path)
		return 0;
	fd = open_parent(u, path, &name, err);
	if (fd < 0)
		return -1;
	if (mkdirat(fd, name, 0700) == 0)
		return 0;
	if (errno == EEXIST && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode))
		return 0;
	errno = EEXIST;
	if (made_way(u, fd, name) && mkdirat(fd, name, 0700) == 0)
		return 0;
	return err_sys(err, errno, "create directory '%s'", path);
}

static int unpack_data(struct unpack *u, int fd, const char *path, struct pyro_error *err)
{
	const char *block;
	la_int64_t offset;
	size_t len;
	int r;

	while ((r = archive_read_data_block(u->in, (const void **)&block, &len, &offset)) ==
	       ARCHIVE_OK)
		while (len) {
			ssize_t n = pwrite(fd, block, len, offset);

			if (n < 0)
				return err_sys(err, errno, "write '%s'", path);
			block += n;
			offset += n;
			len -= (size_t)n;
			u->stage->bytes += n;
		}
	return r == ARCHIVE_EOF ? 0 : err_archive(err, u->in, path);
}

static int create_file(struct unpack *u, int dir_fd, const char *name, mode_t mode)
{
	int fd;

	do
		fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    mode);
	while (fd < 0 && made_way(u, dir_fd, name));
	return fd;
}

static int unpack_file(struct unpack *u, struct archive_entry *entry, const char *path, int dir_fd,
		       const char *name, struct pyro_error *err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime_of(entry)};
	const mode_t mode = archive_entry_perm(entry);
	AUTO_FD int fd = create_file(u, dir_fd, name, mode);

	if (fd < 0)
		return err_sys(err, errno, "create '%s'", path);
	if (unpack_data(u, fd, path, err) < 0)
		return -1;
	/* A sparse file may end with a hole. */
	if (archive_entry_sparse_count(entry) && ftruncate(fd, archive_entry_size(entry)) < 0)
		return err_sys(err, errno, "write '%s'", path);
	if (has_owner(u, entry) &&
	    fchown(fd, (uid_t)archive_entry_uid(entry), (gid_t)archive_entry_gid(entry)) < 0)
		return err_sys(err, errno, "set the owner of '%s'", path);
	/* A new owner, and who writes without being root, take the special bits away. */
	if ((mode & 07000 && fchmod(fd, mode) < 0) || futimens(fd, times) < 0)
		return err_sys(err, errno, "set the mode and time of '%s'", path);
	return 0;
}

static int unpack_symlink(struct unpack *u, struct archive_entry *entry, const char *path,
			  int dir_fd, const char *name, struct pyro_error *err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime_of(entry)};
	const char *target = archive_entry_symlink(entry);

	if (!target)
		return err_set(err, PYRO_E_REFUSED, "entry '%s' has no readable target", path);
	if (symlinkat(target, dir_fd, name) < 0 &&
	    (!made_way(u, dir_fd, name) || symlinkat(target, dir_fd, name) < 0))
		return err_sys(err, errno, "create link '%s'", path);
	if (has_owner(u, entry) &&
	    fchownat(dir_fd, name, (uid_t)archive_entry_uid(entry), (gid_t)archive_entry_gid(entry),
		     AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "set the owner of '%s'", path);
	(void)utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* The path below the staging directory; NULL with err. */
static char *full_path(const struct unpack *u, const char *name, struct pyro_error *err)
{
	AUTO_FREE char *relative = root_entry_path(name, err), *full = NULL;

	if (!relative || !*u->prefix)
		return TAKE_PTR(relative);
	full = mem_printf("%s%s%s", u->prefix, *relative ? "/" : "", relative);
	if (strlen(full) >= PATH_MAX - 1) {
		(void)err_set(err, PYRO_E_INVALID, "path '%.100s…' is too long", full);
		return NULL;
	}
	return TAKE_PTR(full);
}

/* To what the archive had before; the file's content and attributes are those that it has. */
static int unpack_hard_link(struct unpack *u, const char *target, const char *path, int dir_fd,
			    const char *name, struct pyro_error *err)
{
	AUTO_PARENT struct root_parent parent = ROOT_PARENT_INIT;
	AUTO_FREE char *full = full_path(u, target, err);
	const char *target_name;
	int fd;

	if (!full)
		return err_wrap(err, "entry '%s'", path);
	fd = *full ? root_parent(&parent, u->dir_fd, full, &target_name) : -1;
	if (fd < 0 && errno == ELOOP)
		return err_set(err, PYRO_E_REFUSED,
			       "entry '%s' links to '%s', through a symbolic link", path, target);
	if (fd < 0 ||
	    (linkat(fd, target_name, dir_fd, name, 0) < 0 &&
	     (!made_way(u, dir_fd, name) || linkat(fd, target_name, dir_fd, name, 0) < 0)))
		return err_sys(err, errno, "link '%s' to '%s'", path, target);
	return 0;
}

static bool is_whiteout(struct archive_entry *entry)
{
	return archive_entry_filetype(entry) == AE_IFCHR && archive_entry_rdevmajor(entry) == 0 &&
	       archive_entry_rdevminor(entry) == 0;
}

static int add_whiteout(struct unpack *u, const char *path, struct pyro_error *err)
{
	struct stage *stage = u->stage;

	if (strcmp(path, u->prefix) == 0)
		return err_set(err, PYRO_E_REFUSED, "an entry removes the destination itself");
	if ((stage->n_whiteouts & (stage->n_whiteouts - 1)) == 0)
		stage->whiteouts = mem_resize(stage->whiteouts,
					      stage->n_whiteouts ? stage->n_whiteouts * 2 : 1,
					      sizeof(*stage->whiteouts));
	stage->whiteouts[stage->n_whiteouts++] = mem_strdup(path);
	return 0;
}

static int unpack_leaf(struct unpack *u, struct archive_entry *entry, const char *path,
		       struct pyro_error *err)
{
	const char *hard_link = archive_entry_hardlink(entry), *name;
	mode_t type = archive_entry_filetype(entry);
	int fd, r;

	if (!hard_link && type != AE_IFREG && type != AE_IFLNK)
		return err_set(err, PYRO_E_REFUSED, "entry '%s' is a device, a pipe or a socket",
			       path);
	if (strcmp(path, u->prefix) == 0)
		return err_set(err, PYRO_E_REFUSED, "entry '%s' replaces the destination itself",
			       archive_entry_pathname(entry));
	fd = open_parent(u, path, &name, err);
	if (fd < 0)
		return -1;
	if (hard_link)
		r = unpack_hard_link(u, hard_link, path, fd, name, err);
	else if (type == AE_IFREG)
		r = unpack_file(u, entry, path, fd, name, err);
	else
		r = unpack_symlink(u, entry, path, fd, name, err);
	u->stage->leaves++;
	return r;
}

static int unpack_entry(struct unpack *u, struct archive_entry *entry, struct pyro_error *err)
{
	const char *name = archive_entry_pathname(entry);
	AUTO_FREE char *path = NULL;

	if (!name)
		return err_set(err, PYRO_E_REFUSED, "entry %lld has no readable name",
			       (long long)u->stage->entries + 1);
	path = full_path(u, name, err);
	if (!path)
		return -1;
	u->stage->entries++;
	if (is_whiteout(entry))
		return add_whiteout(u, path, err);
	if (archive_entry_filetype(entry) == AE_IFDIR && !archive_entry_hardlink(entry))
		return unpack_dir(u, entry, path, err);
	return unpack_leaf(u, entry, path, err);
}

/* The last word about each directory is the one that holds, so in the order of the archive. */
static int finish_dirs(const struct unpack *u, struct pyro_error *err)
{
	for (size_t i = 0; i < u->stage->n_dirs; i++) {
		const struct stage_dir *dir = &u->stage->dirs[i];
		const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, dir->mtime};
		AUTO_FD int fd = root_open_plain(u->dir_fd, dir->path, O_RDONLY | O_DIRECTORY);

		if (fd < 0 || (u->is_root && fchown(fd, dir->uid, dir->gid) < 0) ||
		    fchmod(fd, u->is_root ? dir->mode : dir->mode | 0700) < 0 ||
		    futimens(fd, times) < 0)
			return err_sys(err, errno, "set the mode and time of '%s'", dir->path);
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_whiteouts(struct stage *stage)
{
	size_t kept = 0;

	if (stage->n_whiteouts)
		qsort(stage->whiteouts, stage->n_whiteouts, sizeof(*stage->whiteouts), compare);
	for (size_t i = 0; i < stage->n_whiteouts; i++) {
		if (kept && strcmp(stage->whiteouts[kept - 1], stage->whiteouts[i]) == 0)
			free(stage->whiteouts[i]);
		else
			stage->whiteouts[kept++] = stage->whiteouts[i];
	}
	stage->n_whiteouts = kept;
}

static la_ssize_t read_stream(struct archive *in, void *ctx, const void **ret_block)
{
	static char block[BLOCK];
	struct unpack *u = ctx;
	ssize_t n = read(u->fd, block, sizeof(block));

	if (n < 0)
		archive_set_error(in, errno, "the stream broke");
	u->is_ended = n == 0;
	*ret_block = block;
	return n;
}

static int unpack_all(struct unpack *u, struct pyro_error *err)
{
	AUTO_FREE char *inside = mem_printf("%s/.", u->prefix);
	struct archive_entry *entry;
	int r;

	if (*u->prefix && make_parents(u, inside, err) < 0)
		return -1;
	archive_read_support_format_tar(u->in);
	if (archive_read_open(u->in, u, NULL, read_stream, NULL) < ARCHIVE_OK)
		return err_archive(err, u->in, "the archive");
	/* A warning is about a name that is not in the locale's character set: bytes are fine. */
	while ((r = archive_read_next_header(u->in, &entry)) >= ARCHIVE_WARN && r != ARCHIVE_EOF)
		if (unpack_entry(u, entry, err) < 0)
			return -1;
	if (r != ARCHIVE_EOF)
		return err_archive(err, u->in, "the archive");
	/* A sender that died may have stopped between two entries. */
	if (u->is_ended)
		return err_set(err, PYRO_E_INVALID, "the archive has no end");
	/* Padding comes, and then the sender's word that all went well with it. */
	if (file_drain(u->fd, err) < 0)
		return -1;
	sort_whiteouts(u->stage);
	return finish_dirs(u, err);
}

int stage_unpack(struct stage *stage, int fd, int dir_fd, const char *prefix,
		 struct pyro_error *err)
{
	struct unpack u = {
		.stage = stage,
		.in = archive_read_new(),
		.fd = fd,
		.dir_fd = dir_fd,
		.prefix = prefix,
		.is_root = geteuid() == 0,
		.parent = ROOT_PARENT_INIT,
	};
	int r = unpack_all(&u, err);

	root_parent_done(&u.parent);
	archive_read_free(u.in);
	return r;
}

void stage_done(struct stage *stage)
{
	for (size_t i = 0; i < stage->n_dirs; i++)
		free(stage->dirs[i].path);
	for (size_t i = 0; i < stage->n_whiteouts; i++)
		free(stage->whiteouts[i]);
	free(stage->dirs);
	free(stage->whiteouts);
}

bool stage_lists_dir(const struct stage *stage, const char *path)
{
	for (size_t i = 0; i < stage->n_dirs; i++)
		if (stage->dirs[i].is_listed && strcmp(stage->dirs[i].path, path) == 0)
			return true;
	return false;
}

bool stage_is_whiteout(const struct stage *stage, const char *path)
{
	return stage->n_whiteouts && bsearch(&path, stage->whiteouts, stage->n_whiteouts,
					     sizeof(*stage->whiteouts), compare);
}
