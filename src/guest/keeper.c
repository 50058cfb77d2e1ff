#include "guest/keeper.h"

#include "base/mem.h"
#include "base/parse.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_PAUSE_NS (10 * 1000 * 1000)

struct process {
	pid_t pid;
	pid_t parent;
};

struct processes {
	struct process *v;
	size_t n;
};

void keeper_run_first(int (*run)(const void *arg), const void *arg)
{
	sigset_t none;

	(void)setsid();
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(run(arg));
}

/* The parent of a process, from /proc/PID/stat; 0 if it is gone. */
static pid_t parent_of(const char *pid)
{
	char path[64], text[512], *p;
	AUTO_FD int fd = -1;
	int64_t parent;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* "PID (NAME) STATE PARENT ", where NAME may hold anything, also parentheses. */
	p = strrchr(text, ')');
	if (!p || strlen(p) < 5)
		return 0;
	p += 4;
	p[strcspn(p, " ")] = '\0';
	return parse_int(p, 0, INT32_MAX, &parent) ? (pid_t)parent : 0;
}

static void list_processes(struct processes *all)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int64_t pid;

		if (!parse_int(entry->d_name, 1, INT32_MAX, &pid))
			continue;
		all->v = mem_resize(all->v, all->n + 1, sizeof(*all->v));
		all->v[all->n++] = (struct process){(pid_t)pid, parent_of(entry->d_name)};
	}
	if (dir)
		(void)closedir(dir);
}

/* To every descendant that can be seen now; who kills repeats it until none is left. */
static void signal_descendants(pid_t root, int number)
{
	struct processes all = {0};
	AUTO_FREE pid_t *doomed = NULL;
	size_t n = 1;

	list_processes(&all);
	doomed = mem_zalloc(all.n + 1, sizeof(*doomed));
	doomed[0] = root;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < all.n; k++)
			if (all.v[k].parent == doomed[i] && all.v[k].pid != root) {
				(void)kill(all.v[k].pid, number);
				doomed[n++] = all.v[k].pid;
				all.v[k].parent = 0;
			}
	free(all.v);
}

/* Reaps what ended; false when no child is left. */
static bool reap(pid_t first, int *ret_status, bool *ret_is_ended)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == first) {
			*ret_status = status;
			*ret_is_ended = true;
		}
	return pid == 0;
}

/* Waits for a signal, and passes on what is to be; while killing, a little at most. */
static int await_signal(const sigset_t *set, bool is_killing)
{
	const struct timespec pause = {.tv_nsec = KILL_PAUSE_NS};
	siginfo_t info;
	int number = sigtimedwait(set, &info, is_killing ? &pause : NULL);

	if (number == KEEPER_FORWARD && info.si_code == SI_QUEUE)
		signal_descendants(getpid(), info.si_value.sival_int);
	return number;
}

static void keep(pid_t first, int status_fd, const sigset_t *set)
{
	bool is_ended = false, is_killing = false, is_told = false;
	int status = SIGKILL;

	while (reap(first, &status, &is_ended)) {
		if (is_killing)
			signal_descendants(getpid(), SIGKILL);
		else if (is_ended && !is_told)
			is_told = write(status_fd, &status, sizeof(status)) > 0;
		if (await_signal(set, is_killing) == SIGTERM)
			is_killing = true;
	}
	if (!is_told)
		(void)!write(status_fd, &status, sizeof(status));
}

void keeper_main(int (*run)(const void *arg), const void *arg, int status_fd, pid_t agent)
{
	sigset_t set;
	pid_t first;

	(void)setsid();
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, KEEPER_FORWARD);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != agent)
		_exit(1);
	first = fork();
	if (first == 0)
		keeper_run_first(run, arg);
	if (first < 0 || write(status_fd, &first, sizeof(first)) < 0)
		_exit(1);
	/* The command's streams end when the command closes them, whatever the keeper does. */
	(void)dup2(status_fd, 0);
	(void)close_range(1, ~0U, 0);
	keep(first, 0, &set);
	_exit(0);
}
