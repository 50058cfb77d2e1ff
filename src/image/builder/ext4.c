/*
 * libext2fs searches directories from their beginning, which makes a large one cost the square of
 * its size. So every name is also kept in memory, in a search tree, and a new one is written to the
 * last block of its directory. Directories have no index: a kernel takes them as they are.
 */
#include "image/builder/ext4.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "image/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <ext2fs/ext2fs.h>

#define BLOCK_SIZE 4096
#define JOURNAL_MIB "32"
#define MKFS_MS 60000
/* Spelt out, so that the image does not depend on the machine's mke2fs.conf. */
#define FEATURES                                                                          \
	"none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super," \
	"large_file,huge_file,dir_nlink,extra_isize,metadata_csum"

struct ext4 {
	ext2_filsys fs;
	char *path;
	ext2_ino_t current;
	ext2_file_t file; /* the current regular file, open for writing */
	void *names;      /* struct name, by directory and text: tsearch(3) */
};

struct name {
	ext2_ino_t dir, ino;
	bool is_dir;
	const char *text; /* of a known one, right behind it */
};

static int ext4_error(const struct ext4 *fs, struct pyro_error *err, errcode_t code,
		      const char *subject)
{
	if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL)
		return err_set(err, PYRO_E_LIMIT, "write '%s': the image is full", subject);
	if (code == EXT2_ET_EA_NO_SPACE)
		return err_set(err, PYRO_E_LIMIT, "'%s' is more than fits beside a file", subject);
	if (code == EXT2_ET_FILE_TOO_BIG)
		return err_set(err, PYRO_E_LIMIT, "'%s' is too large", subject);
	if (code == EMLINK)
		return err_set(err, PYRO_E_LIMIT, "too many directories beside '%s'", subject);
	if (code == EXT2_ET_SHORT_WRITE)
		code = ENOSPC;
	if (code < 256)
		return err_sys(err, (int)code, "write '%s' to '%s'", subject, fs->path);
	return err_set(err, PYRO_E_SYSTEM, "write '%s' to '%s': %s", subject, fs->path,
		       error_message(code));
}

/* --- names ------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return x->dir == y->dir ? strcmp(x->text, y->text) : x->dir < y->dir ? -1 : 1;
}

/* NULL if the directory has no such name. */
static struct name *find_name(const struct ext4 *fs, ext2_ino_t dir, const char *text)
{
	const struct name key = {.dir = dir, .text = text};
	struct name *const *found = tfind(&key, &fs->names, compare_names);

	return found ? *found : NULL;
}

static errcode_t know_name(struct ext4 *fs, ext2_ino_t dir, const char *text, ext2_ino_t ino,
			   bool is_dir)
{
	size_t len = strlen(text) + 1;
	struct name *name = mem_zalloc(1, sizeof(*name) + len);

	*name = (struct name){dir, ino, is_dir, memcpy(name + 1, text, len)};
	if (tsearch(name, &fs->names, compare_names))
		return 0;
	free(name);
	return EXT2_ET_NO_MEMORY;
}

static void forget_name(struct ext4 *fs, struct name *name)
{
	(void)tdelete(name, &fs->names, compare_names);
	free(name);
}

/* The one thing that mke2fs puts into a file system. */
static errcode_t know_lost_found(struct ext4 *fs)
{
	static const char name[] = "lost+found";
	ext2_ino_t ino;
	errcode_t code = ext2fs_lookup(fs->fs, EXT2_ROOT_INO, name, sizeof(name) - 1, NULL, &ino);

	return code ? code : know_name(fs, EXT2_ROOT_INO, name, ino, true);
}

/* Writes a name into a block of a directory: EXT2_ET_DIR_NO_SPACE if it does not fit. */
static errcode_t put_name(struct ext4 *fs, char *block, const char *text, ext2_ino_t ino, int type)
{
	unsigned len = (unsigned)strlen(text), need = ext2fs_dir_rec_len((__u8)len, 0);
	unsigned end = BLOCK_SIZE - sizeof(struct ext2_dir_entry_tail), room = 0, used = 0;

	for (unsigned at = 0; at < end; at += room) {
		struct ext2_dir_entry *e = (struct ext2_dir_entry *)(void *)(block + at);

		(void)ext2fs_get_rec_len(fs->fs, e, &room);
		used = e->inode ? ext2fs_dir_rec_len((__u8)ext2fs_dirent_name_len(e), 0) : 0;
		if (room < sizeof(struct ext2_dir_entry_tail) || room > end - at)
			return EXT2_ET_DIR_CORRUPTED;
		if (room - used < need)
			continue;
		if (used) {
			(void)ext2fs_set_rec_len(fs->fs, used, e);
			e = (struct ext2_dir_entry *)(void *)(block + at + used);
		}
		(void)ext2fs_set_rec_len(fs->fs, room - used, e);
		e->inode = ino;
		ext2fs_dirent_set_name_len(e, (int)len);
		ext2fs_dirent_set_file_type(e, type);
		memcpy(e->name, text, len);
		return 0;
	}
	return EXT2_ET_DIR_NO_SPACE;
}

/* The same with the last block of dir. */
static errcode_t append_name(struct ext4 *fs, ext2_ino_t dir, const char *text, ext2_ino_t ino,
			     int type)
{
	_Alignas(struct ext2_dir_entry) char block[BLOCK_SIZE];
	struct ext2_inode inode;
	blk64_t at = 0;
	errcode_t code = ext2fs_read_inode(fs->fs, dir, &inode);

	if (!code)
		code = ext2fs_bmap2(fs->fs, dir, &inode, NULL, 0, inode.i_size / BLOCK_SIZE - 1,
				    NULL, &at);
	if (!code)
		code = ext2fs_read_dir_block4(fs->fs, at, block, 0, dir);
	if (!code)
		code = put_name(fs, block, text, ino, type);
	return code ? code : ext2fs_write_dir_block4(fs->fs, at, block, 0, dir);
}

/* A name for ino that dir does not have yet. */
static errcode_t add_name(struct ext4 *fs, ext2_ino_t dir, const char *text, ext2_ino_t ino,
			  int type)
{
	errcode_t code = append_name(fs, dir, text, ino, type);

	if (code == EXT2_ET_DIR_NO_SPACE) {
		code = ext2fs_expand_dir(fs->fs, dir);
		if (!code)
			code = append_name(fs, dir, text, ino, type);
	}
	return code ? code : know_name(fs, dir, text, ino, type == EXT2_FT_DIR);
}

static errcode_t make_dir(struct ext4 *fs, ext2_ino_t parent, const char *text, ext2_ino_t *ret)
{
	struct ext2_inode inode;
	errcode_t code = ext2fs_read_inode(fs->fs, parent, &inode);

	if (!code && inode.i_links_count >= EXT2_LINK_MAX)
		code = EMLINK;
	if (!code)
		code = ext2fs_new_inode(fs->fs, parent, LINUX_S_IFDIR | 0755, NULL, ret);
	if (!code)
		code = ext2fs_mkdir(fs->fs, parent, *ret, NULL);
	return code ? code : add_name(fs, parent, text, *ret, EXT2_FT_DIR);
}

/* --- the image -------------------------------------------------------------------------- */

/*
 * The journal is small because it is rewritten in circles and every block of it that a guest
 * writes takes room in that guest's own disk. Nothing is reserved for root: root is all there is.
 */
static int format(const char *path, int64_t size_bytes, const char *label, const char *identity,
		  struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	char *env[] = {(char[]){"MKE2FS_CONFIG=/dev/null"}, (char[]){"LC_ALL=C"}, NULL};
	char hex[DIGEST_HEX];

	digest_bytes(identity, strlen(identity), hex);
	argv_add(&a, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384",
		 "-m", "0", NULL);
	argv_add(&a, "-O", FEATURES, "-J", "size=" JOURNAL_MIB, "-L", label, "-U", NULL);
	argv_addf(&a, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	argv_add(&a, "-E", NULL);
	argv_addf(&a, "lazy_itable_init=0,lazy_journal_init=0,hash_seed=%.8s-%.4s-%.4s-%.4s-%.12s",
		  hex + 32, hex + 40, hex + 44, hex + 48, hex + 52);
	argv_add(&a, path, NULL);
	argv_addf(&a, "%lld", (long long)(size_bytes / BLOCK_SIZE));
	return proc_check(&a, &(struct proc_options){.env = env, .deadline = deadline_in(MKFS_MS)},
			  err);
}

static int make_sparse(const char *path, int64_t size_bytes, struct pyro_error *err)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, size_bytes) < 0)
		return err_sys(err, errno, "create '%s'", path);
	return 0;
}

struct ext4 *ext4_new(const char *path, int64_t size_bytes, const char *label, const char *identity,
		      struct pyro_error *err)
{
	struct ext4 *fs;
	errcode_t code;

	if (make_sparse(path, size_bytes, err) < 0 ||
	    format(path, size_bytes, label, identity, err) < 0)
		return NULL;
	fs = mem_zalloc(1, sizeof(*fs));
	fs->path = mem_strdup(path);
	code = ext2fs_open(path, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs->fs);
	if (!code)
		code = ext2fs_read_bitmaps(fs->fs);
	if (!code)
		code = know_lost_found(fs);
	if (!code)
		return fs;
	(void)ext4_error(fs, err, code, "/");
	return ext4_free(fs);
}

struct ext4 *ext4_free(struct ext4 *fs)
{
	if (!fs)
		return NULL;
	if (fs->file)
		(void)ext2fs_file_close(fs->file);
	if (fs->fs)
		ext2fs_free(fs->fs);
	tdestroy(fs->names, free);
	free(fs->path);
	free(fs);
	return NULL;
}

int ext4_close(struct ext4 *fs, struct pyro_error *err)
{
	errcode_t code = ext2fs_close_free(&fs->fs);
	int r = code ? ext4_error(fs, err, code, "/") : 0;

	(void)ext4_free(fs);
	return r;
}

/* --- paths ------------------------------------------------------------------------------ */

static int refuse(struct pyro_error *err, const char *path, const char *why)
{
	return err_set(err, PYRO_E_INVALID, "'%s' %s", path, why);
}

/* Steps from dir into its subdirectory `text`, which is made if missing. */
static int enter(struct ext4 *fs, ext2_ino_t *dir, const char *text, const char *path,
		 struct pyro_error *err)
{
	const struct name *name = find_name(fs, *dir, text);
	errcode_t code;

	if (name && !name->is_dir)
		return refuse(err, path, "leads through something that is not a directory");
	if (name) {
		*dir = name->ino;
		return 0;
	}
	code = make_dir(fs, *dir, text, dir);
	return code ? ext4_error(fs, err, code, path) : 0;
}

/* A copy of path without empty and "." components; "" for the root. NULL with err. */
static char *normalise(const char *path, struct pyro_error *err)
{
	AUTO_FREE char *clean = mem_zalloc(1, strlen(path) + 1);
	size_t len = 0, n;

	if (*path == '/') {
		(void)refuse(err, path, "is an absolute path");
		return NULL;
	}
	for (const char *p = path; *p; p += n + (p[n] == '/')) {
		n = strcspn(p, "/");
		if (n == 0 || (n == 1 && *p == '.'))
			continue;
		if ((n == 2 && p[0] == '.' && p[1] == '.') || n > EXT2_NAME_LEN) {
			(void)refuse(err, path, n == 2 ? "leads upwards" : "has too long a name");
			return NULL;
		}
		if (len)
			clean[len++] = '/';
		memcpy(clean + len, p, n);
		len += n;
	}
	return TAKE_PTR(clean);
}

/*
 * The directory that path (normalised, cut at its last slash here) lies in, and the last name.
 * given is the path as errors name it.
 */
static int find_parent(struct ext4 *fs, char *path, const char *given, ext2_ino_t *ret_dir,
		       const char **ret_name, struct pyro_error *err)
{
	char *slash = strrchr(path, '/'), *rest = path, *part;

	*ret_dir = EXT2_ROOT_INO;
	*ret_name = slash ? slash + 1 : path;
	if (!slash)
		return 0;
	*slash = '\0';
	while ((part = strsep(&rest, "/")))
		if (enter(fs, ret_dir, part, given, err) < 0)
			return -1;
	return 0;
}

/* Takes away one name of something that is no directory, and the inode with the last name. */
static errcode_t drop(struct ext4 *fs, struct name *name)
{
	struct ext2_inode_large inode;
	struct ext2_inode *small = EXT2_INODE(&inode);
	ext2_ino_t ino = name->ino;
	errcode_t code = ext2fs_read_inode_full(fs->fs, ino, small, sizeof(inode));

	if (!code)
		code = ext2fs_unlink(fs->fs, name->dir, name->text, ino, 0);
	if (code)
		return code;
	forget_name(fs, name);
	if (--inode.i_links_count == 0) {
		code = ext2fs_free_ext_attr(fs->fs, ino, &inode);
		if (!code && ext2fs_inode_has_valid_blocks2(fs->fs, small))
			code = ext2fs_punch(fs->fs, ino, small, NULL, 0, ~0ULL);
		if (code)
			return code;
		inode.i_dtime = (uint32_t)inode.i_mtime;
		ext2fs_inode_alloc_stats2(fs->fs, ino, -1, 0);
	}
	return ext2fs_write_inode_full(fs->fs, ino, small, sizeof(inode));
}

/*
 * Makes room for a new entry. *ret is 0, or a directory that stays because the new one is a
 * directory, too.
 */
static int clear_name(struct ext4 *fs, ext2_ino_t dir, const char *text, bool want_dir,
		      ext2_ino_t *ret, const char *path, struct pyro_error *err)
{
	struct name *name = find_name(fs, dir, text);
	errcode_t code;

	*ret = name && name->is_dir ? name->ino : 0;
	if (*ret)
		return want_dir ? 0 : refuse(err, path, "would replace a directory");
	code = name ? drop(fs, name) : 0;
	return code ? ext4_error(fs, err, code, path) : 0;
}

/* --- entries ---------------------------------------------------------------------------- */

static void set_time(uint32_t *low, uint32_t *extra, int64_t seconds, uint32_t ns)
{
	/* Thirty-four bits from 1901 on: two epoch bits share a word with the nanoseconds. */
	int64_t max = ((int64_t)4 << 32) + INT32_MIN - 1;

	seconds = seconds < INT32_MIN ? INT32_MIN : seconds > max ? max : seconds;
	*low = (uint32_t)seconds;
	*extra = (uint32_t)((seconds - (int32_t)*low) >> 32 & 3) | (ns % 1000000000) << 2;
}

static void set_attributes(struct ext2_inode_large *inode, const struct ext4_entry *e)
{
	uint32_t time, extra;

	set_time(&time, &extra, e->mtime_s, e->mtime_ns);
	inode->i_mode = (uint16_t)e->mode;
	inode->i_uid = (uint16_t)e->uid;
	inode->i_gid = (uint16_t)e->gid;
	ext2fs_set_i_uid_high(*inode, (uint16_t)(e->uid >> 16));
	ext2fs_set_i_gid_high(*inode, (uint16_t)(e->gid >> 16));
	inode->i_extra_isize = sizeof(*inode) - EXT2_GOOD_OLD_INODE_SIZE;
	inode->i_atime = inode->i_ctime = inode->i_mtime = inode->i_crtime = time;
	inode->i_atime_extra = inode->i_ctime_extra = extra;
	inode->i_mtime_extra = inode->i_crtime_extra = extra;
}

static void set_device(struct ext2_inode_large *inode, uint32_t dev_major, uint32_t dev_minor)
{
	if (dev_major < 256 && dev_minor < 256)
		inode->i_block[0] = dev_major << 8 | dev_minor;
	else
		inode->i_block[1] =
			(dev_minor & 0xff) | dev_major << 8 | (dev_minor & ~0xffU) << 12;
}

static int entry_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

/* A new inode that is neither directory nor symbolic link, with its name. */
static errcode_t make_inode(struct ext4 *fs, ext2_ino_t dir, const char *name,
			    const struct ext4_entry *e, ext2_ino_t *ret)
{
	struct ext2_inode_large inode = {.i_mode = (uint16_t)e->mode, .i_links_count = 1};
	errcode_t code = ext2fs_new_inode(fs->fs, dir, (int)e->mode, NULL, ret);

	if (code)
		return code;
	ext2fs_inode_alloc_stats2(fs->fs, *ret, 1, 0);
	if (S_ISREG(e->mode)) {
		inode.i_flags = EXT4_EXTENTS_FL;
		code = ext2fs_write_new_inode(fs->fs, *ret, EXT2_INODE(&inode));
		if (!code) { /* makes the root of an empty extent tree */
			ext2_extent_handle_t handle;

			code = ext2fs_extent_open2(fs->fs, *ret, EXT2_INODE(&inode), &handle);
			if (!code)
				ext2fs_extent_free(handle);
		}
	} else if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		set_device(&inode, e->dev_major, e->dev_minor);
	}
	set_attributes(&inode, e); /* last: a new inode that is of 1970 gets today's times */
	if (!code)
		code = ext2fs_write_inode_full(fs->fs, *ret, EXT2_INODE(&inode), sizeof(inode));
	return code ? code : add_name(fs, dir, name, *ret, entry_type(e->mode));
}

static errcode_t make_symlink(struct ext4 *fs, ext2_ino_t dir, const char *name, const char *target,
			      ext2_ino_t *ret)
{
	errcode_t code = ext2fs_new_inode(fs->fs, dir, LINUX_S_IFLNK | 0777, NULL, ret);

	if (!code)
		code = ext2fs_symlink(fs->fs, dir, *ret, NULL, target);
	return code ? code : add_name(fs, dir, name, *ret, EXT2_FT_SYMLINK);
}

/* What make_dir and ext2fs_symlink made gets its owner, permissions and times. */
static errcode_t apply_attributes(struct ext4 *fs, ext2_ino_t ino, const struct ext4_entry *e)
{
	struct ext2_inode_large inode;
	errcode_t code = ext2fs_read_inode_full(fs->fs, ino, EXT2_INODE(&inode), sizeof(inode));

	if (code)
		return code;
	set_attributes(&inode, e);
	return ext2fs_write_inode_full(fs->fs, ino, EXT2_INODE(&inode), sizeof(inode));
}

static errcode_t make_entry(struct ext4 *fs, ext2_ino_t dir, const char *name,
			    const struct ext4_entry *e, ext2_ino_t *ino)
{
	errcode_t code = 0;

	if (!S_ISDIR(e->mode) && !S_ISLNK(e->mode))
		return make_inode(fs, dir, name, e, ino);
	if (S_ISLNK(e->mode))
		code = make_symlink(fs, dir, name, e->target, ino);
	else if (!*ino)
		code = make_dir(fs, dir, name, ino);
	return code ? code : apply_attributes(fs, *ino, e);
}

int ext4_add(struct ext4 *fs, const struct ext4_entry *e, struct pyro_error *err)
{
	AUTO_FREE char *path = normalise(e->path, err);
	ext2_ino_t dir = EXT2_ROOT_INO, ino = EXT2_ROOT_INO;
	const char *name = "";
	errcode_t code;

	if (!path)
		return -1;
	if (entry_type(e->mode) == EXT2_FT_UNKNOWN || (!*path && !S_ISDIR(e->mode)))
		return refuse(err, e->path, "is of a kind that cannot be");
	if (S_ISLNK(e->mode) && (!*e->target || strlen(e->target) >= BLOCK_SIZE))
		return refuse(err, e->path, "is a symbolic link to an impossible target");
	if (*path && find_parent(fs, path, e->path, &dir, &name, err) < 0)
		return -1;
	if (*path && clear_name(fs, dir, name, S_ISDIR(e->mode), &ino, e->path, err) < 0)
		return -1;
	code = make_entry(fs, dir, name, e, &ino);
	if (!code && S_ISREG(e->mode))
		code = ext2fs_file_open(fs->fs, ino, EXT2_FILE_WRITE, &fs->file);
	fs->current = ino;
	return code ? ext4_error(fs, err, code, e->path) : 0;
}

int ext4_need_dir(struct ext4 *fs, const char *path, struct pyro_error *err)
{
	AUTO_FREE char *clean = normalise(path, err);
	char *rest = clean, *part;
	ext2_ino_t dir = EXT2_ROOT_INO;

	while ((part = strsep(&rest, "/")))
		if (*part && enter(fs, &dir, part, path, err) < 0)
			return -1;
	return clean ? 0 : -1;
}

int ext4_write(struct ext4 *fs, const void *data, size_t len, int64_t offset,
	       struct pyro_error *err)
{
	const char *p = data;
	errcode_t code = ext2fs_file_llseek(fs->file, (__u64)offset, EXT2_SEEK_SET, NULL);

	while (!code && len) {
		unsigned int n = 0;

		code = ext2fs_file_write(fs->file, p, len > 1 << 20 ? 1 << 20 : (unsigned)len, &n);
		p += n;
		len -= n;
	}
	return code ? ext4_error(fs, err, code, "a file") : 0;
}

int ext4_finish(struct ext4 *fs, int64_t size_bytes, struct pyro_error *err)
{
	errcode_t code = ext2fs_file_set_size2(fs->file, (ext2_off64_t)size_bytes);
	errcode_t closed = ext2fs_file_close(fs->file);

	fs->file = NULL;
	return code || closed ? ext4_error(fs, err, code ? code : closed, "a file") : 0;
}

int ext4_set_xattr(struct ext4 *fs, const char *name, const void *value, size_t len,
		   struct pyro_error *err)
{
	struct ext2_xattr_handle *handle;
	errcode_t code = ext2fs_xattrs_open(fs->fs, fs->current, &handle);

	if (code)
		return ext4_error(fs, err, code, name);
	code = ext2fs_xattrs_read(handle);
	if (!code)
		code = ext2fs_xattr_set(handle, name, value, len);
	(void)ext2fs_xattrs_close(&handle);
	return code ? ext4_error(fs, err, code, name) : 0;
}

int ext4_link(struct ext4 *fs, const char *path, const char *existing, struct pyro_error *err)
{
	AUTO_FREE char *clean = normalise(path, err);
	AUTO_FREE char *from = clean ? normalise(existing, err) : NULL;
	struct ext2_inode_large inode;
	ext2_ino_t dir, ino, is_dir;
	const struct name *file;
	const char *name;
	errcode_t code;

	if (!from || find_parent(fs, from, existing, &dir, &name, err) < 0)
		return -1;
	file = find_name(fs, dir, name);
	if (!file || file->is_dir)
		return refuse(err, path, "is a link to a file that is not there");
	ino = file->ino;
	code = ext2fs_read_inode_full(fs->fs, ino, EXT2_INODE(&inode), sizeof(inode));
	if (code)
		return ext4_error(fs, err, code, path);
	if (inode.i_links_count >= EXT2_LINK_MAX)
		return refuse(err, path, "is one link too many");
	inode.i_links_count++;
	code = ext2fs_write_inode_full(fs->fs, ino, EXT2_INODE(&inode), sizeof(inode));
	if (code)
		return ext4_error(fs, err, code, path);
	if (find_parent(fs, clean, path, &dir, &name, err) < 0 ||
	    clear_name(fs, dir, name, false, &is_dir, path, err) < 0)
		return -1;
	code = add_name(fs, dir, name, ino, entry_type(inode.i_mode));
	return code ? ext4_error(fs, err, code, path) : 0;
}
