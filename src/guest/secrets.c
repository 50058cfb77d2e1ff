#include "guest/secrets.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/trash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#define RUN "/run"
#define DIRECTORY "pyro-secrets"
#define NAMES_MAX 64
#define NAME_MAX_LEN 64
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

static int place(int dir_fd, const char *name, const json_t *value, struct pyro_error *err)
{
	AUTO_FD int fd = -1;

	if (!*name || strlen(name) > NAME_MAX_LEN || name[strspn(name, LETTERS)] ||
	    !json_is_string(value))
		return err_set(err, PYRO_E_INVALID, "secrets: '%.80s' is not well described", name);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	if (fd < 0)
		return err_sys(err, errno, "create secret '%s'", name);
	return file_write_all(fd, json_string_value(value), json_string_length(value), err);
}

/* Empty and in memory; a descriptor, or -1. */
static int make_directory(struct pyro_error *err)
{
	AUTO_FD int run = open(RUN, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	int fd;

	if (run < 0 || fstatfs(run, &fs) < 0)
		return err_sys(err, errno, "open '%s'", RUN);
	if (fs.f_type != TMPFS_MAGIC)
		return err_set(err, PYRO_E_BAD_STATE, "'%s' is not in memory", RUN);
	if (trash_remove(run, DIRECTORY, err) < 0)
		return -1;
	if (mkdirat(run, DIRECTORY, 0700) < 0)
		return err_sys(err, errno, "create directory '%s/%s'", RUN, DIRECTORY);
	fd = openat(run, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open '%s/%s'", RUN, DIRECTORY) : fd;
}

int secrets_place(json_t *values, struct pyro_error *err)
{
	AUTO_FD int fd = -1;
	const char *name;
	json_t *value;

	if (!json_is_object(values) || json_object_size(values) > NAMES_MAX)
		return err_set(err, PYRO_E_INVALID,
			       "secrets: the values are no object, or too many");
	fd = make_directory(err);
	if (fd < 0)
		return -1;
	json_object_foreach(values, name, value) if (place(fd, name, value, err) < 0) return -1;
	return 0;
}
