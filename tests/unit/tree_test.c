#include "workspace/tree.h"

#include "base/buf.h"
#include "base/file.h"
#include "pyro/error.h"
#include "tests/test.h"

#include <sys/stat.h>

/* Entries are written as lines: "f 644 3 1 1 7 path" or "l 777 3 1 1 7 path -> target". */
static struct tree *parse(const char *lines, struct pyro_error *err)
{
	struct tree *t = tree_new();

	for (const char *at = lines; *at;) {
		AUTO_FREE char *line = mem_strndup(at, strcspn(at, "\n"));
		char *arrow = strstr(line, " -> ");
		const char *target = arrow ? arrow + 4 : "";

		at += strlen(line) + (at[strlen(line)] == '\n');
		if (arrow)
			*arrow = '\0';
		CHECK_OK(tree_add(t, line, strlen(line) + 1, err), *err);
		CHECK_OK(tree_add(t, target, strlen(target) + 1, err), *err);
	}
	return tree_finish(t, err) < 0 ? tree_free(t) : t;
}

static struct tree *good(const char *lines)
{
	struct pyro_error err;
	struct tree *t = parse(lines, &err);

	if (!t)
		test_fail(__FILE__, __LINE__, "%s: %s", lines, err.message);
	return t;
}

TEST("a tree has what was streamed, sorted by path, however the bytes come")
{
	static const char stream[] = "f 644 3 -5 6 7 b\0\0d 755 0 1 1 2 a\0\0"
				     "l 777 1 1 1 3 a/\xff \n\0../x y\0o 4600 0 1 1 4 a/p\0";
	struct tree *t = tree_new();
	struct pyro_error err;

	for (size_t i = 0; i < sizeof(stream); i++)
		CHECK_OK(tree_add(t, stream + i, 1, &err), err);
	CHECK_OK(tree_finish(t, &err), err);
	CHECK_INT(tree_count(t), 4);
	CHECK_STR(tree_at(t, 0)->path, "a");
	CHECK(tree_at(t, 0)->type == 'd' && tree_at(t, 0)->has_children);
	CHECK_STR(tree_at(t, 1)->path, "a/p");
	CHECK_INT(tree_at(t, 1)->mode, 04600);
	CHECK_STR(tree_at(t, 2)->path, "a/\xff \n");
	CHECK_STR(tree_at(t, 2)->target, "../x y");
	CHECK(tree_at(t, 3)->size == 3 && tree_at(t, 3)->mtime_ns == -5 &&
	      tree_at(t, 3)->ctime_ns == 6 && tree_at(t, 3)->ino == 7);
	(void)tree_free(t);
}

TEST("a stream that is no well-formed tree is refused")
{
	static const char *const bad[] = {
		"f",
		"f 644 1 1 1 1",
		"x 644 1 1 1 1 a",
		"f  644 1 1 1 1 a",
		"f 648 1 1 1 1 a",
		"f 777777 1 1 1 1 a",
		"f 644 -1 1 1 1 a",
		"f 644 9223372036854775808 1 1 1 a",
		"f 644 1 1 1 1 ",
		"f 644 1 1 1 1 /a",
		"f 644 1 1 1 1 a/",
		"f 644 1 1 1 1 a//b",
		"f 644 1 1 1 1 .",
		"f 644 1 1 1 1 a/./b",
		"f 644 1 1 1 1 ..",
		"f 644 1 1 1 1 a/../b",
		"f 644 1 1 1 1 a/..",
		"f 644 1 1 1 1 a\nd 755 1 1 1 1 a",
		"f 644 1 1 1 1 a\nf 644 1 1 1 2 a/b",
		"l 777 1 1 1 1 a -> b\nf 644 1 1 1 2 a/b/c\nd 755 1 1 1 3 a/b",
	};
	struct pyro_error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (parse(bad[i], &err))
			test_fail(__FILE__, __LINE__, "'%s' was taken", bad[i]);
		CHECK_INT(err.code, PYRO_E_PROTOCOL);
	}
}

TEST("a stream that ends in the middle is refused wherever it ends")
{
	static const char stream[] = "f 644 3 1 1 7 a\0\0l 777 3 1 1 8 b\0to";

	for (size_t len = 1; len < sizeof(stream); len++) {
		struct tree *t = tree_new();
		struct pyro_error err;

		CHECK_OK(tree_add(t, stream, len, &err), err);
		CHECK_INT(tree_finish(t, &err), len == 17 ? 0 : -1);
		(void)tree_free(t);
	}
}

TEST("a path longer than 4,096 bytes is refused")
{
	struct pyro_error err;

	for (int len = TREE_PATH_MAX; len <= TREE_PATH_MAX + 1; len++) {
		AUTO_FREE char *line = mem_printf("f 644 1 1 1 1 %0*d", len, 1);
		struct tree *t = parse(line, &err);

		CHECK_INT(t != NULL, len == TREE_PATH_MAX);
		(void)tree_free(t);
	}
}

TEST("a saved tree loads as it was, private to the user")
{
	AUTO_FREE char *path = mem_printf("%s/manifest", test_dir());
	struct tree *t = good("f 644 3 1 1 7 b\nl 777 1 1 1 3 a -> x y"), *loaded;
	struct tree_changes c;
	struct pyro_error err;
	struct stat st;

	CHECK_OK(tree_save(t, path, &err), err);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	loaded = tree_load(path, &err);
	CHECK(loaded);
	CHECK_INT(tree_count(loaded), 2);
	CHECK_STR(tree_at(loaded, 0)->target, "x y");
	tree_compare(t, loaded, &c);
	CHECK_INT(c.count, 0);
	tree_changes_done(&c);
	(void)tree_free(t);
	(void)tree_free(loaded);
}

static enum pyro_code load_code(const void *data, size_t len)
{
	AUTO_FREE char *path = mem_printf("%s/manifest", test_dir());
	struct pyro_error err;

	CHECK_OK(file_write_atomic(path, data, len, 0600, &err), err);
	CHECK(!tree_load(path, &err));
	return err.code;
}

TEST("a saved tree of another version, or damaged, is refused")
{
	CHECK_INT(load_code("pyro tree 2\n", 12), PYRO_E_STATE_VERSION);
	CHECK_INT(load_code("", 0), PYRO_E_STATE_VERSION);
	CHECK_INT(load_code("pyro tree 1\nf 644 3 1 1 7", 25), PYRO_E_PROTOCOL);
}

/* The changes as text: "path:old,new " with ! for what is special. */
static void check_changes(const char *before, const char *now, const char *want)
{
	struct tree *a = good(before), *b = good(now);
	AUTO_BUF struct buf got = BUF_INIT(4096);
	struct tree_changes c;

	tree_compare(a, b, &c);
	for (size_t i = 0; i < c.count; i++)
		buf_printf(&got, "%s%s:%s%s%s", i ? " " : "", c.v[i].path,
			   c.v[i].sides & TREE_OLD ? "o" : "", c.v[i].sides & TREE_NEW ? "n" : "",
			   c.v[i].is_special ? "!" : "");
	CHECK_STR(buf_text(&got), want);
	tree_changes_done(&c);
	(void)tree_free(a);
	(void)tree_free(b);
}

TEST("a file is looked at when anything about it differs, not only its size")
{
	static const char before[] = "f 644 3 10 10 7 a";

	check_changes(before, before, "");
	check_changes(before, "f 600 3 10 10 7 a", "");
	check_changes(before, "f 644 4 10 10 7 a", "a:on");
	check_changes(before, "f 744 3 10 10 7 a", "a:on");
	check_changes(before, "f 644 3 11 10 7 a", "a:on");
	check_changes(before, "f 644 3 10 11 7 a", "a:on");
	check_changes(before, "f 644 3 10 10 8 a", "a:on");
	check_changes(before, "l 777 3 10 10 7 a -> x", "a:on");
	check_changes("l 777 3 10 10 7 a -> x", "l 777 3 10 10 7 a -> y", "a:on");
}

TEST("what is new or gone is on its own side, and a directory only if it is empty")
{
	check_changes("f 644 1 1 1 1 a\nf 644 1 1 1 2 c", "f 644 1 1 1 3 b\nf 644 1 1 1 2 c",
		      "a:o b:n");
	check_changes("", "d 755 0 1 1 1 d\nf 644 1 1 1 2 d/f\nd 755 0 1 1 3 e", "d/f:n e:n");
	check_changes("d 755 0 1 1 1 d\nf 644 1 1 1 2 d/f", "d 755 0 2 2 1 d", "d/f:o");
	check_changes("d 755 0 1 1 1 d\nf 644 1 1 1 2 d/f", "f 644 1 1 1 5 d", "d:n d/f:o");
}

TEST("a device or pipe that is new is special, and what is in .git is left out")
{
	check_changes("", "o 644 0 1 1 1 p", "p:!");
	check_changes("f 644 1 1 1 1 p", "o 644 0 1 1 2 p", "p:o!");
	check_changes("o 644 0 1 1 1 p", "", "");
	check_changes("",
		      "d 755 0 1 1 1 .git\nf 644 1 1 1 2 .git/x\nf 644 1 1 1 3 a/.git\n"
		      "f 644 1 1 1 4 .gitignore\nf 644 1 1 1 5 a/.git.x",
		      ".gitignore:n a/.git.x:n");
}

TEST("of changes those are kept that are at or below a path")
{
	static const struct {
		const char *path, *want;
	} cases[] = {{"", "a a/b a/b/c a.c ab"}, {"a", "a a/b a/b/c"}, {"a/b", "a/b a/b/c"},
		     {"a/b/c", "a/b/c"},         {"a/", ""},           {"b", ""}};
	static const char *const paths[] = {"a", "a/b", "a/b/c", "a.c", "ab"};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_BUF struct buf kept = BUF_INIT(256);
		struct tree_changes c = {mem_zalloc(ARRAY_SIZE(paths), sizeof(*c.v)),
					 ARRAY_SIZE(paths)};

		for (size_t j = 0; j < c.count; j++)
			c.v[j] = (struct tree_change){.path = paths[j]};
		tree_changes_keep(&c, cases[i].path);
		for (size_t j = 0; j < c.count; j++)
			buf_printf(&kept, "%s%s", j ? " " : "", c.v[j].path);
		CHECK_STR(buf_text(&kept), cases[i].want);
		tree_changes_done(&c);
	}
}

TEST("changes are dropped that match a glob, with a component or with the whole path")
{
	static const struct {
		const char *globs[3], *want;
	} cases[] = {
		{{NULL}, "a.pyc docs/a.html docs/b/c.md src/.x/y src/target/z targets"},
		{{"*.pyc"}, "docs/a.html docs/b/c.md src/.x/y src/target/z targets"},
		{{"target"}, "a.pyc docs/a.html docs/b/c.md src/.x/y targets"},
		{{"docs/*.html", "?x"}, "a.pyc docs/b/c.md src/target/z targets"},
		{{"docs/*"}, "a.pyc src/.x/y src/target/z targets"},
		{{"src/target"}, "a.pyc docs/a.html docs/b/c.md src/.x/y src/target/z targets"},
		{{"b/c.md", "ocs"}, "a.pyc docs/a.html docs/b/c.md src/.x/y src/target/z targets"},
		{{"[a-d]*", "*"}, ""},
	};
	static const char *const paths[] = {"a.pyc",    "docs/a.html",  "docs/b/c.md",
					    "src/.x/y", "src/target/z", "targets"};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_BUF struct buf kept = BUF_INIT(256);
		struct tree_changes c = {mem_zalloc(ARRAY_SIZE(paths), sizeof(*c.v)),
					 ARRAY_SIZE(paths)};

		for (size_t j = 0; j < c.count; j++)
			c.v[j] = (struct tree_change){.path = paths[j]};
		tree_changes_drop(&c, i ? cases[i].globs : NULL);
		for (size_t j = 0; j < c.count; j++)
			buf_printf(&kept, "%s%s", j ? " " : "", c.v[j].path);
		CHECK_STR(buf_text(&kept), cases[i].want);
		tree_changes_done(&c);
	}
}

static struct tree *big(int mtime)
{
	struct tree *t = tree_new();
	struct pyro_error err;

	for (int i = 0; i < 100000; i++) {
		AUTO_FREE char *line = mem_printf("f 644 1 %d 1 %d dir%d/file%d%c", mtime, i,
						  i * 7919 % 1000, i, '\0');

		CHECK_OK(tree_add(t, line, strlen(line) + 1, &err), err);
		CHECK_OK(tree_add(t, "", 1, &err), err);
	}
	CHECK_OK(tree_finish(t, &err), err);
	return t;
}

TEST("trees of 100,000 entries are read and compared")
{
	struct tree *a = big(1), *b = big(2);
	struct tree_changes c;

	tree_compare(a, b, &c);
	CHECK_INT(c.count, 100000);
	tree_changes_done(&c);
	(void)tree_free(a);
	(void)tree_free(b);
}
