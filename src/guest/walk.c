/*
 * Directories that are still to be read lie on a stack, as the length of their parent's path and
 * their name. The last one found is read next, so when a directory's turn comes, the path of the
 * one that was read before still begins with that of its parent: names alone need to be kept.
 */
#include "guest/walk.h"

#include "base/buf.h"
#include "base/err.h"
#include "guest/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LISTING (64 * 1024)
#define PENDING_MAX ((size_t)512 * 1024 * 1024)

struct state {
	const struct walk *walk;
	dev_t device;
	char path[PATH_MAX]; /* of the directory that is read, or of an entry in it */
	size_t prefix_len;   /* of the path: with the slash that follows it, if any */
	struct buf pending;  /* name, NUL, struct pending; … */
	int64_t too_long;
};

struct pending {
	uint16_t parent_len;
	uint16_t name_len;
};

static void push(struct state *s, size_t parent_len, const char *name)
{
	struct pending p = {(uint16_t)parent_len, (uint16_t)strlen(name)};

	buf_append(&s->pending, name, p.name_len + 1U);
	buf_append(&s->pending, &p, sizeof(p));
}

/* Makes `name` in the directory whose path is len bytes long the path; false if it is too long. */
static bool set_path(struct state *s, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	if (len + 1 + name_len >= sizeof(s->path))
		return false;
	if (len)
		s->path[len++] = '/';
	memcpy(s->path + len, name, name_len + 1);
	return true;
}

/* The next directory's path; false if there is none. */
static bool pop(struct state *s)
{
	struct pending p;
	char *end;

	if (!s->pending.len)
		return false;
	end = s->pending.data + s->pending.len - sizeof(p);
	memcpy(&p, end, sizeof(p));
	(void)set_path(s, p.parent_len, end - p.name_len - 1);
	s->pending.len -= sizeof(p) + p.name_len + 1U;
	return true;
}

static bool has_vanished(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP;
}

static int visit(struct state *s, int dir_fd, size_t len, const char *name, struct pyro_error *err)
{
	const struct walk *walk = s->walk;
	struct walk_entry entry = {.dir_fd = dir_fd, .name = name, .path = s->path};

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (!set_path(s, len, name)) {
		s->too_long++;
		return 0;
	}
	if (fstatat(dir_fd, name, &entry.st, AT_SYMLINK_NOFOLLOW) < 0)
		return has_vanished(errno) ? 0 : err_sys(err, errno, "look at '%s'", s->path);
	if (S_ISDIR(entry.st.st_mode) && walk->is_recursive && entry.st.st_dev == s->device)
		push(s, len, name);
	return walk->on_entry(walk->ctx, &entry, err);
}

static int read_dir(struct state *s, struct pyro_error *err)
{
	static char listing[LISTING] __attribute__((aligned(8)));
	size_t len = strlen(s->path);
	const char *below = len > s->prefix_len ? s->path + s->prefix_len : "";
	AUTO_FD int fd = root_open_plain(s->walk->fd, below, O_RDONLY | O_DIRECTORY);
	ssize_t n;

	if (fd < 0)
		return has_vanished(errno) ? 0
					   : err_sys(err, errno, "open directory '%s'", s->path);
	while ((n = getdents64(fd, listing, sizeof(listing))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (void *)(listing + at);

			if (visit(s, fd, len, entry->d_name, err) < 0)
				return -1;
			at += entry->d_reclen;
		}
	s->path[len] = '\0';
	return n < 0 && !has_vanished(errno) ? err_sys(err, errno, "read directory '%s'", s->path)
					     : 0;
}

int walk_run(const struct walk *walk, int64_t *ret_too_long, struct pyro_error *err)
{
	struct state s = {.walk = walk, .pending.max = PENDING_MAX};
	struct stat st;
	int r;

	if (fstat(walk->fd, &st) < 0)
		return err_sys(err, errno, "look at '%s'", walk->prefix);
	s.device = st.st_dev;
	(void)set_path(&s, 0, walk->prefix);
	s.prefix_len = strlen(walk->prefix) + (*walk->prefix != '\0');
	do
		r = read_dir(&s, err);
	while (r == 0 && pop(&s));
	if (r == 0 && s.pending.is_full)
		r = err_set(err, PYRO_E_LIMIT, "there are too many directories");
	buf_done(&s.pending);
	*ret_too_long = s.too_long;
	return r;
}
