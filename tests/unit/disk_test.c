#include "vm/disk.h"

#include "base/file.h"
#include "pyro/error.h"
#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#define ID "ws-00000000000000aa"
#define TAG "pyro.one"

/* A file of the machine's tree; NULL text removes it. */
static void put(const char *name, const char *text)
{
	AUTO_FREE char *dir = mem_printf("%s/root/workspace", test_dir());
	AUTO_FREE char *path = mem_printf("%s/%s", dir, name);
	struct pyro_error err;

	CHECK_OK(dir_make(dir, 0755, &err), err);
	if (text)
		CHECK_OK(file_write_atomic(path, text, strlen(text), 0640, &err), err);
	else
		CHECK(unlink(path) == 0);
}

static void check_has(const char *name, const char *want)
{
	AUTO_FREE char *path = mem_printf("%s/root/workspace/%s", test_dir(), name);
	AUTO_BUF struct buf text = BUF_INIT(4096);
	struct pyro_error err;

	if (!want) {
		CHECK(!file_exists(path));
		return;
	}
	CHECK_OK(file_read(path, &text, &err), err);
	CHECK_STR(buf_text(&text), want);
}

TEST("a tree on the host goes back to its snapshot, as often as it is asked to")
{
	AUTO_FREE char *link = mem_printf("%s/root/workspace/link", test_dir());
	AUTO_FREE char *file = mem_printf("%s/root/workspace/a", test_dir());
	struct pyro_error err;
	struct stat st;

	put("a", "one");
	CHECK(symlink("/nowhere", link) == 0 && chmod(file, 0750) == 0);
	CHECK_OK(disk_snapshot(ID, test_dir(), TAG, &err), err);
	for (int i = 0; i < 2; i++) {
		put("a", "two");
		put("b", "new");
		(void)unlink(link);
		CHECK_OK(disk_revert(ID, test_dir(), TAG, &err), err);
		check_has("a", "one");
		check_has("b", NULL);
		CHECK(stat(file, &st) == 0 && (st.st_mode & 07777) == 0750);
		CHECK(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
	}
}

TEST("a snapshot of a tree replaces one of its name")
{
	struct pyro_error err;

	put("a", "one");
	CHECK_OK(disk_snapshot(ID, test_dir(), TAG, &err), err);
	put("a", NULL);
	put("b", "two");
	CHECK_OK(disk_snapshot(ID, test_dir(), TAG, &err), err);
	put("b", "three");
	CHECK_OK(disk_revert(ID, test_dir(), TAG, &err), err);
	check_has("a", NULL);
	check_has("b", "two");
}

TEST("a tree does not go back to a snapshot that is not there, and stays as it is")
{
	struct pyro_error err;

	put("a", "one");
	CHECK_OK(disk_snapshot(ID, test_dir(), TAG, &err), err);
	CHECK_OK(disk_delete_snapshot(ID, test_dir(), TAG, &err), err);
	CHECK_OK(disk_delete_snapshot(ID, test_dir(), TAG, &err), err);
	CHECK(disk_revert(ID, test_dir(), TAG, &err) < 0);
	check_has("a", "one");
}

TEST("a tree that a killed revert took away comes back with the next")
{
	AUTO_FREE char *tree = mem_printf("%s/root/workspace", test_dir());
	AUTO_FREE char *left = mem_printf("%s/root/workspace.new", test_dir());
	struct pyro_error err;

	put("a", "one");
	CHECK_OK(disk_snapshot(ID, test_dir(), TAG, &err), err);
	CHECK(rename(tree, left) == 0);
	CHECK_OK(disk_revert(ID, test_dir(), TAG, &err), err);
	check_has("a", "one");
	CHECK(!file_exists(left));
}
