#include "workspace/output.h"

#include "base/capture.h"
#include "base/file.h"
#include "pyro/error.h"
#include "tests/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HALF (OUTPUT_KEPT / 2)

/* Text that shows where in the stream it was: numbered lines of ten bytes. */
static char *pattern(size_t len)
{
	char *text = mem_zalloc(len + 1, 1);

	for (size_t i = 0; i < len; i++) {
		size_t number = i / 10;

		for (size_t digit = 8; digit > i % 10; digit--)
			number /= 10;
		text[i] = i % 10 == 9 ? '\n' : (char)('0' + number % 10);
	}
	return text;
}

static void record(const char *text, size_t len, size_t piece)
{
	struct pyro_error err;
	struct output *o = output_open(test_dir(), 1, OUTPUT_STDOUT, &err);

	CHECK(o);
	for (size_t at = 0; at < len; at += piece)
		output_add(o, text + at, len - at < piece ? len - at : piece);
	(void)output_close(o);
}

static int view_all(enum output_stream stream, char **ret_text, int64_t *ret_bytes,
		    struct pyro_error *err)
{
	struct output_view v;

	if (output_view_init(&v, test_dir(), 1, stream, err) < 0)
		return -1;
	*ret_text = output_view_text(&v, 0, INT64_MAX);
	*ret_bytes = v.bytes;
	output_view_done(&v);
	return 0;
}

static char *recorded(int64_t *ret_bytes)
{
	struct pyro_error err;
	char *text;

	CHECK_OK(view_all(OUTPUT_STDOUT, &text, ret_bytes, &err), err);
	return text;
}

TEST("recorded output reads as a capture of the same bytes does, whatever its length")
{
	static const size_t lengths[] = {0,
					 1,
					 HALF - 1,
					 HALF,
					 HALF + 1,
					 OUTPUT_KEPT - 1,
					 OUTPUT_KEPT,
					 OUTPUT_KEPT + 1,
					 OUTPUT_KEPT + HALF / 3,
					 OUTPUT_KEPT * 2,
					 OUTPUT_KEPT * 3 + 12345};
	static const size_t pieces[] = {4093, 65536, OUTPUT_KEPT * 4};

	for (size_t i = 0; i < ARRAY_SIZE(lengths) * ARRAY_SIZE(pieces); i++) {
		size_t len = lengths[i / ARRAY_SIZE(pieces)];
		AUTO_FREE char *text = pattern(len), *got = NULL, *want = NULL;
		struct capture c;
		int64_t bytes;

		record(text, len, pieces[i % ARRAY_SIZE(pieces)]);
		got = recorded(&bytes);
		capture_init(&c, OUTPUT_KEPT);
		capture_add(&c, text, len);
		want = capture_text(&c);
		capture_done(&c);
		CHECK_INT(bytes, len);
		CHECK(strcmp(got, want) == 0);
	}
}

/* Reads all of it in parts of `size`, as one text. */
static char *in_parts(int64_t size)
{
	struct buf b = BUF_INIT(2 * OUTPUT_KEPT);
	struct pyro_error err;
	struct output_view v;
	int64_t at = 0;

	CHECK_OK(output_view_init(&v, test_dir(), 1, OUTPUT_STDOUT, &err), err);
	while ((at = output_view_next(&v, at)) != INT64_MAX) {
		AUTO_FREE char *part = output_view_text(&v, at, at + size);

		/* Three bytes of a character at the end, but not in the middle. */
		CHECK(strlen(part) <= (size_t)size + 3 + strlen("\n[... 1234567 bytes cut ...]\n"));
		buf_puts(&b, part);
		at += size;
	}
	output_view_done(&v);
	buf_puts(&b, "");
	return buf_take(&b);
}

/* Without the newline before the line about the gap: at the start of a part there is none. */
static void drop_newline(char *text)
{
	char *cut = strstr(text, "\n[... ");

	if (cut)
		memmove(cut, cut + 1, strlen(cut));
}

static void check_parts(int64_t size)
{
	AUTO_FREE char *parts = in_parts(size), *all = NULL;
	int64_t bytes;

	all = recorded(&bytes);
	drop_newline(parts);
	drop_newline(all);
	CHECK(strcmp(parts, all) == 0);
}

TEST("recorded output in parts is the whole, each byte once, the gap told of once")
{
	static const int64_t lengths[] = {
		10, HALF, HALF + 1, OUTPUT_KEPT, OUTPUT_KEPT + 1, OUTPUT_KEPT * 2 + HALF};
	static const int64_t sizes[] = {9999, 65536, HALF - 1, HALF, OUTPUT_KEPT};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		AUTO_FREE char *text = pattern((size_t)lengths[i]);

		record(text, (size_t)lengths[i], 65536);
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++)
			check_parts(sizes[j]);
	}
	record("some words", 10, 10);
	check_parts(1);
}

TEST("no part of recorded output splits a character, at the gap neither")
{
	static const char letters[] = "a\u00e4\u20ac\U0001f600";
	struct buf b = BUF_INIT(OUTPUT_KEPT * 4);

	for (size_t shift = 0; shift < 4; shift++) {
		buf_reset(&b);
		buf_append(&b, "xyz", shift);
		while (b.len < OUTPUT_KEPT * 2 + 7)
			buf_puts(&b, letters);
		record(b.data, b.len, 65536);
		check_parts(65537);
		{
			AUTO_FREE char *text = in_parts(10007);

			CHECK(!strstr(text, "\ufffd"));
		}
		record(b.data, 40, 40);
		for (int64_t size = 1; size < 6; size++)
			check_parts(size);
	}
	buf_done(&b);
}

TEST("a part that begins where nothing is kept begins behind that, and says how much is missing")
{
	size_t len = OUTPUT_KEPT * 2;
	AUTO_FREE char *text = pattern(len), *part = NULL;
	struct pyro_error err;
	struct output_view v;

	record(text, len, 65536);
	CHECK_OK(output_view_init(&v, test_dir(), 1, OUTPUT_STDOUT, &err), err);
	CHECK_INT(output_view_next(&v, HALF - 1), HALF - 1);
	CHECK_INT(output_view_next(&v, HALF), OUTPUT_KEPT + HALF);
	CHECK_INT(output_view_next(&v, OUTPUT_KEPT), OUTPUT_KEPT + HALF);
	CHECK_INT(output_view_next(&v, (int64_t)len), INT64_MAX);
	part = output_view_text(&v, OUTPUT_KEPT + HALF, OUTPUT_KEPT + HALF + 3);
	CHECK(strncmp(part, "[... 1048576 bytes cut ...]\n", 28) == 0);
	CHECK(strncmp(part + 28, text + OUTPUT_KEPT + HALF, 3) == 0 && strlen(part) == 31);
	output_view_done(&v);
}

TEST("recorded bytes that are no text read as valid UTF-8, streams apart")
{
	struct pyro_error err;
	struct output *o = output_open(test_dir(), 1, OUTPUT_STDERR, &err);
	AUTO_FREE char *text = NULL;
	int64_t bytes;

	CHECK(o);
	output_add(o, "a\xff\0z", 4);
	CHECK_OK(view_all(OUTPUT_STDERR, &text, &bytes, &err), err);
	CHECK_INT(bytes, 4);
	CHECK(strstr(text, "a\xef\xbf\xbd") == text && text[strlen(text) - 1] == 'z');
	CHECK(view_all(OUTPUT_STDOUT, &text, &bytes, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	(void)output_close(o);
}

/* Replaces `len` bytes at an offset of the recording. */
static void damage(int64_t at, const void *with, size_t len)
{
	AUTO_FREE char *path = mem_printf("%s/outputs/1.out", test_dir());
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0 && pwrite(fd, with, len, at) == (ssize_t)len);
}

static void cut_to(int64_t len)
{
	AUTO_FREE char *path = mem_printf("%s/outputs/1.out", test_dir());

	CHECK(truncate(path, len) == 0);
}

TEST("a recording that is damaged is refused, or reads as what is left of it")
{
	static const int64_t totals[] = {5, HALF + 1, OUTPUT_KEPT, OUTPUT_KEPT + 1, INT64_MAX};
	int64_t negative = -1, bytes;
	struct pyro_error err;
	char *text;

	for (size_t i = 0; i < ARRAY_SIZE(totals); i++) {
		record("abc", 3, 3);
		damage(16, &totals[i], sizeof(totals[i]));
		text = recorded(&bytes);
		CHECK(strncmp(text, "abc", 3) == 0 && bytes == totals[i]);
		free(text);
		cut_to(24);
		text = recorded(&bytes);
		CHECK(strspn(text, "\n[. 0123456789bytescut]") == strlen(text));
		free(text);
	}
	damage(16, &negative, sizeof(negative));
	CHECK(view_all(OUTPUT_STDOUT, &text, &bytes, &err) < 0);
	CHECK_INT(err.code, PYRO_E_PROTOCOL);
	record("abc", 3, 3);
	damage(0, "other", 5);
	CHECK(view_all(OUTPUT_STDOUT, &text, &bytes, &err) < 0);
	cut_to(10);
	CHECK(view_all(OUTPUT_STDOUT, &text, &bytes, &err) < 0);
	CHECK_INT(err.code, PYRO_E_PROTOCOL);
}

TEST("a disk that is full ends the recording, and what was kept stays readable")
{
	const struct rlimit limit = {100000, 100000};
	AUTO_FREE char *text = pattern(300000), *got = NULL;
	int64_t bytes;

	CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0);
	record(text, 300000, 7000);
	got = recorded(&bytes);
	CHECK(bytes > 90000 && bytes <= 100000);
	CHECK(strlen(got) == (size_t)bytes && strncmp(got, text, (size_t)bytes) == 0);
}

/* Adds to the recording until it is killed. */
static pid_t start_writer(const char *text, size_t len)
{
	pid_t pid = fork();
	struct pyro_error err;
	struct output *o;

	if (pid != 0)
		return pid;
	o = output_open(test_dir(), 1, OUTPUT_STDOUT, &err);
	for (size_t at = 0; o && at < len; at += 10)
		output_add(o, text + at, 10);
	_exit(0);
}

TEST("a reader sees what was recorded so far, while it grows and after a kill -9")
{
	size_t len = OUTPUT_KEPT / 10 * 10;
	AUTO_FREE char *text = pattern(len);
	int64_t bytes = 0, before = 0;
	pid_t pid;

	record("", 0, 1);
	pid = start_writer(text, len);
	while (bytes < HALF + 1000) {
		struct pyro_error err;
		AUTO_FREE char *got = NULL;

		/* The file is new and empty for a moment. */
		if (view_all(OUTPUT_STDOUT, &got, &bytes, &err) < 0)
			continue;
		CHECK(bytes >= before && strlen(got) == (size_t)bytes);
		CHECK(strncmp(got, text, (size_t)bytes) == 0);
		before = bytes;
	}
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	free(recorded(&bytes));
	CHECK(bytes >= before && bytes % 10 == 0);
}

TEST("what is overwritten while it is read is cut out, and counted")
{
	size_t len = OUTPUT_KEPT * 2, more = 100000;
	AUTO_FREE char *text = pattern(len + more), *got = NULL, *part = NULL, *want = NULL;
	struct pyro_error err;
	struct output *o = output_open(test_dir(), 1, OUTPUT_STDOUT, &err);
	struct output_view v;

	CHECK(o);
	output_add(o, text, len);
	CHECK_OK(output_view_init(&v, test_dir(), 1, OUTPUT_STDOUT, &err), err);
	output_add(o, text + len, more);
	got = output_view_text(&v, 0, INT64_MAX);
	want = mem_printf("%.*s\n[... %zu bytes cut ...]\n%.*s", HALF, text, OUTPUT_KEPT + more,
			  (int)(HALF - more), text + OUTPUT_KEPT + HALF + more);
	CHECK(strcmp(got, want) == 0);
	part = output_view_text(&v, OUTPUT_KEPT + HALF + 10, OUTPUT_KEPT + HALF + 20);
	CHECK_STR(part, "[... 10 bytes cut ...]\n");
	output_view_done(&v);
	(void)output_close(o);
}

TEST("outputs are removed up to a number, or all")
{
	struct output_view v;
	struct pyro_error err;

	for (int i = 1; i <= 12; i++)
		(void)output_close(output_open(test_dir(), i, OUTPUT_STDOUT, &err));
	output_remove(test_dir(), 10);
	for (int i = 1; i <= 12; i++) {
		AUTO_FREE char *path = mem_printf("%s/outputs/%d.out", test_dir(), i);

		CHECK_INT(file_exists(path), i > 10);
	}
	output_remove_all(test_dir());
	CHECK(output_view_init(&v, test_dir(), 12, OUTPUT_STDOUT, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
}
