#include "guest/tree.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/parse.h"
#include "guest/keeper.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define GROUP CGROUP_ROOT "/pyro"
#define PROCESSES_MAX 16384
#define REAP_MAX 16
#define TIDY_MS 100
#define START_MS 10000
#define PIDS_MAX (256 * 1024) /* bytes of cgroup.procs, which names PROCESSES_MAX at the most */
/* Memory of the guest that its commands cannot have: the agent's and the kernel's. */
#define RESERVE_BYTES (24LL * 1024 * 1024)

struct tree {
	struct tree *next;
	unsigned number;          /* names its cgroup */
	pid_t pid;                /* the first process, or its keeper; 0: reaped */
	pid_t first;              /* the first process, for ever */
	struct loop_fd status_fd; /* from the keeper */
	struct loop_fd events_fd; /* the cgroup's, while on_empty is due */
	const struct tree_ops *ops;
	void *ctx;
	bool is_ended;  /* on_exit was called */
	bool is_ending; /* on_empty is due */
	bool is_released;
};

static struct {
	struct loop *loop;
	bool is_guest;
	struct loop_fd sigchld;
	struct tree *trees; /* those that hold anything: a process, a cgroup, an owner */
	struct loop_timer tidy;
	unsigned last_number;
	unsigned prepared; /* number of the cgroup that was made in advance */
} self;

static int write_file(const char *path, const char *text, struct pyro_error *err)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return err_sys(err, errno, "write '%s'", path);
	return 0;
}

static void group_path(unsigned number, const char *file, char *ret, size_t size)
{
	(void)snprintf(ret, size, GROUP "/%u%s", number, file);
}

/* What pids.max can be: the kernel keeps a quarter of its threads to itself and the agent. */
static long long processes_max(void)
{
	AUTO_BUF struct buf text = BUF_INIT(32);
	int64_t threads_max = 0;

	if (file_read("/proc/sys/kernel/threads-max", &text, NULL) == 0 && text.len)
		text.data[text.len - 1] = '\0';
	if (!parse_int(buf_text(&text), 1, INT32_MAX, &threads_max))
		return PROCESSES_MAX;
	return threads_max / 4 * 3 < PROCESSES_MAX ? threads_max / 4 * 3 : PROCESSES_MAX;
}

/* Of what is free before anything was started: the rest is the kernel's for good. */
static long long memory_max(void)
{
	struct sysinfo info = {0};
	long long available;

	(void)sysinfo(&info);
	available = (long long)info.freeram * info.mem_unit;
	return available - RESERVE_BYTES > available / 2 ? available - RESERVE_BYTES
							 : available / 2;
}

/* The limits for all commands together. A tree's own cgroup has no controllers: that is cheaper. */
static int make_group(struct pyro_error *err)
{
	AUTO_FREE char *processes = mem_printf("%lld", processes_max());
	AUTO_FREE char *memory = mem_printf("%lld", memory_max());

	if (write_file(CGROUP_ROOT "/cgroup.subtree_control", "+pids +memory", err) < 0)
		return -1;
	if (mkdir(GROUP, 0755) < 0)
		return err_sys(err, errno, "create cgroup '%s'", GROUP);
	if (write_file(GROUP "/pids.max", processes, err) < 0)
		return -1;
	return write_file(GROUP "/memory.max", memory, err);
}

/* Frees a tree that nobody owns and that holds nothing any more. */
static bool is_gone(const struct tree *tree)
{
	char path[64];

	if (!tree->is_released || tree->pid)
		return false;
	if (!self.is_guest)
		return true;
	group_path(tree->number, "", path, sizeof(path));
	return rmdir(path) == 0 || errno == ENOENT;
}

static void sweep(void)
{
	struct tree **at = &self.trees;

	while (*at) {
		struct tree *tree = *at;

		if (is_gone(tree)) {
			*at = tree->next;
			free(tree);
		} else {
			at = &tree->next;
		}
	}
}

static int make_cgroup(unsigned number, struct pyro_error *err)
{
	char path[64];

	if (self.prepared == number)
		return 0;
	group_path(number, "", path, sizeof(path));
	if (mkdir(path, 0755) < 0)
		return err_sys(err, errno, "create cgroup '%s'", path);
	return 0;
}

/* The next tree's cgroup, so that its start need not wait for the kernel's slow path. */
static void prepare(void)
{
	if (make_cgroup(self.last_number + 1, NULL) == 0)
		self.prepared = self.last_number + 1;
}

/* What a start or an end need not wait for. */
static void on_tidy(struct loop_timer *timer)
{
	(void)timer;
	sweep();
	if (self.is_guest)
		prepare();
}

static void end_tree(struct tree *tree, int status)
{
	if (tree->is_ended || tree->is_released)
		return;
	tree->is_ended = true;
	tree->ops->on_exit(tree, status);
}

/* What the keeper told; without a word from it, as if the command had been killed. */
static void read_status(struct tree *tree)
{
	int fd = tree->status_fd.fd, status = SIGKILL;

	if (!tree->status_fd.is_added)
		return;
	loop_remove_fd(self.loop, &tree->status_fd);
	if (read(fd, &status, sizeof(status)) != (ssize_t)sizeof(status))
		status = SIGKILL;
	fd_close(&fd);
	end_tree(tree, status);
}

static void on_status(struct loop_fd *src, uint32_t events)
{
	(void)events;
	read_status(src->ctx);
}

static void close_events(struct tree *tree)
{
	if (!tree->events_fd.is_added)
		return;
	loop_remove_fd(self.loop, &tree->events_fd);
	fd_close(&tree->events_fd.fd);
}

static void tell_empty(struct tree *tree)
{
	if (!tree->is_ending)
		return;
	tree->is_ending = false;
	close_events(tree);
	if (!tree->is_released)
		tree->ops->on_empty(tree);
}

static void reaped(pid_t pid, int status)
{
	struct tree *tree = self.trees;

	while (tree && tree->pid != pid)
		tree = tree->next;
	if (!tree)
		return; /* an orphan that was handed to PID 1 */
	tree->pid = 0;
	if (self.is_guest) {
		end_tree(tree, status);
		return;
	}
	read_status(tree);
	tell_empty(tree);
}

/*
 * Reaps what ended, up to a number: under a fork bomb there is always more. Returns what the last
 * waitpid did: more than 0 if there may be more, -1 if no child is left at all.
 */
static pid_t reap(void)
{
	pid_t pid = 1;
	int status;

	for (int n = 0; n < REAP_MAX && pid > 0; n++) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid > 0)
			reaped(pid, status);
	}
	return pid;
}

static void on_sigchld(struct loop_fd *src, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	(void)!read(src->fd, &info, sizeof(info));
	if (reap() > 0)
		(void)raise(SIGCHLD); /* go on after the others in the loop had their turn */
}

int tree_init(struct loop *loop, bool is_guest, struct pyro_error *err)
{
	sigset_t set;
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_sys(err, errno, "create a signal descriptor");
	self.loop = loop;
	self.is_guest = is_guest;
	self.sigchld.on_ready = on_sigchld;
	if (loop_add_fd(loop, &self.sigchld, fd, EPOLLIN, err) < 0)
		return -1;
	self.tidy.on_time = on_tidy;
	if (is_guest && make_group(err) < 0)
		return -1;
	if (is_guest)
		prepare();
	return 0;
}

/* fork() into the cgroup, so that not one instruction of the command runs outside of it. */
static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup_fd,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int start_in_cgroup(struct tree *tree, int (*run)(const void *arg), const void *arg,
			   struct pyro_error *err)
{
	AUTO_FD int fd = -1;
	char path[64];

	if (make_cgroup(tree->number, err) < 0)
		return -1;
	group_path(tree->number, "", path, sizeof(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tree->pid = fd < 0 ? -1 : fork_into(fd);
	if (tree->pid == 0)
		keeper_run_first(run, arg);
	if (tree->pid < 0) {
		(void)err_sys(err, errno, "start a process");
		(void)rmdir(path);
		return -1;
	}
	tree->first = tree->pid;
	return 0;
}

/* What the keeper tells at once; an error if it could not start it. */
static int read_first_pid(struct tree *tree, struct pyro_error *err)
{
	struct pollfd p = {.fd = tree->status_fd.fd, .events = POLLIN};

	if (poll(&p, 1, START_MS) > 0 &&
	    read(p.fd, &tree->first, sizeof(tree->first)) == (ssize_t)sizeof(tree->first))
		return 0;
	loop_remove_fd(self.loop, &tree->status_fd);
	(void)kill(tree->pid, SIGTERM);
	return err_set(err, PYRO_E_SYSTEM, "start a process: it has no keeper");
}

static int start_with_keeper(struct tree *tree, int (*run)(const void *arg), const void *arg,
			     struct pyro_error *err)
{
	AUTO_FD int read_end = -1, write_end = -1;
	pid_t agent = getpid();
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	read_end = p[0];
	write_end = p[1];
	tree->status_fd.on_ready = on_status;
	tree->status_fd.ctx = tree;
	if (loop_add_fd(self.loop, &tree->status_fd, read_end, EPOLLIN, err) < 0)
		return -1;
	tree->pid = fork();
	if (tree->pid == 0)
		keeper_main(run, arg, write_end, agent);
	if (tree->pid < 0) {
		(void)err_sys(err, errno, "start a process");
		loop_remove_fd(self.loop, &tree->status_fd);
		return -1;
	}
	fd_close(&write_end);
	if (read_first_pid(tree, err) < 0)
		return -1;
	(void)TAKE_FD(read_end);
	return 0;
}

struct tree *tree_start(int (*run)(const void *arg), const void *arg, const struct tree_ops *ops,
			void *ctx, struct pyro_error *err)
{
	struct tree *tree = mem_zalloc(1, sizeof(*tree));
	int r;

	tree->number = ++self.last_number;
	tree->ops = ops;
	tree->ctx = ctx;
	r = self.is_guest ? start_in_cgroup(tree, run, arg, err)
			  : start_with_keeper(tree, run, arg, err);
	if (r < 0) {
		free(tree);
		return NULL;
	}
	tree->next = self.trees;
	self.trees = tree;
	return tree;
}

void *tree_ctx(const struct tree *tree)
{
	return tree->ctx;
}

pid_t tree_first_pid(const struct tree *tree)
{
	return tree->first;
}

void tree_kill(struct tree *tree)
{
	char path[64];

	if (self.is_guest) {
		group_path(tree->number, "/cgroup.kill", path, sizeof(path));
		(void)write_file(path, "1", NULL);
	}
	if (tree->pid)
		(void)kill(tree->pid, self.is_guest ? SIGKILL : SIGTERM);
}

/* The file cgroup.events; reading it is also what the next event is relative to. */
static bool is_populated(int fd)
{
	char text[128];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "populated 1") != NULL;
}

static void on_cgroup_event(struct loop_fd *src, uint32_t events)
{
	(void)events;
	if (!is_populated(src->fd))
		tell_empty(src->ctx);
}

bool tree_end(struct tree *tree)
{
	AUTO_FD int fd = -1;
	char path[64];

	tree_kill(tree);
	if (!self.is_guest) {
		tree->is_ending = tree->pid;
		return !tree->is_ending;
	}
	group_path(tree->number, "/cgroup.events", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	tree->events_fd.on_ready = on_cgroup_event;
	tree->events_fd.ctx = tree;
	if (fd < 0 || !is_populated(fd) ||
	    loop_add_fd(self.loop, &tree->events_fd, fd, EPOLLPRI, NULL) < 0)
		return true;
	(void)TAKE_FD(fd);
	tree->is_ending = true;
	return false;
}

static void signal_cgroup(const struct tree *tree, int number)
{
	AUTO_BUF struct buf pids = BUF_INIT(PIDS_MAX);
	char path[64];
	int64_t pid;

	group_path(tree->number, "/cgroup.procs", path, sizeof(path));
	if (file_read(path, &pids, NULL) < 0 || !pids.len)
		return;
	for (char *at = pids.data, *end; (end = strchr(at, '\n')); at = end + 1) {
		*end = '\0';
		if (parse_int(at, 2, INT32_MAX, &pid))
			(void)kill((pid_t)pid, number);
	}
}

void tree_signal(struct tree *tree, int number)
{
	if (self.is_guest)
		signal_cgroup(tree, number);
	else if (tree->pid)
		(void)sigqueue(tree->pid, KEEPER_FORWARD, (union sigval){.sival_int = number});
}

void tree_release(struct tree *tree)
{
	close_events(tree);
	tree->is_released = true;
	if (!self.tidy.is_armed)
		loop_set_timer(self.loop, &self.tidy, deadline_in(TIDY_MS));
}

int tree_kill_all(int64_t deadline, struct pyro_error *err)
{
	struct pollfd p = {.fd = self.sigchld.fd, .events = POLLIN};

	if (self.is_guest) {
		assert(getpid() == 1);
		(void)kill(-1, SIGKILL);
	} else {
		for (struct tree *tree = self.trees; tree; tree = tree->next)
			tree_kill(tree);
	}
	for (pid_t r; (r = reap()) >= 0;) {
		struct signalfd_siginfo info;

		if (r == 0 && poll(&p, 1, deadline_left(deadline)) == 0)
			return err_set(err, PYRO_E_TIMEOUT, "some processes cannot be killed");
		(void)!read(p.fd, &info, sizeof(info));
	}
	sweep();
	return 0;
}
