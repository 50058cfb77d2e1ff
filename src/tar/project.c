/*
 * A list of names, made or given, is sorted like paths: every directory directly before what is in
 * it. So the directory of a name is nearly always that of the name before it, which is still open,
 * and each directory is sent when its first entry is.
 */
#include "tar/project.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/utf8.h"
#include "tar/out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct project {
	struct out out;
	struct project_skipped *skipped;
	bool is_whole;
	struct buf text; /* the names, a NUL behind each */
	const char **names;
	size_t n;
	int root_fd;
	char *dir; /* of the last name; "" is the root */
	int dir_fd;
	int dir_errno; /* why dir_fd is not open */
	char *sent;    /* the last directory that was sent */
};

static int skip(struct project *p, const char *name)
{
	if (p->skipped->count++ < PROJECT_NAMED) {
		size_t len = strlen(name);
		bool is_long = len > PROJECT_NAME_SHOWN;
		AUTO_FREE char *text =
			utf8_repair(name, is_long ? utf8_start(name, len, PROJECT_NAME_SHOWN) : len,
				    NULL);
		AUTO_FREE char *shown = mem_printf("%s%s", text, is_long ? "\u2026" : "");

		json_array_append_new(p->skipped->names, json_string(shown));
	}
	return 0;
}

/*
 * The list.
 */

static int by_path(const void *a, const void *b)
{
	const unsigned char *x = *(const unsigned char *const *)a;
	const unsigned char *y = *(const unsigned char *const *)b;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	return (*x == '/' ? 1 : *x * 2) - (*y == '/' ? 1 : *y * 2);
}

static int sort_names(struct project *p, struct pyro_error *err)
{
	const char *at = p->text.data, *end = at + p->text.len;

	if (p->text.is_full)
		return err_set(err, PYRO_E_LIMIT, "'%s' has too many names", p->out.path);
	for (const char *nul = at; nul < end && (nul = memchr(nul, '\0', (size_t)(end - nul)));
	     nul++)
		p->n++;
	if (p->n > PROJECT_ENTRIES_MAX)
		return err_set(err, PYRO_E_LIMIT, "'%s' has %zu files, more than %d", p->out.path,
			       p->n, PROJECT_ENTRIES_MAX);
	p->names = mem_zalloc(p->n + 1, sizeof(*p->names));
	for (size_t i = 0; i < p->n; i++) {
		p->names[i] = at;
		at += strlen(at) + 1;
	}
	qsort(p->names, p->n, sizeof(*p->names), by_path);
	return 0;
}

static void note_entry(struct project *p, const FTSENT *e)
{
	const char *name = e->fts_path + strlen(p->out.path);

	name += *name == '/';
	if (!*name || e->fts_info == FTS_DP)
		return;
	if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
		(void)skip(p, name);
	else
		buf_append(&p->text, name, strlen(name) + 1);
}

static int list_all(struct project *p, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_strdup(p->out.path);
	char *const roots[] = {path, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *e;
	int errnum;

	if (!fts)
		return err_sys(err, errno, "read '%s'", path);
	while (!p->text.is_full && (errno = 0, e = fts_read(fts)))
		note_entry(p, e);
	errnum = errno;
	fts_close(fts);
	return errnum ? err_sys(err, errnum, "read '%s'", path) : 0;
}

/*
 * What is on it.
 */

static int open_below(const struct project *p, const char *path)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, p->root_fd, *path ? path : ".", &how, sizeof(how));
}

/* A name below the directory, of nothing that is git's own. */
static bool is_good(const struct project *p, const char *name)
{
	for (;; name++) {
		size_t len = strcspn(name, "/");

		if (len == 0 || (len == 1 && *name == '.') || (len == 2 && !strncmp(name, "..", 2)))
			return false;
		if (len == 4 && strncasecmp(name, ".git", 4) == 0 && !p->is_whole)
			return false;
		name += len;
		if (!*name)
			return true;
	}
}

static bool is_at_or_below(const char *path, const char *dir, size_t len)
{
	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static int send_dir(struct project *p, const char *dir, struct pyro_error *err)
{
	AUTO_FD int fd = open_below(p, dir);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return out_changed(err, dir);
	return out_item(&p->out,
			&(struct out_item){*dir ? dir : ".", st.st_mode, 0, st.st_mtim, NULL, NULL},
			err);
}

/* The directory and those it is in, less those that were sent already. */
static int send_dirs(struct project *p, const char *dir, struct pyro_error *err)
{
	for (size_t len = strcspn(dir, "/"); len; len += strcspn(dir + len + 1, "/") + 1) {
		AUTO_FREE char *part = mem_strndup(dir, len);

		if (!is_at_or_below(p->sent, part, len) && send_dir(p, part, err) < 0)
			return -1;
		if (!dir[len])
			break;
	}
	free(p->sent);
	p->sent = mem_strdup(dir);
	return 0;
}

static int send_file(struct project *p, const char *base, const char *name, struct pyro_error *err)
{
	AUTO_FD int fd =
		openat(p->dir_fd, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return skip(p, name);
	return send_dirs(p, p->dir, err) < 0 ? -1 : out_file(&p->out, fd, &st, name, err);
}

static int send_symlink(struct project *p, const char *base, const char *name,
			const struct stat *st, struct pyro_error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(p->dir_fd, base, target, sizeof(target) - 1);

	if (n < 0)
		return skip(p, name);
	target[n] = '\0';
	if (send_dirs(p, p->dir, err) < 0)
		return -1;
	return out_item(&p->out,
			&(struct out_item){name, st->st_mode, 0, st->st_mtim, target, NULL}, err);
}

static bool is_empty(const struct project *p, const char *base)
{
	int fd = openat(p->dir_fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int n = 0;

	if (!dir) {
		fd_close(&fd);
		return false;
	}
	while (n < 3 && readdir(dir))
		n++;
	(void)closedir(dir);
	return n < 3;
}

/* On a list of files this is the place of a submodule that is not checked out. */
static int send_directory(struct project *p, const char *base, const char *name,
			  struct pyro_error *err)
{
	return p->is_whole || is_empty(p, base) ? send_dirs(p, name, err) : skip(p, name);
}

/* Opens the directory of a name; the name in it. */
static const char *enter(struct project *p, const char *name)
{
	const char *slash = strrchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : 0;

	if (!p->dir || strlen(p->dir) != len || strncmp(p->dir, name, len) != 0) {
		fd_close(&p->dir_fd);
		free(p->dir);
		p->dir = mem_strndup(name, len);
		p->dir_fd = open_below(p, p->dir);
		p->dir_errno = errno;
	}
	return slash ? slash + 1 : name;
}

static int send_one(struct project *p, const char *name, struct pyro_error *err)
{
	const char *base;
	struct stat st;

	if (!is_good(p, name))
		return skip(p, name);
	base = enter(p, name);
	errno = p->dir_errno;
	if (p->dir_fd < 0 || fstatat(p->dir_fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : skip(p, name);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return send_file(p, base, name, err);
	case S_IFLNK:
		return send_symlink(p, base, name, &st, err);
	case S_IFDIR:
		return send_directory(p, base, name, err);
	default:
		return skip(p, name);
	}
}

static int send_all(struct project *p, struct pyro_error *err)
{
	if (send_dir(p, "", err) < 0)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if ((i == 0 || strcmp(p->names[i], p->names[i - 1]) != 0) &&
		    send_one(p, p->names[i], err) < 0)
			return -1;
	return 0;
}

static int pack_project(struct project *p, int names_fd, struct pyro_error *err)
{
	int r;

	p->text = (struct buf)BUF_INIT(PROJECT_NAMES_MAX);
	p->sent = mem_strdup("");
	p->dir_fd = -1;
	p->root_fd = open(p->out.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	p->skipped->names = json_array();
	r = out_begin(&p->out, err);
	if (r == 0 && p->root_fd < 0)
		r = err_sys(err, errno, "read '%s'", p->out.path);
	if (r == 0)
		r = p->is_whole ? list_all(p, err)
				: file_read_fd(names_fd, "the list of names", &p->text, err);
	if (r == 0)
		r = sort_names(p, err);
	r = out_end(&p->out, r < 0 ? r : send_all(p, err), err);
	fd_close(&p->dir_fd);
	fd_close(&p->root_fd);
	free(p->sent);
	free(p->dir);
	free(p->names);
	buf_done(&p->text);
	return r;
}

int project_pack_listed(const char *dir, int names_fd, int64_t bytes_max, struct tally *ret,
			struct project_skipped *ret_skipped, struct pyro_error *err)
{
	struct project p = {.out = {.path = dir, .bytes_max = bytes_max, .tally = ret},
			    .skipped = ret_skipped};

	return pack_project(&p, names_fd, err);
}

int project_pack_whole(const char *dir, int64_t bytes_max, struct tally *ret,
		       struct project_skipped *ret_skipped, struct pyro_error *err)
{
	struct project p = {.out = {.path = dir, .bytes_max = bytes_max, .tally = ret},
			    .skipped = ret_skipped,
			    .is_whole = true};

	return pack_project(&p, -1, err);
}
