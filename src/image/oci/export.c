/*
 * The file system is walked by libext2fs, in the order of names, so that the same environment gives
 * the same layer. libarchive makes the tar stream; it is hashed (diff_id) and compressed on its way
 * into the layout, where it gets its name from its digest once it is whole.
 */
#include "image/oci/export.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "image/oci/spec.h"

#include <errno.h>
#include <jansson.h>
#include <sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <ext2fs/ext2fs.h>
#include <zlib.h>

#define CHUNK (256 * 1024)
#define TARGET_MAX 4096
#define LEVEL "6"
#define REF_NAME "org.opencontainers.image.ref.name"
#define PATH_VARIABLE "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* --- where a layer goes ----------------------------------------------------------------- */

struct sink {
	gzFile gz;
	SHA2_CTX sha; /* of what goes in */
};

static la_ssize_t take(struct archive *a, void *ctx, const void *data, size_t len)
{
	struct sink *sink = ctx;

	SHA256Update(&sink->sha, data, len);
	if (gzwrite(sink->gz, data, (unsigned)len) == (int)len)
		return (la_ssize_t)len;
	archive_set_error(a, errno, "the layer cannot be written");
	return -1;
}

/* --- the file system -------------------------------------------------------------------- */

struct walk {
	ext2_filsys fs;
	struct archive *out;
	char **first_paths; /* of inodes with several names, by inode */
};

struct name {
	char *text;
	ext2_ino_t ino;
};

struct names {
	struct name *v;
	size_t n;
};

static int ext2_failed(errcode_t code, const char *path, struct pyro_error *err)
{
	return err_set(err, PYRO_E_SYSTEM, "read '/%s' of the environment: %s", path,
		       error_message(code));
}

static int add_name(struct ext2_dir_entry *entry, int offset, int block_size, char *buf, void *ctx)
{
	struct names *names = ctx;
	int len = ext2fs_dirent_name_len(entry);
	size_t at = names->n;

	(void)offset, (void)block_size, (void)buf;
	if ((len == 1 && entry->name[0] == '.') || (len == 2 && strncmp(entry->name, "..", 2) == 0))
		return 0;
	names->v = mem_resize(names->v, at + 1, sizeof(*names->v));
	names->v[at] = (struct name){mem_strndup(entry->name, (size_t)len), entry->inode};
	names->n++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static int keep_xattr(char *name, char *value, size_t len, void *ctx)
{
	archive_entry_xattr_add_entry(ctx, name, value, len);
	return 0;
}

static int add_xattrs(const struct walk *w, ext2_ino_t ino, struct archive_entry *entry,
		      const char *path, struct pyro_error *err)
{
	struct ext2_xattr_handle *handle;
	errcode_t code = ext2fs_xattrs_open(w->fs, ino, &handle);

	if (code)
		return ext2_failed(code, path, err);
	code = ext2fs_xattrs_read(handle);
	if (!code)
		code = ext2fs_xattrs_iterate(handle, keep_xattr, entry);
	(void)ext2fs_xattrs_close(&handle);
	return code ? ext2_failed(code, path, err) : 0;
}

static int archive_failed(const struct walk *w, const char *path, struct pyro_error *err)
{
	return err_set(err, PYRO_E_SYSTEM, "write '/%s' of the layer: %s", path,
		       archive_error_string(w->out));
}

/* The content of a file, in pieces for `piece`. */
static int read_file(const struct walk *w, ext2_ino_t ino, const char *path,
		     int (*piece)(void *ctx, const void *data, size_t len), void *ctx,
		     struct pyro_error *err)
{
	AUTO_FREE char *chunk = mem_zalloc(1, CHUNK);
	ext2_file_t file;
	errcode_t code = ext2fs_file_open(w->fs, ino, 0, &file);
	unsigned got = 0;
	int r = 0;

	if (code)
		return ext2_failed(code, path, err);
	while (r == 0 && !(code = ext2fs_file_read(file, chunk, CHUNK, &got)) && got > 0)
		r = piece(ctx, chunk, got);
	(void)ext2fs_file_close(file);
	if (code)
		return ext2_failed(code, path, err);
	return r < 0 ? archive_failed(w, path, err) : 0;
}

static int add_data(void *ctx, const void *data, size_t len)
{
	return archive_write_data(ctx, data, len) == (la_ssize_t)len ? 0 : -1;
}

static int add_text(void *ctx, const void *data, size_t len)
{
	buf_append(ctx, data, len);
	return 0;
}

/* Where a symbolic link leads: in the inode itself when it is short. */
static int set_target(const struct walk *w, ext2_ino_t ino, const struct ext2_inode *inode,
		      struct archive_entry *entry, const char *path, struct pyro_error *err)
{
	AUTO_BUF struct buf target = BUF_INIT(TARGET_MAX);

	if (ext2fs_is_fast_symlink((struct ext2_inode *)(uintptr_t)inode))
		buf_append(&target, inode->i_block, inode->i_size);
	else if (read_file(w, ino, path, add_text, &target, err) < 0)
		return -1;
	archive_entry_set_symlink(entry, buf_text(&target));
	return 0;
}

static void set_attributes(struct archive_entry *entry, const struct ext2_inode_large *inode,
			   const char *path)
{
	uint32_t device = inode->i_block[1];

	archive_entry_set_pathname(entry, path);
	archive_entry_set_mode(entry, inode->i_mode);
	archive_entry_set_uid(entry, (int64_t)inode_uid(*inode));
	archive_entry_set_gid(entry, (int64_t)inode_gid(*inode));
	/* Two more bits of the seconds are beside the nanoseconds. */
	archive_entry_set_mtime(entry,
				(int32_t)inode->i_mtime +
					((int64_t)(inode->i_mtime_extra & 3) << 32),
				inode->i_mtime_extra >> 2);
	if (S_ISREG(inode->i_mode))
		archive_entry_set_size(entry, (int64_t)EXT2_I_SIZE(inode));
	if (!S_ISCHR(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return;
	if (inode->i_block[0])
		archive_entry_set_rdev(entry,
				       makedev(inode->i_block[0] >> 8, inode->i_block[0] & 255));
	else
		archive_entry_set_rdev(entry, makedev(device >> 8 & 0xfff,
						      (device & 255) | (device >> 12 & 0xfff00)));
}

/* Whether it is another name of a file that is there already; if not, it becomes the first. */
static bool is_link(const struct walk *w, ext2_ino_t ino, const struct ext2_inode_large *inode,
		    struct archive_entry *entry, const char *path)
{
	if (S_ISDIR(inode->i_mode) || inode->i_links_count < 2)
		return false;
	if (!w->first_paths[ino]) {
		w->first_paths[ino] = mem_strdup(path);
		return false;
	}
	archive_entry_set_hardlink(entry, w->first_paths[ino]);
	archive_entry_set_size(entry, 0);
	return true;
}

static int write_entry(const struct walk *w, ext2_ino_t ino, const struct ext2_inode_large *inode,
		       struct archive_entry *entry, const char *path, struct pyro_error *err)
{
	bool is_again;

	set_attributes(entry, inode, path);
	is_again = is_link(w, ino, inode, entry, path);
	if (!is_again && S_ISLNK(inode->i_mode) &&
	    set_target(w, ino, (const struct ext2_inode *)inode, entry, path, err) < 0)
		return -1;
	if (!is_again && add_xattrs(w, ino, entry, path, err) < 0)
		return -1;
	if (archive_write_header(w->out, entry) < ARCHIVE_WARN)
		return archive_failed(w, path, err);
	return !is_again && S_ISREG(inode->i_mode) ? read_file(w, ino, path, add_data, w->out, err)
						   : 0;
}

static int walk_dir(const struct walk *w, ext2_ino_t dir, const char *path, struct pyro_error *err);

static int add_entry(const struct walk *w, const char *dir, const struct name *name,
		     struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s%s%s", dir, *dir ? "/" : "", name->text);
	struct ext2_inode_large inode;
	struct archive_entry *entry;
	errcode_t code;
	int r;

	if (strcmp(path, "lost+found") == 0)
		return 0;
	code = ext2fs_read_inode_full(w->fs, name->ino, EXT2_INODE(&inode), sizeof(inode));
	if (code)
		return ext2_failed(code, path, err);
	entry = archive_entry_new();
	r = write_entry(w, name->ino, &inode, entry, path, err);
	archive_entry_free(entry);
	return r == 0 && S_ISDIR(inode.i_mode) ? walk_dir(w, name->ino, path, err) : r;
}

static int walk_dir(const struct walk *w, ext2_ino_t dir, const char *path, struct pyro_error *err)
{
	struct names names = {NULL};
	errcode_t code = ext2fs_dir_iterate(w->fs, dir, 0, NULL, add_name, &names);
	int r = code ? ext2_failed(code, path, err) : 0;

	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	for (size_t i = 0; i < names.n; i++) {
		if (r == 0)
			r = add_entry(w, path, &names.v[i], err);
		free(names.v[i].text);
	}
	free(names.v);
	return r;
}

static int write_tree(ext2_filsys fs, struct archive *out, struct pyro_error *err)
{
	struct walk w = {.fs = fs, .out = out};
	int r;

	w.first_paths = mem_zalloc(fs->super->s_inodes_count + 1, sizeof(*w.first_paths));
	r = walk_dir(&w, EXT2_ROOT_INO, "", err);
	for (size_t i = 0; i <= fs->super->s_inodes_count; i++)
		free(w.first_paths[i]);
	free(w.first_paths);
	if (r == 0 && archive_write_close(out) != ARCHIVE_OK)
		return archive_failed(&w, "", err);
	return r;
}

static int write_layer(const char *root_path, struct sink *sink, struct pyro_error *err)
{
	struct archive *out = archive_write_new();
	ext2_filsys fs = NULL;
	errcode_t code = ext2fs_open(root_path, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs);
	int r;

	(void)archive_write_set_format_pax_restricted(out);
	(void)archive_write_set_options(out, "hdrcharset=BINARY");
	(void)archive_write_set_bytes_in_last_block(out, 1);
	if (code)
		r = ext2_failed(code, "", err);
	else if (archive_write_open(out, sink, NULL, take, NULL) != ARCHIVE_OK)
		r = err_set(err, PYRO_E_SYSTEM, "begin a layer");
	else
		r = write_tree(fs, out, err);
	(void)archive_write_free(out);
	if (fs)
		(void)ext2fs_close_free(&fs);
	return r;
}

/* --- the layout ------------------------------------------------------------------------- */

static char *blob_path(const char *dir, const char *digest)
{
	return mem_printf("%s/blobs/sha256/%s", dir, strchr(digest, ':') + 1);
}

/* A descriptor of what is now a blob of the layout; NULL with err. Takes the document. */
static json_t *add_document(const char *dir, const char *type, json_t *json, struct pyro_error *err)
{
	AUTO_FREE char *text = json_dumps(json, JSON_COMPACT);
	AUTO_FREE char *path = NULL;
	char digest[SPEC_DIGEST_SIZE];
	size_t len = strlen(text);

	json_decref(json);
	spec_digest(text, len, digest);
	path = blob_path(dir, digest);
	if (file_write_atomic(path, text, len, 0644, err) < 0)
		return NULL;
	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size",
			 (json_int_t)len);
}

/* The same of a file, which gets its name. */
static json_t *name_layer(const char *dir, const char *temp, struct pyro_error *err)
{
	char digest[SPEC_DIGEST_SIZE];
	AUTO_FREE char *path = NULL;
	struct stat st;

	if (spec_digest_file(temp, digest, err) < 0)
		return NULL;
	path = blob_path(dir, digest);
	if (stat(temp, &st) < 0 || rename(temp, path) < 0) {
		(void)err_sys(err, errno, "complete '%s'", path);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:I}", "mediaType",
			 "application/vnd.oci.image.layer.v1.tar+gzip", "digest", digest, "size",
			 (json_int_t)st.st_size);
}

/* The layer, and what it is uncompressed. */
static json_t *make_layer(const char *root_path, const char *dir, char diff_id[SPEC_DIGEST_SIZE],
			  struct pyro_error *err)
{
	AUTO_FREE char *temp = mem_printf("%s/layer.%ld", dir, (long)getpid());
	struct sink sink = {.gz = gzopen(temp, "wbe" LEVEL)}; /* e: closed on exec */
	json_t *row = NULL;
	int r;

	SHA256Init(&sink.sha);
	if (!sink.gz) {
		(void)err_sys(err, errno, "create '%s'", temp);
		return NULL;
	}
	r = write_layer(root_path, &sink, err);
	if (gzclose(sink.gz) != Z_OK && r == 0)
		r = err_set(err, PYRO_E_NO_SPACE, "write '%s'", temp);
	memcpy(diff_id, SPEC_DIGEST_PREFIX, sizeof(SPEC_DIGEST_PREFIX));
	(void)SHA256End(&sink.sha, diff_id + 7);
	if (r == 0)
		row = name_layer(dir, temp, err);
	(void)unlink(temp);
	return row;
}

static json_t *make_manifest(const char *root_path, const char *dir, struct pyro_error *err)
{
	char diff_id[SPEC_DIGEST_SIZE];
	json_t *layer = make_layer(root_path, dir, diff_id, err), *config;

	if (!layer)
		return NULL;
	config = add_document(dir, "application/vnd.oci.image.config.v1+json",
			      json_pack("{s:s, s:s, s:{s:[s], s:[s]}, s:{s:s, s:[s]}}",
					"architecture", "amd64", "os", "linux", "config", "Env",
					PATH_VARIABLE, "Cmd", "/bin/sh", "rootfs", "type", "layers",
					"diff_ids", diff_id),
			      err);
	if (!config) {
		json_decref(layer);
		return NULL;
	}
	return add_document(dir, SPEC_MANIFEST_TYPE,
			    json_pack("{s:i, s:s, s:o, s:[o]}", "schemaVersion", 2, "mediaType",
				      SPEC_MANIFEST_TYPE, "config", config, "layers", layer),
			    err);
}

/* Adds a row to the index, in the place of one with that tag. Takes the row. */
static int add_to_index(const char *dir, json_t *row, const char *tag, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/index.json", dir);
	AUTO_BUF struct buf text = BUF_INIT(SPEC_DOCUMENT_MAX);
	json_t *index = NULL, *rows, *old;
	AUTO_FREE char *out = NULL;
	size_t i;

	if (file_exists(path) &&
	    (file_read(path, &text, err) < 0 || !(index = spec_parse(&text, "index", err)))) {
		json_decref(row);
		return err_wrap(err, "'%s'", path);
	}
	rows = json_array();
	json_array_foreach(json_object_get(index, "manifests"), i, old)
	{
		const char *name = json_string_value(
			json_object_get(json_object_get(old, "annotations"), REF_NAME));

		if (!name || strcmp(name, tag) != 0)
			(void)json_array_append(rows, old);
	}
	json_decref(index);
	(void)json_object_set_new(row, "annotations", json_pack("{s:s}", REF_NAME, tag));
	(void)json_array_append_new(rows, row);
	index = json_pack("{s:i, s:o}", "schemaVersion", 2, "manifests", rows);
	out = json_dumps(index, JSON_INDENT(2));
	json_decref(index);
	return file_write_atomic(path, out, strlen(out), 0644, err);
}

int export_layout(const char *root_path, const char *dir, const char *tag, struct pyro_error *err)
{
	static const char version[] = "{\"imageLayoutVersion\": \"1.0.0\"}\n";
	AUTO_FREE char *blobs = mem_printf("%s/blobs/sha256", dir);
	AUTO_FREE char *marker = mem_printf("%s/oci-layout", dir);
	json_t *row;

	if (dir_make(blobs, 0755, err) < 0)
		return -1;
	row = make_manifest(root_path, dir, err);
	if (!row || add_to_index(dir, row, tag, err) < 0)
		return -1;
	return file_write_atomic(marker, version, sizeof(version) - 1, 0644, err);
}
