/*
 * The image is a file without a name until it is whole (O_TMPFILE), so whatever ends this process
 * leaves nothing behind.
 */
#include "disk/export.h"

#include "base/err.h"
#include "base/mem.h"
#include "disk/qcow2.h"
#include "helper/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLUSTER (64 * 1024) /* what qcow2_next_data() gives at the most */
#define BLOCK 4096

static int err_exists(struct pyro_error *err, const char *path)
{
	(void)err_set(err, PYRO_E_INVALID, "'%s' exists already", path);
	return err_hint(err, "export to a path that does not exist yet");
}

int export_open(struct export *ret, const char *path, struct pyro_error *err)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir =
		slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
	struct stat st;

	if (lstat(path, &st) == 0)
		return err_exists(err, path);
	ret->name = slash ? slash + 1 : path;
	ret->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret->dir < 0)
		return err_sys(err, errno, "open '%s'", dir);
	ret->fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (ret->fd < 0)
		return err_sys(err, errno, "create a file in '%s'", dir);
	return 0;
}

void export_done(struct export *e)
{
	fd_close(&e->fd);
	fd_close(&e->dir);
}

static int write_at(int fd, const char *data, size_t len, uint64_t offset, struct pyro_error *err)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "write the image");
		data += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static size_t block_at(size_t at, size_t len)
{
	return len - at < BLOCK ? len - at : BLOCK;
}

static bool is_zero(const char *data, size_t len)
{
	static const char zeros[BLOCK];

	return memcmp(data, zeros, len) == 0;
}

/* Writes the runs of blocks that are not zero. */
static int write_blocks(int fd, const char *data, size_t len, uint64_t offset,
			struct pyro_error *err)
{
	size_t begin = 0;

	for (size_t at = 0; at < len; at += block_at(at, len)) {
		if (!is_zero(data + at, block_at(at, len)))
			continue;
		if (write_at(fd, data + begin, at - begin, offset + begin, err) < 0)
			return -1;
		begin = at + block_at(at, len);
	}
	return begin < len ? write_at(fd, data + begin, len - begin, offset + begin, err) : 0;
}

static int write_all(int fd, struct qcow2 *disk, int report_fd, struct pyro_error *err)
{
	AUTO_FREE char *data = mem_zalloc(1, CLUSTER);
	uint64_t at = 0, len = 0;
	int more;

	while ((more = qcow2_next_data(disk, at + len, &at, &len, err)) > 0) {
		if (qcow2_read(disk, at, data, len, err) < 0 ||
		    write_blocks(fd, data, len, at, err) < 0)
			return -1;
		if (report_is_due())
			report_progress(report_fd,
					json_pack("{s:I, s:I}", "done", (json_int_t)at, "total",
						  (json_int_t)qcow2_size(disk)));
	}
	return more;
}

static int name_it(const struct export *e, struct pyro_error *err)
{
	char self[64];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", e->fd);
	if (linkat(AT_FDCWD, self, e->dir, e->name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno == EEXIST)
		return err_exists(err, e->name);
	return err_sys(err, errno, "name '%s'", e->name);
}

json_t *export_disk(const struct export *e, struct qcow2 *disk, int report_fd,
		    struct pyro_error *err)
{
	struct stat st;

	if (ftruncate(e->fd, (off_t)qcow2_size(disk)) < 0) {
		(void)err_sys(err, errno, "make '%s' as large as the disk", e->name);
		return NULL;
	}
	if (write_all(e->fd, disk, report_fd, err) < 0)
		return NULL;
	if (fsync(e->fd) < 0 || fstat(e->fd, &st) < 0) {
		(void)err_sys(err, errno, "write '%s'", e->name);
		return NULL;
	}
	if (name_it(e, err) < 0)
		return NULL;
	return json_pack("{s:I, s:I}", "size_bytes", (json_int_t)st.st_size, "bytes_written",
			 (json_int_t)st.st_blocks * 512);
}
