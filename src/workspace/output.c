#include "workspace/output.h"

#include "base/capture.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "pyro output 1\n"
#define HEAD_BYTES (OUTPUT_KEPT / 2)
#define RING_BYTES (OUTPUT_KEPT - HEAD_BYTES)

struct header {
	char magic[16];
	int64_t total;
};

struct output {
	int fd;
	struct header header;
	bool is_full; /* the disk takes no more */
};

static char *path_of(const char *dir, int64_t sequence, enum output_stream stream)
{
	return mem_printf("%s/outputs/%lld.%s", dir, (long long)sequence,
			  stream == OUTPUT_STDOUT ? "out" : "err");
}

struct output *output_open(const char *dir, int64_t sequence, enum output_stream stream,
			   struct pyro_error *err)
{
	AUTO_FREE char *parent = mem_printf("%s/outputs", dir);
	AUTO_FREE char *path = path_of(dir, sequence, stream);
	struct output *o;
	int fd;

	if (mkdir(parent, 0700) < 0 && errno != EEXIST) {
		(void)err_sys(err, errno, "create directory '%s'", parent);
		return NULL;
	}
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		(void)err_sys(err, errno, "create '%s'", path);
		return NULL;
	}
	o = mem_zalloc(1, sizeof(*o));
	o->fd = fd;
	memcpy(o->header.magic, MAGIC, sizeof(MAGIC));
	if (file_write_at(fd, &o->header, sizeof(o->header), 0, err) == 0)
		return o;
	(void)err_wrap(err, "'%s'", path);
	return output_close(o);
}

/* Where the byte number `total` of the stream goes, and how many behind it lie in one piece. */
static int64_t place_of(int64_t total, size_t *ret_room)
{
	int64_t in_ring;

	if (total < HEAD_BYTES) {
		*ret_room = (size_t)(HEAD_BYTES - total);
		return (int64_t)sizeof(struct header) + total;
	}
	in_ring = (total - HEAD_BYTES) % RING_BYTES;
	*ret_room = (size_t)(RING_BYTES - in_ring);
	return (int64_t)sizeof(struct header) + HEAD_BYTES + in_ring;
}

void output_add(struct output *o, const void *data, size_t len)
{
	const char *p = data;
	int64_t total = o->header.total;

	while (len && !o->is_full) {
		size_t room, n;
		int64_t at = place_of(total, &room);

		n = len < room ? len : room;
		o->is_full = file_write_at(o->fd, p, n, at, NULL) < 0;
		p += n;
		len -= n;
		total += (int64_t)n;
	}
	if (o->is_full)
		return;
	o->header.total = total;
	o->is_full = file_write_at(o->fd, &o->header, sizeof(o->header), 0, NULL) < 0;
}

struct output *output_close(struct output *o)
{
	if (o) {
		fd_close(&o->fd);
		free(o);
	}
	return NULL;
}

/* Bytes of the file, as far as it has them. */
static void read_part(int fd, int64_t at, size_t len, struct buf *into)
{
	char *room = buf_room(into, len);
	ssize_t n = room ? pread(fd, room, len, at) : 0;

	buf_grew(into, n > 0 ? (size_t)n : 0);
}

static void read_capture(int fd, int64_t total, struct capture *c)
{
	int64_t ring_at = (int64_t)sizeof(struct header) + HEAD_BYTES;
	int64_t in_ring = total - HEAD_BYTES;

	c->total = total;
	read_part(fd, sizeof(struct header), (size_t)(in_ring > 0 ? HEAD_BYTES : total), &c->head);
	if (in_ring > RING_BYTES) {
		int64_t split = in_ring % RING_BYTES;

		read_part(fd, ring_at + split, (size_t)(RING_BYTES - split), &c->tail);
		read_part(fd, ring_at, (size_t)split, &c->tail);
	} else if (in_ring > 0) {
		read_part(fd, ring_at, (size_t)in_ring, &c->tail);
	}
}

int output_read(const char *dir, int64_t sequence, enum output_stream stream, char **ret_text,
		int64_t *ret_bytes, bool *ret_is_truncated, struct pyro_error *err)
{
	AUTO_FREE char *path = path_of(dir, sequence, stream);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct header header = {0};
	struct capture c;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, PYRO_E_NOT_FOUND, "there is no '%s'", path);
	if (fd < 0)
		return err_sys(err, errno, "open '%s'", path);
	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    memcmp(header.magic, MAGIC, sizeof(MAGIC)) != 0 || header.total < 0)
		return err_set(err, PYRO_E_PROTOCOL, "'%s' is damaged", path);
	capture_init(&c, OUTPUT_KEPT);
	read_capture(fd, header.total, &c);
	*ret_text = capture_text(&c);
	*ret_bytes = c.total;
	*ret_is_truncated = capture_is_truncated(&c);
	capture_done(&c);
	return 0;
}

void output_remove(const char *dir, int64_t last_sequence)
{
	AUTO_FREE char *parent = mem_printf("%s/outputs", dir);
	DIR *entries = opendir(parent);
	struct dirent *entry;

	while (entries && (entry = readdir(entries))) {
		AUTO_FREE char *number = mem_strndup(entry->d_name, strcspn(entry->d_name, "."));
		int64_t sequence;

		if (parse_int(number, 0, last_sequence, &sequence))
			(void)unlinkat(dirfd(entries), entry->d_name, 0);
	}
	if (entries)
		(void)closedir(entries);
}

void output_remove_all(const char *dir)
{
	output_remove(dir, INT64_MAX);
}
