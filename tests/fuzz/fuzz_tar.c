/*
 * Tar streams, both ways, as pyro-tar and pyro-patch take them. First byte: 0 an export of a
 * hostile guest is unpacked, 1 an archive that somebody gave is packed, and what comes of that
 * unpacked, 2 one side of a diff is read, 3 the bytes are names that git lists of a hostile
 * checkout.
 */
#include "base/err.h"
#include "base/file.h"
#include "fuzz.h"
#include "patch/side.h"
#include "scratch.h"
#include "tar/pack.h"
#include "tar/project.h"
#include "tar/tally.h"
#include "tar/unpack.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_FD 3
#define BYTES_MAX (1 << 20)
#define OUTSIDE "nobody may see this"

static struct {
	char temporary[64], item[80], project[64], outside[64];
} paths;
/* libarchive forgets the buffer of an archive that is given up; pyro-tar ends then. */
__attribute__((weak)) void __lsan_disable(void);
__attribute__((weak)) void __lsan_enable(void);

static int64_t entries; /* of what was unpacked */

/* Before anything is open: the programs have a descriptor for their progress, so it must be one. */
__attribute__((constructor)) static void open_report(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (fd != REPORT_FD)
		(void)dup3(fd, REPORT_FD, O_CLOEXEC);
}

static void make_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void set_up(void)
{
	const char *dir = scratch_dir();
	char path[80];

	if (*paths.temporary)
		return;
	(void)snprintf(paths.temporary, sizeof(paths.temporary), "%s/temporary", dir);
	(void)snprintf(paths.item, sizeof(paths.item), "%s/" UNPACK_ITEM, paths.temporary);
	(void)snprintf(paths.project, sizeof(paths.project), "%s/project", dir);
	(void)snprintf(paths.outside, sizeof(paths.outside), "%s/outside", dir);
	make_file(paths.outside, OUTSIDE);
	(void)snprintf(path, sizeof(path), "%s/a", paths.project);
	assert(dir_make(path, 0700, NULL) == 0);
	(void)snprintf(path, sizeof(path), "%s/a/file", paths.project);
	make_file(path, "content");
	(void)snprintf(path, sizeof(path), "%s/up", paths.project);
	assert(symlink("..", path) == 0);
	(void)snprintf(path, sizeof(path), "%s/link", paths.project);
	assert(symlink("../outside", path) == 0);
	(void)snprintf(path, sizeof(path), "%s/pipe", paths.project);
	assert(mkfifo(path, 0600) == 0);
}

static int check_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)type;
	entries += ftw->level > 0 || !S_ISDIR(st->st_mode);
	assert(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode));
	assert(!(st->st_mode & (S_ISUID | S_ISGID | S_ISVTX)));
	assert(S_ISDIR(st->st_mode) || st->st_nlink == 1);
	return 0;
}

static void check_outside(void)
{
	char text[sizeof(OUTSIDE)] = "";
	FILE *file = fopen(paths.outside, "re");

	assert(file && fread(text, 1, sizeof(text) - 1, file) == sizeof(text) - 1);
	assert(fgetc(file) == EOF && strcmp(text, OUTSIDE) == 0 && fclose(file) == 0);
	assert(scratch_names(scratch_dir()) == 2); /* `outside`, `project` */
}

/* What is made is what is told, and nothing is made beside, also where it fails. */
static void try_unpack(int fd)
{
	AUTO_FD int dir = -1;
	struct unpacked unpacked = {0};
	struct pyro_error err;
	int r;

	assert(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	assert(mkdir(paths.temporary, 0700) == 0);
	dir = open(paths.temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(dir >= 0);
	r = unpack(dir, 0077, BYTES_MAX, &unpacked, &err);
	entries = 0;
	assert(nftw(paths.item, check_entry, 8, FTW_PHYS) == 0 || r < 0);
	if (r == 0)
		assert(unpacked.tally.bytes <= BYTES_MAX && entries == unpacked.tally.entries);
	assert(scratch_names(paths.temporary) <= 1);
	assert(dir_remove(paths.temporary, NULL) == 0);
	check_outside();
}

static int begin_output(int *ret_saved)
{
	int fd = scratch_memory("", 0);

	*ret_saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, REPORT_FD + 1);
	assert(*ret_saved >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
	if (__lsan_disable)
		__lsan_disable();
	return fd;
}

static void end_output(int fd, int saved)
{
	if (__lsan_enable)
		__lsan_enable();
	assert(dup2(saved, STDOUT_FILENO) == STDOUT_FILENO);
	assert(lseek(fd, 0, SEEK_SET) == 0);
	(void)close(saved);
}

static void try_pack(int in)
{
	struct tally tally = {0};
	struct pyro_error err;
	char path[64];
	int saved, out = begin_output(&saved), r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", in);
	r = pack(path, BYTES_MAX, &tally, &err);
	end_output(out, saved);
	assert(r < 0 || tally.bytes <= BYTES_MAX);
	try_unpack(out);
	(void)close(out);
}

static void check_side(const struct side *side)
{
	size_t kept = 0;

	for (size_t i = 0; i < side->n; i++) {
		const struct side_file *file = &side->files[i];

		assert(file->path && *file->path && *file->path != '/');
		assert(!strstr(file->path, "/../") && strncmp(file->path, "../", 3) != 0);
		assert(strcmp(file->path, "..") != 0 && strcmp(file->path, ".git") != 0);
		assert(i == 0 || strcmp(side->files[i - 1].path, file->path) < 0);
		assert(side_find(side, file->path) == file);
		kept += file->data && file->type == SIDE_FILE ? file->size : 0;
	}
	assert(kept == side->kept_bytes && kept <= SIDE_TOTAL_MAX);
}

static void try_side(int fd)
{
	struct pyro_error err;
	struct side side;

	if (side_read(&side, fd, true, "the new side", &err) == 0)
		check_side(&side);
	side_done(&side);
}

/* Whatever is listed, what is outside is not packed. */
static void try_names(int names)
{
	struct project_skipped skipped = {0};
	struct tally tally = {0};
	struct pyro_error err;
	struct buf text = BUF_INIT(8 * BYTES_MAX);
	int saved, out = begin_output(&saved), r;

	r = project_pack_listed(paths.project, names, BYTES_MAX, &tally, &skipped, &err);
	end_output(out, saved);
	assert(r == 0 && file_read_fd(out, "the archive", &text, NULL) == 0);
	assert(!memmem(buf_text(&text), text.len, OUTSIDE, strlen(OUTSIDE)));
	json_decref(skipped.names);
	buf_done(&text);
	try_unpack(out); /* which accepts what has no links */
	(void)close(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static void (*const tries[])(int fd) = {try_unpack, try_pack, try_side, try_names};
	int fd;

	if (size < 1)
		return 0;
	set_up();
	fd = scratch_memory(bytes + 1, size - 1);
	tries[bytes[0] % 4](fd);
	(void)close(fd);
	return 0;
}
