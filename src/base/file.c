#include "base/file.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/trash.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <linux/fs.h>

#define READ_CHUNK (64 * 1024)
#define LOCK_POLL_MS 20
#define WRITE_LOCK_MS 60000

int file_read_fd(int fd, const char *path, struct buf *out, struct pyro_error *err)
{
	for (;;) {
		size_t want = out->max - out->len < READ_CHUNK ? out->max - out->len : READ_CHUNK;
		char extra;
		ssize_t n = want ? read(fd, buf_room(out, want), want) : read(fd, &extra, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read '%s'", path);
		if (n == 0)
			return 0;
		if (!want)
			return err_set(err, PYRO_E_LIMIT, "read '%s': larger than %zu bytes", path,
				       out->max);
		buf_grew(out, (size_t)n);
	}
}

int file_read(const char *path, struct buf *out, struct pyro_error *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "open '%s'", path);
	return file_read_fd(fd, path, out, err);
}

int file_write_all(int fd, const void *data, size_t len, struct pyro_error *err)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = {.fd = fd, .events = POLLOUT};

			(void)poll(&pfd, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_strdup(".");
	return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

int file_sync_dir(const char *path, struct pyro_error *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, errno, "sync directory '%s'", path);
	return 0;
}

int file_write_at(int fd, const void *data, size_t len, int64_t at, struct pyro_error *err)
{
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, errno, "write");
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_drain(int fd, struct pyro_error *err)
{
	char block[4096];
	ssize_t n;

	do
		n = read(fd, block, sizeof(block));
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? err_sys(err, errno, "read") : 0;
}

int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
		      struct pyro_error *err)
{
	AUTO_FREE char *temp = mem_printf("%s.pyro-new", path);
	AUTO_FREE char *parent = parent_of(path);
	/* Others who write the same wait. Whoever was killed left what is now overwritten. */
	AUTO_FD int fd = file_lock(temp, deadline_in(WRITE_LOCK_MS), err);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, 0) < 0)
		return err_sys(err, errno, "empty '%s'", temp);
	if (file_write_all(fd, data, len, err) < 0) {
		(void)unlink(temp);
		return err_wrap(err, "'%s'", path);
	}
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temp, path) < 0) {
		int saved = errno;

		(void)unlink(temp);
		return err_sys(err, saved, "replace '%s'", path);
	}
	return file_sync_dir(parent, err);
}

/* The part [from, to) of a sparse file that holds data. */
static int copy_extent(int in, int out, off_t from, off_t to)
{
	if (lseek(out, from, SEEK_SET) < 0)
		return -1;
	while (from < to) {
		ssize_t n = copy_file_range(in, &from, out, NULL, (size_t)(to - from), 0);

		if (n < 0 && errno != EINTR) /* not every kind of file system can do it */
			n = sendfile(out, in, &from, (size_t)(to - from));
		if (n < 0 && errno != EINTR)
			return -1;
		if (n == 0)
			break;
	}
	return 0;
}

static int copy_data(int in, int out, off_t size)
{
	off_t data = 0;

	if (ioctl(out, FICLONE, in) == 0)
		return 0;
	if (ftruncate(out, size) < 0)
		return -1;
	while (data < size) {
		off_t hole;

		data = lseek(in, data, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -1;
		hole = lseek(in, data, SEEK_HOLE);
		if (hole < 0 || copy_extent(in, out, data, hole) < 0)
			return -1;
		data = hole;
	}
	return 0;
}

int file_copy(const char *from, const char *to, mode_t mode, struct pyro_error *err)
{
	AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	AUTO_FD int out = -1;
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		return err_sys(err, errno, "open '%s'", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (out < 0)
		return err_sys(err, errno, "create '%s'", to);
	if (copy_data(in, out, st.st_size) < 0) {
		int saved = errno;

		(void)unlink(to);
		return err_sys(err, saved, "copy '%s' to '%s'", from, to);
	}
	return 0;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

int dir_make(const char *path, mode_t mode, struct pyro_error *err)
{
	AUTO_FREE char *copy = mem_strdup(path);
	struct stat st;

	for (char *p = copy; *p; p++) {
		if (*p != '/' || p == copy)
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return err_sys(err, errno, "create directory '%s'", copy);
		*p = '/';
	}
	if (mkdir(copy, mode) == 0)
		return 0;
	if (errno == EEXIST && stat(copy, &st) == 0 && !S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	return errno == EEXIST ? 0 : err_sys(err, errno, "create directory '%s'", copy);
}

int dir_remove(const char *path, struct pyro_error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	AUTO_FREE char *parent = slash ? mem_strndup(path, (size_t)(name - path)) : mem_strdup(".");
	AUTO_FD int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "remove '%s'", path);
	return trash_remove(fd, name, err) < 0 ? err_wrap(err, "in '%s'", parent) : 0;
}

static __thread int64_t disk_bytes_sum; /* nftw has no context argument */

static int add_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (type != FTW_NS)
		disk_bytes_sum += (int64_t)st->st_blocks * 512;
	return 0;
}

int64_t dir_disk_bytes(const char *path)
{
	disk_bytes_sum = 0;
	(void)nftw(path, add_entry, 32, FTW_PHYS | FTW_MOUNT);
	return disk_bytes_sum;
}

int64_t dir_free_bytes(const char *path)
{
	struct statvfs fs;

	if (statvfs(path, &fs) < 0)
		return -1;
	return (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

/*
 * Locks belong to the open file (F_OFD_…), as flock's do, but can be asked about without being
 * taken for a moment, which would make somebody else's attempt fail.
 */
#define WHOLE_FILE                                      \
	{                                               \
		.l_type = F_WRLCK, .l_whence = SEEK_SET \
	}

/* Whether path still names the file that is open as fd: a lock file may go with its directory. */
static bool is_same_file(int fd, const char *path)
{
	struct stat open_st, path_st;

	return fstat(fd, &open_st) == 0 && stat(path, &path_st) == 0 &&
	       open_st.st_ino == path_st.st_ino && open_st.st_dev == path_st.st_dev;
}

/* One attempt: the descriptor, -1 with err, or -2 if somebody else holds the lock. */
static int try_lock(const char *path, short type, struct pyro_error *err)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct flock lock = WHOLE_FILE;

	lock.l_type = type;
	if (fd < 0)
		return err_sys(err, errno, "open lock '%s'", path);
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return err_sys(err, errno, "lock '%s'", path);
		return -2;
	}
	return is_same_file(fd, path) ? TAKE_FD(fd) : -2;
}

static int take_lock(const char *path, short type, int64_t deadline, struct pyro_error *err)
{
	int fd;

	while ((fd = try_lock(path, type, err)) == -2) {
		if (deadline_left(deadline) == 0)
			return err_set(err, PYRO_E_BUSY, "'%s' is locked by another process", path);
		(void)poll(NULL, 0, LOCK_POLL_MS);
	}
	return fd;
}

int file_lock(const char *path, int64_t deadline, struct pyro_error *err)
{
	return take_lock(path, F_WRLCK, deadline, err);
}

int file_lock_shared(const char *path, int64_t deadline, struct pyro_error *err)
{
	return take_lock(path, F_RDLCK, deadline, err);
}

bool file_is_locked(const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct flock lock = WHOLE_FILE;

	/* Where it cannot be told, somebody may hold it: what is not locked may be removed. */
	if (fd < 0)
		return errno != ENOENT;
	return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}
