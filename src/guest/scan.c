#include "guest/scan.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "guest/root.h"
#include "guest/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (64 * 1024)
#define ENTRY_MAX (2 * PATH_MAX + 256)

struct scan {
	char out[CHUNK + ENTRY_MAX];
	size_t len;
	int64_t entries;
};

static char type_of(mode_t mode)
{
	return S_ISREG(mode) ? 'f' : S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : 'o';
}

/* Some file systems know times that no 64 bits of nanoseconds can hold. */
static long long nanoseconds(const struct timespec *ts)
{
	long long ns;

	if (__builtin_mul_overflow(ts->tv_sec, 1000000000LL, &ns) ||
	    __builtin_add_overflow(ns, ts->tv_nsec, &ns))
		return ts->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

static int flush(struct scan *s, struct pyro_error *err)
{
	size_t len = s->len;

	s->len = 0;
	return file_write_all(STDOUT_FILENO, s->out, len, err);
}

static int on_entry(void *ctx, const struct walk_entry *entry, struct pyro_error *err)
{
	struct scan *s = ctx;
	const struct stat *st = &entry->st;
	ssize_t n = 0;
	char *at = s->out + s->len;

	at += snprintf(at, ENTRY_MAX, "%c %o %lld %lld %lld %llu %s", type_of(st->st_mode),
		       st->st_mode & 07777, (long long)st->st_size, nanoseconds(&st->st_mtim),
		       nanoseconds(&st->st_ctim), (unsigned long long)st->st_ino, entry->path);
	at++;
	if (S_ISLNK(st->st_mode))
		n = readlinkat(entry->dir_fd, entry->name, at, PATH_MAX - 1);
	if (n < 0)
		return 0; /* it vanished, or is no link any more */
	at += n;
	*at++ = '\0';
	s->len = (size_t)(at - s->out);
	s->entries++;
	return s->len >= CHUNK ? flush(s, err) : 0;
}

/* What is no directory, or a link that leads to none: one entry. */
static int scan_one(struct scan *s, int root, const char *path, struct pyro_error *err)
{
	AUTO_FREE char *parent = mem_strdup(path);
	char *slash = strrchr(parent, '/');
	struct walk_entry entry = {.path = path,
				   .name = slash ? path + (slash - parent) + 1 : path};
	AUTO_FD int fd = -1;

	*(slash ? slash : parent) = '\0';
	fd = root_open_following(root, parent, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || fstatat(fd, entry.name, &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
		return root_err(err, errno, path);
	entry.dir_fd = fd;
	return on_entry(s, &entry, err);
}

json_t *scan_run(const void *arg, struct pyro_error *err)
{
	static struct scan s;
	const struct scan_args *args = arg;
	AUTO_FREE char *path = root_path(args->path, err);
	AUTO_FD int root = path ? root_open(err) : -1, dir = -1;
	int64_t too_long = 0;
	int r;

	if (root < 0)
		return NULL;
	dir = root_open_following(root, path, O_RDONLY | O_DIRECTORY);
	if (dir < 0 && (!*path || errno == EACCES))
		r = root_err(err, errno, path);
	else if (dir < 0)
		r = scan_one(&s, root, path, err);
	else
		r = walk_run(&(struct walk){dir, path, args->is_recursive, on_entry, &s}, &too_long,
			     err);
	if (r < 0 || flush(&s, err) < 0)
		return NULL;
	return json_pack("{s:I s:I}", "entries", (json_int_t)s.entries, "too_long",
			 (json_int_t)too_long);
}

static int copy_out(int fd, const char *path, int64_t left, struct pyro_error *err)
{
	static char chunk[CHUNK];

	while (left > 0) {
		ssize_t n = read(fd, chunk, left < CHUNK ? (size_t)left : CHUNK);

		if (n < 0)
			return err_sys(err, errno, "read '%s'", path);
		if (n == 0)
			return 0;
		if (file_write_all(STDOUT_FILENO, chunk, (size_t)n, err) < 0)
			return -1;
		left -= n;
	}
	return 0;
}

json_t *scan_read(const void *arg, struct pyro_error *err)
{
	const struct scan_read_args *args = arg;
	AUTO_FREE char *path = root_path(args->path, err);
	AUTO_FD int root = path ? root_open(err) : -1, fd = -1;
	struct stat st;

	if (root < 0)
		return NULL;
	/* A pipe without a writer must not hold us up, nor a terminal become ours. */
	fd = root_open_following(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENXIO) {
		(void)err_set(err, PYRO_E_INVALID, "'%s' is not a regular file", path);
		return NULL;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)root_err(err, errno, path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)err_set(err, PYRO_E_INVALID, "'%s' is %s", *path ? path : ROOT_PATH,
			      S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
		return NULL;
	}
	/* No offset behind the end is sought: not every file system takes them all. */
	if (args->offset < st.st_size) {
		if (lseek(fd, args->offset, SEEK_SET) < 0) {
			(void)root_err(err, errno, path);
			return NULL;
		}
		if (copy_out(fd, path, args->max_bytes, err) < 0)
			return NULL;
	}
	return json_pack("{s:I s:i}", "size", (json_int_t)st.st_size, "mode",
			 (int)(st.st_mode & 07777));
}
