/*
 * Kernels and initial RAM disks, on made-up ones: a bzImage is a header and a payload, a module is
 * a file with a "depends=" in it.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "image/builder/kernel.h"
#include "image/builder/untar.h"
#include "image/digest.h"
#include "image/initrd.h"
#include "image/store.h"
#include "tests/test.h"

#include <endian.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#define PAYLOAD_AT (5 * 512 + 64)

/* An ELF file as far as anybody looks. */
static void fill_elf(char *elf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		elf[i] = (char)(i / 97);
	memcpy(elf, "\177ELF", 4);
}

static void put_le32(char *at, size_t n)
{
	uint32_t le = htole32((uint32_t)n);

	memcpy(at, &le, sizeof(le));
}

/* Compresses into out (of max bytes) with a filter of libarchive's name; the length. */
static size_t compress(const char *filter, const char *data, size_t len, char *out, size_t max)
{
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used = 0;

	CHECK(archive_write_set_format_raw(archive) == ARCHIVE_OK);
	CHECK(archive_write_add_filter_by_name(archive, filter) >= ARCHIVE_WARN);
	(void)archive_write_set_bytes_in_last_block(archive, 1);
	CHECK(archive_write_open_memory(archive, out, max, &used) == ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	CHECK(archive_write_header(archive, entry) == ARCHIVE_OK);
	CHECK(archive_write_data(archive, data, len) == (ssize_t)len);
	CHECK(archive_write_close(archive) == ARCHIVE_OK);
	(void)archive_write_free(archive);
	archive_entry_free(entry);
	return used;
}

/* A bzImage around an ELF file; *ret_len bytes, the caller's. */
static char *make_bzimage(const char *filter, const char *elf, size_t len, size_t *ret_len)
{
	size_t max = len + 65536;
	char *image = mem_zalloc(1, max);
	size_t n = compress(filter, elf, len, image + PAYLOAD_AT, max - PAYLOAD_AT - 64);

	if (strcmp(filter, "gzip") != 0) { /* gzip ends with the size by itself */
		put_le32(image + PAYLOAD_AT + n, len);
		n += 4;
	}
	image[0x1f1] = 4;
	memcpy(image + 0x202, "HdrS", 4);
	put_le32(image + 0x248, 64);
	put_le32(image + 0x24c, n);
	*ret_len = PAYLOAD_AT + n;
	return image;
}

TEST("a kernel is unpacked whatever it is compressed with")
{
	static const char *const filters[] = {"gzip", "xz", "lz4", "zstd", "bzip2", "lzma"};
	AUTO_FREE char *path = mem_printf("%s/vmlinux", test_dir());
	char elf[300000];
	struct pyro_error err;

	fill_elf(elf, sizeof(elf));
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		AUTO_BUF struct buf got = BUF_INIT(sizeof(elf) + 1);
		size_t len;
		AUTO_FREE char *image = make_bzimage(filters[i], elf, sizeof(elf), &len);

		CHECK_OK(kernel_unpack(image, len, path, &err), err);
		CHECK_OK(file_read(path, &got, &err), err);
		CHECK(got.len == sizeof(elf) && memcmp(got.data, elf, sizeof(elf)) == 0);
	}
}

TEST("a bzImage that lies about itself is refused")
{
	AUTO_FREE char *path = mem_printf("%s/vmlinux", test_dir());
	char elf[3000];
	size_t len;
	AUTO_FREE char *image = NULL;
	struct pyro_error err;

	fill_elf(elf, sizeof(elf));
	image = make_bzimage("gzip", elf, sizeof(elf), &len);
	CHECK(kernel_unpack(image, 100, path, &err) < 0);
	CHECK(kernel_unpack(image, len - 1, path, &err) < 0);
	put_le32(image + 0x248, 0xffffff00);
	CHECK(kernel_unpack(image, len, path, &err) < 0);
	put_le32(image + 0x248, 64);
	put_le32(image + len - 4, 0xffffffff);
	CHECK(kernel_unpack(image, len, path, &err) < 0);
	CHECK_INT(err.code, PYRO_E_LIMIT);
	put_le32(image + len - 4, sizeof(elf) + 1);
	CHECK(kernel_unpack(image, len, path, &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	memset(image + PAYLOAD_AT, 'x', 100);
	CHECK(kernel_unpack(image, len, path, &err) < 0);
}

/* --- packages --------------------------------------------------------------------------- */

struct package {
	struct archive *archive;
	char *data;
	size_t len;
	size_t at;
};

static ssize_t read_package(void *ctx, void *data, size_t len, struct pyro_error *err)
{
	struct package *p = ctx;
	size_t n = p->len - p->at < len ? p->len - p->at : len;

	(void)err;
	memcpy(data, p->data + p->at, n);
	p->at += n;
	return (ssize_t)n;
}

static void add(struct package *p, const char *path, const void *data, size_t len)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, path);
	archive_entry_set_mode(entry, S_IFREG | 0644);
	archive_entry_set_size(entry, (int64_t)len);
	CHECK(archive_write_header(p->archive, entry) == ARCHIVE_OK);
	CHECK(archive_write_data(p->archive, data, len) == (ssize_t)len);
	archive_entry_free(entry);
}

static void add_module(struct package *p, const char *file, const char *depends)
{
	AUTO_FREE char *path = mem_printf("./lib/modules/9.9-test/kernel/x/%s", file);
	char text[200] = "license=GPL";
	int n = snprintf(text + 12, 150, "depends=%s", depends);

	add(p, path, text, 12 + (size_t)n + 1);
}

#define BUILTIN                                                                          \
	"kernel/fs/ext4/ext4.ko\nkernel/fs/jbd2/jbd2.ko\nkernel/fs/mbcache.ko\n"         \
	"kernel/lib/crc16.ko\nkernel/drivers/virtio/virtio.ko\nkernel/x/virtio_net.ko\n" \
	"kernel/net/core/failover.ko\nkernel/x/net_failover.ko\n"

/* A package whose virtio_blk depends on `depends`; what extracting it to test_dir() returns. */
static int extract(const char *depends, bool with_console, struct kernel *kernel,
		   struct pyro_error *err)
{
	struct package p = {.data = mem_zalloc(1, 1 << 20)};
	struct untar_source source = {read_package, &p};
	size_t len;
	char elf[3000];
	AUTO_FREE char *image = NULL;
	int r;

	fill_elf(elf, sizeof(elf));
	image = make_bzimage("xz", elf, sizeof(elf), &len);
	p.archive = archive_write_new();
	(void)archive_write_set_format_pax_restricted(p.archive);
	CHECK(archive_write_open_memory(p.archive, p.data, 1 << 20, &p.len) == ARCHIVE_OK);
	add_module(&p, "virtio_blk.ko", depends);
	add(&p, "./boot/vmlinuz-9.9-test", image, len);
	add(&p, "./usr/bin/something", "else", 4);
	add_module(&p, "unwanted.ko", "");
	if (with_console)
		add_module(&p, "virtio_console.ko", "virtio_ring,virtio");
	add_module(&p, "virtio_mmio.ko", "virtio,virtio_ring");
	add_module(&p, "virtio_ring.ko", "");
	add_module(&p, "virtio-rng.ko", "virtio");
	add_module(&p, "overlay.ko", "");
	add_module(&p, "fuse.ko", "");
	add(&p, "./lib/modules/9.9-test/modules.builtin", BUILTIN, strlen(BUILTIN));
	CHECK(archive_write_close(p.archive) == ARCHIVE_OK);
	(void)archive_write_free(p.archive);
	r = kernel_extract(&source, test_dir(), kernel, err);
	free(p.data);
	return r;
}

static char *slurp(const char *name)
{
	AUTO_FREE char *path = mem_printf("%s/%s", test_dir(), name);
	struct buf text = BUF_INIT(1 << 20);
	struct pyro_error err;

	CHECK_OK(file_read(path, &text, &err), err);
	(void)buf_text(&text);
	return buf_take(&text);
}

TEST("the modules a guest needs are kept, in an order in which they can be loaded")
{
	AUTO_FREE char *order = NULL, *unwanted = mem_printf("%s/modules/unwanted.ko", test_dir());
	struct kernel kernel;
	struct pyro_error err;

	CHECK_OK(extract("virtio,virtio_ring", true, &kernel, &err), err);
	CHECK_STR(kernel.release, "9.9-test");
	order = slurp("modules/order");
	CHECK_STR(order, "virtio_ring.ko\nvirtio_mmio.ko\nvirtio_blk.ko\nvirtio_console.ko\n"
			 "virtio-rng.ko\noverlay.ko\nfuse.ko\n");
	CHECK_INT(kernel.n_files, 9);
	CHECK(!file_exists(unwanted));
	kernel_done(&kernel);
}

TEST("a kernel that lacks a module, or whose module needs another, is refused by name")
{
	struct kernel kernel;
	struct pyro_error err;

	CHECK(extract("virtio_ring,novel", true, &kernel, &err) < 0);
	CHECK(strstr(err.message, "'virtio_blk' needs 'novel'"));
	kernel_done(&kernel);
	CHECK(extract("", false, &kernel, &err) < 0);
	CHECK(strstr(err.message, "'virtio_console'"));
	kernel_done(&kernel);
}

TEST("an initial RAM disk is a cpio archive of the agent, the modules and a console")
{
	static const char *const files[] = {"vmlinux", "modules/order", "modules/fuse.ko", NULL};
	AUTO_FREE char *manifest = mem_printf("%s/manifest.json", test_dir());
	AUTO_FREE char *agent = mem_printf("%s/agent", test_dir()), *path = NULL, *digest = NULL;
	struct install install = {.kernel_dir = mem_strdup(test_dir())};
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	AUTO_BUF struct buf names = BUF_INIT(4096);
	struct pyro_error err;
	struct kernel kernel;
	char text[8] = "";

	CHECK_OK(extract("", true, &kernel, &err), err);
	CHECK_OK(file_write_atomic(agent, "#!agent", 7, 0755, &err), err);
	CHECK_OK(manifest_write(manifest, json_pack("{ss}", "id", "k"), files, &err), err);
	CHECK_OK(manifest_load(&install.kernel, manifest, &err), err);
	CHECK_OK(initrd_open(test_dir(), &install, agent, &path, &digest, &err), err);
	(void)archive_read_support_format_cpio(archive);
	CHECK(archive_read_open_filename(archive, path, 4096) == ARCHIVE_OK);
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		buf_printf(&names, "%s %o\n", archive_entry_pathname(entry),
			   archive_entry_mode(entry));
		if (strcmp(archive_entry_pathname(entry), "init") == 0)
			CHECK_INT(archive_read_data(archive, text, sizeof(text)), 7);
		if (strcmp(archive_entry_pathname(entry), "dev/console") == 0)
			CHECK(archive_entry_rdevmajor(entry) == 5 &&
			      archive_entry_rdevminor(entry) == 1);
	}
	CHECK_STR(buf_text(&names), "init 100755\nmodules 40755\nmodules/order 100644\n"
				    "modules/fuse.ko 100644\ndev 40755\ndev/console 20600\n");
	CHECK_STR(text, "#!agent");
	(void)archive_read_free(archive);
	store_close(&install);
	kernel_done(&kernel);
}
