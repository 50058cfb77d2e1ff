#include "base/proc.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_CHILD_FDS 32
#define WARDEN_MS 10000
#define STDERR_KEPT (64 * 1024)
#define START_TIME_FIELD 22 /* of /proc/PID/stat, proc(5) */

static void add_owned(struct argv *a, char *s)
{
	a->v = mem_resize(a->v, a->n + 2, sizeof(*a->v));
	a->v[a->n++] = s;
	a->v[a->n] = NULL;
}

void argv_add(struct argv *a, ...)
{
	const char *s;
	va_list ap;

	va_start(ap, a);
	while ((s = va_arg(ap, const char *)))
		add_owned(a, mem_strdup(s));
	va_end(ap);
}

void argv_addf(struct argv *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_owned(a, mem_vprintf(fmt, ap));
	va_end(ap);
}

void argv_done(struct argv *a)
{
	strv_free(a->v);
	*a = (struct argv)ARGV_INIT;
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *proc_find(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return is_program(name) ? mem_strdup(name) : NULL;
	if (!path || !*path)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path) {
		size_t n = strcspn(path, ":");
		char *full = mem_printf("%.*s/%s", (int)n, path, name);

		if (n && is_program(full))
			return full;
		free(full);
		path += n + (path[n] == ':');
	}
	/* Administration tools (mke2fs, debugfs) are not in an ordinary user's PATH on Debian. */
	for (size_t i = 0; i < 2; i++) {
		char *full = mem_printf("%s/%s", i ? "/sbin" : "/usr/sbin", name);

		if (is_program(full))
			return full;
		free(full);
	}
	return NULL;
}

/* The lowest number above every place that the child's descriptors take. */
static int above_places(const struct proc_options *opt)
{
	int above = 3;

	for (size_t i = 0; i < opt->n_fds; i++)
		if (opt->fds[i].as >= above)
			above = opt->fds[i].as + 1;
	return above;
}

/*
 * In the child: the wanted descriptors in their places. All of them move above the places first,
 * so that none is overwritten before its turn; whatever else is open is closed on exec.
 */
static int place_fds(const struct proc_options *opt, int null_fd)
{
	int above = above_places(opt);
	int null_high = fcntl(null_fd, F_DUPFD_CLOEXEC, above);
	int high[MAX_CHILD_FDS];

	for (size_t i = 0; i < opt->n_fds; i++) {
		high[i] = fcntl(opt->fds[i].fd, F_DUPFD_CLOEXEC, above);
		if (high[i] < 0)
			return -1;
	}
	(void)close_range(0, ~0U, CLOSE_RANGE_CLOEXEC);
	for (int i = 0; i < 3; i++)
		if (dup2(null_high, i) < 0)
			return -1;
	for (size_t i = 0; i < opt->n_fds; i++)
		if (dup2(high[i], opt->fds[i].as) < 0)
			return -1;
	return 0;
}

static void child_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Runs in the child between fork and exec; returns errno of what failed. */
static int child_exec(const char *program, char *const *argv, const struct proc_options *opt,
		      int null_fd, pid_t parent)
{
	if (opt->new_session && !opt->is_jail)
		(void)setsid();
	if (opt->die_with_parent || opt->is_jail) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127);
	}
	if (opt->cwd && chdir(opt->cwd) < 0)
		return errno;
	if (place_fds(opt, null_fd) < 0)
		return errno;
	for (size_t i = 0; i < opt->n_limits; i++) {
		struct rlimit limit = {opt->limits[i].value, opt->limits[i].value};

		if (setrlimit((__rlimit_resource_t)opt->limits[i].resource, &limit) < 0)
			return errno;
	}
	child_signals();
	execve(program, argv, opt->env ? opt->env : environ);
	return errno;
}

void proc_kill_children(void)
{
	AUTO_BUF struct buf list = BUF_INIT(64 * 1024);
	int64_t pid;

	if (file_read("/proc/thread-self/children", &list, NULL) < 0)
		return;
	for (char *rest = list.data, *word; (word = strsep(&rest, " "));)
		if (parse_int(word, 2, INT32_MAX, &pid))
			(void)kill((pid_t)pid, SIGKILL);
}

void proc_end_children(int64_t deadline)
{
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (pid == 0) {
			if (deadline_left(deadline) == 0)
				return;
			proc_kill_children();
			(void)poll(NULL, 0, 1);
		}
	}
}

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/*
 * The warden of a jail: a process between us and bwrap, which ends all that is below when one of
 * the two has ended. bwrap has an option for that, but it is in force only when the jail is ready:
 * killed before, it leaves a process that waits for ever, or the program, which has our files.
 */
static _Noreturn void be_warden(pid_t child, int parent_fd)
{
	struct pollfd ends[2] = {{.events = POLLIN}, {.fd = parent_fd, .events = POLLIN}};
	int status = 0;

	(void)close_range(0, (unsigned)parent_fd - 1, 0);
	(void)close_range((unsigned)parent_fd + 1, ~0U, 0);
	ends[0].fd = open_pidfd(child);
	while (poll(ends, ARRAY_SIZE(ends), -1) < 0 && errno == EINTR)
		;
	if (!ends[0].revents)
		(void)kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	proc_end_children(deadline_in(WARDEN_MS));
	_exit(proc_exit_code(status));
}

/* Returns in the process that becomes the jail, which is a child of its warden. */
static void start_jail(const struct proc_options *opt, int parent_fd)
{
	pid_t pid;

	(void)prctl(PR_SET_NAME, "pyro-warden");
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (opt->new_session)
		(void)setsid();
	pid = fork();
	if (pid < 0)
		_exit(127);
	if (pid > 0)
		be_warden(pid, parent_fd);
}

pid_t proc_spawn(const struct argv *a, const struct proc_options *opt, struct pyro_error *err)
{
	AUTO_FREE char *program = proc_find(a->v[0]);
	AUTO_FD int null_fd = -1, status_r = -1, status_w = -1, self_fd = -1;
	int status[2], failure = 0;
	pid_t parent = getpid(), pid;
	sigset_t all, mask;
	ssize_t n;

	assert(opt->n_fds <= MAX_CHILD_FDS);
	if (!program)
		return err_set(err, PYRO_E_MISSING_DEPENDENCY, "'%s' is not installed", a->v[0]);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	self_fd = opt->is_jail ? open_pidfd(parent) : -1;
	if (null_fd < 0 || (opt->is_jail && self_fd < 0) || pipe2(status, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start '%s'", a->v[0]);
	status_r = status[0];
	status_w = status[1];
	/* No handler of the program may run in the child, whose memory is a copy of ours. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &mask);
	pid = fork();
	failure = errno;
	if (pid != 0)
		(void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (pid < 0)
		return err_sys(err, failure, "start '%s'", a->v[0]);
	if (pid == 0) {
		int high = fcntl(status_w, F_DUPFD_CLOEXEC, above_places(opt));

		if (opt->is_jail) {
			start_jail(opt, self_fd);
			parent = getppid();
		}
		failure = high < 0 ? errno : child_exec(program, a->v, opt, null_fd, parent);
		(void)!write(high < 0 ? status_w : high, &failure, sizeof(failure));
		_exit(127);
	}
	fd_close(&status_w);
	/* Nothing to read means that exec closed the pipe: the program runs. */
	do
		n = read(status_r, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(failure)) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return err_sys(err, failure, "start '%s'", program);
	}
	return pid;
}

int proc_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void proc_kill(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Moves what fd has into b, its beginning or its end if not all fits; false at end of file. */
static bool drain(int fd, struct buf *b, bool keep_end)
{
	char chunk[4096];
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n > 0 && b) {
		if (keep_end && b->len + (size_t)n > b->max)
			buf_consume(b, b->len - b->len / 2);
		buf_append(b, chunk, (size_t)n);
	}
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Reads both pipes until both ended or the deadline passed (then -1). */
static int collect(int out_fd, int err_fd, const struct proc_options *opt)
{
	struct pollfd p[2] = {{out_fd, POLLIN, 0}, {err_fd, POLLIN, 0}};

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		int left = deadline_left(opt->deadline);
		int n = poll(p, 2, left);

		if (n == 0 || left == 0)
			return -1;
		for (int i = 0; n > 0 && i < 2; i++)
			if (p[i].fd >= 0 && p[i].revents &&
			    !drain(p[i].fd, i ? opt->errout : opt->out, i == 1))
				p[i].fd = -1;
	}
	return 0;
}

bool proc_reap(pid_t pid, int *ret_status)
{
	pid_t reaped;

	do
		reaped = waitpid(pid, ret_status, WNOHANG);
	while (reaped < 0 && errno == EINTR);
	if (reaped < 0)
		*ret_status = PROC_LOST << 8 /* as WEXITSTATUS() wants it */;
	return reaped != 0;
}

/*
 * Reaps pid: 0 with *ret_status, or -1 if it still ran at the deadline. Where SIGCHLD is ignored
 * there may be no descriptor of it any more, or one that tells of its end a moment before waitpid()
 * knows.
 */
static int await_exit(pid_t pid, int64_t deadline, int *ret_status)
{
	AUTO_FD int fd = open_pidfd(pid);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (!proc_reap(pid, ret_status)) {
		int left = deadline_left(deadline);

		if (!left)
			return -1;
		(void)poll(&p, 1, fd < 0 ? 1 : left);
	}
	return 0;
}

int proc_run(const struct argv *a, const struct proc_options *opt, struct pyro_error *err)
{
	AUTO_FD int out_r = -1, out_w = -1, err_r = -1, err_w = -1;
	struct proc_options with = *opt;
	struct proc_fd fds[MAX_CHILD_FDS];
	int p[2], q[2], status = 0;
	pid_t pid;

	assert(opt->n_fds + 2 <= MAX_CHILD_FDS && opt->deadline);
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	out_r = p[0];
	out_w = p[1];
	if (pipe2(q, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	err_r = q[0];
	err_w = q[1];
	fds[0] = (struct proc_fd){out_w, STDOUT_FILENO};
	fds[1] = (struct proc_fd){err_w, STDERR_FILENO};
	for (size_t i = 0; i < opt->n_fds; i++)
		fds[i + 2] = opt->fds[i];
	with.fds = fds;
	with.n_fds = opt->n_fds + 2;
	pid = proc_spawn(a, &with, err);
	if (pid < 0)
		return -1;
	fd_close(&out_w);
	fd_close(&err_w);
	if (collect(out_r, err_r, opt) < 0 || await_exit(pid, opt->deadline, &status) < 0) {
		if (opt->new_session)
			(void)kill(-pid, SIGKILL);
		proc_kill(pid);
		return err_set(err, PYRO_E_TIMEOUT, "'%s' did not end in time", a->v[0]);
	}
	return proc_exit_code(status);
}

/* The last line of text that is not empty. */
static char *last_line(const char *text)
{
	size_t end = strlen(text), start;

	while (end && (text[end - 1] == '\n' || text[end - 1] == ' '))
		end--;
	start = end;
	while (start && text[start - 1] != '\n')
		start--;
	return mem_strndup(text + start, end - start);
}

int proc_check(const struct argv *a, const struct proc_options *opt, struct pyro_error *err)
{
	AUTO_BUF struct buf own = BUF_INIT(STDERR_KEPT);
	AUTO_FREE char *line = NULL;
	struct proc_options with = *opt;
	int code;

	if (!with.errout)
		with.errout = &own;
	code = proc_run(a, &with, err);
	if (code <= 0)
		return code;
	if (code == PROC_LOST)
		return err_set(err, PYRO_E_SYSTEM,
			       "how '%s' ended is not known: this program ignores SIGCHLD, or "
			       "waited for it",
			       a->v[0]);
	line = last_line(buf_text(with.errout));
	return err_set(err, PYRO_E_SYSTEM, "'%s' ended with status %d%s%s", a->v[0], code,
		       *line ? ": " : "", line);
}

int proc_hide_memory(struct pyro_error *err)
{
	const struct rlimit none = {0, 0};

	/* Where a program collects cores, it gets those of limit 0, too, but none of these. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, errno, "forbid core files");
	return 0;
}

uint64_t proc_start_time(pid_t pid)
{
	AUTO_BUF struct buf b = BUF_INIT(4096);
	AUTO_FREE char *path = mem_printf("/proc/%d/stat", (int)pid);
	int64_t ticks = 0;
	char *p;

	if (file_read(path, &b, NULL) < 0 || !b.data)
		return 0;
	p = strrchr(b.data, ')'); /* field 2 ends here; the name in it may hold anything */
	for (int field = 2; p && field < START_TIME_FIELD; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return 0;
	p[1 + strcspn(p + 1, " ")] = '\0';
	return parse_int(p + 1, 0, INT64_MAX, &ticks) ? (uint64_t)ticks : 0;
}
