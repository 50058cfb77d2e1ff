/*
 * libext2fs does the reading, over an io_manager that reads from a qcow2 disk. What it is given to
 * read is bounded from two sides: whatever it allocates by the limit on the process's memory, and
 * whatever it reads for one directory, or one piece of a file, by a number of blocks, so that a
 * tree of extents that leads back into itself ends.
 *
 * A path is walked from the root each time, but the directories on the way to the last one are
 * kept: thousands of files of the same tree are found by binary searches in names that were read
 * once.
 */
#include "disk/ext4.h"

#include "base/err.h"
#include "base/mem.h"
#include "disk/qcow2.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ext2fs/ext2fs.h>

#define NAMES_MAX (2 * 1000 * 1000)
#define TEXT_MAX (128 * 1024 * 1024)
#define DIR_BYTES_MAX (1 << 30)
#define PIECE (64 * 1024)
#define PIECE_BLOCKS 4096 /* a piece, and what leads to each of its blocks */
#define EXTENT_DEPTH_MAX 5

/* A directory on the way to the last one that was looked into. */
struct level {
	uint32_t ino;
	struct ext4_names names;
};

struct ext4 {
	struct qcow2 *disk;
	ext2_filsys fs;
	int64_t blocks_left; /* that may be read for what is done now */
	bool has_io_error;
	struct pyro_error io_error;
	struct level *levels;
	size_t n_levels;
	size_t n_names; /* in all levels */
};

/*
 * Blocks.
 */

static struct ext4 *opening; /* whose channel is opened; libext2fs passes only a name */

static errcode_t open_channel(const char *name, int flags, io_channel *ret);

static errcode_t close_channel(io_channel channel)
{
	if (--channel->refcount == 0)
		free(channel);
	return 0;
}

static errcode_t set_block_size(io_channel channel, int size)
{
	channel->block_size = size;
	return 0;
}

/* A negative count is a number of bytes. */
static errcode_t read_blocks(io_channel channel, unsigned long long block, int count, void *data)
{
	struct ext4 *fs = channel->private_data;
	uint64_t size = (uint64_t)channel->block_size, disk = qcow2_size(fs->disk);
	uint64_t len = count < 0 ? -(uint64_t)count : (uint64_t)count * size;

	fs->blocks_left -= (int64_t)(len / size) + 1;
	if (fs->blocks_left < 0 || block > disk / size || len > disk - block * size)
		return EXT2_ET_SHORT_READ;
	if (qcow2_read(fs->disk, block * size, data, len, &fs->io_error) < 0) {
		fs->has_io_error = true;
		return EXT2_ET_SHORT_READ;
	}
	return 0;
}

static errcode_t read_blocks_long(io_channel channel, unsigned long block, int count, void *data)
{
	return read_blocks(channel, block, count, data);
}

static errcode_t refuse_write(io_channel channel, unsigned long block, int count, const void *data)
{
	(void)channel;
	(void)block;
	(void)count;
	(void)data;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t flush(io_channel channel)
{
	(void)channel;
	return 0;
}

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "qcow2",
	.open = open_channel,
	.close = close_channel,
	.set_blksize = set_block_size,
	.read_blk = read_blocks_long,
	.read_blk64 = read_blocks,
	.write_blk = refuse_write,
	.flush = flush,
};

static errcode_t open_channel(const char *name, int flags, io_channel *ret)
{
	static char no_name[] = "";
	io_channel channel = mem_zalloc(1, sizeof(*channel));

	(void)name;
	(void)flags;
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = &manager;
	channel->name = no_name;
	channel->block_size = 1024;
	channel->refcount = 1;
	channel->private_data = opening;
	*ret = channel;
	return 0;
}

/* path: NULL for the file system itself. */
static int fail(struct ext4 *fs, errcode_t code, const char *path, struct pyro_error *err)
{
	if (fs->has_io_error && err)
		*err = fs->io_error;
	else
		(void)err_set(err, PYRO_E_PROTOCOL, "the disk of the workspace is damaged: %s",
			      error_message(code));
	return path ? err_wrap(err, "read '%s'", path) : -1;
}

/*
 * Opening.
 */

/* libext2fs believes the number of blocks, and makes tables by it. */
static int check_size(struct ext4 *fs, struct pyro_error *err)
{
	struct ext2_super_block super;
	uint64_t blocks;

	if (qcow2_read(fs->disk, SUPERBLOCK_OFFSET, &super, sizeof(super), err) < 0)
		return -1;
	blocks = ext2fs_le32_to_cpu(super.s_blocks_count);
	if (ext2fs_le32_to_cpu(super.s_feature_incompat) & EXT4_FEATURE_INCOMPAT_64BIT)
		blocks |= (uint64_t)ext2fs_le32_to_cpu(super.s_blocks_count_hi) << 32;
	if (ext2fs_le16_to_cpu(super.s_magic) != EXT2_SUPER_MAGIC ||
	    ext2fs_le32_to_cpu(super.s_log_block_size) > 6 ||
	    blocks > qcow2_size(fs->disk) >> (10 + ext2fs_le32_to_cpu(super.s_log_block_size)))
		return fail(fs, EXT2_ET_CORRUPT_SUPERBLOCK, NULL, err);
	return 0;
}

static int open_fs(struct ext4 *fs, struct pyro_error *err)
{
	errcode_t code;

	if (check_size(fs, err) < 0)
		return -1;
	opening = fs;
	fs->blocks_left = INT64_MAX;
	code = ext2fs_open("", EXT2_FLAG_64BITS, 0, 0, &manager, &fs->fs);
	opening = NULL;
	if (code)
		return fail(fs, code, NULL, err);
	if (!ext2fs_has_feature_journal_needs_recovery(fs->fs->super))
		return 0;
	(void)err_set(err, PYRO_E_BAD_STATE, "the workspace was not stopped in order");
	return err_hint(err, "pyro workspace start, then pyro workspace stop");
}

struct ext4 *ext4_open(struct qcow2 *disk, struct pyro_error *err)
{
	struct ext4 *fs = mem_zalloc(1, sizeof(*fs));

	fs->disk = disk;
	initialize_ext2_error_table();
	return open_fs(fs, err) < 0 ? ext4_close(fs) : fs;
}

static void keep_levels(struct ext4 *fs, size_t n)
{
	while (fs->n_levels > n) {
		struct level *last = &fs->levels[--fs->n_levels];

		fs->n_names -= last->names.n;
		ext4_names_done(&last->names);
	}
}

struct ext4 *ext4_close(struct ext4 *fs)
{
	if (!fs)
		return NULL;
	keep_levels(fs, 0);
	free(fs->levels);
	if (fs->fs)
		ext2fs_free(fs->fs);
	free(fs);
	return NULL;
}

uint32_t ext4_inodes(const struct ext4 *fs)
{
	return fs->fs->super->s_inodes_count;
}

/*
 * Inodes and names.
 */

static int read_inode(struct ext4 *fs, uint32_t ino, const char *path, struct ext2_inode *ret,
		      struct pyro_error *err)
{
	struct ext3_extent_header head;
	errcode_t code;

	fs->blocks_left = PIECE_BLOCKS;
	code = ext2fs_read_inode(fs->fs, ino, ret);
	if (code)
		return fail(fs, code, path, err);
	memcpy(&head, ret->i_block, sizeof(head));
	if (ret->i_flags & EXT4_EXTENTS_FL && ext2fs_le16_to_cpu(head.eh_depth) > EXTENT_DEPTH_MAX)
		return fail(fs, EXT2_ET_EXTENT_HEADER_BAD, path, err);
	return 0;
}

int ext4_stat(struct ext4 *fs, uint32_t ino, const char *path, struct ext4_node *ret,
	      struct pyro_error *err)
{
	struct ext2_inode inode;

	if (read_inode(fs, ino, path, &inode, err) < 0)
		return -1;
	*ret = (struct ext4_node){
		.ino = ino,
		.mode = inode.i_mode,
		.size = EXT2_I_SIZE(&inode),
		.mtime_s = (int32_t)inode.i_mtime,
	};
	return 0;
}

struct loading {
	struct ext4_names *names;
	const char *path;
	size_t room; /* in names->v */
};

static bool is_ours(const char *dir, const char *name)
{
	if (strcmp(dir, "/") == 0)
		return strcmp(name, ".pyro") == 0;
	return strcmp(dir, "/run") == 0 &&
	       (strcmp(name, "pyro-secrets") == 0 || strcmp(name, "pyro-shells") == 0 ||
		strcmp(name, "pyro-services") == 0);
}

static bool is_shown(const char *dir, const char *name, size_t len)
{
	return len && strlen(name) == len && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0 && !is_ours(dir, name);
}

static int take_name(ext2_ino_t dir, int entry, struct ext2_dir_entry *dirent, int offset,
		     int block_size, char *block, void *ctx)
{
	struct loading *l = ctx;
	struct ext4_names *names = l->names;
	char name[EXT2_NAME_LEN + 1] = {0};
	size_t len = (size_t)ext2fs_dirent_name_len(dirent);

	(void)dir;
	(void)entry;
	(void)offset;
	(void)block_size;
	(void)block;
	memcpy(name, dirent->name, len);
	if (!dirent->inode || !is_shown(l->path, name, len))
		return 0;
	if (names->n == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		names->v = mem_resize(names->v, l->room, sizeof(*names->v));
	}
	names->v[names->n++] = (struct ext4_name){dirent->inode, (uint32_t)names->text.len};
	buf_append(&names->text, name, len + 1);
	return names->n > NAMES_MAX || names->text.is_full ? DIRENT_ABORT : 0;
}

static int compare_names(const void *a, const void *b, void *text)
{
	return strcmp((const char *)text + ((const struct ext4_name *)a)->at,
		      (const char *)text + ((const struct ext4_name *)b)->at);
}

int ext4_names_load(struct ext4 *fs, uint32_t dir, const char *path, struct ext4_names *ret,
		    struct pyro_error *err)
{
	struct ext4_names names = {.text = BUF_INIT(TEXT_MAX)};
	struct loading loading = {&names, path, 0};
	int result = 0;
	errcode_t code;

	fs->blocks_left = DIR_BYTES_MAX / fs->fs->blocksize;
	code = ext2fs_dir_iterate2(fs->fs, dir, 0, NULL, take_name, &loading);
	if (code)
		result = fail(fs, code, path, err);
	else if (names.n > NAMES_MAX || names.text.is_full)
		result = err_set(err, PYRO_E_LIMIT, "'%s' has too many names", path);
	if (result < 0) {
		ext4_names_done(&names);
		return -1;
	}
	if (names.n)
		qsort_r(names.v, names.n, sizeof(*names.v), compare_names, names.text.data);
	*ret = names;
	return 0;
}

void ext4_names_done(struct ext4_names *names)
{
	free(names->v);
	buf_done(&names->text);
	*names = (struct ext4_names){0};
}

const char *ext4_names_text(const struct ext4_names *names, size_t i)
{
	return names->text.data + names->v[i].at;
}

/* 0: it is not there. */
static uint32_t look_up(const struct ext4_names *names, const char *name)
{
	size_t low = 0, high = names->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, ext4_names_text(names, middle));

		if (order == 0)
			return names->v[middle].ino;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return 0;
}

/*
 * Paths.
 */

char *ext4_path(const char *path, struct pyro_error *err)
{
	AUTO_BUF struct buf plain = BUF_INIT(EXT4_PATH_MAX);
	const char *at = path;

	if (*path != '/') {
		(void)err_set(err, PYRO_E_INVALID, "'%s' is not an absolute path", path);
		return NULL;
	}
	while (*(at += strspn(at, "/"))) {
		size_t len = strcspn(at, "/");

		if (len == 2 && memcmp(at, "..", 2) == 0) {
			(void)err_set(err, PYRO_E_INVALID, "'%s' has '..' in it", path);
			return NULL;
		}
		if (len != 1 || *at != '.') {
			buf_puts(&plain, "/");
			buf_append(&plain, at, len);
		}
		at += len;
	}
	if (plain.is_full) {
		(void)err_set(err, PYRO_E_INVALID, "the path is longer than %d bytes",
			      EXT4_PATH_MAX);
		return NULL;
	}
	return plain.len ? buf_take(&plain) : mem_strdup("/");
}

/* Has the directory's names as level `depth`. */
static int enter(struct ext4 *fs, size_t depth, uint32_t dir, const char *path,
		 struct pyro_error *err)
{
	struct level level = {.ino = dir};
	struct ext4_node node;

	if (depth < fs->n_levels && fs->levels[depth].ino == dir)
		return 0;
	if (ext4_stat(fs, dir, path, &node, err) < 0)
		return -1;
	if (S_ISLNK(node.mode)) {
		AUTO_FREE char *target = ext4_target(fs, &node, path, err);

		return target ? err_set(err, PYRO_E_INVALID, "'%s' is a symbolic link to '%s'",
					path, target)
			      : -1;
	}
	if (!S_ISDIR(node.mode))
		return err_set(err, PYRO_E_INVALID, "'%s' is not a directory", path);
	keep_levels(fs, depth);
	if (ext4_names_load(fs, dir, path, &level.names, err) < 0)
		return -1;
	fs->levels = mem_resize(fs->levels, depth + 1, sizeof(*fs->levels));
	fs->levels[depth] = level;
	fs->n_levels = depth + 1;
	fs->n_names += level.names.n;
	if (fs->n_names <= NAMES_MAX)
		return 0;
	return err_set(err, PYRO_E_LIMIT, "the folders above '%s' have too many names", path);
}

int ext4_find(struct ext4 *fs, const char *path, struct ext4_node *ret, struct pyro_error *err)
{
	AUTO_FREE char *so_far = mem_strdup(path);
	uint32_t ino = EXT2_ROOT_INO;
	size_t depth = 0, at = 1;

	while (path[at]) {
		size_t end = at + strcspn(path + at, "/");

		/* so_far is the folder, then the name in it, then everything up to that */
		so_far[at > 1 ? at - 1 : at] = '\0';
		if (enter(fs, depth, ino, so_far, err) < 0)
			return -1;
		so_far[at - 1] = '/';
		memcpy(so_far + at, path + at, end - at);
		so_far[end] = '\0';
		ino = look_up(&fs->levels[depth++].names, so_far + at);
		if (!ino)
			return err_set(err, PYRO_E_NOT_FOUND, "'%s' is not on the disk", so_far);
		at = path[end] ? end + 1 : end;
	}
	return ext4_stat(fs, ino, path, ret, err);
}

/*
 * Content.
 */

/* Reads the next piece, PIECE bytes or less, 0 at the end of the file. */
static errcode_t read_piece(struct ext4 *fs, ext2_file_t file, void *data, size_t len,
			    unsigned *ret_n)
{
	fs->blocks_left = PIECE_BLOCKS;
	return ext2fs_file_read(file, data, len < PIECE ? (unsigned)len : PIECE, ret_n);
}

int ext4_copy(struct ext4 *fs, const struct ext4_node *node, const char *path, uint64_t from,
	      uint64_t len, FILE *out, struct pyro_error *err)
{
	AUTO_FREE char *data = mem_zalloc(1, PIECE);
	struct ext2_inode inode;
	ext2_file_t file;
	errcode_t code;

	if (read_inode(fs, node->ino, path, &inode, err) < 0)
		return -1;
	code = ext2fs_file_open2(fs->fs, node->ino, &inode, 0, &file);
	if (code)
		return fail(fs, code, path, err);
	code = ext2fs_file_llseek(file, from, EXT2_SEEK_SET, NULL);
	while (len && !code) {
		unsigned n = 0;

		code = read_piece(fs, file, data, len, &n);
		if (!code && !n)
			code = EXT2_ET_SHORT_READ;
		if (code || fwrite(data, 1, n, out) < n)
			break;
		len -= n;
	}
	(void)ext2fs_file_close(file);
	if (code)
		return fail(fs, code, path, err);
	return len ? err_sys(err, errno, "write what '%s' holds", path) : 0;
}

/* What the library reads as a file's content is the target of a link that is not in its inode. */
static errcode_t read_target(struct ext4 *fs, uint32_t ino, struct ext2_inode *inode, char *data,
			     size_t len)
{
	unsigned n = 0;
	ext2_file_t file;
	errcode_t code = ext2fs_file_open2(fs->fs, ino, inode, 0, &file);

	if (code)
		return code;
	code = read_piece(fs, file, data, len, &n);
	(void)ext2fs_file_close(file);
	return code ? code : n < len ? EXT2_ET_SHORT_READ : 0;
}

char *ext4_target(struct ext4 *fs, const struct ext4_node *link, const char *path,
		  struct pyro_error *err)
{
	AUTO_FREE char *target = NULL;
	struct ext2_inode inode;
	errcode_t code = 0;

	if (link->size > EXT4_PATH_MAX) {
		(void)fail(fs, EXT2_ET_SYMLINK_LOOP, path, err);
		return NULL;
	}
	if (read_inode(fs, link->ino, path, &inode, err) < 0)
		return NULL;
	target = mem_zalloc(1, link->size + 1);
	if (ext2fs_is_fast_symlink(&inode) && link->size <= sizeof(inode.i_block))
		memcpy(target, inode.i_block, link->size);
	else
		code = read_target(fs, link->ino, &inode, target, link->size);
	if (code) {
		(void)fail(fs, code, path, err);
		return NULL;
	}
	return TAKE_PTR(target);
}
