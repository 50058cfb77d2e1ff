#include "base/err.h"
#include "base/file.h"
#include "helper/confine.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SANITIZED /* there nothing is forbidden */

/* Landlock says EACCES; without the limit on descriptors, a file outside would open. */
static bool is_forbidden(int result)
{
	return result < 0 && (errno == EACCES || errno == EMFILE);
}

/* 0, or the number of the first thing that was not as it should be. */
static int try_work(int work_dir, const char *outside)
{
	const struct confine_limits limits = {
		.memory_bytes = RLIM_INFINITY,
		.cpu_seconds = 10,
		.link_dir = -1,
		.work_dir = work_dir,
	};
	bool may_work = work_dir >= 0;
	struct pyro_error err;

	if (confine(&limits, &err) < 0)
		return 1;
	if (!is_forbidden(open(outside, O_RDONLY)) || !is_forbidden(open("/", O_RDONLY)) ||
	    !is_forbidden(mkdir("/tmp/outside", 0700)) || !is_forbidden(unlink(outside)))
		return 2;
	if (may_work &&
	    (openat(work_dir, "new", O_WRONLY | O_CREAT | O_EXCL, 0600) < 0 ||
	     mkdirat(work_dir, "dir", 0700) < 0 || symlinkat("x", work_dir, "link") < 0))
		return 3;
	if (may_work && (mknodat(work_dir, "pipe", S_IFIFO | 0600, 0) == 0 || errno != EACCES))
		return 4;
	return 0;
}

TEST("a confined process can open nothing, or only work below one directory")
{
	char dir[] = "/tmp/pyro-confine-XXXXXX";
	AUTO_FREE char *outside = NULL, *work = NULL;
	AUTO_FD int fd = -1, work_fd = -1;
	struct pyro_error err;

	CHECK(mkdtemp(dir));
	outside = mem_printf("%s/outside", dir);
	work = mem_printf("%s/work", dir);
	fd = open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && mkdir(work, 0700) == 0);
	work_fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int may_work = 0; may_work <= 1; may_work++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(try_work(may_work ? work_fd : -1, outside));
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK_INT(status, 0);
	}
	CHECK_OK(dir_remove(dir, &err), err);
}

#endif
