#include "workspace/ring.h"

#include "base/err.h"
#include "base/file.h"
#include "tests/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPACITY (100 * 1000)

static struct ring *open_ring(char **ret_path)
{
	struct pyro_error err;
	struct ring *r;

	*ret_path = mem_printf("%s/rings/one", test_dir());
	r = ring_open(*ret_path, CAPACITY, &err);
	CHECK(r);
	return r;
}

/* The byte that a test's stream has at a position. */
static char byte_at(int64_t position)
{
	return (char)(position * 131 / 7 % 251);
}

static void add_stream(struct ring *r, int64_t len)
{
	while (len > 0) {
		char piece[777];
		size_t n = len < (int64_t)sizeof(piece) ? (size_t)len : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(ring_end(r) + (int64_t)i);
		ring_add(r, piece, n);
		len -= (int64_t)n;
	}
}

static void check_stream(const struct buf *b, const struct ring_span *at)
{
	CHECK_INT(b->len, at->next - at->from);
	CHECK(at->first <= at->from && at->next <= at->end);
	for (size_t i = 0; i < b->len; i++)
		if (b->data[i] != byte_at(at->from + (int64_t)i))
			test_fail(__FILE__, __LINE__, "byte %lld is wrong",
				  (long long)at->from + (long long)i);
}

TEST("a ring gives back what it took, piece by piece and by its file")
{
	AUTO_FREE char *path = NULL;
	struct ring *r = open_ring(&path);
	AUTO_BUF struct buf b = BUF_INIT(64);
	struct ring_span at;
	struct pyro_error err;

	ring_add(r, "hello ", 6);
	ring_add(r, "world", 5);
	CHECK_OK(ring_read(r, 0, 5, &b, &at, &err), err);
	CHECK_STR(buf_text(&b), "hello");
	CHECK_INT(at.next, 5);
	CHECK_INT(at.end, 11);
	buf_reset(&b);
	CHECK_OK(ring_read_file(path, 5, 100, &b, &at, &err), err);
	CHECK_STR(buf_text(&b), " world");
	CHECK_INT(at.first, 0);
	CHECK_INT(ring_end(r), 11);
	ring_close(r);
}

TEST("a ring keeps the last bytes, and a position that fell out becomes the oldest one")
{
	AUTO_FREE char *path = NULL;
	struct ring *r = open_ring(&path);
	AUTO_BUF struct buf b = BUF_INIT(2 * CAPACITY);
	struct ring_span at;
	struct pyro_error err;

	add_stream(r, 1234567);
	CHECK_OK(ring_read(r, 10, 2 * CAPACITY, &b, &at, &err), err);
	CHECK_INT(at.first, 1234567 - CAPACITY);
	CHECK_INT(at.from, at.first);
	CHECK_INT(at.next, 1234567);
	check_stream(&b, &at);
	ring_close(r);
}

TEST("one piece that is longer than a ring leaves its end")
{
	AUTO_FREE char *path = NULL;
	struct ring *r = open_ring(&path);
	AUTO_BUF struct buf b = BUF_INIT(2 * CAPACITY);
	AUTO_FREE char *piece = mem_zalloc(4, CAPACITY);
	struct ring_span at;
	struct pyro_error err;

	for (int64_t i = 0; i < 4 * CAPACITY; i++)
		piece[i] = byte_at(i);
	ring_add(r, piece, 4 * CAPACITY);
	CHECK_OK(ring_read(r, 0, 2 * CAPACITY, &b, &at, &err), err);
	CHECK_INT(at.from, 3 * CAPACITY);
	CHECK_INT(at.end, 4 * CAPACITY);
	check_stream(&b, &at);
	ring_close(r);
}

TEST("a position behind the end of a ring reads nothing")
{
	AUTO_FREE char *path = NULL;
	struct ring *r = open_ring(&path);
	AUTO_BUF struct buf b = BUF_INIT(64);
	struct ring_span at;
	struct pyro_error err;

	add_stream(r, 20);
	CHECK_OK(ring_read(r, INT64_MAX, 64, &b, &at, &err), err);
	CHECK_INT(at.from, 20);
	CHECK_INT(at.next, 20);
	CHECK_INT(b.len, 0);
	ring_close(r);
}

TEST("a ring reads as much as the buffer has room for")
{
	AUTO_FREE char *path = NULL;
	struct ring *r = open_ring(&path);
	AUTO_BUF struct buf b = BUF_INIT(8);
	struct ring_span at;
	struct pyro_error err;

	add_stream(r, 20);
	CHECK_OK(ring_read(r, 3, 64, &b, &at, &err), err);
	CHECK_INT(at.next, 11);
	check_stream(&b, &at);
	ring_close(r);
}

TEST("a ring that is read while it is written, and its writer killed, never gives a wrong byte")
{
	AUTO_FREE char *path = NULL;
	struct ring *r = open_ring(&path);
	AUTO_BUF struct buf b = BUF_INIT(2 * CAPACITY);
	struct ring_span at = {0};
	struct pyro_error err;
	pid_t writer = fork();
	int64_t from = 0;

	if (writer == 0)
		for (;;)
			add_stream(r, CAPACITY);
	while (at.end < 60 * CAPACITY) {
		buf_reset(&b);
		CHECK_OK(ring_read_file(path, from, 2 * CAPACITY, &b, &at, &err), err);
		check_stream(&b, &at);
		from = at.end % 3 ? at.next : 0;
	}
	CHECK(kill(writer, SIGKILL) == 0 && waitpid(writer, NULL, 0) == writer);
	buf_reset(&b);
	CHECK_OK(ring_read_file(path, 0, 2 * CAPACITY, &b, &at, &err), err);
	CHECK_INT(b.len, CAPACITY);
	check_stream(&b, &at);
	ring_close(r);
}

TEST("a file that is no ring is named")
{
	AUTO_FREE char *path = mem_printf("%s/other", test_dir());
	AUTO_BUF struct buf b = BUF_INIT(64);
	struct ring_span at;
	struct pyro_error err;

	CHECK(ring_read_file(path, 0, 64, &b, &at, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	CHECK_OK(file_write_atomic(path, "0123456789012345678901234567890123456789", 40, 0600,
				   &err),
		 err);
	CHECK(ring_read_file(path, 0, 64, &b, &at, &err) < 0);
	CHECK_INT(err.code, PYRO_E_PROTOCOL);
	CHECK(strstr(err.message, path));
}

TEST("a ring that is made anew takes nothing from who reads the one before")
{
	AUTO_FREE char *path = NULL;
	AUTO_BUF struct buf got = BUF_INIT(CAPACITY);
	struct ring *old = open_ring(&path), *new;
	struct ring_span at;
	struct pyro_error err;

	ring_add(old, "before", 6);
	new = ring_open(path, CAPACITY, &err);
	CHECK(new);
	CHECK_OK(ring_read(old, 0, 6, &got, &at, &err), err);
	CHECK_STR(buf_text(&got), "before");
	(void)ring_close(old);
	(void)ring_close(new);
}
