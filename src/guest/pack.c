#include "guest/pack.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "guest/root.h"
#include "guest/walk.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (64 * 1024)
#define HOLE_BLOCK (16 * 1024 * 1024)

struct pack {
	struct archive *out;
	struct archive_entry *entry;
	int64_t entries;
	int64_t bytes; /* of the content of files */
};

static int err_archive(struct pyro_error *err, const struct pack *p, const char *name)
{
	return err_sys(err, archive_errno(p->out), "send '%s'", name);
}

/* The parts of a file with holes that are none, so that the archive need not carry the others. */
static void note_holes(struct archive_entry *entry, int fd, const struct stat *st)
{
	off_t data = 0, hole;

	if (st->st_blocks * 512 >= st->st_size)
		return;
	while (data < st->st_size && (data = lseek(fd, data, SEEK_DATA)) >= 0) {
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			break;
		archive_entry_sparse_add_entry(entry, data, hole - data);
		data = hole;
	}
	if (!archive_entry_sparse_count(entry))
		archive_entry_sparse_add_entry(entry, st->st_size, 0);
}

/* libarchive only counts what it is given for a hole. */
static int pack_hole(struct pack *p, int64_t len)
{
	static char zeros[HOLE_BLOCK];

	for (; len > 0; len -= HOLE_BLOCK)
		if (archive_write_data(p->out, zeros, len < HOLE_BLOCK ? (size_t)len : HOLE_BLOCK) <
		    0)
			return -1;
	return 0;
}

/*
 * As many bytes as the header says; what the file lost since are zeros. Holes are not read: a file
 * can be nearly all hole, and larger than can be read in days.
 */
static int pack_data(struct pack *p, int fd, const char *path, int64_t size, struct pyro_error *err)
{
	static char block[BLOCK];

	for (int64_t at = 0, data; at < size;) {
		ssize_t n;

		data = lseek(fd, at, SEEK_DATA);
		if (data < 0 || data > size)
			data = size;
		if (pack_hole(p, data - at) < 0)
			return err_archive(err, p, path);
		at = data;
		n = pread(fd, block, size - at < BLOCK ? (size_t)(size - at) : BLOCK, at);
		if (n < 0)
			return err_sys(err, errno, "read '%s'", path);
		if (n == 0)
			break;
		if (archive_write_data(p->out, block, (size_t)n) < 0)
			return err_archive(err, p, path);
		at += n;
	}
	p->bytes += size;
	return 0;
}

static void fill_entry(struct archive_entry *entry, const char *name, const struct stat *st)
{
	archive_entry_clear(entry);
	archive_entry_copy_pathname(entry, name);
	archive_entry_set_mode(entry, st->st_mode);
	archive_entry_set_uid(entry, st->st_uid);
	archive_entry_set_gid(entry, st->st_gid);
	archive_entry_set_mtime(entry, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	archive_entry_set_size(entry, S_ISREG(st->st_mode) ? st->st_size : 0);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		archive_entry_set_rdev(entry, st->st_rdev);
}

static int pack_file(struct pack *p, const struct walk_entry *e, struct pyro_error *err)
{
	AUTO_FD int fd = openat(e->dir_fd, e->name,
				O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open '%s'", e->path);
	if (!S_ISREG(st.st_mode))
		return 0;
	fill_entry(p->entry, e->path, &st);
	note_holes(p->entry, fd, &st);
	if (archive_write_header(p->out, p->entry) < ARCHIVE_WARN)
		return err_archive(err, p, e->path);
	p->entries++;
	return pack_data(p, fd, e->path, st.st_size, err);
}

static int pack_entry(void *ctx, const struct walk_entry *e, struct pyro_error *err)
{
	struct pack *p = ctx;
	char target[PATH_MAX];
	ssize_t n;

	if (S_ISREG(e->st.st_mode))
		return pack_file(p, e, err);
	if (S_ISSOCK(e->st.st_mode))
		return 0;
	fill_entry(p->entry, e->path, &e->st);
	if (S_ISLNK(e->st.st_mode)) {
		n = readlinkat(e->dir_fd, e->name, target, sizeof(target) - 1);
		if (n < 0)
			return 0;
		target[n] = '\0';
		archive_entry_copy_symlink(p->entry, target);
	}
	if (archive_write_header(p->out, p->entry) < ARCHIVE_WARN)
		return err_archive(err, p, e->path);
	p->entries++;
	return 0;
}

/* A directory with all that is in it. */
static int pack_tree(struct pack *p, int dir_fd, struct pyro_error *err)
{
	const struct walk walk = {dir_fd, "", true, pack_entry, p};
	struct walk_entry top = {.dir_fd = dir_fd, .name = ".", .path = "."};
	int64_t too_long;

	if (fstat(dir_fd, &top.st) < 0)
		return err_sys(err, errno, "look at the directory");
	if (pack_entry(p, &top, err) < 0 || walk_run(&walk, &too_long, err) < 0)
		return -1;
	return too_long ? err_set(err, PYRO_E_LIMIT, "%lld paths are too long to be sent",
				  (long long)too_long)
			: 0;
}

static int pack_path(struct pack *p, int root, const char *path, struct pyro_error *err)
{
	AUTO_FREE char *parent = mem_strdup(path);
	char *slash = strrchr(parent, '/');
	struct walk_entry entry = {.name = slash ? path + (slash - parent) + 1 : path};
	AUTO_FD int fd = -1;

	*(slash ? slash : parent) = '\0';
	fd = root_open_following(root, parent, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || fstatat(fd, *path ? entry.name : ".", &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
		return root_err(err, errno, path);
	if (S_ISDIR(entry.st.st_mode)) {
		AUTO_FD int dir = root_open_plain(fd, entry.name, O_RDONLY | O_DIRECTORY);

		return dir < 0 ? root_err(err, errno, path) : pack_tree(p, dir, err);
	}
	entry.dir_fd = fd;
	entry.path = entry.name;
	return pack_entry(p, &entry, err);
}

static int pack_name(struct pack *p, struct root_parent *parent, int dir_fd, const char *name,
		     struct pyro_error *err)
{
	AUTO_FREE char *path = NULL;
	struct walk_entry entry = {0};

	if (strlen(name) >= PATH_MAX - 1)
		return 0;
	path = root_entry_path(name, err);
	if (!path)
		return -1;
	if (!*path)
		return 0;
	entry.path = path;
	entry.dir_fd = root_parent(parent, dir_fd, path, &entry.name);
	if (entry.dir_fd >= 0 &&
	    fstatat(entry.dir_fd, entry.name, &entry.st, AT_SYMLINK_NOFOLLOW) == 0)
		return pack_entry(p, &entry, err);
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG)
		return 0;
	return err_sys(err, errno, "open '%s'", path);
}

/* The names that come in, as they come; what a name is too long for is thrown away at its NUL. */
static int pack_names(struct pack *p, int dir_fd, struct pyro_error *err)
{
	AUTO_PARENT struct root_parent parent = ROOT_PARENT_INIT;
	AUTO_BUF struct buf names = BUF_INIT(4 * BLOCK);
	bool is_too_long = false;
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf_room(&names, BLOCK), BLOCK)) > 0) {
		size_t at = 0;
		char *end;

		buf_grew(&names, (size_t)n);
		while ((end = memchr(names.data + at, '\0', names.len - at))) {
			if (!is_too_long && pack_name(p, &parent, dir_fd, names.data + at, err) < 0)
				return -1;
			is_too_long = false;
			at = (size_t)(end - names.data) + 1;
		}
		buf_consume(&names, at);
		if (names.len >= PATH_MAX) {
			is_too_long = true;
			buf_reset(&names);
		}
	}
	return n < 0 ? err_sys(err, errno, "read the names") : 0;
}

static int pack_all(struct pack *p, const struct pack_args *args, struct pyro_error *err)
{
	AUTO_FREE char *path = root_path(args->path, err);
	AUTO_FD int root = path ? root_open(err) : -1, dir = -1;
	int r;

	if (root < 0)
		return -1;
	archive_write_set_format_pax(p->out);
	archive_write_set_bytes_per_block(p->out, BLOCK);
	archive_write_set_bytes_in_last_block(p->out, 1);
	if (archive_write_open_fd(p->out, STDOUT_FILENO) < ARCHIVE_OK)
		return err_archive(err, p, path);
	if (args->has_names) {
		dir = root_open_following(root, path, O_RDONLY | O_DIRECTORY);
		r = dir < 0 ? root_err(err, errno, path) : pack_names(p, dir, err);
	} else {
		r = pack_path(p, root, path, err);
	}
	if (r == 0 && archive_write_close(p->out) < ARCHIVE_OK)
		return err_archive(err, p, path);
	return r;
}

json_t *pack_run(const void *arg, struct pyro_error *err)
{
	struct pack p = {.out = archive_write_new(), .entry = archive_entry_new()};
	int r = pack_all(&p, arg, err);

	archive_entry_free(p.entry);
	archive_write_free(p.out);
	if (r < 0)
		return NULL;
	return json_pack("{s:I s:I}", "entries", (json_int_t)p.entries, "bytes",
			 (json_int_t)p.bytes);
}
