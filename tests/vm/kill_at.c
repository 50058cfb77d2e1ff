/*
 * Loaded before the C library, kills a program exactly where a test wants it to die:
 *
 *	LD_PRELOAD=libkill_at.so KILL_AT="pyro-supervisor unlinkat 3"
 *
 * ends every pyro-supervisor with SIGKILL instead of its third call of unlinkat(). There are
 * connect, pwrite64, rename and unlinkat.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void count(const char *function)
{
	static int calls;
	char program[32], at[32];
	const char *wanted = getenv("KILL_AT");
	int number;

	if (wanted && sscanf(wanted, "%31s %31s %d", program, at, &number) == 3 &&
	    strcmp(program, program_invocation_short_name) == 0 && strcmp(at, function) == 0 &&
	    ++calls == number)
		(void)kill(getpid(), SIGKILL);
}

static void *next(const char *function)
{
	count(function);
	return dlsym(RTLD_NEXT, function);
}

int unlinkat(int dir_fd, const char *path, int flags)
{
	return ((int (*)(int, const char *, int))next("unlinkat"))(dir_fd, path, flags);
}

int rename(const char *from, const char *to)
{
	return ((int (*)(const char *, const char *))next("rename"))(from, to);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	return ((ssize_t(*)(int, const void *, size_t, off64_t))next("pwrite64"))(fd, data, len,
										  at);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return ((int (*)(int, const struct sockaddr *, socklen_t))next("connect"))(fd, addr, len);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	return ((ssize_t(*)(int, const void *, size_t, int))next("send"))(fd, data, len, flags);
}
