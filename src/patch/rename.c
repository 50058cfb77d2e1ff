/*
 * Same content: both kinds are sorted by type and digest, and by their last name, so that of many
 * copies the one that only moved is found; then merged like two sorted lists. Then once more
 * without the last name.
 *
 * Alike: libgit2 makes a signature of a bounded size of each file; all pairs are compared, and the
 * most alike are taken first.
 */
#include "patch/rename.h"

#include "base/mem.h"
#include "patch/diff.h"

#include <git2/sys/hashsig.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MAX 200
#define ALIKE_MIN 50

typedef int compare_fn(const void *a, const void *b);

/* A deleted or an added file that has no partner yet. */
struct candidate {
	struct diff_change *change;
	const struct side_file *file;
	git_hashsig *signature;
};

struct candidates {
	struct candidate *v;
	size_t n;
};

struct pair {
	size_t from;
	size_t to;
	int similarity;
};

static int compare_content(const void *a, const void *b)
{
	const struct side_file *x = ((const struct candidate *)a)->file;
	const struct side_file *y = ((const struct candidate *)b)->file;

	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return memcmp(x->digest, y->digest, sizeof(x->digest));
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int compare_content_and_name(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int r = compare_content(a, b);

	return r ? r : strcmp(last_name(x->file->path), last_name(y->file->path));
}

/*
 * Files only: of a link that was renamed, git apply does not see that it is gone, and takes what
 * has its place as a directory for something beyond a link.
 */
static struct candidates collect(const struct diff *diff, bool is_deleted)
{
	struct candidates c = {mem_zalloc(diff->n + 1, sizeof(*c.v)), 0};

	for (size_t i = 0; i < diff->n; i++) {
		struct diff_change *change = &diff->v[i];
		const struct side_file *gone = change->new_file ? NULL : change->old_file;
		const struct side_file *come = change->old_file ? NULL : change->new_file;
		const struct side_file *file = is_deleted ? gone : come;

		if (file && file->size && file->type == SIDE_FILE)
			c.v[c.n++] = (struct candidate){change, file, NULL};
	}
	return c;
}

/* The added file's change becomes that of both; the deleted file's is empty, and goes at the end.
 */
static void join(struct candidate *from, struct candidate *to, int similarity)
{
	to->change->old_file = from->file;
	to->change->similarity = similarity;
	from->change->old_file = NULL;
	from->file = to->file = NULL;
}

static void drop_joined(struct candidates *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].file)
			c->v[kept++] = c->v[i];
	c->n = kept;
}

static void join_equal(struct candidates *from, struct candidates *to, compare_fn *compare)
{
	size_t i = 0, j = 0;

	qsort(from->v, from->n, sizeof(*from->v), compare);
	qsort(to->v, to->n, sizeof(*to->v), compare);
	while (i < from->n && j < to->n) {
		int order = compare(&from->v[i], &to->v[j]);

		if (order == 0)
			join(&from->v[i++], &to->v[j++], 100);
		else if (order < 0)
			i++;
		else
			j++;
	}
	drop_joined(from);
	drop_joined(to);
}

static void sign(struct candidates *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct side_file *file = c->v[i].file;

		if (file->type == SIDE_FILE && file->data)
			(void)git_hashsig_create(&c->v[i].signature, file->data, file->size,
						 GIT_HASHSIG_ALLOW_SMALL_FILES);
	}
}

static void free_candidates(struct candidates *c)
{
	for (size_t i = 0; i < c->n; i++)
		git_hashsig_free(c->v[i].signature);
	free(c->v);
}

/* The most alike first, then in the order of the paths. */
static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->similarity != y->similarity)
		return x->similarity > y->similarity ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : 1;
}

static int compare_candidates(const void *a, const void *b)
{
	return strcmp(((const struct candidate *)a)->file->path,
		      ((const struct candidate *)b)->file->path);
}

static void join_alike(struct candidates *from, struct candidates *to)
{
	AUTO_FREE struct pair *pairs = mem_zalloc(from->n * to->n + 1, sizeof(*pairs));
	size_t n = 0;

	qsort(from->v, from->n, sizeof(*from->v), compare_candidates);
	qsort(to->v, to->n, sizeof(*to->v), compare_candidates);
	sign(from);
	sign(to);
	for (size_t i = 0; i < from->n; i++)
		for (size_t j = 0; j < to->n; j++) {
			const git_hashsig *a = from->v[i].signature, *b = to->v[j].signature;
			int similarity = a && b ? git_hashsig_compare(a, b) : 0;

			if (similarity >= ALIKE_MIN)
				pairs[n++] = (struct pair){i, j, similarity};
		}
	qsort(pairs, n, sizeof(*pairs), compare_pairs);
	for (size_t i = 0; i < n; i++)
		if (from->v[pairs[i].from].file && to->v[pairs[i].to].file)
			/* Their contents differ, so it is not all of it. */
			join(&from->v[pairs[i].from], &to->v[pairs[i].to],
			     pairs[i].similarity < 100 ? pairs[i].similarity : 99);
}

void rename_detect(struct diff *diff)
{
	struct candidates from = collect(diff, true), to = collect(diff, false);
	size_t kept = 0;

	join_equal(&from, &to, compare_content_and_name);
	join_equal(&from, &to, compare_content);
	if (from.n <= CANDIDATES_MAX && to.n <= CANDIDATES_MAX)
		join_alike(&from, &to);
	free_candidates(&from);
	free_candidates(&to);
	for (size_t i = 0; i < diff->n; i++)
		if (diff->v[i].old_file || diff->v[i].new_file)
			diff->v[kept++] = diff->v[i];
	diff->n = kept;
}
