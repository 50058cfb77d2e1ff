#include "guest/identity.h"

#include "base/err.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/random.h>

#define RUN_PATH "/run/machine-id"
#define ETC_PATH "/etc/machine-id"

int identity_seed(const unsigned char *entropy, size_t len, struct pyro_error *err)
{
	AUTO_FREE struct rand_pool_info *info = mem_zalloc(1, sizeof(*info) + len);
	AUTO_FD int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	int r;

	info->entropy_count = (int)(len * 8);
	info->buf_size = (int)len;
	memcpy(info->buf, entropy, len);
	r = fd < 0 ? -1 : ioctl(fd, RNDADDENTROPY, info);
	/* Without this the generator may go on with the template's key for a while. */
	if (r == 0)
		r = ioctl(fd, RNDRESEEDCRNG);
	explicit_bzero(info->buf, len);
	return r < 0 ? err_sys(err, errno, "reseed random numbers") : 0;
}

int identity_set_clock(int64_t realtime_ns, struct pyro_error *err)
{
	struct timespec ts = {realtime_ns / 1000000000, realtime_ns % 1000000000};

	if (clock_settime(CLOCK_REALTIME, &ts) < 0)
		return err_sys(err, errno, "set the clock");
	return 0;
}

int identity_set_hostname(const char *name, struct pyro_error *err)
{
	if (sethostname(name, strlen(name)) < 0)
		return err_sys(err, errno, "set host name '%s'", name);
	return 0;
}

static int write_new(const char *path, const char *line, struct pyro_error *err)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0444);

	if (fd < 0)
		return err_sys(err, errno, "create '%s'", path);
	return file_write_all(fd, line, strlen(line), err);
}

int identity_set_machine_id(const char *hex, struct pyro_error *err)
{
	AUTO_FREE char *line = mem_printf("%s\n", hex);
	struct stat st;

	if (lstat(ETC_PATH, &st) < 0) {
		if (dir_make("/etc", 0755, err) < 0)
			return -1;
		return write_new(ETC_PATH, line, err);
	}
	if (write_new(RUN_PATH, line, err) < 0)
		return -1;
	/* Anything but a file is the image's own arrangement, most likely a link into /run. */
	if (S_ISREG(st.st_mode) && mount(RUN_PATH, ETC_PATH, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, errno, "cover '%s'", ETC_PATH);
	return 0;
}
