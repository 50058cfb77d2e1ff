/*
 * Behind the head the file is a ring with room for SPARE_BYTES more than are kept of it, and no
 * more than that is written before the count says so. So what a reader found in the ring is the
 * stream as far as the count, read again afterwards, says that it is kept still.
 */
#include "workspace/output.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "pyro output 2\n"
#define HEAD_BYTES (OUTPUT_KEPT / 2)
#define RING_BYTES (OUTPUT_KEPT - HEAD_BYTES) /* that are kept */
#define SPARE_BYTES (64 * 1024)
#define ROOM_BYTES (RING_BYTES + SPARE_BYTES)

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
	in_ring = (total - HEAD_BYTES) % ROOM_BYTES;
	*ret_room = (size_t)(ROOM_BYTES - in_ring);
	return (int64_t)sizeof(struct header) + HEAD_BYTES + in_ring;
}

void output_add(struct output *o, const void *data, size_t len)
{
	const char *p = data;

	while (len && !o->is_full) {
		size_t room, n;
		int64_t at = place_of(o->header.total, &room);

		room = room < SPARE_BYTES ? room : SPARE_BYTES;
		n = len < room ? len : room;
		if (file_write_at(o->fd, p, n, at, NULL) < 0) {
			o->is_full = true;
			return;
		}
		o->header.total += (int64_t)n;
		o->is_full = file_write_at(o->fd, &o->header, sizeof(o->header), 0, NULL) < 0;
		p += n;
		len -= n;
	}
}

struct output *output_close(struct output *o)
{
	if (o) {
		fd_close(&o->fd);
		free(o);
	}
	return NULL;
}

static int read_header(int fd, struct header *ret)
{
	if (pread(fd, ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret) ||
	    memcmp(ret->magic, MAGIC, sizeof(MAGIC)) != 0 || ret->total < 0)
		return -1;
	return 0;
}

int output_view_init(struct output_view *v, const char *dir, int64_t sequence,
		     enum output_stream stream, struct pyro_error *err)
{
	AUTO_FREE char *path = path_of(dir, sequence, stream);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct header header;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, PYRO_E_NOT_FOUND, "there is no '%s'", path);
	if (fd < 0)
		return err_sys(err, errno, "open '%s'", path);
	if (read_header(fd, &header) < 0)
		return err_set(err, PYRO_E_PROTOCOL, "'%s' is damaged", path);
	*v = (struct output_view){TAKE_FD(fd), header.total};
	return 0;
}

void output_view_done(struct output_view *v)
{
	fd_close(&v->fd);
}

/* What is not kept: from HEAD_BYTES up to here. */
static int64_t gap_end(const struct output_view *v)
{
	return v->bytes > OUTPUT_KEPT ? v->bytes - RING_BYTES : HEAD_BYTES;
}

int64_t output_view_next(const struct output_view *v, int64_t offset)
{
	if (offset >= v->bytes)
		return INT64_MAX;
	return offset >= HEAD_BYTES && offset < gap_end(v) ? gap_end(v) : offset;
}

/* Bytes of the stream that are kept, as far as the file has them. */
static void add_bytes(const struct output_view *v, int64_t from, int64_t to, struct buf *into)
{
	while (from < to) {
		size_t room;
		int64_t at = place_of(from, &room);
		size_t n = to - from < (int64_t)room ? (size_t)(to - from) : room;
		char *p = buf_room(into, n);
		ssize_t got = p ? pread(v->fd, p, n, at) : 0;

		buf_grew(into, got > 0 ? (size_t)got : 0);
		if (got < (ssize_t)n)
			return;
		from += (int64_t)n;
	}
}

/*
 * Where the character begins that a cut at `at` would split, or `at`. At the gap a character lacks
 * its rest: it goes.
 */
static int64_t character_start(const struct output_view *v, int64_t at)
{
	AUTO_BUF struct buf b = BUF_INIT(8);
	bool has_gap = v->bytes > OUTPUT_KEPT, is_tail = has_gap && at >= gap_end(v);
	int64_t first = is_tail ? gap_end(v) : 0;
	int64_t last = has_gap && !is_tail ? HEAD_BYTES : v->bytes;
	int64_t from = at - first < 3 ? first : at - 3;

	if (at > last || at == v->bytes)
		return at;
	add_bytes(v, from, at + 3 < last ? at + 3 : last, &b);
	for (size_t i = 0; (int64_t)i < at - from && i < b.len; i++) {
		int n = utf8_next((const unsigned char *)b.data + i, b.len - i);

		if (n < 0 || from + (int64_t)i + n > at)
			return from + (int64_t)i;
	}
	return at;
}

/* The gap's end, without the rest of a character that began in it. */
static int64_t tail_start(const struct output_view *v)
{
	AUTO_BUF struct buf b = BUF_INIT(8);
	int64_t at = gap_end(v);

	add_bytes(v, at, at + 3, &b);
	for (size_t i = 0; i < b.len && ((unsigned char)b.data[i] & 0xC0) == 0x80; i++)
		at++;
	return at;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* How many of the `len` bytes from `at` on, in the ring, were overwritten while they were read. */
static int64_t overwritten(const struct output_view *v, int64_t at, size_t len)
{
	struct header header;

	if (!len || read_header(v->fd, &header) < 0)
		return 0;
	return larger(0, smaller(header.total - RING_BYTES - at, (int64_t)len));
}

char *output_view_text(const struct output_view *v, int64_t offset, int64_t end)
{
	AUTO_BUF struct buf text = BUF_INIT(2 * OUTPUT_KEPT);
	AUTO_BUF struct buf tail = BUF_INIT(OUTPUT_KEPT);
	bool has_gap = v->bytes > OUTPUT_KEPT;
	int64_t from = character_start(v, smaller(offset, v->bytes));
	int64_t to = character_start(v, smaller(end, v->bytes));
	int64_t head_end = has_gap ? character_start(v, HEAD_BYTES) : HEAD_BYTES;
	int64_t tail_from = larger(from, has_gap ? tail_start(v) : HEAD_BYTES);
	int64_t lost;

	add_bytes(v, from, smaller(to, head_end), &text);
	add_bytes(v, tail_from, to, &tail);
	lost = overwritten(v, tail_from, tail.len);
	buf_consume(&tail, (size_t)lost);
	if (has_gap && offset <= gap_end(v) && end > gap_end(v))
		lost += tail_from - head_end;
	if (lost)
		buf_printf(&text, "%s[... %lld bytes cut ...]\n", text.len ? "\n" : "",
			   (long long)lost);
	buf_append(&text, buf_text(&tail), tail.len);
	return utf8_repair(buf_text(&text), text.len, NULL);
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
