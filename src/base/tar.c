#include "base/tar.h"

#include "base/buf.h"
#include "base/mem.h"

#include <string.h>
#include <sys/stat.h>

#define BLOCK 512
#define OCTAL_11 UINT64_C(077777777777)
#define RECORD_MAX (64 * 1024)

struct ustar {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char target[100];
	char magic[6];
	char version[2];
	char rest[247];
};

_Static_assert(sizeof(struct ustar) == BLOCK, "a header is a block");

/* As many octal digits as the field has room for, and a NUL. */
static void put_octal(char *field, size_t size, uint64_t value)
{
	field[--size] = '\0';
	while (size--) {
		field[size] = (char)('0' + value % 8);
		value /= 8;
	}
}

/* As much as fits; the extended header has the whole. */
static void put_text(char *field, size_t size, const char *text)
{
	size_t len = strlen(text);

	memcpy(field, text, len < size ? len : size);
}

static void put_checksum(struct ustar *h)
{
	unsigned sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const unsigned char *)h)[i];
	put_octal(h->checksum, 7, sum);
}

static void put_header(FILE *out, const struct tar_entry *e, char type)
{
	struct ustar h = {.type = type, .magic = "ustar", .version = {'0', '0'}};

	put_text(h.name, sizeof(h.name), e->name);
	put_octal(h.mode, sizeof(h.mode), e->mode & 07777);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), e->size > OCTAL_11 ? 0 : e->size);
	put_octal(h.mtime, sizeof(h.mtime), e->mtime.tv_sec > 0 ? (uint64_t)e->mtime.tv_sec : 0);
	put_text(h.target, sizeof(h.target), e->target ? e->target : "");
	put_checksum(&h);
	(void)fwrite(&h, sizeof(h), 1, out);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void put_record(struct buf *b, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;

	while (rest + (size_t)snprintf(NULL, 0, "%zu", len) != len)
		len++;
	buf_printf(b, "%zu %s=", len, key);
	buf_puts(b, value);
	buf_puts(b, "\n");
}

static void put_extended(FILE *out, const struct tar_entry *e)
{
	AUTO_BUF struct buf records = BUF_INIT(RECORD_MAX);
	char size[24], mtime[40];

	(void)snprintf(size, sizeof(size), "%llu", (unsigned long long)e->size);
	if (strlen(e->name) > 100)
		put_record(&records, "path", e->name);
	if (e->target && strlen(e->target) > 100)
		put_record(&records, "linkpath", e->target);
	if (e->size > OCTAL_11)
		put_record(&records, "size", size);
	if (e->mtime.tv_nsec) {
		(void)snprintf(mtime, sizeof(mtime), "%lld.%09ld", (long long)e->mtime.tv_sec,
			       e->mtime.tv_nsec);
		put_record(&records, "mtime", mtime);
	}
	if (!records.len)
		return;
	put_record(&records, "hdrcharset", "BINARY");
	put_header(out, &(struct tar_entry){.name = "pax", .mode = 0644, .size = records.len}, 'x');
	(void)fwrite(records.data, records.len, 1, out);
	tar_pad(out, records.len);
}

void tar_header(FILE *out, const struct tar_entry *e)
{
	put_extended(out, e);
	put_header(out, e, S_ISDIR(e->mode) ? '5' : S_ISLNK(e->mode) ? '2' : '0');
}

static const char zeros[2 * BLOCK];

void tar_pad(FILE *out, uint64_t size)
{
	(void)fwrite(zeros, 1, (size_t)(-size % BLOCK), out);
}

void tar_end(FILE *out)
{
	(void)fwrite(zeros, 1, sizeof(zeros), out);
}
