#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A path in the test's directory; owned. */
static char *at(const char *name)
{
	return mem_printf("%s/%s", test_dir(), name);
}

static void put(const char *path, const char *text)
{
	struct pyro_error err;

	CHECK_OK(file_write_atomic(path, text, strlen(text), 0600, &err), err);
}

static void check_content(const char *path, const char *want)
{
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	struct pyro_error err;

	CHECK_OK(file_read(path, &b, &err), err);
	CHECK_STR(buf_text(&b), want);
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n - 2;
}

TEST("file_read takes a file of exactly the maximum and refuses a longer one")
{
	AUTO_FREE char *path = at("f");
	AUTO_BUF struct buf exact = BUF_INIT(5), small = BUF_INIT(4);
	struct pyro_error err;

	put(path, "12345");
	CHECK_OK(file_read(path, &exact, &err), err);
	CHECK_STR(buf_text(&exact), "12345");
	CHECK(file_read(path, &small, &err) < 0);
	CHECK_INT(err.code, PYRO_E_LIMIT);
}

TEST("file_read of what is missing or a directory is an error that names it")
{
	AUTO_BUF struct buf b = BUF_INIT(10);
	AUTO_FREE char *path = at("missing");
	struct pyro_error err;

	CHECK(file_read(path, &b, &err) < 0);
	CHECK(strstr(err.message, path));
	CHECK(file_read(test_dir(), &b, &err) < 0);
}

TEST("file_write_atomic replaces content and mode and leaves nothing beside it")
{
	AUTO_FREE char *path = at("f");
	struct pyro_error err;
	struct stat st;

	(void)umask(077);
	put(path, "old");
	CHECK_OK(file_write_atomic(path, "new", 3, 0644, &err), err);
	check_content(path, "new");
	CHECK(stat(path, &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0644);
	CHECK_INT(count_entries(test_dir()), 1);
}

TEST("file_write_atomic takes away what one that was killed has left")
{
	AUTO_FREE char *path = at("f");
	struct pyro_error err;

	for (int i = 0; i < 40; i++) {
		pid_t writer = fork();

		if (writer == 0)
			for (;;)
				(void)file_write_atomic(path, "old", 3, 0600, NULL);
		(void)usleep((useconds_t)(i * 50));
		(void)kill(writer, SIGKILL);
		(void)waitpid(writer, NULL, 0);
	}
	CHECK_OK(file_write_atomic(path, "new", 3, 0600, &err), err);
	check_content(path, "new");
	CHECK_INT(count_entries(test_dir()), 1);
}

TEST("file_write_atomic that fails leaves the old state and nothing beside it")
{
	AUTO_FREE char *path = at("d");
	AUTO_FREE char *inside = at("d/keep");
	struct pyro_error err;

	CHECK_OK(dir_make(path, 0700, &err), err);
	put(inside, "x");
	CHECK(file_write_atomic(path, "new", 3, 0600, &err) < 0); /* a directory is in the way */
	check_content(inside, "x");
	CHECK_INT(count_entries(test_dir()), 1);
}

TEST("file_write_atomic is never seen half done by a reader")
{
	AUTO_FREE char *path = at("f");
	char text[2][8192];
	pid_t writer;

	memset(text[0], 'a', sizeof(text[0]));
	memset(text[1], 'b', sizeof(text[1]));
	CHECK(file_write_atomic(path, text[0], sizeof(text[0]), 0600, NULL) == 0);
	writer = fork();
	if (writer == 0) {
		for (int i = 0;; i++)
			(void)file_write_atomic(path, text[i % 2], sizeof(text[0]), 0600, NULL);
	}
	for (int i = 0; i < 300; i++) {
		AUTO_BUF struct buf b = BUF_INIT(10000);

		CHECK(file_read(path, &b, NULL) == 0);
		CHECK_INT(b.len, sizeof(text[0]));
		CHECK(memcmp(b.data, text[b.data[0] == 'b'], b.len) == 0);
	}
	(void)kill(writer, SIGKILL);
	(void)waitpid(writer, NULL, 0);
}

TEST("file_copy keeps the content and the holes of a sparse file")
{
	AUTO_FREE char *from = at("from");
	AUTO_FREE char *to = at("to");
	AUTO_FD int fd = open(from, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO_FD int copy = -1;
	struct pyro_error err;
	struct stat st;
	char byte = 0;

	CHECK(pwrite(fd, "begin", 5, 0) == 5);
	CHECK(pwrite(fd, "end", 3, 64 << 20) == 3);
	CHECK(ftruncate(fd, 128 << 20) == 0);
	CHECK_OK(file_copy(from, to, 0600, &err), err);
	CHECK(stat(to, &st) == 0);
	CHECK_INT(st.st_size, 128 << 20);
	CHECK((int64_t)st.st_blocks * 512 < 1 << 20);
	copy = open(to, O_RDONLY | O_CLOEXEC);
	CHECK(pread(copy, &byte, 1, (64 << 20) + 2) == 1);
	CHECK_INT(byte, 'd');
}

TEST("file_copy works from one file system to another")
{
	AUTO_FREE char *from = mem_printf("/dev/shm/pyro-test-%d", (int)getpid());
	AUTO_FREE char *to = at("to");
	struct pyro_error err;
	int r;

	put(from, "across");
	r = file_copy(from, to, 0600, &err);
	(void)unlink(from);
	CHECK_OK(r, err);
	check_content(to, "across");
}

TEST("file_copy never overwrites and leaves nothing when it fails")
{
	AUTO_FREE char *from = at("from");
	AUTO_FREE char *to = at("to");
	AUTO_FREE char *missing = at("missing");
	AUTO_FREE char *other = at("other");
	struct pyro_error err;

	put(from, "a");
	put(to, "b");
	CHECK(file_copy(from, to, 0600, &err) < 0);
	check_content(to, "b");
	CHECK(file_copy(missing, other, 0600, &err) < 0);
	CHECK(!file_exists(other));
}

TEST("dir_make makes all parents and is content with what exists")
{
	AUTO_FREE char *path = at("a/b/c");
	AUTO_FREE char *slash = at("a/b/c/");
	struct pyro_error err;
	struct stat st;

	CHECK_OK(dir_make(path, 0700, &err), err);
	CHECK_OK(dir_make(slash, 0700, &err), err);
	CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
	CHECK_INT(st.st_mode & 0777, 0700);
}

TEST("dir_make refuses a path where a file is in the way, and an empty one")
{
	AUTO_FREE char *file = at("f");
	AUTO_FREE char *below = at("f/x");
	struct pyro_error err;

	put(file, "x");
	CHECK(dir_make(file, 0700, &err) < 0);
	CHECK(dir_make(below, 0700, &err) < 0);
	CHECK(dir_make("", 0700, &err) < 0);
}

TEST("dir_remove takes the whole tree but never what a symbolic link points to")
{
	AUTO_FREE char *outside = at("outside");
	AUTO_FREE char *kept = at("outside/kept");
	AUTO_FREE char *deep = at("tree/a/b");
	AUTO_FREE char *link_dir = at("tree/a/link");
	AUTO_FREE char *link_up = at("tree/up");
	AUTO_FREE char *tree = at("tree");
	struct pyro_error err;

	CHECK_OK(dir_make(outside, 0700, &err), err);
	CHECK_OK(dir_make(deep, 0700, &err), err);
	put(kept, "x");
	CHECK(symlink(outside, link_dir) == 0);
	CHECK(symlink("..", link_up) == 0);
	CHECK_OK(dir_remove(tree, &err), err);
	CHECK(!file_exists(tree));
	check_content(kept, "x");
}

TEST("dir_remove takes what lies in directories that are closed to their owner")
{
	AUTO_FREE char *tree = at("tree"), *closed = at("tree/closed"),
		       *deep = at("tree/closed/d/e");
	AUTO_FREE char *fixed = at("tree/fixed"), *file = at("tree/fixed/file"), *in = NULL;
	struct pyro_error err;

	if (geteuid() == 0) /* whom no mode stops */
		CHECK(chown(test_dir(), 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	CHECK_OK(dir_make(deep, 0700, &err), err);
	CHECK_OK(dir_make(fixed, 0700, &err), err);
	in = mem_printf("%s/file", deep);
	put(in, "x");
	put(file, "x");
	CHECK(chmod(deep, 0400) == 0 && chmod(closed, 0) == 0 && chmod(fixed, 0500) == 0);
	CHECK(chmod(tree, 0500) == 0);
	CHECK_OK(dir_remove(tree, &err), err);
	CHECK(!file_exists(tree));
}

TEST("dir_remove takes a tree that is deeper than any path")
{
	AUTO_FREE char *tree = at("tree");
	struct pyro_error err;
	char name[251] = {0};

	memset(name, 'd', sizeof(name) - 1);
	CHECK_OK(dir_make(tree, 0700, &err), err);
	CHECK(chdir(tree) == 0);
	for (int i = 0; i < 40; i++)
		CHECK(mkdir(name, 0700) == 0 && chdir(name) == 0);
	CHECK_OK(dir_remove(tree, &err), err);
	CHECK(!file_exists(tree));
}

TEST("several processes can remove the same tree at once")
{
	AUTO_FREE char *tree = at("tree");
	struct pyro_error err;
	pid_t pids[3];
	int status;

	for (int i = 0; i < 300; i++) {
		AUTO_FREE char *dir = mem_printf("%s/%d/a/b", tree, i);
		AUTO_FREE char *file = mem_printf("%s/f", dir);

		CHECK_OK(dir_make(dir, 0700, &err), err);
		put(file, "x");
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(dir_remove(tree, &err) < 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK_INT(status, 0);
	}
	CHECK(!file_exists(tree));
}

TEST("dir_remove of a symbolic link removes the link, not the tree behind it")
{
	AUTO_FREE char *outside = at("outside");
	AUTO_FREE char *kept = at("outside/kept");
	AUTO_FREE char *link = at("link");
	struct pyro_error err;

	CHECK_OK(dir_make(outside, 0700, &err), err);
	put(kept, "x");
	CHECK(symlink(outside, link) == 0);
	CHECK_OK(dir_remove(link, &err), err);
	CHECK(access(link, F_OK) < 0);
	check_content(kept, "x");
}

TEST("dir_remove is content with nothing there, and removes a single file")
{
	AUTO_FREE char *path = at("f");
	struct pyro_error err;

	CHECK_OK(dir_remove(path, &err), err);
	put(path, "x");
	CHECK_OK(dir_remove(path, &err), err);
	CHECK(!file_exists(path));
}

TEST("dir_disk_bytes counts what the tree occupies, not what its files pretend")
{
	AUTO_FREE char *path = at("sparse");
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(ftruncate(fd, 1 << 30) == 0);
	CHECK(dir_disk_bytes(test_dir()) < 1 << 20);
	CHECK(dir_free_bytes(test_dir()) > 0);
	CHECK(dir_free_bytes("/no/such/place") < 0);
}

TEST("file_lock excludes others until its descriptor is closed")
{
	AUTO_FREE char *path = at("lock");
	AUTO_FD int first = file_lock(path, deadline_in(0), NULL);
	struct pyro_error err;
	int64_t began = clock_ms();

	CHECK(first >= 0);
	CHECK(file_is_locked(path));
	CHECK(file_lock(path, deadline_in(100), &err) < 0);
	CHECK_INT(err.code, PYRO_E_BUSY);
	CHECK(clock_ms() - began >= 100);
	fd_close(&first);
	CHECK(!file_is_locked(path));
	first = file_lock(path, deadline_in(0), &err);
	CHECK_OK(first, err);
}

TEST("file_lock is released when its holder is killed")
{
	AUTO_FREE char *path = at("lock");
	AUTO_FD int mine = -1;
	struct pyro_error err;
	int ready[2];
	pid_t pid;
	char byte;

	CHECK(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		int fd = file_lock(path, deadline_in(0), NULL);

		(void)!write(ready[1], fd >= 0 ? "y" : "n", 1);
		(void)pause();
	}
	CHECK(read(ready[0], &byte, 1) == 1 && byte == 'y');
	CHECK(file_is_locked(path));
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	mine = file_lock(path, deadline_in(1000), &err);
	CHECK_OK(mine, err);
}

TEST("file_lock waits for the holder rather than taking a lock file that was removed")
{
	AUTO_FREE char *path = at("lock");
	AUTO_FD int first = file_lock(path, deadline_in(0), NULL);
	AUTO_FD int second = -1;
	struct pyro_error err;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) { /* waits on the old file, which goes away under it */
		int fd = file_lock(path, deadline_in(100000), NULL);

		_exit(fd >= 0 && file_is_locked(path) ? 0 : 1);
	}
	(void)usleep(100000);
	CHECK(unlink(path) == 0);
	fd_close(&first);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	second = file_lock(path, deadline_in(0), &err);
	CHECK_OK(second, err);
	CHECK(file_is_locked(path));
}

TEST("asking whether a lock is held never makes an attempt to take it fail")
{
	AUTO_FREE char *path = at("lock");
	int fd = file_lock(path, deadline_in(0), NULL);
	pid_t asker;

	fd_close(&fd);
	asker = fork();
	if (asker == 0)
		for (;;)
			(void)file_is_locked(path);
	for (int i = 0; i < 20000; i++) {
		struct pyro_error err;

		fd = file_lock(path, deadline_in(0), &err);
		CHECK_OK(fd, err);
		fd_close(&fd);
	}
	(void)kill(asker, SIGKILL);
	(void)waitpid(asker, NULL, 0);
}
