/*
 * Real pulls from the distribution's archive, interrupted in every way, and repaired.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/catalog.h"
#include "image/image.h"
#include "image/pull.h"
#include "image/store.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "debian:12-base"

/* What a pull told, and when to interrupt it. */
struct told {
	char phases[256];
	int64_t last_done;
	const char
		*at_phase; /* interrupts at this phase's first progress, or at the phase itself */
	int after_steps;
	int cancel_fd;
	const char *fill; /* a file that takes all space when the root is begun */
};

static void fill_disk(const char *path)
{
	AUTO_FREE char *chunk = mem_zalloc(1, 1 << 20);
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	while (write(fd, chunk, 1 << 20) > 0)
		;
}

static void on_phase(void *ctx, const char *phase)
{
	struct told *told = ctx;
	size_t len = strlen(told->phases);

	(void)snprintf(told->phases + len, sizeof(told->phases) - len, "%s ", phase);
	told->last_done = 0;
	if (told->fill && strcmp(phase, "root") == 0)
		fill_disk(told->fill);
	if (told->at_phase && strcmp(phase, told->at_phase) == 0 && told->after_steps == 0)
		(void)eventfd_write(told->cancel_fd, 1);
}

static void on_progress(void *ctx, const char *what, int64_t done, int64_t total, const char *unit)
{
	struct told *told = ctx;

	CHECK(done > told->last_done && done <= total && *unit);
	told->last_done = done;
	if (told->at_phase && strcmp(what, told->at_phase) == 0 && done == told->after_steps)
		(void)eventfd_write(told->cancel_fd, 1);
}

static int pull(struct told *told, struct pyro_error *err)
{
	struct pull_hooks hooks = {
		.on_phase = on_phase, .on_progress = on_progress, .ctx = told, .cancel_fd = -1};

	if (told->at_phase)
		hooks.cancel_fd = told->cancel_fd = eventfd(0, EFD_CLOEXEC);
	return image_pull(NAME, TEST_BUILDER, &hooks, err);
}

static char *cache_root(void)
{
	char *root = mem_printf("%s/cache", test_dir());

	CHECK(setenv("PYRO_ENVIRONMENT_CACHE_DIR", root, 1) == 0);
	return root;
}

static char *make_agent(void)
{
	char *path = mem_printf("%s/agent", test_dir());
	struct pyro_error err;

	CHECK_OK(file_write_atomic(path, "agent", 5, 0755, &err), err);
	return path;
}

static bool is_installed(const char *root)
{
	AUTO_INSTALL struct install install = INSTALL_INIT;

	return store_open(&install, root, NAME, NULL) == 0;
}

/* Nothing under construction, and nobody who still constructs. */
static void check_nothing_left(const char *root)
{
	AUTO_FREE char *tmp = mem_printf("%s/tmp", root);
	struct pyro_error err;
	AUTO_FD int lock = store_lock(root, deadline_in(0), &err);

	CHECK_OK(lock, err);
	CHECK(rmdir(tmp) == 0);
}

static bool has_mount_below(const char *dir)
{
	AUTO_BUF struct buf mounts = BUF_INIT(1 << 20);
	struct pyro_error err;

	CHECK_OK(file_read("/proc/self/mounts", &mounts, &err), err);
	return strstr(buf_text(&mounts), dir) != NULL;
}

TEST("two pulls at once: one builds, the other waits, and both find it installed")
{
	AUTO_FREE char *root = cache_root(), *agent = make_agent();
	AUTO_IMAGE struct image image = IMAGE_INIT;
	struct told told = {.last_done = 0}, again = {.last_done = 0};
	struct pyro_error err;
	struct stat st;
	int status;
	pid_t pid;

	test_deadline(600);
	pid = fork();
	if (pid == 0)
		_exit(pull(&told, &err) < 0 || !strstr(told.phases, "install "));
	CHECK_OK(pull(&told, &err), err);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	/* Which of the two waited is chance. */
	CHECK(!strcmp(told.phases, "install wait ") ||
	      !strcmp(told.phases, "install kernel root check "));
	check_nothing_left(root);
	CHECK_OK(image_open(NAME, agent, &image, &err), err);
	CHECK(stat(image.root_path, &st) == 0 && st.st_size == IMAGE_DISK_BYTES);
	CHECK(st.st_blocks * 512 < 600 << 20);
	CHECK_OK(pull(&again, &err), err);
	CHECK_STR(again.phases, "");
}

TEST("a pull interrupted at any moment leaves nothing, and the next one repairs a broken cache")
{
	static const struct {
		const char *phase;
		int steps;
	} moments[] = {{"install", 0}, {"kernel", 0}, {"kernel", 20}, {"root", 0},
		       {"root", 90},   {"root", 190}, {"check", 0}};
	AUTO_FREE char *root = cache_root(), *agent = make_agent();
	AUTO_IMAGE struct image image = IMAGE_INIT;
	struct told told = {.last_done = 0};
	struct pyro_error err;

	test_deadline(600);
	for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
		struct told cut = {.at_phase = moments[i].phase, .after_steps = moments[i].steps};

		/* The last moment may come too late; then it is installed, and as good. */
		if (pull(&cut, &err) == 0) {
			CHECK_STR(moments[i].phase, "check");
			break;
		}
		CHECK_INT(err.code, PYRO_E_CANCELLED);
		CHECK(!is_installed(root));
		check_nothing_left(root);
	}
	CHECK(!has_mount_below(root));
	CHECK_OK(pull(&told, &err), err);
	CHECK_OK(image_open(NAME, agent, &image, &err), err);
	CHECK(truncate(image.blank_path, 0) == 0 && !is_installed(root));
	CHECK_OK(pull(&told, &err), err);
	CHECK(is_installed(root));
}

TEST("a pull whose caller is killed ends, and the next one removes what it left")
{
	static const int moments_ms[] = {50, 2500, 6000, 11000};
	AUTO_FREE char *root = cache_root();
	struct told told = {.last_done = 0};
	struct pyro_error err;
	int lock;

	test_deadline(600);
	for (size_t i = 0; i < ARRAY_SIZE(moments_ms); i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(pull(&told, &err) < 0);
		(void)poll(NULL, 0, moments_ms[i]);
		CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
		/* Whoever may still write below the cache holds the lock. */
		lock = store_lock(root, deadline_in(100000), &err);
		CHECK_OK(lock, err);
		(void)close(lock);
		CHECK(!has_mount_below(root));
	}
	CHECK_OK(pull(&told, &err), err);
	CHECK(is_installed(root));
	check_nothing_left(root);
}

/* A tmpfs of its own namespace at the cache's place. */
static void mount_cache(const char *root, const char *size)
{
	struct pyro_error err;

	if (geteuid() != 0)
		test_skip("root", "mounts a small file system");
	CHECK_OK(dir_make(root, 0700, &err), err);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		test_skip("root", "no mount namespace");
	CHECK(mount("tmpfs", root, "tmpfs", 0, size) == 0);
}

TEST("too little space is found before anything is fetched, and says where and how much")
{
	AUTO_FREE char *root = cache_root();
	struct told told = {.last_done = 0};
	struct pyro_error err;

	mount_cache(root, "size=64m");
	CHECK(pull(&told, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NO_SPACE);
	CHECK(strstr(err.message, root) && strstr(err.message, "MiB"));
	CHECK_STR(told.phases, "install ");
	check_nothing_left(root);
}

TEST("space that runs out half-way is a clear error that leaves nothing")
{
	AUTO_FREE char *root = cache_root(), *filler = mem_printf("%s/filler", root);
	struct told told = {.fill = filler};
	struct pyro_error err;

	test_deadline(600);
	mount_cache(root, "size=700m");
	CHECK(pull(&told, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NO_SPACE);
	CHECK(strstr(err.message, root) && strstr(err.message, "needs"));
	check_nothing_left(root);
	CHECK(!is_installed(root));
}
