#include "guest/boot.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "guest/put.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>

#define PORT_NAME "pyro.agent"
#define PORTS "/sys/class/virtio-ports"
#define DISK "/dev/vda"
#define NEW_ROOT "/newroot"
#define DEVICE_WAIT_MS 30000 /* also for an emulated machine on a busy host */
#define POLL_MS 2
#define FILES_SOFT 65536
#define FILES_HARD 524288

static int mount_dir(const char *type, const char *path, unsigned long flags, const char *data,
		     struct pyro_error *err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "create directory '%s'", path);
	if (mount(type, path, type, flags, data) < 0)
		return err_sys(err, errno, "mount %s on '%s'", type, path);
	return 0;
}

static int mount_all(struct pyro_error *err)
{
	const unsigned long safe = MS_NOSUID | MS_NODEV, none = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount_dir("devtmpfs", "/dev", MS_NOSUID, "mode=0755", err) < 0 ||
	    mount_dir("proc", "/proc", none, NULL, err) < 0 ||
	    mount_dir("sysfs", "/sys", none, NULL, err) < 0 ||
	    mount_dir("cgroup2", "/sys/fs/cgroup", none, NULL, err) < 0 ||
	    mount_dir("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666",
		      err) < 0 ||
	    mount_dir("tmpfs", "/dev/shm", safe, "mode=1777", err) < 0)
		return -1;
	return mount_dir("tmpfs", "/run", safe, "mode=0755", err);
}

/* The kernel starts PID 1 without descriptors when the initramfs has no /dev/console. */
static void open_standard_fds(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = dup(fd);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* What devtmpfs lacks; shells use /dev/fd for process substitution. */
static int link_dev(struct pyro_error *err)
{
	static const char *const links[][2] = {
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			return err_sys(err, errno, "create '%s'", links[i][1]);
	return 0;
}

static int load_module(const char *name, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("/modules/%s", name);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "open module '%s'", path);
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
		return err_sys(err, errno, "load module '%s'", path);
	return 0;
}

static int load_modules(struct pyro_error *err)
{
	AUTO_BUF struct buf order = BUF_INIT(64 * 1024);
	char *line, *rest;

	if (!file_exists("/modules/order"))
		return 0;
	if (file_read("/modules/order", &order, err) < 0)
		return -1;
	rest = order.data;
	while ((line = strsep(&rest, "\n")))
		if (*line && load_module(line, err) < 0)
			return -1;
	return 0;
}

static int raise_loopback(struct pyro_error *err)
{
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return err_sys(err, errno, "bring the loopback device up");
	return 0;
}

int boot_early(struct pyro_error *err)
{
	const struct rlimit files = {FILES_SOFT, FILES_HARD};

	if (mount_all(err) < 0)
		return -1;
	open_standard_fds();
	if (link_dev(err) < 0)
		return -1;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, errno, "raise the limit of open files");
	if (load_modules(err) < 0)
		return -1;
	return raise_loopback(err);
}

static bool is_port(const char *device)
{
	AUTO_FREE char *path = mem_printf(PORTS "/%s/name", device);
	AUTO_BUF struct buf name = BUF_INIT(256);

	return file_read(path, &name, NULL) == 0 && strcmp(buf_text(&name), PORT_NAME "\n") == 0;
}

/* Opens the port if it is there: -1 without err if not yet. */
static int try_port(void)
{
	DIR *dir = opendir(PORTS);
	struct dirent *entry;
	int fd = -1;

	while (fd < 0 && dir && (entry = readdir(dir))) {
		AUTO_FREE char *path = mem_printf("/dev/%s", entry->d_name);

		if (entry->d_name[0] != '.' && is_port(entry->d_name))
			fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	if (dir)
		(void)closedir(dir);
	return fd;
}

int boot_open_port(struct pyro_error *err)
{
	int64_t deadline = deadline_in(DEVICE_WAIT_MS);
	int fd;

	while ((fd = try_port()) < 0) {
		if (deadline_left(deadline) == 0)
			return err_set(err, PYRO_E_NOT_FOUND, "no port '%s' appeared", PORT_NAME);
		(void)poll(NULL, 0, POLL_MS);
	}
	return fd;
}

/* The kernel may hold blocks of the disk that was there when the template was made. */
static int flush_disk(struct pyro_error *err)
{
	int64_t deadline = deadline_in(DEVICE_WAIT_MS);
	AUTO_FD int fd = -1;

	while ((fd = open(DISK, O_RDONLY | O_CLOEXEC)) < 0) {
		if (errno != ENOENT || deadline_left(deadline) == 0)
			return err_sys(err, errno, "open disk '%s'", DISK);
		(void)poll(NULL, 0, POLL_MS);
	}
	if (ioctl(fd, BLKFLSBUF, 0) < 0)
		return err_sys(err, errno, "flush disk '%s'", DISK);
	return 0;
}

static const char *const moved[] = {"/dev", "/proc", "/sys", "/run"};

/* The directories that mounts go to; a root file system of a single program has none of them. */
static int make_mount_points(struct pyro_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
		AUTO_FREE char *path = mem_printf(NEW_ROOT "%s", moved[i]);
		struct stat st;

		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			continue;
		if (mkdir(path, 0755) < 0)
			return err_sys(err, errno, "create directory '%s' in the root file system",
				       moved[i]);
	}
	return 0;
}

static int switch_root(struct pyro_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
		AUTO_FREE char *path = mem_printf(NEW_ROOT "%s", moved[i]);

		if (mount(moved[i], path, NULL, MS_MOVE, NULL) < 0)
			return err_sys(err, errno, "move '%s' into the root file system", moved[i]);
	}
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return err_sys(err, errno, "switch to the root file system");
	return 0;
}

int boot_mount_root(struct pyro_error *err)
{
	if (flush_disk(err) < 0)
		return -1;
	if (mkdir(NEW_ROOT, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "create directory '%s'", NEW_ROOT);
	/* noinit_itable: filling in inode tables is work that a short life never profits from. */
	if (mount(DISK, NEW_ROOT, "ext4", MS_NOATIME, "noinit_itable") < 0)
		return err_sys(err, errno, "mount '%s'", DISK);
	if (make_mount_points(err) < 0) {
		(void)umount2(NEW_ROOT, MNT_DETACH);
		return -1;
	}
	if (switch_root(err) < 0)
		return -1;
	put_prepare();
	return 0;
}

int boot_flush_root(struct pyro_error *err)
{
	sync();
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_NOATIME | MS_RDONLY, NULL) < 0)
		return err_sys(err, errno, "make the root file system read-only");
	return 0;
}
