#include "guest/root.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

static const char *base;

void root_init(const char *given_base)
{
	base = given_base;
}

char *root_beside(const char *name)
{
	return mem_printf("%s/%s", base, name);
}

int root_make(struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s" ROOT_PATH, base);

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "create directory '" ROOT_PATH "'");
	return 0;
}

int root_open(struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s" ROOT_PATH, base);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return err_sys(err, errno, "open '" ROOT_PATH "'");
	(void)err_set(err, PYRO_E_REFUSED, "'" ROOT_PATH "' is not a directory any more");
	return err_hint(err, "reset the workspace");
}

bool root_is_above(const char *path)
{
	size_t len = strlen(ROOT_PATH);

	return strncmp(path, ROOT_PATH, len) == 0 && (!path[len] || path[len] == '/');
}

/* Appends the parts of a relative path. False if it rises higher than it may. */
static bool clean(const char *path, bool may_rise, struct buf *out)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && strncmp(path, "..", 2) == 0) {
			char *last = out->len ? strrchr(out->data, '/') : NULL;

			if (!may_rise || !out->len)
				return false;
			out->len = last ? (size_t)(last - out->data) : 0;
			out->data[out->len] = '\0';
		} else if (len && !(len == 1 && *path == '.')) {
			buf_printf(out, "%s%.*s", out->len ? "/" : "", (int)len, path);
		}
		path += len + (path[len] == '/');
	}
	return true;
}

static char *finish(struct buf *out, const char *given, struct pyro_error *err)
{
	if (!out->is_full)
		return out->data ? buf_take(out) : mem_strdup("");
	(void)err_set(err, PYRO_E_INVALID, "path '%.100s…' is too long", given);
	return NULL;
}

char *root_path(const char *given, struct pyro_error *err)
{
	AUTO_BUF struct buf out = BUF_INIT(PATH_MAX - 1);
	const char *path = root_is_above(given) ? given + strlen(ROOT_PATH) : given;

	if ((path == given && *given == '/') || !clean(path, true, &out)) {
		(void)err_set(err, PYRO_E_REFUSED, "path '%s' is not in '" ROOT_PATH "'", given);
		return NULL;
	}
	return finish(&out, given, err);
}

char *root_entry_path(const char *given, struct pyro_error *err)
{
	AUTO_BUF struct buf out = BUF_INIT(PATH_MAX - 1);

	if (*given == '/')
		(void)err_set(err, PYRO_E_REFUSED, "entry '%s' has an absolute name", given);
	else if (!clean(given, false, &out))
		(void)err_set(err, PYRO_E_REFUSED, "entry '%s' has a name with '..'", given);
	else
		return finish(&out, given, err);
	return NULL;
}

static int open_beneath(int dir_fd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve,
	};

	return (int)syscall(SYS_openat2, dir_fd, *path ? path : ".", &how, sizeof(how));
}

int root_open_following(int dir_fd, const char *path, int flags)
{
	return open_beneath(dir_fd, path, flags, 0);
}

int root_open_plain(int dir_fd, const char *path, int flags)
{
	return open_beneath(dir_fd, path, flags, RESOLVE_NO_SYMLINKS);
}

int root_err(struct pyro_error *err, int errnum, const char *path)
{
	const char *name = *path ? path : ROOT_PATH;

	switch (errnum) {
	case EXDEV:
		return err_set(err, PYRO_E_REFUSED, "path '%s' leaves '" ROOT_PATH "'", name);
	case ELOOP:
		return err_set(err, PYRO_E_REFUSED, "path '%s' goes through a symbolic link", name);
	case ENOENT:
		return err_set(err, PYRO_E_NOT_FOUND, "'%s' does not exist", name);
	default:
		return err_sys(err, errnum, "'%s'", name);
	}
}

int root_parent(struct root_parent *parent, int dir_fd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	*ret_name = slash ? slash + 1 : path;
	if (parent->fd >= 0 && strncmp(parent->path, path, len) == 0 && !parent->path[len])
		return parent->fd;
	fd_close(&parent->fd);
	memcpy(parent->path, path, len);
	parent->path[len] = '\0';
	parent->fd = root_open_plain(dir_fd, parent->path, O_RDONLY | O_DIRECTORY);
	return parent->fd;
}

void root_parent_done(struct root_parent *parent)
{
	fd_close(&parent->fd);
}
