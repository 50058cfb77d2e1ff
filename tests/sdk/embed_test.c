/*
 * libpyro in a program that is not made for it: what the program does with its signals,
 * descriptors, directory and memory must not break calls, and calls must leave all of that as it
 * is. Commands run on the host: there is no QEMU in PATH.
 */
#include "pyro.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_ROOM 4096

/* As a program is where no guest can run: nothing is installed. */
static void be_alone(void)
{
	char dir[PATH_ROOM], file[PATH_ROOM + 16];

	(void)snprintf(dir, sizeof(dir), "%s/bin", test_dir());
	(void)snprintf(file, sizeof(file), "%s/sleep", dir);
	CHECK(mkdir(dir, 0700) == 0 && symlink("/usr/bin/sleep", file) == 0);
	(void)setenv("PATH", dir, 1);
	(void)snprintf(dir, sizeof(dir), "%s/cache", test_dir());
	(void)setenv("PYRO_ENVIRONMENT_CACHE_DIR", dir, 1);
}

static int run(struct pyro *p, const char *line, struct pyro_run *ret, struct pyro_error *err)
{
	const char *const command[] = {line, NULL};
	const struct pyro_run_in_vm_args args = {.environment = "debian:12",
						 .command = command,
						 .timeout_seconds = 1000,
						 .allow_host_compat = true};

	return pyro_run_in_vm(p, &args, ret, err);
}

static void check_run(struct pyro *p)
{
	struct pyro_error err;
	struct pyro_run ret;

	CHECK_OK(run(p, "echo out", &ret, &err), err);
	CHECK_STR(ret.stdout, "out\n");
	pyro_run_done(&ret);
}

static int64_t count_vms(struct pyro *p)
{
	struct pyro_vm_list list;
	struct pyro_error err;
	int64_t count;

	CHECK_OK(pyro_list_vms(p, NULL, &list, &err), err);
	count = list.count;
	pyro_vm_list_done(&list);
	return count;
}

/* A bit for each open descriptor below 64 but that of the listing. */
static uint64_t open_fds(void)
{
	uint64_t fds = 0;

	for (int fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			fds |= UINT64_C(1) << fd;
	return fds;
}

TEST("without a handle, a name or a needed argument a call is refused; err may be NULL")
{
	struct pyro *p = pyro_new();
	struct pyro_vm_list list;
	struct pyro_error err;
	struct pyro_run ret;
	char *json;

	CHECK(run(NULL, "true", &ret, &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK(pyro_list_vms(NULL, NULL, &list, &err) < 0);
	CHECK(pyro_call_json(NULL, "list_vms", NULL, &json, &err) < 0);
	CHECK(pyro_call_json(p, NULL, NULL, &json, &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK(pyro_run_in_vm(p, NULL, &ret, &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK(pyro_run_in_vm(p, NULL, &ret, NULL) < 0);
	CHECK_INT(count_vms(p), 0);
	pyro_free(p);
	pyro_free(NULL);
}

TEST("the library says its version")
{
	CHECK_STR(pyro_version(), PYRO_VERSION);
}

static void on_signal(int number)
{
	(void)number;
}

struct process {
	struct sigaction actions[32];
	sigset_t mask;
	mode_t umask;
	char cwd[PATH_ROOM], locale[256];
	uint64_t fds;
	char **environ;
	size_t n_variables;
};

static void look(struct process *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (int i = 1; i < 32; i++)
		(void)sigaction(i, NULL, &ret->actions[i]);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &ret->mask);
	ret->umask = umask(0);
	(void)umask(ret->umask);
	CHECK(getcwd(ret->cwd, sizeof(ret->cwd)));
	(void)snprintf(ret->locale, sizeof(ret->locale), "%s", setlocale(LC_ALL, NULL));
	ret->fds = open_fds();
	ret->environ = environ;
	while (environ[ret->n_variables])
		ret->n_variables++;
}

TEST("a call leaves signals, mask, umask, directory, locale, variables and descriptors as they are")
{
	struct process before, after;
	struct pyro *p;

	be_alone();
	(void)signal(SIGCHLD, on_signal);
	(void)signal(SIGUSR1, on_signal);
	(void)umask(077);
	look(&before);
	p = pyro_new();
	check_run(p);
	CHECK_INT(count_vms(p), 0);
	pyro_free(p);
	look(&after);
	for (int i = 1; i < 32; i++) {
		CHECK(after.actions[i].sa_handler == before.actions[i].sa_handler);
		CHECK_INT(after.actions[i].sa_flags, before.actions[i].sa_flags);
	}
	CHECK(memcmp(&before.mask, &after.mask, sizeof(before.mask)) == 0);
	CHECK_INT(after.umask, before.umask);
	CHECK_STR(after.cwd, before.cwd);
	CHECK_STR(after.locale, before.locale);
	CHECK_INT(after.fds, before.fds);
	CHECK(after.environ == before.environ && after.n_variables == before.n_variables);
}

/* What a program does that waits for whatever ends. */
static void take_any(int number)
{
	int saved = errno;

	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

TEST("a program that ignores SIGCHLD, or waits for any child, can run commands")
{
	struct pyro *p = pyro_new();

	be_alone();
	(void)signal(SIGCHLD, SIG_IGN);
	check_run(p);
	(void)signal(SIGCHLD, take_any);
	check_run(p);
	pyro_free(p);
}

TEST("signals that interrupt a call do it no harm, and it leaves no child")
{
	const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {0};
	const struct sigaction action = {.sa_handler = on_signal};
	struct pyro *p = pyro_new();

	be_alone();
	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 5; i++)
		check_run(p);
	(void)setitimer(ITIMER_REAL, &never, NULL);
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	pyro_free(p);
}

TEST("a call for which there are too few descriptors fails, says so, and keeps none")
{
	const uint64_t before = open_fds();
	struct rlimit limit, old;
	int failures = 0;

	be_alone();
	(void)getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	for (limit.rlim_cur = 3; limit.rlim_cur < 40; limit.rlim_cur++) {
		struct pyro_error err;
		struct pyro_run ret;
		struct pyro *p;

		(void)setrlimit(RLIMIT_NOFILE, &limit);
		p = pyro_new();
		if (p && run(p, "echo out", &ret, &err) == 0) {
			CHECK_STR(ret.stdout, "out\n");
			pyro_run_done(&ret);
		} else {
			CHECK(!p || (*err.message && err.code != PYRO_OK));
			failures++;
		}
		pyro_free(p);
		(void)setrlimit(RLIMIT_NOFILE, &old);
		CHECK_INT(open_fds(), before);
	}
	CHECK(failures > 3 && failures < 36);
}

TEST("a program without standard descriptors, HOME's directory or a current one can run commands")
{
	char path[PATH_ROOM];
	struct pyro *p;

	be_alone();
	(void)snprintf(path, sizeof(path), "%s/gone", test_dir());
	CHECK(mkdir(path, 0700) == 0 && chdir(path) == 0 && rmdir(path) == 0);
	(void)snprintf(path, sizeof(path), "%s/not/yet", test_dir());
	(void)setenv("HOME", path, 1);
	for (int fd = 0; fd < 3; fd++)
		(void)close(fd);
	p = pyro_new();
	check_run(p);
	pyro_free(p);
	CHECK((open_fds() & 7) == 0);
}

TEST("whatever the umask is, the state is the user's alone")
{
	const mode_t masks[] = {0, 077};
	char path[PATH_ROOM];
	struct stat st;

	be_alone();
	for (int i = 0; i < 2; i++) {
		struct pyro *p = pyro_new();

		(void)snprintf(path, sizeof(path), "%s/%d", test_dir(), i);
		CHECK(mkdir(path, 0700) == 0);
		(void)setenv("XDG_STATE_HOME", path, 1);
		(void)umask(masks[i]);
		check_run(p);
		(void)umask(022);
		pyro_free(p);
		(void)snprintf(path, sizeof(path), "%s/%d/pyro", test_dir(), i);
		CHECK(stat(path, &st) == 0);
		CHECK_INT(st.st_mode & 0777, 0700);
	}
}

/* In the child of a fork, which cannot use CHECK: the number of the first thing that is wrong. */
static int use_forked(struct pyro *p)
{
	struct pyro_vm_list list;
	struct pyro_error err;
	struct pyro *own;
	int wrong = 0;

	if (pyro_list_vms(p, NULL, &list, &err) == 0 || err.code != PYRO_E_BAD_STATE)
		wrong = 1;
	pyro_cancel(p);
	pyro_free(p);
	own = pyro_new();
	if (pyro_list_vms(own, NULL, &list, &err) < 0)
		wrong = 2;
	else
		pyro_vm_list_done(&list);
	pyro_free(own);
	return wrong;
}

TEST("in a forked process a handle is refused, and what is done with it does not reach the "
     "parent's")
{
	struct pyro *p = pyro_new();
	struct pyro_error err;
	struct pyro_run ret;
	int status;
	pid_t pid;

	be_alone();
	CHECK_INT(count_vms(p), 0);
	pid = fork();
	if (pid == 0)
		_exit(use_forked(p));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	check_run(p);
	pyro_cancel(p);
	CHECK(run(p, "sleep 1000", &ret, &err) < 0);
	CHECK_INT(err.code, PYRO_E_CANCELLED);
	check_run(p);
	pyro_free(p);
}

static struct pyro *interrupted;

static void on_interrupt(int number)
{
	(void)number;
	pyro_cancel(interrupted);
}

static void interrupt(void *ctx, int stream, const void *data, size_t len)
{
	(void)ctx;
	(void)stream;
	(void)data;
	(void)len;
	(void)kill(getpid(), SIGINT);
}

TEST("pyro_cancel() in a signal handler ends the call under way and not the next one")
{
	struct pyro_error err;
	struct pyro_run ret;

	be_alone();
	interrupted = pyro_new();
	(void)signal(SIGINT, on_interrupt);
	pyro_observe(interrupted, &(struct pyro_observer){.on_output = interrupt});
	CHECK(run(interrupted, "echo; sleep 1000", &ret, &err) < 0);
	CHECK_INT(err.code, PYRO_E_CANCELLED);
	pyro_observe(interrupted, NULL);
	check_run(interrupted);
	CHECK_INT(count_vms(interrupted), 0);
	pyro_free(interrupted);
}

static void *use_handle(void *arg)
{
	struct pyro *p = pyro_new();

	(void)arg;
	for (int i = 0; i < 3; i++) {
		check_run(p);
		(void)count_vms(p);
	}
	pyro_free(p);
	return NULL;
}

TEST("threads with a handle each call at once")
{
	pthread_t threads[6];
	struct pyro *p;

	be_alone();
	for (int i = 0; i < 6; i++)
		CHECK(pthread_create(&threads[i], NULL, use_handle, NULL) == 0);
	for (int i = 0; i < 6; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	p = pyro_new();
	CHECK_INT(count_vms(p), 0);
	pyro_free(p);
}

static void tell(void *ctx, int stream, const void *data, size_t len)
{
	(void)stream;
	(void)!write(*(int *)ctx, data, len);
}

static void *run_long(void *ctx)
{
	struct pyro *p = pyro_new();
	struct pyro_run ret;

	pyro_observe(p, &(struct pyro_observer){.on_output = tell, .ctx = ctx});
	(void)run(p, "echo; sleep 1000", &ret, NULL);
	return NULL;
}

/* A process that ends while a thread of it is in a call. */
static void end_during_call(void)
{
	pthread_t thread;
	int p[2];
	char byte;

	CHECK(pipe(p) == 0 && pthread_create(&thread, NULL, run_long, &p[1]) == 0);
	CHECK(read(p[0], &byte, 1) == 1);
	exit(0);
}

TEST("a program that ends during a call ends well, and its VM goes with it")
{
	struct pyro *p;
	int status;
	pid_t pid;

	be_alone();
	pid = fork();
	if (pid == 0)
		end_during_call();
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	p = pyro_new();
	test_deadline(100);
	while (count_vms(p) > 0)
		(void)usleep(10000);
	pyro_free(p);
}
