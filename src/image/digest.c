#include "image/digest.h"

#include "base/err.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 65536

static void add_number(SHA2_CTX *sha, uint64_t n)
{
	uint64_t le = htole64(n);

	SHA256Update(sha, (const uint8_t *)&le, sizeof(le));
}

/* One block at `at`, the file's end shortening it; nothing for zeros. -1 with errno. */
static int add_block(SHA2_CTX *sha, int fd, off_t at, uint8_t *block)
{
	size_t len = 0;

	while (len < BLOCK) {
		ssize_t n = pread(fd, block + len, BLOCK - len, at + (off_t)len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len == 0 || (block[0] == 0 && memcmp(block, block + 1, len - 1) == 0))
		return 0;
	add_number(sha, (uint64_t)at);
	SHA256Update(sha, block, len);
	return 0;
}

/* Every block that touches data of the file. -1 with errno. */
static int add_data(SHA2_CTX *sha, int fd, uint8_t *block)
{
	off_t next = 0;

	for (;;) {
		off_t data = lseek(fd, next, SEEK_DATA), hole;

		if (data < 0)
			return errno == ENXIO ? 0 : -1;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return -1;
		for (data -= data % BLOCK; data < hole; data += BLOCK)
			if (data >= next && add_block(sha, fd, data, block) < 0)
				return -1;
		next = data;
	}
}

int digest_file(const char *path, char hex[DIGEST_HEX], struct pyro_error *err)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE uint8_t *block = mem_zalloc(1, BLOCK);
	struct stat st;
	SHA2_CTX sha;

	SHA256Init(&sha);
	if (fd < 0 || fstat(fd, &st) < 0 || add_data(&sha, fd, block) < 0)
		return err_sys(err, errno, "read '%s'", path);
	add_number(&sha, (uint64_t)st.st_size);
	(void)SHA256End(&sha, hex);
	return 0;
}

void digest_bytes(const void *data, size_t len, char hex[DIGEST_HEX])
{
	(void)SHA256Data(data, len, hex);
}
