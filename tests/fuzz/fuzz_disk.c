/*
 * The readers of qcow2 and of ext4, on a disk that arbitrary bytes describe: the first byte says
 * whether a snapshot is read, then pieces follow, each its place in units of 256 bytes (two bytes),
 * its length (two bytes), and its content.
 */
#include "base/err.h"
#include "disk/ext4.h"
#include "disk/list.h"
#include "disk/qcow2.h"
#include "fuzz.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNIT 256
#define READ_MAX (64 * 1024)
#define CLUSTERS_MAX 100

static int disk = -1, root = -1, nowhere = -1;
static FILE *out;

static void open_once(void)
{
	if (out)
		return;
	disk = memfd_create("disk", MFD_CLOEXEC);
	root = memfd_create("root", MFD_CLOEXEC);
	nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	out = fopen("/dev/null", "we");
	assert(disk >= 0 && root >= 0 && nowhere >= 0 && out);
}

static void make_disk(const uint8_t *bytes, size_t size)
{
	assert(ftruncate(disk, 0) == 0);
	while (size >= 4) {
		off_t place = (bytes[0] << 8 | bytes[1]) * UNIT;
		size_t len = (size_t)(bytes[2] << 8 | bytes[3]);

		bytes += 4;
		size -= 4;
		if (len > size)
			len = size;
		assert(pwrite(disk, bytes, len, place) == (ssize_t)len);
		bytes += len;
		size -= len;
	}
}

static void look_at_files(struct qcow2 *q)
{
	struct pyro_error err;
	struct ext4_node node;
	struct ext4 *fs = ext4_open(q, &err);

	if (!fs)
		return;
	(void)list(fs, "/", true, nowhere, &err);
	if (ext4_find(fs, "/workspace/sub/file", &node, &err) == 0)
		(void)ext4_copy(fs, &node, "file", 0, node.size < READ_MAX ? node.size : READ_MAX,
				out, &err);
	(void)ext4_close(fs);
}

static void look_at_data(struct qcow2 *q)
{
	struct pyro_error err;
	uint64_t at = 0, len = 0;
	char byte;

	for (int i = 0; i < CLUSTERS_MAX; i++) {
		if (qcow2_next_data(q, at + len, &at, &len, &err) <= 0)
			return;
		assert(len > 0 && at < qcow2_size(q) && len <= qcow2_size(q) - at);
		(void)qcow2_read(q, at + len - 1, &byte, 1, &err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct pyro_error err;
	struct qcow2 *q;

	if (size < 1)
		return 0;
	open_once();
	make_disk(bytes + 1, size - 1);
	q = qcow2_open(disk, root, bytes[0] & 1 ? "pyro.baseline" : NULL, &err);
	if (!q)
		return 0;
	look_at_data(q);
	look_at_files(q);
	(void)qcow2_free(q);
	return 0;
}
