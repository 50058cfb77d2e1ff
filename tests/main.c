#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_SKIPPED 77
#define DEADLINE_SECONDS 240

static struct test *first, **last = &first;
static char dir[256];

void test_register(struct test *test)
{
	*last = test;
	last = &test->next;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fprintf(stderr, "# %s:%d: ", file, line);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(1);
}

void test_skip(const char *kind, const char *why)
{
	const char *must = getenv("PYRO_MUST_RUN");

	(void)fprintf(stderr, "# needs %s: %s\n", kind, why);
	exit(must && strstr(must, kind) ? 1 : EXIT_SKIPPED);
}

const char *test_dir(void)
{
	return dir;
}

void test_deadline(int seconds)
{
	(void)alarm((unsigned)seconds);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return 0;
}

/* The child: its own process group, so that whatever it started can be ended with it. */
static void run_child(const struct test *test)
{
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setenv("HOME", dir, 1);
	(void)unsetenv("XDG_STATE_HOME");
	(void)unsetenv("XDG_RUNTIME_DIR");
	test_deadline(DEADLINE_SECONDS);
	test->run();
	exit(0);
}

static int run_test(const struct test *test)
{
	int status = 0;
	pid_t pid;

	(void)snprintf(dir, sizeof(dir), "%s/pyro-test-XXXXXX",
		       getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		run_child(test);
	(void)waitpid(pid, &status, 0);
	(void)kill(-pid, SIGKILL);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (WIFSIGNALED(status)) {
		(void)fprintf(stderr, "# ended by signal %d%s\n", WTERMSIG(status),
			      WTERMSIG(status) == SIGALRM ? " (too slow)" : "");
		return 1;
	}
	return WEXITSTATUS(status);
}

/* Arguments are words; only tests whose name contains one of them run. */
static bool is_wanted(const struct test *test, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(test->name, argv[i]) || strstr(test->file, argv[i]))
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0, skipped = 0, number = 0;

	for (struct test *t = first; t; t = t->next) {
		int result;

		if (!is_wanted(t, argc, argv))
			continue;
		result = run_test(t);
		passed += result == 0;
		skipped += result == EXIT_SKIPPED;
		failed += result != 0 && result != EXIT_SKIPPED;
		(void)printf("%s %d - %s%s\n", result && result != EXIT_SKIPPED ? "not ok" : "ok",
			     ++number, t->name, result == EXIT_SKIPPED ? " # SKIP" : "");
	}
	(void)printf("1..%d\n%d passed, %d failed, %d skipped\n", number, passed, failed, skipped);
	return failed ? 1 : 0;
}
