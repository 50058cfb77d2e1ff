/*
 * Patches, both ways. The bytes behind the first one, up to a 0xff and from there on, are two
 * texts. First byte 0x80: they are a file before and after, which must come out of the patch made
 * of them; else a patch, and the content of every file that it is about (0x40: a symlink's target).
 */
#include "base/buf.h"
#include "base/err.h"
#include "fuzz.h"
#include "patch/apply.h"
#include "patch/diff.h"
#include "patch/parse.h"
#include "patch/side.h"

#include <assert.h>
#include <git2.h>
#include <sha256.h>
#include <string.h>

#define FILES_MAX 16

static struct side_file file_of(const char *path, enum side_type type, const char *data, size_t len)
{
	struct side_file file = {.path = mem_strdup(path), .type = type, .perm = 0644, .size = len};
	SHA2_CTX sha;

	file.data = mem_zalloc(len + 1, 1);
	memcpy(file.data, data, len);
	SHA256Init(&sha);
	SHA256Update(&sha, (const uint8_t *)data, len);
	SHA256Final(file.digest, &sha);
	return file;
}

static struct side side_of(struct side_file file)
{
	struct side side = {mem_zalloc(1, sizeof(file)), 1, file.size};

	side.files[0] = file;
	return side;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct side_file *)a)->path, ((const struct side_file *)b)->path);
}

/* Every second section's file is missing. */
static struct side side_for(const struct parse_patch *patch, enum side_type type, const char *data,
			    size_t len)
{
	struct side side = {mem_zalloc(FILES_MAX, sizeof(*side.files)), 0, 0};

	for (size_t i = 0; i < patch->n && side.n < FILES_MAX; i += 2)
		side.files[side.n++] = file_of(patch->files[i].names[0], type, data, len);
	qsort(side.files, side.n, sizeof(*side.files), compare);
	return side;
}

static void check_apply(const char *text, size_t len, enum side_type type, const char *data,
			size_t data_len)
{
	AUTO_BUF struct buf ended = BUF_INIT(len + 2);
	struct pyro_error err = {0};
	struct parse_patch patch = {0};
	struct apply apply = {0};

	buf_append(&ended, text, len);
	buf_puts(&ended, "\n");
	if (parse_patch(buf_text(&ended), ended.len, &patch, &err) == 0) {
		struct side side = side_for(&patch, type, data, data_len);

		if (apply_patch(&patch, &side, &apply, &err) < 0)
			assert(err.code == PYRO_E_INVALID || err.code == PYRO_E_LIMIT);
		apply_done(&apply);
		side_done(&side);
	} else {
		assert(err.code == PYRO_E_INVALID);
	}
	parse_done(&patch);
}

static void check_diff(const char *a, size_t a_len, const char *b, size_t b_len)
{
	struct side from = side_of(file_of("a file", SIDE_FILE, a, a_len));
	struct side to = side_of(file_of("a file", SIDE_FILE, b, b_len));
	struct buf text = BUF_INIT(DIFF_PATCH_MAX);
	struct pyro_error err = {0};
	struct parse_patch patch = {0};
	struct apply apply = {0};
	struct diff diff;

	diff_compare(&from, &to, &diff);
	assert(!diff_print(&diff, &text) && !text.is_full);
	if (diff.n) {
		assert(parse_patch(buf_text(&text), text.len, &patch, &err) == 0);
		assert(apply_patch(&patch, &from, &apply, &err) == 0);
		assert(apply.n == 1 && apply.files[0].len == b_len);
		assert(memcmp(apply.files[0].data, b, b_len) == 0);
	} else {
		assert(a_len == b_len && memcmp(a, b, a_len) == 0);
	}
	apply_done(&apply);
	parse_done(&patch);
	diff_done(&diff);
	buf_done(&text);
	side_done(&from);
	side_done(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static int is_ready;
	const char *first = (const char *)bytes + 1, *second;
	size_t first_len;

	if (size < 2)
		return 0;
	if (!is_ready)
		is_ready = git_libgit2_init();
	size--;
	second = memchr(first, 0xff, size);
	first_len = second ? (size_t)(second - first) : size;
	second = second ? second + 1 : first + size;
	size -= (size_t)(second - first);
	if (bytes[0] & 0x80)
		check_diff(first, first_len, second, size);
	else
		check_apply(first, first_len, bytes[0] & 0x40 ? SIDE_SYMLINK : SIDE_FILE, second,
			    size);
	return 0;
}
