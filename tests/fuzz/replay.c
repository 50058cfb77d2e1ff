/*
 * Runs a fuzz target on files, and on beginnings of each: a corpus as an ordinary test. The
 * arguments are files or folders of them.
 */
#include "base/buf.h"
#include "base/file.h"
#include "fuzz.h"
#include "pyro/error.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#define INPUT_MAX (64 * 1024)
#define BEGINNINGS_MAX 200

static int number;

/* A target that leaves descriptors open takes the lowest numbers. */
static int lowest_fd(void)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);

	(void)close(fd);
	return fd;
}

static int replay(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct buf input = BUF_INIT(INPUT_MAX);
	struct pyro_error err;
	int lowest;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	(void)printf("# %s\n", path);
	(void)fflush(stdout); /* names the input if it crashes */
	if (file_read(path, &input, &err) < 0) {
		(void)printf("not ok %d - %s\n", ++number, err.message);
		return 1;
	}
	(void)LLVMFuzzerTestOneInput((const uint8_t *)buf_text(&input), input.len);
	lowest = lowest_fd(); /* what is opened once is open now */
	for (size_t len = 0; len < input.len; len += input.len / BEGINNINGS_MAX + 1)
		(void)LLVMFuzzerTestOneInput((const uint8_t *)buf_text(&input), len);
	assert(lowest_fd() == lowest);
	buf_done(&input);
	(void)printf("ok %d - %s\n", ++number, path + ftw->base);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc && !failed; i++)
		failed = nftw(argv[i], replay, 8, FTW_PHYS) != 0;
	(void)printf("1..%d\n%d passed, %d failed, 0 skipped\n", number, number - failed, failed);
	return failed || number == 0;
}
