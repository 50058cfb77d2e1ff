#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/proc.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs a shell line; out may be NULL. */
static int sh(const char *line, struct buf *out, struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;

	argv_add(&a, "sh", "-c", line, NULL);
	return proc_run(&a, &(struct proc_options){.deadline = deadline_in(20000), .out = out},
			err);
}

static int wait_for(pid_t pid)
{
	int status = 0;

	CHECK(waitpid(pid, &status, 0) == pid);
	return proc_exit_code(status);
}

TEST("proc_run returns the exit status, and 128 + n after signal n")
{
	struct pyro_error err;

	CHECK_INT(sh("exit 0", NULL, &err), 0);
	CHECK_INT(sh("exit 7", NULL, &err), 7);
	CHECK_INT(sh("kill -TERM $$", NULL, &err), 128 + SIGTERM);
	CHECK_INT(sh("kill -KILL $$", NULL, &err), 128 + SIGKILL);
}

TEST("proc_run passes every argument as it is")
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	AUTO_BUF struct buf out = BUF_INIT(1000);

	argv_add(&a, "printf", "<%s>", "a b", "", "$HOME;'\"", NULL);
	argv_addf(&a, "%d", 5);
	CHECK_INT(proc_run(&a, &(struct proc_options){.deadline = deadline_in(20000), .out = &out},
			   NULL),
		  0);
	CHECK_STR(buf_text(&out), "<a b><><$HOME;'\"><5>");
}

TEST("proc_spawn of a program that does not exist says which")
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pyro_error err;

	argv_add(&a, "no-such-program-here", NULL);
	CHECK(proc_spawn(&a, &(struct proc_options){0}, &err) < 0);
	CHECK_INT(err.code, PYRO_E_MISSING_DEPENDENCY);
	CHECK(strstr(err.message, "no-such-program-here"));
}

TEST("proc_spawn of what cannot be executed is an error here, not a status later")
{
	AUTO_FREE char *path = mem_printf("%s/broken", test_dir());
	AUTO_ARGV struct argv a = ARGV_INIT;
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	struct pyro_error err;

	CHECK(write(fd,
		    "\x7f"
		    "ELF",
		    4) == 4);
	fd_close(&fd);
	argv_add(&a, path, NULL);
	CHECK(proc_spawn(&a, &(struct proc_options){0}, &err) < 0);
	CHECK_INT(err.code, PYRO_E_SYSTEM);
	CHECK(strstr(err.message, "broken"));
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TEST("proc_spawn in a directory that does not exist is an error")
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pyro_error err;

	argv_add(&a, "true", NULL);
	CHECK(proc_spawn(&a, &(struct proc_options){.cwd = "/no/such/dir"}, &err) < 0);
}

TEST("proc_find looks in PATH, then where administration tools live, and never takes a directory")
{
	AUTO_FREE char *dir = mem_printf("%s/tool", test_dir());
	AUTO_FREE char *found = NULL;

	CHECK(mkdir(dir, 0700) == 0);
	(void)setenv("PATH", test_dir(), 1);
	CHECK(!proc_find("tool"));
	CHECK(!proc_find(dir));
	CHECK(!proc_find(""));
	CHECK(!proc_find("sh"));
	found = proc_find("mke2fs");
	CHECK(found && strstr(found, "sbin/mke2fs"));
}

TEST("proc_run keeps to its deadline when the child is silent")
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pyro_error err;

	test_deadline(100);
	argv_add(&a, "sleep", "1000", NULL);
	CHECK(proc_run(&a, &(struct proc_options){.deadline = deadline_in(200)}, &err) < 0);
	CHECK_INT(err.code, PYRO_E_TIMEOUT);
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TEST("proc_run keeps to its deadline when the child never stops printing")
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pyro_error err;

	test_deadline(100);
	argv_add(&a, "yes", NULL);
	CHECK(proc_run(&a, &(struct proc_options){.deadline = deadline_in(200)}, &err) < 0);
	CHECK_INT(err.code, PYRO_E_TIMEOUT);
}

TEST("proc_run keeps to its deadline when the child closes its output and lives on")
{
	struct pyro_error err;
	AUTO_ARGV struct argv a = ARGV_INIT;

	test_deadline(100);
	argv_add(&a, "sh", "-c", "exec >&- 2>&-; exec sleep 1000", NULL);
	CHECK(proc_run(&a, &(struct proc_options){.deadline = deadline_in(200)}, &err) < 0);
	CHECK_INT(err.code, PYRO_E_TIMEOUT);
}

TEST("a timeout ends the whole group of a child with a session of its own")
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	AUTO_BUF struct buf out = BUF_INIT(100);
	struct proc_options opt = {.new_session = true, .out = &out, .deadline = deadline_in(2000)};
	int pid;

	argv_add(&a, "sh", "-c", "sleep 1000 & echo $!; wait", NULL);
	CHECK(proc_run(&a, &opt, NULL) < 0);
	pid = (int)strtol(buf_text(&out), NULL, 10);
	CHECK(pid > 1);
	for (int i = 0; i < 6000 && kill(pid, 0) == 0; i++) {
		AUTO_FREE char *path = mem_printf("/proc/%d/cmdline", pid);
		char byte;
		AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd >= 0 && read(fd, &byte, 1) == 0)
			return; /* a zombie that nobody reaped yet */
		(void)usleep(10000);
	}
	CHECK(kill(pid, 0) < 0);
}

TEST("proc_check quotes the last line of stderr, however much came before")
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct proc_options opt = {.deadline = deadline_in(20000)};
	struct pyro_error err;

	argv_add(&a, "sh", "-c", "seq 1 200000 >&2; echo 'disk on fire' >&2; exit 3", NULL);
	CHECK(proc_check(&a, &opt, &err) < 0);
	CHECK_STR(err.message, "'sh' ended with status 3: disk on fire");
}

TEST("a child's input is empty and its output discarded unless it is given something else")
{
	struct pyro_error err;

	CHECK_INT(sh("test -z \"$(cat)\"", NULL, &err), 0);
	CHECK_INT(sh("seq 1 100000; test $? = 0", NULL, &err), 0);
}

TEST("proc_run with output beyond the maximum keeps the beginning and goes on")
{
	AUTO_BUF struct buf out = BUF_INIT(10000);
	struct pyro_error err;

	CHECK_INT(sh("seq 1 100000; exit 4", &out, &err), 4);
	CHECK(out.is_full);
	CHECK(strncmp(buf_text(&out), "1\n2\n3\n", 6) == 0);
}

/* Spawns `sh -c line` with the descriptors; its exit status. */
static int sh_with(const char *line, const struct proc_fd *fds, size_t n)
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pyro_error err;
	pid_t pid;

	argv_add(&a, "bash", "-c", line, NULL);
	pid = proc_spawn(&a, &(struct proc_options){.fds = fds, .n_fds = n}, &err);
	CHECK_OK(pid, err);
	return wait_for(pid);
}

/* A file that holds just `text`, open for reading. */
static int file_with(const char *text)
{
	AUTO_FREE char *path = mem_printf("%s/XXXXXX", test_dir());
	int fd = mkostemp(path, O_CLOEXEC);

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
	      lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

TEST("a child can be given this process's own standard streams")
{
	AUTO_FREE char *path = mem_printf("%s/out", test_dir());
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char text[8] = {0};

	CHECK(dup2(fd, 1) == 1);
	CHECK_INT(sh_with("echo hello", (struct proc_fd[]){{1, 1}}, 1), 0);
	CHECK(pread(fd, text, 7, 0) == 6);
	CHECK_STR(text, "hello\n");
}

TEST("descriptors can trade places in the child")
{
	int a = file_with("a"), b = file_with("b");
	AUTO_FREE char *line = mem_printf("test \"$(cat <&%d)$(cat <&%d)\" = ab", b, a);

	CHECK_INT(sh_with(line, (struct proc_fd[]){{a, b}, {b, a}}, 2), 0);
	CHECK(lseek(a, 0, SEEK_SET) == 0 && lseek(b, 0, SEEK_SET) == 0);
	CHECK_INT(sh_with("test \"$(cat <&0)$(cat <&9)\" = ab", (struct proc_fd[]){{a, 0}, {b, 9}},
			  2),
		  0);
}

TEST("a child gets no descriptor that it was not given, not even one that was left inheritable")
{
	int leaked = open("/etc/passwd", O_RDONLY); /* deliberately without O_CLOEXEC */
	int given = file_with("x");

	CHECK(leaked >= 0);
	CHECK_INT(sh_with("for ((i = 0; i < 200; i++)); do "
			  "[ ! -e /proc/$$/fd/$i ] || s+=\"$i \"; done; test \"$s\" = '0 1 2 7 '",
			  (struct proc_fd[]){{given, 7}}, 1),
		  0);
}

TEST("descriptors reach the child also where few are allowed, here or in the child")
{
	struct rlimit few = {24, 24};
	struct proc_limit limit = {RLIMIT_NOFILE, 16};
	AUTO_ARGV struct argv a = ARGV_INIT;
	int given = file_with("x");
	struct proc_fd fds[] = {{given, 5}};
	pid_t pid;

	argv_add(&a, "sh", "-c", "test \"$(cat <&5)$(ulimit -n)\" = x16", NULL);
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	pid = proc_spawn(
		&a, &(struct proc_options){.fds = fds, .n_fds = 1, .limits = &limit, .n_limits = 1},
		NULL);
	CHECK(pid > 0);
	CHECK_INT(wait_for(pid), 0);
}

TEST("a child starts well also where this process has no standard streams")
{
	(void)close(0);
	(void)close(1);
	CHECK_INT(sh("test -z \"$(cat)\" && echo x", NULL, NULL), 0);
}

TEST("a failed exec is noticed whatever descriptors the child was to get")
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct proc_fd fds[30];
	int given = file_with("x");

	for (int i = 0; i < 30; i++)
		fds[i] = (struct proc_fd){given, 3 + i};
	argv_add(&a, "/proc/self/mem", NULL);
	CHECK(proc_spawn(&a, &(struct proc_options){.fds = fds, .n_fds = 30}, NULL) < 0);
	argv_done(&a);
	argv_add(&a, "true", NULL);
	CHECK(proc_spawn(&a, &(struct proc_options){.fds = fds, .n_fds = 30, .cwd = "/none"},
			 NULL) < 0);
}

static void ignore(int sig)
{
	(void)sig;
}

TEST("signals that interrupt the parent do not hide a failed exec")
{
	struct sigaction act = {.sa_handler = ignore}; /* no SA_RESTART */
	pid_t parent = getpid(), storm;

	CHECK(sigaction(SIGUSR1, &act, NULL) == 0);
	storm = fork();
	if (storm == 0)
		for (;; (void)usleep(50))
			(void)kill(parent, SIGUSR1);
	for (int i = 0; i < 300; i++) {
		AUTO_ARGV struct argv a = ARGV_INIT;

		argv_add(&a, "true", NULL);
		CHECK(proc_spawn(&a, &(struct proc_options){.cwd = "/none"}, NULL) < 0);
	}
	(void)kill(storm, SIGKILL);
	(void)waitpid(storm, NULL, 0);
}

TEST("a child has default signals whatever this process does with them")
{
	sigset_t all;

	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	CHECK_INT(sh("kill -TERM $$; exit 5", NULL, NULL), 128 + SIGTERM);
	CHECK_INT(sh("kill -PIPE $$; exit 5", NULL, NULL), 128 + SIGPIPE);
}

TEST("limits, directory and environment are the child's alone")
{
	struct proc_limit limit = {RLIMIT_CORE, 0};
	char *const env[] = {(char[]){"ONLY=this"}, NULL};
	AUTO_ARGV struct argv a = ARGV_INIT;
	AUTO_BUF struct buf out = BUF_INIT(1000);
	struct proc_options opt = {.cwd = "/usr",
				   .env = env,
				   .limits = &limit,
				   .n_limits = 1,
				   .out = &out,
				   .deadline = deadline_in(20000)};

	argv_add(&a, "sh", "-c", "pwd; echo $ONLY $HOME; ulimit -c", NULL);
	CHECK_INT(proc_run(&a, &opt, NULL), 0);
	CHECK_STR(buf_text(&out), "/usr\nthis\n0\n");
}

TEST("a child that is to die with its parent does")
{
	int p[2];
	pid_t parent, child = 0;
	char byte;

	CHECK(pipe2(p, O_CLOEXEC) == 0);
	parent = fork();
	if (parent == 0) {
		AUTO_ARGV struct argv a = ARGV_INIT;
		struct proc_fd fds[] = {{p[1], 1}};
		struct proc_options opt = {.fds = fds, .n_fds = 1, .die_with_parent = true};

		argv_add(&a, "sleep", "1000", NULL);
		child = proc_spawn(&a, &opt, NULL);
		(void)!write(p[1], &child, sizeof(child));
		_exit(0);
	}
	(void)close(p[1]);
	CHECK_INT(wait_for(parent), 0);
	CHECK(read(p[0], &child, sizeof(child)) == sizeof(child) && child > 0);
	CHECK_INT(read(p[0], &byte, 1), 0); /* the last writer is gone */
}

TEST("proc_start_time tells a process from a later one with its pid")
{
	pid_t pid;
	uint64_t own = proc_start_time(getpid()), theirs;

	CHECK(own > 0);
	(void)usleep(30000);
	pid = fork();
	if (pid == 0)
		(void)pause();
	theirs = proc_start_time(pid);
	CHECK(theirs > own);
	CHECK_INT(proc_start_time(pid), theirs);
	proc_kill(pid);
	CHECK_INT(proc_start_time(pid), 0);
	proc_kill(0);
	proc_kill(-1);
}

/* Starts a jail, writes the pid of something below it that knows of no parent, and hangs. */
static _Noreturn void be_parent_of_jail(int fd)
{
	AUTO_ARGV struct argv a = ARGV_INIT;

	argv_add(&a, "sh", "-c", "setsid sleep 1000 & echo $!; wait", NULL);
	if (proc_spawn(&a,
		       &(struct proc_options){.fds = (const struct proc_fd[]){{fd, 1}},
					      .n_fds = 1,
					      .is_jail = true},
		       NULL) < 0)
		_exit(1);
	for (;;)
		(void)pause();
}

TEST("what a jail started dies when the process that started the jail is killed")
{
	int64_t deadline = deadline_in(100000), below = 0;
	char text[32] = "";
	int p[2];
	pid_t pid;

	CHECK(pipe2(p, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0)
		be_parent_of_jail(p[1]);
	CHECK(read(p[0], text, sizeof(text) - 1) > 1);
	text[strcspn(text, "\n")] = '\0';
	CHECK(parse_int(text, 2, INT32_MAX, &below));
	CHECK(kill((pid_t)below, 0) == 0);
	proc_kill(pid);
	while (kill((pid_t)below, 0) == 0 && deadline_left(deadline))
		(void)poll(NULL, 0, 5);
	CHECK(kill((pid_t)below, 0) < 0 && errno == ESRCH);
	(void)close(p[0]);
	(void)close(p[1]);
}

TEST("a program whose end is taken away counts as failed, and the error says why")
{
	const struct proc_options options = {.deadline = deadline_in(10000)};
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pyro_error err;

	(void)signal(SIGCHLD, SIG_IGN);
	argv_add(&a, "true", NULL);
	CHECK_INT(proc_run(&a, &options, &err), PROC_LOST);
	CHECK(proc_check(&a, &options, &err) < 0);
	CHECK(strstr(err.message, "SIGCHLD"));
}
