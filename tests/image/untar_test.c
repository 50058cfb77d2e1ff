/*
 * Tar streams into ext4 images and back: what came in is read with debugfs, and every image must
 * be clean for e2fsck.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "image/builder/ext4.h"
#include "image/builder/untar.h"
#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#define IMAGE_BYTES (128 << 20)

/* --- making tars ------------------------------------------------------------------------ */

struct tar {
	struct archive *archive;
	struct archive_entry *entry;
	char *data;
	size_t len;
};

static void tar_begin(struct tar *tar, size_t max)
{
	tar->data = mem_zalloc(1, max);
	tar->entry = archive_entry_new();
	tar->archive = archive_write_new();
	(void)archive_write_set_format_pax(tar->archive);
	(void)archive_write_set_bytes_per_block(tar->archive, 512);
	CHECK(archive_write_open_memory(tar->archive, tar->data, max, &tar->len) == ARCHIVE_OK);
}

/* The next entry, with plain attributes; to be changed before tar_put(). */
static struct archive_entry *tar_entry(struct tar *tar, const char *path, mode_t mode)
{
	(void)archive_entry_clear(tar->entry);
	archive_entry_set_pathname(tar->entry, path);
	archive_entry_set_mode(tar->entry, mode);
	archive_entry_set_mtime(tar->entry, 1000000000, 0);
	archive_entry_set_size(tar->entry, 0);
	return tar->entry;
}

static void tar_put(struct tar *tar, const void *data, size_t len)
{
	if (data)
		archive_entry_set_size(tar->entry, (int64_t)len);
	CHECK(archive_write_header(tar->archive, tar->entry) >= ARCHIVE_WARN);
	if (data)
		CHECK(archive_write_data(tar->archive, data, len) == (ssize_t)len);
}

static void tar_file(struct tar *tar, const char *path, const char *text)
{
	(void)tar_entry(tar, path, S_IFREG | 0644);
	tar_put(tar, text, strlen(text));
}

static void tar_dir(struct tar *tar, const char *path)
{
	(void)tar_entry(tar, path, S_IFDIR | 0755);
	tar_put(tar, NULL, 0);
}

static void tar_symlink(struct tar *tar, const char *path, const char *target)
{
	archive_entry_set_symlink(tar_entry(tar, path, S_IFLNK | 0777), target);
	tar_put(tar, NULL, 0);
}

static void tar_hardlink(struct tar *tar, const char *path, const char *target)
{
	archive_entry_set_hardlink(tar_entry(tar, path, S_IFREG | 0644), target);
	tar_put(tar, NULL, 0);
}

/* --- images ----------------------------------------------------------------------------- */

struct cursor {
	const char *data;
	size_t left;
	bool fails; /* at the end, instead of ending */
};

/* In odd pieces, as a pipe gives them. */
static ssize_t read_some(void *ctx, void *data, size_t len, struct pyro_error *err)
{
	struct cursor *c = ctx;
	size_t n = c->left < 1777 ? c->left : 1777;

	if (n == 0 && c->fails)
		return err_set(err, PYRO_E_PULL_FAILED, "the pipe broke");
	n = n < len ? n : len;
	memcpy(data, c->data, n);
	c->data += n;
	c->left -= n;
	return (ssize_t)n;
}

static const char *image_path(void)
{
	static char path[300];

	(void)snprintf(path, sizeof(path), "%s/image", test_dir());
	return path;
}

/* Writes data as a tar into a fresh image; the image must be whole also when that fails. */
static int untar(const void *data, size_t len, struct pyro_error *err)
{
	struct cursor cursor = {data, len, false};
	struct untar_source source = {read_some, &cursor};
	struct ext4 *fs = ext4_new(image_path(), IMAGE_BYTES, "test", "test", err);
	int r;

	CHECK(fs);
	r = untar_to_ext4(&source, fs, err);
	if (r < 0)
		(void)ext4_free(fs);
	else
		CHECK_OK(ext4_close(fs, err), *err);
	return r;
}

static int untar_end(struct tar *tar, struct pyro_error *err)
{
	int r;

	CHECK(archive_write_close(tar->archive) == ARCHIVE_OK);
	(void)archive_write_free(tar->archive);
	archive_entry_free(tar->entry);
	r = untar(tar->data, tar->len, err);
	free(tar->data);
	return r;
}

static void check_clean(void)
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pyro_error err;

	argv_add(&a, "e2fsck", "-f", "-n", image_path(), NULL);
	CHECK_OK(proc_check(&a, &(struct proc_options){.deadline = deadline_in(30000)}, &err), err);
}

/* What debugfs prints for a request; borrowed until the next one. */
static const char *ask(const char *request)
{
	static char text[65536];
	AUTO_BUF struct buf out = BUF_INIT(sizeof(text) - 1);
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pyro_error err;

	argv_add(&a, "debugfs", "-R", request, image_path(), NULL);
	CHECK_OK(proc_check(&a, &(struct proc_options){.deadline = deadline_in(30000), .out = &out},
			    &err),
		 err);
	(void)snprintf(text, sizeof(text), "%s", buf_text(&out));
	return text;
}

#define CHECK_HAS(request, part)                                                              \
	do {                                                                                  \
		const char *got_ = ask(request);                                              \
		if (!strstr(got_, part))                                                      \
			test_fail(__FILE__, __LINE__, "%s: no \"%s\" in:\n%s", request, part, \
				  got_);                                                      \
	} while (0)

/* --- what is kept ----------------------------------------------------------------------- */

TEST("owners, modes, times and content of files and directories are kept")
{
	struct archive_entry *e;
	struct pyro_error err;
	struct tar tar;

	tar_begin(&tar, 65536);
	e = tar_entry(&tar, "./", S_IFDIR | 0711);
	archive_entry_set_uid(e, 7);
	tar_put(&tar, NULL, 0);
	e = tar_entry(&tar, "./d/", S_IFDIR | 01777);
	archive_entry_set_uid(e, 100000);
	archive_entry_set_gid(e, 3000000000);
	tar_put(&tar, NULL, 0);
	e = tar_entry(&tar, "./d/f", S_IFREG | 06755);
	archive_entry_set_uid(e, 65536);
	archive_entry_set_mtime(e, 5000000000, 123456789);
	tar_put(&tar, "hello\n", 6);
	CHECK_OK(untar_end(&tar, &err), err);
	check_clean();
	CHECK_HAS("stat /", "Mode:  0711");
	CHECK_HAS("stat /", "User:     7");
	CHECK_HAS("stat /d", "Mode:  01777");
	CHECK_HAS("stat /d", "User: 100000");
	CHECK_HAS("stat /d", "Group: -1294967296"); /* debugfs prints it as signed */
	CHECK_HAS("stat /d/f", "Mode:  06755");
	CHECK_HAS("stat /d/f", "User: 65536");
	CHECK_HAS("stat /d/f", "mtime: 0x2a05f200:1d6f3455 -- Fri Jun 11 08:53:20 2128");
	CHECK_STR(ask("cat /d/f"), "hello\n");
}

TEST("symbolic links, hard links, devices and fifos are kept")
{
	AUTO_FREE char *far = mem_zalloc(1, 4001);
	struct archive_entry *e;
	struct pyro_error err;
	struct tar tar;

	memset(far, 'x', 4000);
	tar_begin(&tar, 1 << 20);
	tar_file(&tar, "a/f", "content");
	tar_hardlink(&tar, "b/g", "a/f");
	tar_hardlink(&tar, "./c", "./b/g");
	tar_symlink(&tar, "short", "../../etc/passwd");
	tar_symlink(&tar, "long", far);
	e = tar_entry(&tar, "null", S_IFCHR | 0666);
	archive_entry_set_rdevmajor(e, 1);
	archive_entry_set_rdevminor(e, 3);
	tar_put(&tar, NULL, 0);
	e = tar_entry(&tar, "disk", S_IFBLK | 0660);
	archive_entry_set_rdevmajor(e, 259);
	archive_entry_set_rdevminor(e, 70000);
	tar_put(&tar, NULL, 0);
	(void)tar_entry(&tar, "pipe", S_IFIFO | 0600);
	tar_put(&tar, NULL, 0);
	CHECK_OK(untar_end(&tar, &err), err);
	check_clean();
	CHECK_HAS("stat /c", "Links: 3");
	CHECK_STR(ask("cat /b/g"), "content");
	CHECK_HAS("stat /short", "Fast link dest: \"../../etc/passwd\"");
	CHECK_HAS("stat /long", "Size: 4000");
	CHECK_HAS("stat /null", "number: 01:03");
	CHECK_HAS("stat /disk", "number: 259:70000");
	CHECK_HAS("stat /pipe", "Type: FIFO");
}

TEST("extended attributes are kept, file capabilities among them")
{
	static const char cap[20] = {1, 0, 0, 2, 0, 0x20};
	AUTO_FREE char *value = mem_zalloc(1, 3000);
	struct archive_entry *e;
	struct pyro_error err;
	struct tar tar;

	memset(value, 'v', 2999);
	tar_begin(&tar, 65536);
	e = tar_entry(&tar, "ping", S_IFREG | 0755);
	archive_entry_xattr_add_entry(e, "security.capability", cap, sizeof(cap));
	archive_entry_xattr_add_entry(e, "user.large", value, 2999);
	tar_put(&tar, "x", 1);
	e = tar_entry(&tar, "dir", S_IFDIR | 0755);
	archive_entry_xattr_add_entry(e, "user.k", "v", 1);
	tar_put(&tar, NULL, 0);
	CHECK_OK(untar_end(&tar, &err), err);
	check_clean();
	CHECK_HAS("ea_list /ping", "security.capability (20) = 01 00 00 02 00 20");
	CHECK_HAS("ea_list /ping", "user.large (2999)");
	CHECK_HAS("ea_list /dir", "user.k (1) = \"v\"");
}

TEST("a file with holes occupies only what it holds")
{
	AUTO_FREE char *data = mem_zalloc(1, 8192), *zeros = mem_zalloc(1, 1 << 20);
	struct archive_entry *e;
	struct pyro_error err;
	struct tar tar;

	memset(data, 'd', 8192);
	tar_begin(&tar, 1 << 20);
	e = tar_entry(&tar, "sparse", S_IFREG | 0644);
	archive_entry_set_size(e, 1 << 30);
	archive_entry_sparse_add_entry(e, 512 << 20, 8192);
	CHECK(archive_write_header(tar.archive, e) == ARCHIVE_OK);
	for (int i = 0; i < 512; i++) /* the writer leaves out what the map says are holes */
		CHECK(archive_write_data(tar.archive, zeros, 1 << 20) == 1 << 20);
	CHECK(archive_write_data(tar.archive, data, 8192) == 8192);
	CHECK_OK(untar_end(&tar, &err), err);
	check_clean();
	CHECK_HAS("stat /sparse", "Size: 1073741824");
	CHECK_HAS("stat /sparse", "Blockcount: 16");
}

TEST("large directories and files come through whole")
{
	size_t len = 20 << 20;
	AUTO_FREE char *data = mem_zalloc(1, len), *back = NULL;
	AUTO_BUF struct buf read = BUF_INIT(len);
	AUTO_FREE char *request = mem_printf("dump /large %s/back", test_dir());
	struct pyro_error err;
	char name[300];
	struct tar tar;

	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 2654435761U >> 13);
	tar_begin(&tar, 40 << 20);
	(void)tar_entry(&tar, "large", S_IFREG | 0644);
	tar_put(&tar, data, len);
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(name, sizeof(name), "many/%0200d", i);
		tar_file(&tar, name, "");
	}
	CHECK_OK(untar_end(&tar, &err), err);
	check_clean();
	(void)ask(request);
	back = mem_printf("%s/back", test_dir());
	CHECK_OK(file_read(back, &read, &err), err);
	CHECK(read.len == len && memcmp(read.data, data, len) == 0);
	(void)snprintf(name, sizeof(name), "stat /many/%0200d", 2999);
	CHECK_HAS(name, "Type: regular");
}

TEST("an entry that comes twice replaces the first; a directory stays and takes the attributes")
{
	struct pyro_error err;
	struct tar tar;

	tar_begin(&tar, 1 << 20);
	tar_file(&tar, "f", "first, and longer");
	tar_hardlink(&tar, "h", "f");
	tar_file(&tar, "f", "second");
	tar_symlink(&tar, "l", "f");
	tar_file(&tar, "l", "no link any more");
	tar_file(&tar, "d/x", "x");
	(void)tar_entry(&tar, "d", S_IFDIR | 0700);
	tar_put(&tar, NULL, 0);
	tar_hardlink(&tar, "d/x", "d/x");
	CHECK_OK(untar_end(&tar, &err), err);
	check_clean();
	CHECK_STR(ask("cat /f"), "second");
	CHECK_STR(ask("cat /h"), "first, and longer");
	CHECK_HAS("stat /h", "Links: 1");
	CHECK_STR(ask("cat /l"), "no link any more");
	CHECK_STR(ask("cat /d/x"), "x");
	CHECK_HAS("stat /d", "Mode:  0700");
}

TEST("names of 255 bytes, of any bytes, and missing parents are fine")
{
	char longest[256] = "";
	struct pyro_error err;
	struct tar tar;

	memset(longest, 'n', 255);
	tar_begin(&tar, 65536);
	tar_file(&tar, longest, "1");
	tar_file(&tar, "a//b/./c", "2");
	tar_file(&tar, "odd \"'\n\\name", "3");
	CHECK_OK(untar_end(&tar, &err), err);
	check_clean();
	CHECK_STR(ask("cat /a/b/c"), "2");
	CHECK_HAS("stat /a/b", "Mode:  0755");
}

/* --- what is refused -------------------------------------------------------------------- */

/* One entry that must be refused, naming it. */
static void check_refused(const char *path, mode_t mode, const char *target)
{
	struct pyro_error err;
	struct tar tar;

	tar_begin(&tar, 1 << 20);
	tar_dir(&tar, "dir");
	tar_file(&tar, "file", "x");
	tar_symlink(&tar, "link", "dir");
	archive_entry_set_symlink(tar_entry(&tar, path, mode), target);
	tar_put(&tar, NULL, 0);
	CHECK(untar_end(&tar, &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	if (!strstr(err.message, path))
		test_fail(__FILE__, __LINE__, "'%s' is not named: %s", path, err.message);
}

TEST("paths that leave the root, or lead through what is no directory, are refused by name")
{
	check_refused("../x", S_IFREG | 0644, NULL);
	check_refused("dir/../x", S_IFREG | 0644, NULL);
	check_refused("..", S_IFDIR | 0755, NULL);
	check_refused("/etc/x", S_IFREG | 0644, NULL);
	check_refused("link/x", S_IFREG | 0644, NULL);
	check_refused("file/x", S_IFREG | 0644, NULL);
	check_refused("file/x/y", S_IFDIR | 0755, NULL);
	check_refused("dir", S_IFREG | 0644, NULL);
	check_refused("dir", S_IFLNK | 0777, "file");
	check_refused(".", S_IFREG | 0644, NULL);
}

TEST("names and targets that the file system cannot hold are refused")
{
	AUTO_FREE char *far = mem_zalloc(1, 5001);
	char longer[257] = "";

	memset(longer, 'n', 256);
	memset(far, 'x', 5000);
	check_refused(longer, S_IFREG | 0644, NULL);
	check_refused("l", S_IFLNK | 0777, far);
}

TEST("a hard link to nothing or to a directory is refused")
{
	static const char *const targets[] = {"nothing", "dir", "../x", "/file"};

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		struct pyro_error err;
		struct tar tar;

		tar_begin(&tar, 65536);
		tar_dir(&tar, "dir");
		tar_file(&tar, "file", "x");
		tar_hardlink(&tar, "h", targets[i]);
		CHECK(untar_end(&tar, &err) < 0);
		CHECK_INT(err.code, PYRO_E_INVALID);
	}
}

TEST("an image that is full says so")
{
	size_t len = IMAGE_BYTES + (1 << 20);
	AUTO_FREE char *data = mem_zalloc(1, len);
	struct pyro_error err;
	struct tar tar;

	memset(data, 'x', len);
	tar_begin(&tar, len + 65536);
	(void)tar_entry(&tar, "large", S_IFREG | 0644);
	tar_put(&tar, data, len);
	CHECK(untar_end(&tar, &err) < 0);
	CHECK_INT(err.code, PYRO_E_LIMIT);
	CHECK(strstr(err.message, "full"));
}

TEST("a stream cut anywhere is an error, and never a crash")
{
	AUTO_FREE char *whole = NULL;
	struct pyro_error err;
	struct tar tar;
	size_t len;

	tar_begin(&tar, 65536);
	tar_dir(&tar, "d");
	tar_file(&tar, "d/f", "some content that is longer than nothing");
	tar_symlink(&tar, "d/l", "f");
	CHECK(archive_write_close(tar.archive) == ARCHIVE_OK);
	(void)archive_write_free(tar.archive);
	archive_entry_free(tar.entry);
	whole = tar.data;
	len = tar.len - 1024; /* without the end mark */
	for (size_t cut = 100; cut < len; cut += 333)
		if (cut % 512 != 0)
			CHECK(untar(whole, cut, &err) < 0);
}

TEST("random damage to a tar never breaks the image that is made of it")
{
	unsigned seed = 1;
	struct pyro_error err;
	struct tar tar;

	tar_begin(&tar, 65536);
	tar_dir(&tar, "d");
	for (int i = 0; i < 8; i++) {
		AUTO_FREE char *name = mem_printf("d/%d", i);

		tar_file(&tar, name, "content");
	}
	tar_hardlink(&tar, "h", "d/3");
	CHECK(archive_write_close(tar.archive) == ARCHIVE_OK);
	(void)archive_write_free(tar.archive);
	archive_entry_free(tar.entry);
	for (int round = 0; round < 60; round++) {
		AUTO_FREE char *copy = mem_zalloc(1, tar.len);

		memcpy(copy, tar.data, tar.len);
		for (int i = 0; i < 4; i++) {
			seed = seed * 1103515245 + 12345;
			copy[(seed >> 8) % tar.len] ^= (char)(1 << (seed >> 4 & 7));
		}
		if (untar(copy, tar.len, &err) == 0)
			check_clean();
	}
	free(tar.data);
}

TEST("the error of a source that fails comes through")
{
	struct cursor cursor = {"", 0, true};
	struct untar_source source = {read_some, &cursor};
	struct pyro_error err;
	struct ext4 *fs = ext4_new(image_path(), IMAGE_BYTES, "test", "test", &err);

	CHECK(fs && untar_to_ext4(&source, fs, &err) < 0);
	CHECK_STR(err.message, "the pipe broke");
	CHECK_INT(err.code, PYRO_E_PULL_FAILED);
	(void)ext4_free(fs);
}
