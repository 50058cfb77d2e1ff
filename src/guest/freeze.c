#include "guest/freeze.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

static struct loop *loop;
static struct loop_timer timer;

static void on_time(struct loop_timer *src)
{
	(void)src;
	(void)freeze_thaw();
}

void freeze_init(struct loop *agents_loop)
{
	loop = agents_loop;
	timer.on_time = on_time;
}

json_t *freeze_run(const void *arg, struct pyro_error *err)
{
	AUTO_FD int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)arg;
	if (fd < 0 || syncfs(fd) < 0 || ioctl(fd, FIFREEZE, 0) < 0) {
		(void)err_sys(err, errno, "freeze the root file system");
		return NULL;
	}
	return json_object();
}

void freeze_limit(bool is_wanted)
{
	if (!is_wanted)
		(void)freeze_thaw();
	/* In any case: the process may have been given up while the kernel still froze. */
	loop_set_timer(loop, &timer, deadline_in(FREEZE_MAX_MS));
}

bool freeze_thaw(void)
{
	AUTO_FD int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	loop_clear_timer(loop, &timer);
	return fd >= 0 && ioctl(fd, FITHAW, 0) == 0;
}
