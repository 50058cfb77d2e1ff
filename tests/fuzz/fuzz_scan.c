/*
 * What an agent says is in /workspace, twice: the bytes up to a 0xff, and from there on. First
 * byte: where each is cut. What is taken is sorted and safe to name, and survives being saved.
 */
#include "base/err.h"
#include "fuzz.h"
#include "scratch.h"
#include "workspace/tree.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void check_path(const char *path)
{
	assert(*path && *path != '/' && strlen(path) <= TREE_PATH_MAX);
	for (const char *p = path; *p; p += *p == '/') {
		size_t len = strcspn(p, "/");

		assert(len && strncmp(p, "..", len > 2 ? 3 : len) != 0);
		p += len;
		assert(*p != '/' || p[1]);
	}
}

static void check_tree(const struct tree *t)
{
	for (size_t i = 0; i < tree_count(t); i++) {
		const struct tree_entry *e = tree_at(t, i);

		check_path(e->path);
		assert(strchr("fdlo", e->type) && e->size >= 0 && e->target);
		assert(i == 0 || strcmp(tree_at(t, i - 1)->path, e->path) < 0);
	}
}

static struct tree *take(const char *data, size_t len, size_t cut)
{
	struct tree *t = tree_new();
	struct pyro_error err;

	cut = cut < len ? cut : len;
	if (tree_add(t, data, cut, &err) < 0 || tree_add(t, data + cut, len - cut, &err) < 0 ||
	    tree_finish(t, &err) < 0)
		return tree_free(t);
	check_tree(t);
	return t;
}

static void check_changes(const struct tree *before, const struct tree *now)
{
	struct tree_changes changes;

	tree_compare(before, now, &changes);
	assert(changes.count <= tree_count(before) + tree_count(now));
	for (size_t i = 1; i < changes.count; i++)
		assert(strcmp(changes.v[i - 1].path, changes.v[i].path) < 0);
	tree_changes_keep(&changes, "a");
	tree_changes_drop(&changes, (const char *const[]){"*b*/c", "[!a-", NULL});
	tree_changes_done(&changes);
}

static void check_saved(const struct tree *t)
{
	struct tree_changes changes;
	struct tree *loaded;
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/manifest", scratch_dir());
	assert(tree_save(t, path, NULL) == 0);
	loaded = tree_load(path, NULL);
	assert(loaded && tree_count(loaded) == tree_count(t));
	tree_compare(t, loaded, &changes);
	for (size_t i = 0; i < changes.count; i++)
		assert(changes.v[i].is_special);
	tree_changes_done(&changes);
	(void)tree_free(loaded);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *first = (const char *)bytes + 1, *second;
	struct tree *before, *now;

	if (size < 2)
		return 0;
	size--;
	second = memchr(first, 0xff, size);
	before = take(first, second ? (size_t)(second - first) : size, bytes[0]);
	second = second ? second + 1 : first;
	now = take(second, size - (size_t)(second - first), bytes[0]);
	if (before && now)
		check_changes(before, now);
	if (now)
		check_saved(now);
	(void)tree_free(before);
	(void)tree_free(now);
	return 0;
}
