#include "base/mem.h"
#include "pyro/error.h"
#include "tests/test.h"
#include "workspace/records.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 16
#define ROUNDS 40

/* Opens the records as soon as `start` says end of file. */
static pid_t open_at(const char *dir, const int start[2])
{
	pid_t pid = fork();
	struct pyro_error err;
	char byte;

	if (pid != 0)
		return pid;
	(void)close(start[1]);
	(void)!read(start[0], &byte, 1);
	if (records_open(dir, &err))
		_exit(0);
	printf("# %s\n", err.message);
	(void)fflush(stdout);
	_exit(1);
}

TEST("records that many processes open at once for the first time open for all of them")
{
	for (int round = 0; round < ROUNDS; round++) {
		AUTO_FREE char *dir = mem_printf("%s/%d", test_dir(), round);
		int start[2], status, failed = 0;

		CHECK(mkdir(dir, 0700) == 0 && pipe2(start, O_CLOEXEC) == 0);
		for (int i = 0; i < PROCESSES; i++)
			CHECK(open_at(dir, start) > 0);
		(void)close(start[0]);
		(void)close(start[1]);
		for (int i = 0; i < PROCESSES; i++)
			failed += wait(&status) < 0 || status != 0;
		CHECK_INT(failed, 0);
	}
}
