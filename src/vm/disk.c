#include "vm/disk.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "vm/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISK_MS 60000 /* milliseconds are enough; this is for a machine under great load */
#define COPY_MS (20 * 60 * 1000)
#define MEMORY_BYTES (64 << 20)
#define FREE_MS 5000
#define FREE_LOOK_MS 5

char *disk_tag(const char *snapshot_name)
{
	return mem_printf("pyro.%s", snapshot_name);
}

char *disk_path(const char *dir)
{
	return mem_printf("%s/disk.qcow2", dir);
}

char *disk_copy_path(const char *dir, const char *tag)
{
	return mem_printf("%s/snapshots/%s", dir, tag);
}

/* What the agent of host_compat has for /workspace. */
static char *host_tree(const char *dir)
{
	return mem_printf("%s/root/workspace", dir);
}

/*
 * A guest's qcow2.
 */

static char *find_qemu_img(struct pyro_error *err)
{
	AUTO_FREE char *found = proc_find("qemu-img");
	char *real = found ? realpath(found, NULL) : NULL;

	if (!real) {
		(void)err_set(err, PYRO_E_MISSING_DEPENDENCY, "'qemu-img' is not installed");
		(void)err_hint(err, "apt install qemu-utils");
	}
	return real;
}

int disk_await_free(const char *dir, struct pyro_error *err)
{
	AUTO_FREE char *path = disk_path(dir);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t deadline = deadline_in(FREE_MS);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open '%s'", path);
	for (;;) {
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

		if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
			return err_sys(err, errno, "look at the locks of '%s'", path);
		if (lock.l_type == F_UNLCK)
			return 0;
		if (deadline_left(deadline) == 0)
			return err_set(err, PYRO_E_BUSY, "another process uses '%s'", path);
		(void)poll(NULL, 0, FREE_LOOK_MS);
	}
}

/* `words` of qemu-img on the disk, which nobody uses; NULL-terminated. */
static int run_qemu_img(const char *vm_id, const char *dir, const char *const words[],
			struct pyro_error *err)
{
	AUTO_FREE char *path = disk_path(dir);
	AUTO_FREE char *program = find_qemu_img(err);
	const struct jail_file file = {path, "/vm/disk", true};
	const struct jail jail = {
		.program = program,
		.files = &file,
		.n_files = 1,
		.uid = jail_uid(vm_id),
		.ram_bytes = MEMORY_BYTES,
	};
	AUTO_ARGV struct argv argv = ARGV_INIT;
	AUTO_BUF struct buf errout = BUF_INIT(16 * 1024);
	struct proc_limit limits[JAIL_MAX_LIMITS];

	if (!program || jail_command(&jail, &argv, err) < 0)
		return -1;
	if (jail.uid != (uid_t)-1 && chown(path, jail.uid, jail.uid) < 0)
		return err_sys(err, errno, "give '%s' to the jail", path);
	for (size_t i = 0; words[i]; i++)
		argv_add(&argv, words[i], NULL);
	argv_add(&argv, "--image-opts", "driver=qcow2,file.driver=file,file.filename=/vm/disk",
		 NULL);
	return proc_check(&argv,
			  &(struct proc_options){
				  .limits = limits,
				  .n_limits = jail_limits(&jail, limits),
				  .is_jail = true,
				  .new_session = true,
				  .deadline = deadline_in(DISK_MS),
				  .errout = &errout,
			  },
			  err);
}

/* Is there from before a revert until it is whole. */
static char *revert_mark(const char *dir)
{
	return mem_printf("%s/reverting", dir);
}

static int remove_mark(const char *mark, struct pyro_error *err)
{
	return unlink(mark) < 0 && errno != ENOENT ? err_sys(err, errno, "remove '%s'", mark) : 0;
}

/*
 * QEMU reverts by writing the snapshot's L1 table over the active one, and only then clears the
 * bits that say "nobody else has this cluster" in it: killed in between, a guest would write into
 * clusters of the snapshot. qemu-img check counts who refers to what, and sets the bits by that.
 */
int disk_settle(const char *vm_id, const char *dir, struct pyro_error *err)
{
	static const char *const check[] = {"check", "-q", "-r", "all", NULL};
	AUTO_FREE char *mark = revert_mark(dir);

	if (disk_await_free(dir, err) < 0)
		return -1;
	if (!file_exists(mark))
		return 0;
	if (run_qemu_img(vm_id, dir, check, err) < 0)
		return err_wrap(err, "mend a disk whose revert was interrupted");
	return remove_mark(mark, err);
}

static int snapshot(const char *vm_id, const char *dir, const char *action, const char *tag,
		    struct pyro_error *err)
{
	const char *const words[] = {"snapshot", "-q", action, tag, NULL};

	return disk_settle(vm_id, dir, err) < 0 ? -1 : run_qemu_img(vm_id, dir, words, err);
}

static int revert(const char *vm_id, const char *dir, const char *tag, struct pyro_error *err)
{
	const char *const words[] = {"snapshot", "-q", "-a", tag, NULL};
	AUTO_FREE char *mark = revert_mark(dir);

	if (disk_settle(vm_id, dir, err) < 0 || file_write_atomic(mark, "", 0, 0600, err) < 0 ||
	    run_qemu_img(vm_id, dir, words, err) < 0)
		return -1;
	return remove_mark(mark, err);
}

/*
 * host_compat: trees.
 */

/* Not by the tree: a kill in the middle of copy_tree() leaves the machine without one. */
static bool is_on_host(const char *dir)
{
	AUTO_FREE char *root = mem_printf("%s/root", dir);

	return file_exists(root);
}

/* Copies a tree beside its place and then puts it there, in the place of what was. */
static int copy_tree(const char *from, const char *to, struct pyro_error *err)
{
	AUTO_FREE char *new = mem_printf("%s.new", to);
	AUTO_ARGV struct argv argv = ARGV_INIT;
	AUTO_BUF struct buf errout = BUF_INIT(16 * 1024);

	argv_add(&argv, "cp", "-a", "--reflink=auto", "--", from, new, NULL);
	if (dir_remove(new, err) < 0 ||
	    proc_check(&argv,
		       &(struct proc_options){.deadline = deadline_in(COPY_MS), .errout = &errout},
		       err) < 0)
		return -1;
	if (renameat2(AT_FDCWD, new, AT_FDCWD, to, RENAME_EXCHANGE) == 0)
		return dir_remove(new, err);
	/* There is none; or this file system cannot do it, and for a moment there is none. */
	if (dir_remove(to, err) < 0)
		return -1;
	return rename(new, to) < 0 ? err_sys(err, errno, "rename '%s'", new) : 0;
}

static int copy_out(const char *dir, const char *tag, struct pyro_error *err)
{
	AUTO_FREE char *tree = host_tree(dir);
	AUTO_FREE char *parent = mem_printf("%s/snapshots", dir);
	AUTO_FREE char *copy = disk_copy_path(dir, tag);

	return dir_make(parent, 0700, err) < 0 ? -1 : copy_tree(tree, copy, err);
}

static int copy_back(const char *dir, const char *tag, struct pyro_error *err)
{
	AUTO_FREE char *tree = host_tree(dir);
	AUTO_FREE char *copy = disk_copy_path(dir, tag);

	return copy_tree(copy, tree, err);
}

static int remove_copy(const char *dir, const char *tag, struct pyro_error *err)
{
	AUTO_FREE char *copy = disk_copy_path(dir, tag);

	return dir_remove(copy, err);
}

/*
 * Both.
 */

int disk_revert(const char *vm_id, const char *dir, const char *tag, struct pyro_error *err)
{
	int result = is_on_host(dir) ? copy_back(dir, tag, err) : revert(vm_id, dir, tag, err);

	return result < 0 ? err_wrap(err, "bring the disk back to a snapshot") : 0;
}

int disk_snapshot(const char *vm_id, const char *dir, const char *tag, struct pyro_error *err)
{
	int result;

	if (is_on_host(dir)) {
		result = copy_out(dir, tag, err);
	} else {
		(void)disk_delete_snapshot(vm_id, dir, tag, NULL);
		result = snapshot(vm_id, dir, "-c", tag, err);
	}
	return result < 0 ? err_wrap(err, "make a snapshot") : 0;
}

int disk_delete_snapshot(const char *vm_id, const char *dir, const char *tag,
			 struct pyro_error *err)
{
	struct pyro_error why;
	int result = is_on_host(dir) ? remove_copy(dir, tag, &why)
				     : snapshot(vm_id, dir, "-d", tag, &why);

	if (result == 0 || strstr(why.message, "not found"))
		return 0;
	if (err)
		*err = why;
	return err_wrap(err, "delete a snapshot");
}
