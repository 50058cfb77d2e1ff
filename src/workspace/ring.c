/*
 * The file is a header with the count of all bytes, then room for the ring: the byte number N is at
 * N modulo the room. The room is larger than what is kept by SPARE, and no more than SPARE bytes
 * are written before the count is, so what is being written never lies over what is kept.
 *
 * A reader takes the count, the bytes, and the count again: what the second count says is kept was
 * not touched in between, and the rest is dropped.
 */
#include "workspace/ring.h"

#include "base/err.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "pyro ring 1\n"
#define SPARE (64 * 1024)

struct header {
	char magic[16];
	int64_t capacity;
	int64_t end;
};

struct ring {
	int fd;
	char *path;
	struct header header;
	bool is_broken; /* the disk took something wrong: nothing more is written */
};

static int64_t room_of(const struct header *header)
{
	return header->capacity + SPARE;
}

/* Where a position is in the file, and how many bytes from there on lie in one piece. */
static int64_t place_of(const struct header *header, int64_t position, size_t *ret_piece)
{
	int64_t in_ring = position % room_of(header);

	*ret_piece = (size_t)(room_of(header) - in_ring);
	return (int64_t)sizeof(*header) + in_ring;
}

static int make_room(struct ring *r, int64_t capacity, struct pyro_error *err)
{
	int failure;

	memcpy(r->header.magic, MAGIC, sizeof(MAGIC));
	r->header.capacity = capacity;
	if (file_write_at(r->fd, &r->header, sizeof(r->header), 0, err) < 0)
		return err_wrap(err, "'%s'", r->path);
	failure = posix_fallocate(r->fd, 0, (int64_t)sizeof(r->header) + room_of(&r->header));
	return failure ? err_sys(err, failure, "make room for '%s'", r->path) : 0;
}

struct ring *ring_open(const char *path, int64_t capacity, struct pyro_error *err)
{
	AUTO_FREE char *copy = mem_strdup(path);
	AUTO_FREE char *temp = mem_printf("%s.new", path); /* met by nobody half made */
	const char *parent = dirname(copy);
	struct ring *r;
	int fd;

	if (mkdir(parent, 0700) < 0 && errno != EEXIST) {
		(void)err_sys(err, errno, "create directory '%s'", parent);
		return NULL;
	}
	fd = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		(void)err_sys(err, errno, "create '%s'", temp);
		return NULL;
	}
	r = mem_zalloc(1, sizeof(*r));
	r->fd = fd;
	r->path = mem_strdup(path);
	if (make_room(r, capacity, err) == 0) {
		if (rename(temp, path) == 0)
			return r;
		(void)err_sys(err, errno, "rename '%s'", temp);
	}
	(void)unlink(temp);
	return ring_close(r);
}

/* One piece of at most SPARE bytes: its data, then the count. */
static int add_piece(struct ring *r, const char *data, size_t len)
{
	size_t piece;
	int64_t at = place_of(&r->header, r->header.end, &piece);
	size_t first = len < piece ? len : piece;
	int64_t end = r->header.end + (int64_t)len;

	if (file_write_at(r->fd, data, first, at, NULL) < 0 ||
	    file_write_at(r->fd, data + first, len - first, sizeof(r->header), NULL) < 0 ||
	    file_write_at(r->fd, &end, sizeof(end), offsetof(struct header, end), NULL) < 0)
		return -1;
	r->header.end = end; /* not before the file says so: whoever reads up to it would wait */
	return 0;
}

void ring_add(struct ring *r, const void *data, size_t len)
{
	const char *p = data;

	while (len && !r->is_broken) {
		size_t n = len < SPARE ? len : SPARE;

		r->is_broken = add_piece(r, p, n) < 0;
		p += n;
		len -= n;
	}
}

int64_t ring_end(const struct ring *r)
{
	return r->header.end;
}

struct ring *ring_close(struct ring *r)
{
	if (r) {
		fd_close(&r->fd);
		free(r->path);
		free(r);
	}
	return NULL;
}

static int read_header(int fd, const char *path, struct header *ret, struct pyro_error *err)
{
	ssize_t n = pread(fd, ret, sizeof(*ret), 0);

	if (n < 0)
		return err_sys(err, errno, "read '%s'", path);
	if (n != (ssize_t)sizeof(*ret) || memcmp(ret->magic, MAGIC, sizeof(MAGIC)) != 0 ||
	    ret->capacity <= 0 || ret->capacity > RING_CAPACITY_MAX || ret->end < 0)
		return err_set(err, PYRO_E_PROTOCOL, "'%s' is damaged", path);
	return 0;
}

static int64_t first_kept(const struct header *header)
{
	return header->end > header->capacity ? header->end - header->capacity : 0;
}

/* Fills all of `room`, or says that the file does not have that much. */
static int read_bytes(int fd, const char *path, const struct header *header, int64_t from,
		      char *room, size_t len, struct pyro_error *err)
{
	while (len) {
		size_t piece;
		int64_t at = place_of(header, from, &piece);
		ssize_t n = pread(fd, room, len < piece ? len : piece, at);

		if (n < 0)
			return err_sys(err, errno, "read '%s'", path);
		if (n == 0)
			return err_set(err, PYRO_E_PROTOCOL, "'%s' is damaged", path);
		room += n;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

static int64_t between(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

static int read_open(int fd, const char *path, int64_t from, size_t max, struct buf *into,
		     struct ring_span *ret, struct pyro_error *err)
{
	struct header before, after;
	int64_t first;
	size_t len, lost, free_room = into->is_full ? 0 : into->max - into->len;
	char *room;

	if (read_header(fd, path, &before, err) < 0)
		return -1;
	from = between(from, first_kept(&before), before.end);
	max = max < free_room ? max : free_room;
	len = (size_t)between(before.end - from, 0, (int64_t)max);
	room = buf_room(into, len);
	if (read_bytes(fd, path, &before, from, room, len, err) < 0 ||
	    read_header(fd, path, &after, err) < 0)
		return -1;
	/* What was overwritten meanwhile is at the beginning, or was all of it. */
	first = first_kept(&after);
	lost = (size_t)between(first - from, 0, (int64_t)len);
	if (lost)
		memmove(room, room + lost, len - lost);
	buf_grew(into, len - lost);
	*ret = (struct ring_span){
		.first = first,
		.from = from + (int64_t)lost,
		.next = from + (int64_t)len,
		.end = after.end,
	};
	if (ret->next < first)
		ret->from = ret->next = first;
	return 0;
}

int ring_read(const struct ring *r, int64_t from, size_t max, struct buf *into,
	      struct ring_span *ret, struct pyro_error *err)
{
	return read_open(r->fd, r->path, from, max, into, ret, err);
}

int ring_read_file(const char *path, int64_t from, size_t max, struct buf *into,
		   struct ring_span *ret, struct pyro_error *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, PYRO_E_NOT_FOUND, "there is no '%s'", path);
	if (fd < 0)
		return err_sys(err, errno, "open '%s'", path);
	return read_open(fd, path, from, max, into, ret, err);
}
