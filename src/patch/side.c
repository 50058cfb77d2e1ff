#include "patch/side.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/redact.h"
#include "patch/path.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sha256.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (64 * 1024)
#define PAGE 4096

struct stream {
	int fd;
	bool is_ended; /* there was nothing more to read */
	bool is_begun;
	char block[BLOCK];
};

static la_ssize_t read_stream(struct archive *in, void *ctx, const void **ret_block)
{
	struct stream *s = ctx;
	ssize_t n = read(s->fd, s->block, sizeof(s->block));

	if (n < 0)
		archive_set_error(in, errno, "%s", strerror(errno));
	s->is_ended = n == 0;
	s->is_begun |= n > 0;
	*ret_block = s->block;
	return n;
}

static int err_stream(struct pyro_error *err, struct archive *in, const char *what)
{
	const char *why = archive_error_string(in);

	return err_set(err, PYRO_E_PROTOCOL, "read %s: %s", what, why ? why : "it is no archive");
}

/*
 * The digest: SHA-256 of the number and content of every page that is not all zeros.
 */

struct hasher {
	SHA2_CTX sha;
	uint64_t number;
	unsigned char page[PAGE];
};

static void hash_page(struct hasher *h)
{
	if (h->page[0] == 0 && memcmp(h->page, h->page + 1, PAGE - 1) == 0)
		return;
	SHA256Update(&h->sha, (const uint8_t *)&h->number, sizeof(h->number));
	SHA256Update(&h->sha, h->page, PAGE);
	memset(h->page, 0, PAGE);
}

static void hash_block(struct hasher *h, const char *data, size_t len, uint64_t offset)
{
	while (len) {
		size_t in_page = offset % PAGE, n = len < PAGE - in_page ? len : PAGE - in_page;

		if (offset / PAGE != h->number)
			hash_page(h);
		h->number = offset / PAGE;
		memcpy(h->page + in_page, data, n);
		data += n;
		offset += n;
		len -= n;
	}
}

/*
 * Reading.
 */

static int read_content(struct side_file *file, struct archive *in, struct hasher *hasher,
			const char *what, struct pyro_error *err)
{
	const void *block;
	la_int64_t offset;
	size_t len;
	int r;

	while ((r = archive_read_data_block(in, &block, &len, &offset)) == ARCHIVE_OK) {
		if (offset < 0 || (uint64_t)offset > file->size ||
		    len > file->size - (uint64_t)offset)
			return err_set(err, PYRO_E_PROTOCOL, "%s: '%s' is longer than it says",
				       what, file->path);
		hash_block(hasher, block, len, (uint64_t)offset);
		if (file->data)
			memcpy(file->data + offset, block, len);
	}
	return r == ARCHIVE_EOF ? 0 : err_stream(err, in, what);
}

static enum side_type type_of(struct archive_entry *entry)
{
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return SIDE_FILE;
	case AE_IFLNK:
		return SIDE_SYMLINK;
	case AE_IFDIR:
		return SIDE_DIR;
	default:
		return SIDE_OTHER;
	}
}

static int fill_file(struct side *side, struct side_file *file, struct archive *in,
		     struct archive_entry *entry, const char *what, struct pyro_error *err)
{
	const char *target = archive_entry_symlink(entry);
	struct hasher hasher = {0};
	int r = 0;

	file->type = type_of(entry);
	file->perm = archive_entry_perm(entry);
	file->uid = archive_entry_uid(entry);
	file->gid = archive_entry_gid(entry);
	SHA256Init(&hasher.sha);
	if (file->type == SIDE_SYMLINK) {
		if (!target || strlen(target) > PATH_LEN_MAX)
			return err_set(err, PYRO_E_PROTOCOL, "%s: link '%s' has no sound target",
				       what, file->path);
		file->size = strlen(target);
		file->data = mem_strdup(target);
		hash_block(&hasher, target, file->size, 0);
	} else if (file->type == SIDE_FILE) {
		file->size = (uint64_t)archive_entry_size(entry);
		if (file->size <= SIDE_FILE_MAX &&
		    file->size <= SIDE_TOTAL_MAX - side->kept_bytes) {
			file->data = mem_zalloc(file->size + 1, 1);
			side->kept_bytes += file->size;
		}
		r = read_content(file, in, &hasher, what, err);
	}
	hash_page(&hasher);
	SHA256Final(file->digest, &hasher.sha);
	return r;
}

/* In the one form that paths have; "" is the workspace itself. NULL with err. */
static char *plain_path(const char *name, const char *what, struct pyro_error *err)
{
	const char *fault;
	size_t len;
	char *path;

	while (name[0] == '.' && name[1] == '/')
		name += 2;
	len = strlen(name);
	while (len > 1 && name[len - 1] == '/')
		len--;
	if (strcmp(name, ".") == 0)
		len = 0;
	path = mem_strndup(name, len);
	fault = !len || path_is_git(path) ? NULL : path_fault(path);
	if (!fault)
		return path;
	(void)err_set(err, PYRO_E_REFUSED, "%s: name '%s' %s", what, path, fault);
	free(path);
	return NULL;
}

static int read_entry(struct side *side, struct archive *in, struct archive_entry *entry,
		      const char *what, struct pyro_error *err)
{
	const char *name = archive_entry_pathname(entry);
	AUTO_FREE char *path = NULL;

	if (!name || archive_entry_hardlink(entry))
		return err_set(err, PYRO_E_PROTOCOL, "%s: entry %zu has no name, or is a hard link",
			       what, side->n + 1);
	path = plain_path(name, what, err);
	if (!path)
		return -1;
	if (!*path || path_is_git(path))
		return 0;
	if (side->n == SIDE_COUNT_MAX)
		return err_set(err, PYRO_E_LIMIT, "%s has more than %d files", what,
			       SIDE_COUNT_MAX);
	if ((side->n & (side->n - 1)) == 0)
		side->files =
			mem_resize(side->files, side->n ? side->n * 2 : 1, sizeof(*side->files));
	side->files[side->n] = (struct side_file){.path = TAKE_PTR(path)};
	return fill_file(side, &side->files[side->n++], in, entry, what, err);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct side_file *)a)->path, ((const struct side_file *)b)->path);
}

static int sort_files(struct side *side, const char *what, struct pyro_error *err)
{
	if (side->n)
		qsort(side->files, side->n, sizeof(*side->files), compare_paths);
	for (size_t i = 1; i < side->n; i++)
		if (strcmp(side->files[i - 1].path, side->files[i].path) == 0)
			return err_set(err, PYRO_E_PROTOCOL, "%s has '%s' twice", what,
				       side->files[i].path);
	return 0;
}

static int read_all(struct side *side, struct archive *in, struct stream *stream, bool may_be_empty,
		    const char *what, struct pyro_error *err)
{
	struct archive_entry *entry;
	int r;

	(void)archive_read_support_format_tar(in);
	if (archive_read_open(in, stream, NULL, read_stream, NULL) < ARCHIVE_OK)
		return may_be_empty && stream->is_ended && !stream->is_begun
			       ? 0
			       : err_stream(err, in, what);
	/* A warning is about a name that is not in the locale's character set: bytes are fine. */
	while ((r = archive_read_next_header(in, &entry)) >= ARCHIVE_WARN && r != ARCHIVE_EOF)
		if (read_entry(side, in, entry, what, err) < 0)
			return -1;
	if (r != ARCHIVE_EOF)
		return err_stream(err, in, what);
	/* A sender that died between two entries must not look as if the others were deleted. */
	if (stream->is_ended)
		return err_set(err, PYRO_E_PROTOCOL, "read %s: it has no end", what);
	(void)file_drain(stream->fd, NULL); /* the padding */
	return sort_files(side, what, err);
}

int side_read(struct side *side, int fd, bool may_be_empty, const char *what,
	      struct pyro_error *err)
{
	AUTO_FREE struct stream *stream = mem_zalloc(1, sizeof(*stream));
	struct archive *in = archive_read_new();
	int r;

	*side = (struct side){0};
	stream->fd = fd;
	r = read_all(side, in, stream, may_be_empty, what, err);
	(void)archive_read_free(in);
	return r;
}

void side_redact(struct side *side, const struct redact_patterns *patterns)
{
	for (size_t i = 0; i < side->n; i++) {
		struct side_file *file = &side->files[i];
		struct buf shown = BUF_INIT(SIDE_FILE_MAX);

		if (!file->data)
			continue;
		redact_bytes(patterns, file->data, file->size, &shown);
		free(file->data);
		file->size = shown.len;
		file->data = shown.is_full ? NULL : buf_take(&shown);
		buf_done(&shown);
	}
}

void side_done(struct side *side)
{
	for (size_t i = 0; i < side->n; i++) {
		free(side->files[i].path);
		free(side->files[i].data);
	}
	free(side->files);
	*side = (struct side){0};
}

const struct side_file *side_find(const struct side *side, const char *path)
{
	const struct side_file key = {.path = (char *)(uintptr_t)path};

	return side->n ? bsearch(&key, side->files, side->n, sizeof(key), compare_paths) : NULL;
}

unsigned side_git_mode(const struct side_file *file)
{
	switch (file->type) {
	case SIDE_FILE:
		return file->perm & 0100 ? 0100755 : 0100644;
	case SIDE_SYMLINK:
		return 0120000;
	default:
		return 0;
	}
}
