#include "guest/tar.h"

#include "base/err.h"
#include "base/file.h"
#include "channel/call.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (64 * 1024)

struct tally {
	int64_t entries;
	int64_t bytes; /* of the content of files */
};

/* The one line on standard error; the child's exit status. */
static int report(int r, const struct tally *tally, const struct pyro_error *err)
{
	json_t *json = r < 0 ? call_error_to_json(err)
			     : json_pack("{s:I s:I}", "entries", (json_int_t)tally->entries,
					 "bytes", (json_int_t)tally->bytes);
	AUTO_FREE char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	(void)file_write_all(STDERR_FILENO, text, strlen(text), NULL);
	return r < 0;
}

static int err_archive(struct pyro_error *err, struct archive *archive, const char *what,
		       const char *name)
{
	const char *why = archive_error_string(archive);
	int errnum = archive_errno(archive);

	/* EILSEQ is how libarchive says that the bytes are no archive. */
	if (errnum > 0 && errnum != EILSEQ)
		return err_sys(err, errnum, "%s '%s'", what, name);
	return err_set(err, PYRO_E_INVALID, "%s '%s': %s", what, name, why ? why : "unknown");
}

/*
 * Unpacking.
 */

/*
 * libarchive gives directories that it made their times at the end, but those that were there at
 * once, so that the first file in them spoils it. The destination itself is always there.
 */
struct root_time {
	bool is_known;
	struct timespec mtime;
};

static void note_root(struct archive_entry *entry, const char *name, struct root_time *root)
{
	if (strcmp(name, ".") != 0 && strcmp(name, "./") != 0)
		return;
	root->is_known = true;
	root->mtime =
		(struct timespec){archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
}

static void restore_root(const struct root_time *root)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, root->mtime};

	if (root->is_known)
		(void)utimensat(AT_FDCWD, ".", times, 0);
}

/* Only what libarchive cannot judge: the kind of an entry. It checks names and links itself. */
static int check_kind(struct archive_entry *entry, const char *name, struct pyro_error *err)
{
	mode_t type = archive_entry_filetype(entry);

	if (archive_entry_hardlink(entry) || type == AE_IFREG || type == AE_IFDIR ||
	    type == AE_IFLNK)
		return 0;
	return err_set(err, PYRO_E_REFUSED, "entry '%s' is a device, a pipe or a socket", name);
}

static int unpack_data(struct archive *in, struct archive *disk, const char *name,
		       struct tally *tally, struct pyro_error *err)
{
	const void *block;
	la_int64_t offset;
	size_t len;
	int r;

	while ((r = archive_read_data_block(in, &block, &len, &offset)) == ARCHIVE_OK) {
		if (archive_write_data_block(disk, block, len, offset) < ARCHIVE_OK)
			return err_archive(err, disk, "write", name);
		tally->bytes += (int64_t)len;
	}
	return r == ARCHIVE_EOF ? 0 : err_archive(err, in, "read entry", name);
}

static int unpack_entry(struct archive *in, struct archive *disk, struct archive_entry *entry,
			struct tally *tally, struct pyro_error *err)
{
	const char *name = archive_entry_pathname(entry);

	if (!name)
		return err_set(err, PYRO_E_REFUSED, "entry %lld has no readable name",
			       (long long)tally->entries + 1);
	if (check_kind(entry, name, err) < 0)
		return -1;
	if (archive_write_header(disk, entry) < ARCHIVE_OK) {
		(void)err_archive(err, disk, "entry", name);
		/* Without an errno it is one of libarchive's own checks that said no. */
		if (archive_errno(disk) <= 0)
			err->code = PYRO_E_REFUSED;
		return -1;
	}
	if (unpack_data(in, disk, name, tally, err) < 0)
		return -1;
	if (archive_write_finish_entry(disk) < ARCHIVE_OK)
		return err_archive(err, disk, "write", name);
	tally->entries++;
	return 0;
}

static int unpack_all(struct archive *in, struct archive *disk, struct tally *tally,
		      struct pyro_error *err)
{
	struct root_time root = {0};
	struct archive_entry *entry;
	int r;

	archive_read_support_format_tar(in);
	if (archive_read_open_fd(in, STDIN_FILENO, BLOCK) < ARCHIVE_OK)
		return err_archive(err, in, "read", "the archive");
	/* A warning is about a name that is not in the locale's character set: bytes are fine. */
	while ((r = archive_read_next_header(in, &entry)) >= ARCHIVE_WARN && r != ARCHIVE_EOF) {
		if (unpack_entry(in, disk, entry, tally, err) < 0)
			return -1;
		note_root(entry, archive_entry_pathname(entry), &root);
	}
	if (r != ARCHIVE_EOF)
		return err_archive(err, in, "read", "the archive");
	/* Now directories get their times. */
	if (archive_write_close(disk) < ARCHIVE_OK)
		return err_archive(err, disk, "finish", "the directories");
	restore_root(&root);
	return 0;
}

int tar_unpack(const void *path)
{
	int flags = ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
		    ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS | ARCHIVE_EXTRACT_PERM |
		    ARCHIVE_EXTRACT_TIME | (geteuid() == 0 ? ARCHIVE_EXTRACT_OWNER : 0);
	struct archive *in = archive_read_new(), *disk = archive_write_disk_new();
	struct tally tally = {0};
	struct pyro_error err;
	int r = dir_make(path, 0755, &err);

	if (r == 0 && chdir(path) < 0)
		r = err_sys(&err, errno, "enter '%s'", (const char *)path);
	archive_write_disk_set_options(disk, flags);
	if (r == 0)
		r = unpack_all(in, disk, &tally, &err);
	archive_write_free(disk);
	archive_read_free(in);
	return report(r, &tally, &err);
}

/*
 * Packing.
 */

/* Bytes at `offset` of a file that is `*at` long so far; a hole before them becomes zeros. */
static int put(struct archive *out, int64_t *at, const void *block, size_t len, int64_t offset)
{
	static const char zeros[BLOCK];

	while (*at < offset) {
		size_t n = offset - *at < BLOCK ? (size_t)(offset - *at) : BLOCK;

		if (archive_write_data(out, zeros, n) < 0)
			return -1;
		*at += (int64_t)n;
	}
	if (len && archive_write_data(out, block, len) < 0)
		return -1;
	*at += (int64_t)len;
	return 0;
}

static int pack_data(struct archive *disk, struct archive *out, const char *name,
		     struct tally *tally, struct pyro_error *err)
{
	const void *block;
	la_int64_t offset;
	int64_t at = 0;
	size_t len;
	int r;

	while ((r = archive_read_data_block(disk, &block, &len, &offset)) == ARCHIVE_OK)
		if (put(out, &at, block, len, offset) < 0)
			return err_archive(err, out, "send", name);
	if (r != ARCHIVE_EOF)
		return err_archive(err, disk, "read", name);
	tally->bytes += at;
	return 0;
}

/* Names relative to where the walk began, and no more of the times than the one that matters. */
static void tidy(struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);

	if (strncmp(name, "./", 2) == 0 && name[2]) {
		AUTO_FREE char *relative = mem_strdup(name + 2);

		archive_entry_copy_pathname(entry, relative);
	}
	archive_entry_unset_atime(entry);
	archive_entry_unset_ctime(entry);
	archive_entry_unset_birthtime(entry);
}

static int pack_entry(struct archive *disk, struct archive *out, struct archive_entry *entry,
		      struct tally *tally, struct pyro_error *err)
{
	const char *name;

	tidy(entry);
	name = archive_entry_pathname(entry);
	if (archive_entry_filetype(entry) == AE_IFSOCK)
		return 0;
	if (archive_write_header(out, entry) < ARCHIVE_WARN)
		return err_archive(err, out, "send", name);
	tally->entries++;
	if (archive_entry_filetype(entry) != AE_IFREG)
		return 0;
	return pack_data(disk, out, name, tally, err);
}

static int pack_all(struct archive *disk, struct archive *out, const char *start,
		    struct tally *tally, struct pyro_error *err)
{
	struct archive_entry *entry = archive_entry_new2(disk);
	int r = ARCHIVE_OK, failed = 0;

	archive_write_set_format_pax(out);
	archive_write_set_bytes_per_block(out, BLOCK);
	archive_write_set_bytes_in_last_block(out, 1);
	archive_read_disk_set_symlink_physical(disk);
	archive_read_disk_set_behavior(disk, ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS |
						     ARCHIVE_READDISK_NO_ACL |
						     ARCHIVE_READDISK_NO_XATTR |
						     ARCHIVE_READDISK_NO_FFLAGS);
	if (archive_write_open_fd(out, STDOUT_FILENO) < ARCHIVE_OK)
		failed = err_archive(err, out, "send", start);
	else if (archive_read_disk_open(disk, start) < ARCHIVE_OK)
		failed = err_archive(err, disk, "read", start);
	while (!failed && (r = archive_read_next_header2(disk, entry)) != ARCHIVE_EOF) {
		if (r < ARCHIVE_WARN && archive_errno(disk) == ENOENT)
			continue;
		(void)archive_read_disk_descend(disk);
		failed = r < ARCHIVE_WARN ? err_archive(err, disk, "read", start)
					  : pack_entry(disk, out, entry, tally, err);
		archive_entry_clear(entry);
	}
	archive_entry_free(entry);
	if (!failed && archive_write_close(out) < ARCHIVE_OK)
		failed = err_archive(err, out, "send", start);
	return failed;
}

/* Goes to where the walk begins: the directory itself, or the one that holds the file. */
static const char *enter(const char *path, struct pyro_error *err)
{
	AUTO_FREE char *parent = NULL;
	const char *name = strrchr(path, '/') + 1;
	struct stat st;

	if (lstat(path, &st) < 0) {
		(void)err_sys(err, errno, "'%s'", path);
		return NULL;
	}
	if (S_ISDIR(st.st_mode))
		name = ".";
	parent = S_ISDIR(st.st_mode) ? mem_strdup(path) : mem_strndup(path, (size_t)(name - path));
	if (chdir(parent) < 0) {
		(void)err_sys(err, errno, "enter '%s'", parent);
		return NULL;
	}
	return name;
}

int tar_pack(const void *path)
{
	struct archive *disk = archive_read_disk_new(), *out = archive_write_new();
	struct tally tally = {0};
	struct pyro_error err;
	const char *start = enter(path, &err);
	int r = start ? pack_all(disk, out, start, &tally, &err) : -1;

	archive_read_free(disk);
	archive_write_free(out);
	return report(r, &tally, &err);
}
