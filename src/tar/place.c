#include "tar/place.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/trash.h"
#include "helper/confine.h"
#include "tar/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_BYTES ((rlim_t)2 << 30)
#define CPU_SECONDS 3600
#define REMNANT ".pyro-"
#define YOUNG_SECONDS 60 /* may be about to be locked */

/* What the child has to say, as hostile as the stream. */
struct outcome {
	int result;
	struct unpacked unpacked;
	struct pyro_error error;
};

static void on_signal(int sig)
{
	(void)sig;
}

/* The signals are blocked but while the child is waited for, so that none is missed. */
static void catch_signals(sigset_t *ret_waiting)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t mask;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &mask, ret_waiting);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
}

static void unpack_apart(int dir_fd, mode_t mask, int64_t bytes_max, struct outcome *ret)
{
	const struct confine_limits limits = {
		.memory_bytes = MEMORY_BYTES,
		.cpu_seconds = CPU_SECONDS,
		.link_dir = -1,
		.work_dir = dir_fd,
	};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret->result = confine(&limits, &ret->error);
	if (ret->result == 0)
		ret->result = unpack(dir_fd, mask, bytes_max, &ret->unpacked, &ret->error);
}

static int await_outcome(int fd, const sigset_t *waiting, struct outcome *ret,
			 struct pyro_error *err)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	if (ppoll(&wait, 1, NULL, waiting) < 0)
		return err_set(err, PYRO_E_CANCELLED, "the export was stopped");
	if (read(fd, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		return err_set(err, PYRO_E_LIMIT, "unpacking took too much time or memory");
	ret->error.message[sizeof(ret->error.message) - 1] = '\0';
	ret->error.hint[sizeof(ret->error.hint) - 1] = '\0';
	if (ret->result == 0)
		return 0;
	*err = ret->error;
	return -1;
}

static int unpack_in(int dir_fd, int64_t bytes_max, struct unpacked *ret, struct pyro_error *err)
{
	mode_t mask = umask(0077);
	AUTO_FD int ours = -1, theirs = -1;
	struct outcome outcome = {0};
	sigset_t waiting;
	int fds[2], r;
	pid_t child;

	catch_signals(&waiting);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	ours = fds[0];
	theirs = fds[1];
	child = fork();
	if (child < 0)
		return err_sys(err, errno, "start a process");
	if (child == 0) {
		unpack_apart(dir_fd, mask, bytes_max, &outcome);
		_exit(write(theirs, &outcome, sizeof(outcome)) < 0);
	}
	fd_close(&theirs);
	r = await_outcome(ours, &waiting, &outcome, err);
	proc_kill(child);
	*ret = outcome.unpacked;
	return r;
}

static const char *type_of(int dir_fd)
{
	struct stat st;

	if (fstatat(dir_fd, UNPACK_ITEM, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return NULL;
	return S_ISDIR(st.st_mode) ? "directory" : S_ISLNK(st.st_mode) ? "symlink" : "file";
}

/* A directory's own mode comes last: one that nobody may write could not be moved. */
static int move_into_place(int dir_fd, const struct unpacked *u, const char *path,
			   struct pyro_error *err)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, u->mtime};
	AUTO_FD int fd = unpack_open(dir_fd, UNPACK_ITEM); /* -1: it is none */

	if (renameat2(dir_fd, UNPACK_ITEM, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
		return err_sys(err, errno, "create '%s'", path);
	if (fd >= 0 && (fchmod(fd, u->mode & 0777) < 0 || futimens(fd, times) < 0))
		return err_sys(err, errno, "finish '%s'", path);
	return 0;
}

/* Refuses early what the rename would refuse at the end. */
static int check_place(const char *path, struct pyro_error *err)
{
	struct stat st;

	if (lstat(path, &st) == 0) {
		(void)err_set(err, PYRO_E_INVALID, "'%s' exists already", path);
		return err_hint(err, "export to a path that does not exist yet");
	}
	return errno == ENOENT ? 0 : err_sys(err, errno, "look at '%s'", path);
}

static int no_place(const char *path, int errnum, struct pyro_error *err)
{
	if (errnum != ENOENT)
		return err_sys(err, errnum, "create '%s'", path);
	(void)err_set(err, PYRO_E_NOT_FOUND, "the directory for '%s' does not exist", path);
	return err_hint(err, "make it with mkdir -p first");
}

/* Has the name of a temporary directory, and nobody holds its lock: a kill has left it. */
static bool is_remnant(int parent, const char *name)
{
	AUTO_FD int fd = -1;
	struct stat st;

	if (strncmp(name, REMNANT, strlen(REMNANT)) != 0 ||
	    strspn(name + strlen(REMNANT), "0123456789abcdef") != strlen(name) - strlen(REMNANT))
		return false;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	       time(NULL) - st.st_mtime > YOUNG_SECONDS && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* What earlier exports have left beside `temporary`. */
static void remove_remnants(const char *temporary)
{
	const char *slash = strrchr(temporary, '/');
	AUTO_FREE char *parent =
		slash ? mem_strndup(temporary, (size_t)(slash + 1 - temporary)) : mem_strdup(".");
	DIR *dir = opendir(parent);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_remnant(dirfd(dir), entry->d_name))
			(void)trash_remove(dirfd(dir), entry->d_name, NULL);
	if (dir)
		(void)closedir(dir);
}

int place_export(const char *path, const char *temporary, int64_t bytes_max, struct tally *ret,
		 const char **ret_type, struct pyro_error *err)
{
	struct unpacked unpacked = {0};
	AUTO_FD int dir_fd = -1;
	int r = -1;

	if (check_place(path, err) < 0)
		return -1;
	remove_remnants(temporary);
	if (mkdir(temporary, 0700) < 0)
		return no_place(path, errno, err);
	dir_fd = open(temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0)
		(void)err_sys(err, errno, "open '%s'", temporary);
	else if (flock(dir_fd, LOCK_EX) < 0)
		(void)err_sys(err, errno, "lock '%s'", temporary);
	else if (unpack_in(dir_fd, bytes_max, &unpacked, err) == 0) {
		*ret_type = type_of(dir_fd);
		r = move_into_place(dir_fd, &unpacked, path, err);
	}
	*ret = unpacked.tally;
	(void)dir_remove(temporary, NULL);
	return r;
}
