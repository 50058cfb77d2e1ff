#include "image/builder/kernel.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "image/builder/untar.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#define BZIMAGE_MAX (64 << 20)
#define VMLINUX_MAX (512 << 20)
#define MODULE_MAX (16 << 20)
#define BUILTIN_MAX (1 << 20)

/*
 * The modules that a guest may need, each after what it depends on. The console carries the
 * channel, blk the disk, and ext4 is the root; net, rng, overlay and fuse are there for guests with
 * more. Those that the kernel has built in are left out, and a check says if one lacks a friend.
 */
static const char *const wanted[] = {
	"virtio_ring",  "virtio",     "virtio_mmio", "virtio_blk", "virtio_console",
	"crc16",        "mbcache",    "jbd2",        "ext4",       "failover",
	"net_failover", "virtio_net", "virtio_rng",  "overlay",    "fuse",
};

struct module {
	char *depends; /* names joined by commas; NULL: not seen */
	char *file;    /* "virtio-rng.ko" */
};

struct extraction {
	const char *dir;
	struct kernel *kernel;
	struct buf bzimage;
	struct buf builtin; /* the text of modules.builtin */
	struct module modules[ARRAY_SIZE(wanted)];
};

/* --- the kernel itself ------------------------------------------------------------------ */

static uint32_t le32_at(const uint8_t *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return le32toh(n);
}

/* Decompresses to fd until `size` bytes came out. */
static int decompress(const void *payload, size_t len, uint32_t size, int fd,
		      struct pyro_error *err)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	char chunk[65536];
	size_t done = 0;
	int r = 0;

	(void)archive_read_support_filter_all(archive);
	(void)archive_read_support_format_raw(archive);
	if (archive_read_open_memory(archive, payload, len) < ARCHIVE_WARN ||
	    archive_read_next_header(archive, &entry) < ARCHIVE_WARN)
		r = err_set(err, PYRO_E_INVALID, "the kernel's compression is not known");
	while (r == 0 && done < size) {
		size_t want = size - done < sizeof(chunk) ? size - done : sizeof(chunk);
		ssize_t n = archive_read_data(archive, chunk, want);

		if (n <= 0)
			r = err_set(err, PYRO_E_INVALID, "the kernel's payload is damaged");
		else if (done == 0 && (n < SELFMAG || memcmp(chunk, ELFMAG, SELFMAG) != 0))
			r = err_set(err, PYRO_E_INVALID, "the kernel's payload is no ELF file");
		else
			r = file_write_all(fd, chunk, (size_t)n, err);
		done += n > 0 ? (size_t)n : 0;
	}
	(void)archive_read_free(archive);
	return r;
}

/*
 * The header says where the payload lies, counted from the protected-mode code behind the setup
 * sectors; the payload's last four bytes are the size of what is in it. Those of gzip's are its
 * own, behind any other format they are the kernel's and mean nothing to a decompressor.
 */
int kernel_unpack(const void *bzimage, size_t len, const char *path, struct pyro_error *err)
{
	const uint8_t *p = bzimage;
	AUTO_FD int fd = -1;
	uint64_t start;
	uint32_t size, payload_len;

	if (len < 0x260 || memcmp(p + 0x202, "HdrS", 4) != 0)
		return err_set(err, PYRO_E_INVALID, "the kernel is no bzImage");
	start = ((p[0x1f1] ? p[0x1f1] : 4) + 1) * UINT64_C(512) + le32_at(p + 0x248);
	payload_len = le32_at(p + 0x24c);
	if (payload_len < 8 || start + payload_len > len)
		return err_set(err, PYRO_E_INVALID, "the kernel's payload lies outside of it");
	size = le32_at(p + start + payload_len - 4);
	if (size > VMLINUX_MAX)
		return err_set(err, PYRO_E_LIMIT, "the kernel is larger than %d bytes",
			       VMLINUX_MAX);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, errno, "create '%s'", path);
	if (p[start] != 0x1f || p[start + 1] != 0x8b)
		payload_len -= 4;
	return decompress(p + start, payload_len, size, fd, err) < 0
		       ? err_wrap(err, "unpack the kernel to '%s'", path)
		       : 0;
}

/* --- modules ---------------------------------------------------------------------------- */

/* "kernel/drivers/x/virtio-rng.ko" is the module virtio_rng. */
static bool is_module(const char *path, size_t len, const char *name)
{
	size_t n = strlen(name);

	if (len < n + 4 || path[len - n - 4] != '/' || memcmp(path + len - 3, ".ko", 3) != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = path[len - n - 3 + i];

		if ((c == '-' ? '_' : c) != name[i])
			return false;
	}
	return true;
}

/* The list of names that a module's .modinfo section gives, "" if it has none. */
static char *depends_of(const struct buf *ko)
{
	static const char key[] = "\0depends="; /* entries are separated by NUL */
	const char *at = memmem(ko->data, ko->len, key, sizeof(key) - 1);

	if (!at)
		return mem_strdup("");
	at += sizeof(key) - 1;
	return mem_strndup(at, strnlen(at, (size_t)(ko->data + ko->len - at)));
}

static bool is_builtin(const struct extraction *x, const char *name)
{
	for (const char *line = buf_text(&x->builtin); *line;) {
		size_t n = strcspn(line, "\n");

		if (is_module(line, n, name))
			return true;
		line += n + (line[n] == '\n');
	}
	return false;
}

/* Whether a module named by the first n bytes of `name` is loaded before wanted[before]. */
static bool is_provided(const struct extraction *x, const char *name, size_t n, size_t before)
{
	AUTO_FREE char *word = mem_strndup(name, n);

	for (char *p = word; *p; p++)
		*p = *p == '-' ? '_' : *p;
	for (size_t i = 0; i < before; i++)
		if (strcmp(word, wanted[i]) == 0)
			return x->modules[i].depends || is_builtin(x, word);
	return is_builtin(x, word);
}

static int check_module(const struct extraction *x, size_t at, struct pyro_error *err)
{
	for (const char *d = x->modules[at].depends; *d;) {
		size_t n = strcspn(d, ",");

		if (n && !is_provided(x, d, n, at))
			return err_set(err, PYRO_E_INVALID, "kernel module '%s' needs '%.*s'",
				       wanted[at], (int)n, d);
		d += n + (d[n] == ',');
	}
	return 0;
}

static int write_file(struct extraction *x, char *name, const void *data, size_t len,
		      struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/%s", x->dir, name);

	x->kernel->files[x->kernel->n_files++] = name; /* at most a few more than `wanted` has */
	return file_write_atomic(path, data, len, 0644, err);
}

static int write_order(struct extraction *x, struct pyro_error *err)
{
	AUTO_BUF struct buf order = BUF_INIT(4096);

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		const struct module *m = &x->modules[i];

		if (m->depends)
			buf_printf(&order, "%s\n", m->file);
		else if (!is_builtin(x, wanted[i]))
			return err_set(err, PYRO_E_INVALID, "the kernel has no module '%s'",
				       wanted[i]);
		if (m->depends && check_module(x, i, err) < 0)
			return -1;
	}
	return write_file(x, mem_strdup("modules/order"), buf_text(&order), order.len, err);
}

/* --- the package ------------------------------------------------------------------------ */

static int read_entry(struct archive *archive, struct buf *b, const char *path,
		      struct pyro_error *err)
{
	for (;;) {
		size_t room = b->max - b->len < 65536 ? b->max - b->len : 65536;
		ssize_t n;

		if (room == 0)
			return err_set(err, PYRO_E_LIMIT, "'%s' is too large", path);
		n = archive_read_data(archive, buf_room(b, room), room);
		if (n < 0)
			return err_set(err, PYRO_E_INVALID, "read '%s': %s", path,
				       archive_error_string(archive));
		if (n == 0)
			return 0;
		buf_grew(b, (size_t)n);
	}
}

static int take_module(struct extraction *x, size_t at, struct archive *archive, const char *path,
		       struct pyro_error *err)
{
	AUTO_BUF struct buf ko = BUF_INIT(MODULE_MAX);
	struct module *m = &x->modules[at];

	if (m->depends)
		return 0;
	if (read_entry(archive, &ko, path, err) < 0)
		return -1;
	m->depends = depends_of(&ko);
	m->file = mem_strdup(strrchr(path, '/') + 1);
	return write_file(x, mem_printf("modules/%s", m->file), ko.data, ko.len, err);
}

static int on_entry(void *ctx, struct archive *archive, struct archive_entry *entry,
		    struct pyro_error *err)
{
	static const char boot[] = "./boot/vmlinuz-";
	const char *path = archive_entry_pathname(entry);
	struct extraction *x = ctx;

	if (!path || archive_entry_filetype(entry) != AE_IFREG)
		return 0;
	if (strncmp(path, boot, sizeof(boot) - 1) == 0 && x->bzimage.len == 0 &&
	    !strchr(path + sizeof(boot) - 1, '/')) {
		(void)snprintf(x->kernel->release, sizeof(x->kernel->release), "%s",
			       path + sizeof(boot) - 1);
		return read_entry(archive, &x->bzimage, path, err);
	}
	if (strncmp(path, "./lib/modules/", 14) != 0 &&
	    strncmp(path, "./usr/lib/modules/", 18) != 0)
		return 0;
	if (strcmp(strrchr(path, '/'), "/modules.builtin") == 0 && x->builtin.len == 0)
		return read_entry(archive, &x->builtin, path, err);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (is_module(path, strlen(path), wanted[i]))
			return take_module(x, i, archive, path, err);
	return 0;
}

static int extract(struct extraction *x, const struct untar_source *source, struct pyro_error *err)
{
	AUTO_FREE char *modules = mem_printf("%s/modules", x->dir);
	AUTO_FREE char *vmlinux = mem_printf("%s/vmlinux", x->dir);

	if (dir_make(modules, 0755, err) < 0 || untar_each(source, on_entry, x, err) < 0)
		return -1;
	if (x->bzimage.len == 0)
		return err_set(err, PYRO_E_INVALID, "there is no kernel in the package");
	x->kernel->files[x->kernel->n_files++] = mem_strdup("vmlinux");
	if (kernel_unpack(x->bzimage.data, x->bzimage.len, vmlinux, err) < 0)
		return -1;
	return write_order(x, err);
}

int kernel_extract(const struct untar_source *source, const char *dir, struct kernel *ret,
		   struct pyro_error *err)
{
	struct extraction x = {.dir = dir,
			       .kernel = ret,
			       .bzimage = BUF_INIT(BZIMAGE_MAX),
			       .builtin = BUF_INIT(BUILTIN_MAX)};
	int r;

	_Static_assert(ARRAY_SIZE(wanted) + 3 <= KERNEL_MAX_FILES, "files has room for all");
	*ret = (struct kernel){.n_files = 0};
	r = extract(&x, source, err);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		free(x.modules[i].depends);
		free(x.modules[i].file);
	}
	buf_done(&x.bzimage);
	buf_done(&x.builtin);
	return r;
}

void kernel_done(struct kernel *kernel)
{
	for (size_t i = 0; i < kernel->n_files; i++)
		free(kernel->files[i]);
	*kernel = (struct kernel){.n_files = 0};
}
