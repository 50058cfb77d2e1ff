#include "scratch.h"

#include "base/file.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static char dir[] = "/dev/shm/pyro-fuzz.XXXXXX";
static pid_t owner;

static void remove_dir(void)
{
	if (getpid() == owner)
		(void)dir_remove(dir, NULL);
}

const char *scratch_dir(void)
{
	if (!owner) {
		owner = getpid();
		assert(mkdtemp(dir) && atexit(remove_dir) == 0);
	}
	return dir;
}

int scratch_names(const char *path)
{
	DIR *open = opendir(path);
	int n = -2; /* "." and ".." */

	assert(open);
	while (readdir(open))
		n++;
	(void)closedir(open);
	return n;
}

int scratch_memory(const void *data, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	assert(fd >= 0 && pwrite(fd, data, len, 0) == (ssize_t)len);
	return fd;
}

int scratch_pieces(const char *data, size_t len, int *ret_peer)
{
	int fd[2];

	assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) == 0);
	for (const char *end = data + len; data < end;) {
		size_t n = strnlen(data, (size_t)(end - data));

		if (n && send(fd[1], data, n, MSG_DONTWAIT) < 0)
			break; /* so many pieces are enough */
		data += n + 1;
	}
	(void)shutdown(fd[1], SHUT_WR);
	*ret_peer = fd[1];
	return fd[0];
}
