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

int output_view_init(struct output_view *v, const char *dir, int64_t sequence,
		     enum output_stream stream, struct pyro_error *err)
{
	AUTO_FREE char *path = path_of(dir, sequence, stream);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct header header = {0};

	if (fd < 0 && errno == ENOENT)
		return err_set(err, PYRO_E_NOT_FOUND, "there is no '%s'", path);
	if (fd < 0)
		return err_sys(err, errno, "open '%s'", path);
	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    memcmp(header.magic, MAGIC, sizeof(MAGIC)) != 0 || header.total < 0)
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

char *output_view_text(const struct output_view *v, int64_t offset, int64_t end)
{
	AUTO_BUF struct buf b = BUF_INIT(2 * OUTPUT_KEPT);
	int64_t from = character_start(v, smaller(offset, v->bytes));
	int64_t to = character_start(v, smaller(end, v->bytes));

	if (v->bytes <= OUTPUT_KEPT) {
		add_bytes(v, from, to, &b);
	} else {
		int64_t head_end = character_start(v, HEAD_BYTES), tail = tail_start(v);

		add_bytes(v, from, smaller(to, head_end), &b);
		if (offset <= gap_end(v) && end > gap_end(v))
			buf_printf(&b, "%s[... %lld bytes cut ...]\n", b.len ? "\n" : "",
				   (long long)(tail - head_end));
		add_bytes(v, larger(from, tail), to, &b);
	}
	return utf8_repair(buf_text(&b), b.len, NULL);
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
