/*
 * pyro-disk: reads the disk of a workspace without booting it, as it is or as a snapshot in it was.
 *
 *	pyro-disk [--snapshot NAME] DISK ROOT list PATH [--recursive]
 *	pyro-disk [--snapshot NAME] DISK ROOT read PATH MAX_BYTES [OFFSET]
 *	                                                             content to standard output
 *	pyro-disk [--snapshot NAME] DISK ROOT tar BASE               names from standard input,
 *	                                                             a tar stream to standard output
 *	pyro-disk [--snapshot NAME] DISK ROOT export OUT
 *
 * DISK is the guest's qcow2, ROOT what lies below it. Reports go to descriptor 3
 * (helper/report.h): list {"path", "artifact_type", "entries", "too_long"}, read
 * {"size_bytes", "mode"}, tar {"entries", "bytes"}, export {"size_bytes", "bytes_written"}. Ends
 * with 0 or 1.
 *
 * The guest made all that is read here, so it is read by a process that can do nothing else: it
 * opens what it needs, and then lets itself be confined.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/tar.h"
#include "disk/export.h"
#include "disk/ext4.h"
#include "disk/list.h"
#include "disk/qcow2.h"
#include "helper/confine.h"
#include "helper/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_FD 3
#define OUT_BYTES (256 * 1024)
#define MEMORY_BYTES (1 << 30)
#define CPU_SECONDS 600

/* What was asked for. */
struct request {
	const char *snapshot;
	const char *disk;
	const char *root;
	const char *command;
	const char *path;
	bool is_recursive;
	int64_t max_bytes;
	int64_t offset;
};

static int finish(struct pyro_error *err)
{
	return fflush(stdout) == 0 ? 0 : err_sys(err, errno, "write to standard output");
}

static int check_file(struct ext4 *fs, const struct ext4_node *node, const char *path,
		      struct pyro_error *err)
{
	AUTO_FREE char *target = NULL;

	if (S_ISREG(node->mode))
		return 0;
	if (!S_ISLNK(node->mode))
		return err_set(err, PYRO_E_INVALID, "'%s' is %s", path,
			       S_ISDIR(node->mode) ? "a directory" : "no regular file");
	target = ext4_target(fs, node, path, err);
	return target ? err_set(err, PYRO_E_INVALID, "'%s' is a symbolic link to '%s'", path,
				target)
		      : -1;
}

static json_t *read_one(struct ext4 *fs, const struct request *r, const char *path,
			struct pyro_error *err)
{
	uint64_t from = (uint64_t)r->offset, max = (uint64_t)r->max_bytes, left;
	struct ext4_node node;

	if (ext4_find(fs, path, &node, err) < 0 || check_file(fs, &node, path, err) < 0)
		return NULL;
	left = node.size > from ? node.size - from : 0;
	if (ext4_copy(fs, &node, path, from, left < max ? left : max, stdout, err) < 0 ||
	    finish(err) < 0)
		return NULL;
	return json_pack("{s:I, s:i}", "size_bytes", (json_int_t)(node.size & INT64_MAX), "mode",
			 (int)(node.mode & 07777));
}

/*
 * tar.
 */

struct packing {
	struct ext4 *fs;
	const char *base;
	uint64_t size_max;
	json_int_t entries;
	json_int_t bytes;
};

/* What is missing, or behind a symbolic link, or of no kind that a diff shows, is left out. */
static int pack_one(struct packing *p, const char *name, struct pyro_error *err)
{
	AUTO_FREE char *joined = mem_printf("%s/%s", p->base, name);
	AUTO_FREE char *path = ext4_path(joined, err);
	AUTO_FREE char *target = NULL;
	struct tar_entry e = {.name = name};
	struct ext4_node node;

	if (!path || ext4_find(p->fs, path, &node, err) < 0)
		return err->code == PYRO_E_NOT_FOUND || err->code == PYRO_E_INVALID ? 0 : -1;
	if (!S_ISREG(node.mode) && !S_ISDIR(node.mode) && !S_ISLNK(node.mode))
		return 0;
	if (S_ISREG(node.mode) && node.size > p->size_max)
		return err_set(err, PYRO_E_LIMIT, "'%s' is larger than the disk", path);
	if (S_ISLNK(node.mode)) {
		e.target = target = ext4_target(p->fs, &node, path, err);
		if (!target)
			return -1;
	}
	e.mode = node.mode;
	e.mtime.tv_sec = node.mtime_s;
	e.size = S_ISREG(node.mode) ? node.size : 0;
	tar_header(stdout, &e);
	if (e.size && ext4_copy(p->fs, &node, path, 0, e.size, stdout, err) < 0)
		return -1;
	tar_pad(stdout, e.size);
	p->entries++;
	p->bytes += (json_int_t)e.size;
	return ferror(stdout) ? finish(err) : 0;
}

static json_t *pack(struct ext4 *fs, const char *base, uint64_t size_max, struct pyro_error *err)
{
	struct packing p = {.fs = fs, .base = base, .size_max = size_max};
	AUTO_FREE char *name = NULL;
	size_t room = 0;

	(void)setvbuf(stdout, NULL, _IOFBF, OUT_BYTES);
	while (getdelim(&name, &room, '\0', stdin) > 0)
		if (pack_one(&p, name, err) < 0)
			return NULL;
	if (ferror(stdin)) {
		(void)err_sys(err, errno, "read names from standard input");
		return NULL;
	}
	tar_end(stdout);
	if (finish(err) < 0)
		return NULL;
	return json_pack("{s:I, s:I}", "entries", p.entries, "bytes", p.bytes);
}

/*
 * The command line.
 */

static bool parse(int argc, char **argv, struct request *r)
{
	if (argc > 2 && strcmp(argv[1], "--snapshot") == 0) {
		r->snapshot = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 5 || argc > 7)
		return false;
	r->disk = argv[1];
	r->root = argv[2];
	r->command = argv[3];
	r->path = argv[4];
	if (strcmp(r->command, "list") == 0) {
		r->is_recursive = argc == 6;
		return argc == 5 || (argc == 6 && strcmp(argv[5], "--recursive") == 0);
	}
	if (strcmp(r->command, "read") == 0)
		return argc > 5 && parse_int(argv[5], 0, INT64_MAX, &r->max_bytes) &&
		       (argc == 6 || parse_int(argv[6], 0, INT64_MAX, &r->offset));
	return argc == 5 && (strcmp(r->command, "tar") == 0 || strcmp(r->command, "export") == 0);
}

/* Reads the file system. *ret stays NULL where the command has told its result itself. */
static int look(const struct request *r, struct qcow2 *disk, json_t **ret, struct pyro_error *err)
{
	AUTO_FREE char *path = ext4_path(r->path, err);
	struct ext4 *fs = path ? ext4_open(disk, err) : NULL;
	int result;

	if (!fs)
		return -1;
	if (strcmp(r->command, "list") == 0) {
		result = list(fs, path, r->is_recursive, REPORT_FD, err);
	} else {
		*ret = strcmp(r->command, "read") == 0 ? read_one(fs, r, path, err)
						       : pack(fs, path, qcow2_size(disk), err);
		result = *ret ? 0 : -1;
	}
	(void)ext4_close(fs);
	return result;
}

static int run(const struct request *r, json_t **ret, struct pyro_error *err)
{
	bool is_export = strcmp(r->command, "export") == 0;
	AUTO_FD int disk = open(r->disk, O_RDONLY | O_CLOEXEC);
	AUTO_FD int root = -1;
	AUTO_EXPORT struct export out = {-1, -1, NULL};
	struct qcow2 *q;
	int result;

	if (disk < 0)
		return err_sys(err, errno, "open '%s'", r->disk);
	root = open(r->root, O_RDONLY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, errno, "open '%s'", r->root);
	if (is_export && export_open(&out, r->path, err) < 0)
		return -1;
	if (confine(&(struct confine_limits){MEMORY_BYTES, CPU_SECONDS, out.dir, -1}, err) < 0)
		return -1;
	q = qcow2_open(disk, root, r->snapshot, err);
	if (!q)
		return -1;
	if (is_export)
		*ret = export_disk(&out, q, REPORT_FD, err);
	result = is_export ? (*ret ? 0 : -1) : look(r, q, ret, err);
	(void)qcow2_free(q);
	return result;
}

int main(int argc, char **argv)
{
	struct request request = {0};
	struct pyro_error err = {0};
	json_t *result = NULL;

	if (!parse(argc, argv, &request)) {
		(void)fputs("usage: pyro-disk [--snapshot NAME] DISK ROOT "
			    "list PATH [--recursive] | read PATH MAX_BYTES [OFFSET] | tar BASE | "
			    "export OUT\n",
			    stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (run(&request, &result, &err) == 0 && !result)
		return 0;
	return report_end(REPORT_FD, result, &err);
}
