#include "patch/apply.h"

#include "base/buf.h"
#include "base/err.h"
#include "patch/binary.h"
#include "patch/hunk.h"
#include "patch/parse.h"
#include "patch/path.h"
#include "patch/side.h"

#include <archive.h>
#include <archive_entry.h>
#include <git2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* What a text may become: all of a file, and all of a patch. */
#define CONTENT_MAX (SIDE_FILE_MAX + PARSE_PATCH_MAX)

/* One section and the file that it is about. */
struct job {
	const struct parse_file *section;
	const char *path;                 /* the old path, or that of a new file */
	const struct side_file *old_file; /* NULL: it adds */
	struct pyro_error *err;
};

PRINTF(2, 3)
static int fail(const struct job *job, const char *fmt, ...)
{
	AUTO_FREE char *why = NULL;
	va_list ap;

	va_start(ap, fmt);
	why = mem_vprintf(fmt, ap);
	va_end(ap);
	return err_set(job->err, PYRO_E_INVALID,
		       "patch does not apply: '%s' (line %zu of the patch) %s", job->path,
		       job->section->line, why);
}

/*
 * Names.
 */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void apply_names(const struct parse_patch *patch, FILE *out)
{
	AUTO_FREE const char **names =
		mem_zalloc(patch->n * (PARSE_NAMES_MAX + 1) + 1, sizeof(*names));
	size_t n = 0;

	for (size_t i = 0; i < patch->n; i++) {
		const struct parse_file *file = &patch->files[i];

		for (size_t j = 0; j < file->n_names; j++)
			names[n++] = file->names[j];
		if (file->new_name)
			names[n++] = file->new_name;
	}
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(names[i - 1], names[i]) != 0)
			(void)fwrite(names[i], 1, strlen(names[i]) + 1, out);
}

static bool has_content(const struct side_file *file)
{
	return file && (file->type == SIDE_FILE || file->type == SIDE_SYMLINK);
}

/* The first of the names that exists, or else the likeliest one. */
static struct job find_file(const struct parse_file *section, const struct side *side,
			    struct pyro_error *err)
{
	struct job job = {section, section->names[0], NULL, err};

	if (section->action == PARSE_ADD)
		return job;
	for (size_t i = 0; i < section->n_names && !job.old_file; i++) {
		const struct side_file *file = side_find(side, section->names[i]);

		if (has_content(file)) {
			job.path = section->names[i];
			job.old_file = file;
		}
	}
	return job;
}

/*
 * Content.
 */

static int check_old_file(const struct job *job, const struct side *side)
{
	const struct parse_file *section = job->section;
	const struct side_file *file = job->old_file;
	bool is_link;

	if (!file && (section->action == PARSE_ADD || section->may_add))
		return 0;
	if (!file)
		return fail(job, side_find(side, job->path) ? "is no regular file and no symlink"
							    : "does not exist");
	if (!file->data)
		return err_set(job->err, PYRO_E_LIMIT,
			       "'%s' is larger than %zu MiB, or the files together than %zu MiB",
			       job->path, SIDE_FILE_MAX >> 20, SIDE_TOTAL_MAX >> 20);
	if (section->may_add && file->size)
		return fail(job, "exists already");
	is_link = file->type == SIDE_SYMLINK;
	/* Nothing is said of the type of what is only renamed. */
	if (S_ISLNK(section->old_mode) != is_link &&
	    (section->old_mode || section->n_hunks || section->binary))
		return fail(job, "is %s, the patch is for %s", is_link ? "a symlink" : "a file",
			    is_link ? "a file" : "a symlink");
	return 0;
}

/* Whether the content has the blob id, of which the patch may only have the beginning. */
static bool has_id(const char *data, size_t len, const char *id)
{
	char text[GIT_OID_HEXSZ + 1];
	git_oid oid;

	(void)git_odb_hash(&oid, data, len, GIT_OBJECT_BLOB);
	(void)git_oid_tostr(text, sizeof(text), &oid);
	return strncmp(text, id, strlen(id)) == 0;
}

static int apply_binary(const struct job *job, const char *data, size_t len, struct buf *out)
{
	const struct parse_file *section = job->section;
	const char *fault;

	if (strlen(section->old_id) != GIT_OID_HEXSZ || strlen(section->new_id) != GIT_OID_HEXSZ)
		return fail(job, "is binary, and the patch has no 'index' line with whole ids "
				 "(git diff --full-index)");
	if (job->old_file && !has_id(data, len, section->old_id))
		return fail(job, "is not the binary file that the patch was made from");
	fault = binary_apply(section->binary, data, len, out);
	if (!fault && section->action != PARSE_DELETE &&
	    !has_id(buf_text(out), out->len, section->new_id))
		fault = "the content that the patch makes is not the one that it names";
	return fault ? fail(job, "(binary, line %zu): %s", section->binary->line, fault) : 0;
}

static int make_content(const struct job *job, struct apply_file *ret)
{
	AUTO_BUF struct buf out = BUF_INIT(CONTENT_MAX);
	const char *data = job->old_file ? job->old_file->data : "";
	size_t len = job->old_file ? job->old_file->size : 0;
	int r = job->section->binary
			? apply_binary(job, data, len, &out)
			: hunk_apply(job->section, job->path, data, len, &out, job->err);

	if (r < 0)
		return -1;
	if (ret->status == APPLY_DELETED)
		return out.len == 0 ? 0 : fail(job, "has more than the patch deletes");
	if (ret->is_symlink &&
	    (out.len == 0 || out.len > PATH_LEN_MAX || memchr(buf_text(&out), '\0', out.len)))
		return fail(job, "would be a symlink without a sound target");
	ret->len = out.len;
	ret->data = out.len ? buf_take(&out) : mem_strdup("");
	return 0;
}

/* The permissions, of which the patch only says whether the file is executable. */
static mode_t perm_of(const struct job *job)
{
	mode_t perm = job->old_file ? job->old_file->perm & 0777 : 0644;
	unsigned mode = job->section->new_mode;

	if (!mode || S_ISLNK(mode))
		return perm;
	/* Executable for whoever may read it. */
	return mode & 0100 ? perm | (perm & 0444) >> 2 | 0100 : perm & ~(mode_t)0111;
}

static int apply_section(const struct parse_file *section, const struct side *side,
			 struct apply_file *ret, struct pyro_error *err)
{
	struct job job = find_file(section, side, err);
	const struct side_file *old_file = job.old_file;
	unsigned mode = section->new_mode;

	if (check_old_file(&job, side) < 0)
		return -1;
	ret->status = !old_file                         ? APPLY_ADDED
		      : section->action == PARSE_DELETE ? APPLY_DELETED
		      : section->action == PARSE_RENAME ? APPLY_RENAMED
							: APPLY_MODIFIED;
	ret->line = section->line;
	ret->path = ret->status == APPLY_RENAMED ? section->new_name : job.path;
	if (ret->status == APPLY_DELETED || ret->status == APPLY_RENAMED)
		ret->gone = job.path;
	ret->is_symlink = mode ? S_ISLNK(mode) : old_file && old_file->type == SIDE_SYMLINK;
	ret->perm = perm_of(&job);
	ret->uid = old_file ? old_file->uid : 0;
	ret->gid = old_file ? old_file->gid : 0;
	return make_content(&job, ret);
}

/*
 * The sections together.
 */

/* A path as some section's old or new one. */
struct use {
	const char *path;
	struct apply_file *file;
};

struct uses {
	struct use *v;
	size_t n;
};

static int compare_uses(const void *a, const void *b)
{
	return strcmp(((const struct use *)a)->path, ((const struct use *)b)->path);
}

static struct use *find_use(const struct uses *uses, const char *path)
{
	const struct use key = {path, NULL};

	return uses->n ? bsearch(&key, uses->v, uses->n, sizeof(key), compare_uses) : NULL;
}

static int sort_uses(struct uses *uses, struct pyro_error *err)
{
	if (uses->n)
		qsort(uses->v, uses->n, sizeof(*uses->v), compare_uses);
	for (size_t i = 1; i < uses->n; i++) {
		const struct use *a = &uses->v[i - 1], *b = &uses->v[i];

		if (strcmp(a->path, b->path) == 0)
			return err_set(
				err, PYRO_E_INVALID,
				"patch does not apply: '%s' is in two sections (lines %zu and "
				"%zu of the patch)",
				a->path,
				a->file->line < b->file->line ? a->file->line : b->file->line,
				a->file->line < b->file->line ? b->file->line : a->file->line);
	}
	return 0;
}

/* Whether the patch takes something away from within the directory. */
static bool takes_from(const struct uses *gone, const char *dir)
{
	size_t len = strlen(dir);

	for (size_t i = 0; i < gone->n; i++)
		if (strncmp(gone->v[i].path, dir, len) == 0 && gone->v[i].path[len] == '/')
			return true;
	return false;
}

/* A new path must be free, or be made free by another section. */
static int check_target(const struct apply_file *file, const struct side *side,
			const struct uses *gone, struct pyro_error *err)
{
	const struct side_file *there = side_find(side, file->path);
	struct use *use = find_use(gone, file->path);

	if (!there || file->status == APPLY_MODIFIED)
		return 0;
	if (use) {
		use->file->is_replaced = use->file->status == APPLY_DELETED;
		return 0;
	}
	if (there->type == SIDE_DIR && takes_from(gone, file->path))
		return 0;
	return err_set(err, PYRO_E_INVALID,
		       "patch does not apply: '%s' (line %zu of the patch) exists already",
		       file->path, file->line);
}

static int check_together(struct apply *apply, const struct side *side, struct pyro_error *err)
{
	AUTO_FREE struct use *old_uses = mem_zalloc(apply->n + 1, sizeof(*old_uses));
	AUTO_FREE struct use *new_uses = mem_zalloc(apply->n + 1, sizeof(*new_uses));
	AUTO_FREE struct use *gone_uses = mem_zalloc(apply->n + 1, sizeof(*gone_uses));
	struct uses from = {old_uses, 0}, to = {new_uses, 0}, gone = {gone_uses, 0};

	for (size_t i = 0; i < apply->n; i++) {
		struct apply_file *file = &apply->files[i];

		if (file->status != APPLY_ADDED)
			from.v[from.n++] = (struct use){file->gone ? file->gone : file->path, file};
		if (file->status != APPLY_DELETED)
			to.v[to.n++] = (struct use){file->path, file};
		if (file->gone)
			gone.v[gone.n++] = (struct use){file->gone, file};
	}
	if (sort_uses(&from, err) < 0 || sort_uses(&to, err) < 0 || sort_uses(&gone, err) < 0)
		return -1;
	for (size_t i = 0; i < apply->n; i++)
		if (apply->files[i].status != APPLY_DELETED &&
		    check_target(&apply->files[i], side, &gone, err) < 0)
			return -1;
	/* What is deleted and added again is modified. */
	for (size_t i = 0; i < apply->n; i++) {
		const struct use *use = find_use(&gone, apply->files[i].path);

		if (apply->files[i].status == APPLY_ADDED && use && use->file->is_replaced)
			apply->files[i].status = APPLY_MODIFIED;
	}
	return 0;
}

int apply_patch(const struct parse_patch *patch, const struct side *side, struct apply *ret,
		struct pyro_error *err)
{
	size_t total = 0;

	*ret = (struct apply){mem_zalloc(patch->n + 1, sizeof(*ret->files)), 0};
	for (size_t i = 0; i < patch->n; i++) {
		struct apply_file *file = &ret->files[ret->n++];

		if (apply_section(&patch->files[i], side, file, err) < 0)
			return -1;
		total += file->len;
		if (total > SIDE_TOTAL_MAX)
			return err_set(err, PYRO_E_LIMIT,
				       "the changed files would hold more than %zu MiB",
				       SIDE_TOTAL_MAX >> 20);
	}
	return check_together(ret, side, err);
}

void apply_done(struct apply *apply)
{
	for (size_t i = 0; i < apply->n; i++)
		free(apply->files[i].data);
	free(apply->files);
	*apply = (struct apply){0};
}

/*
 * Writing.
 */

static bool write_whiteout(struct archive *out, struct archive_entry *entry, const char *path)
{
	archive_entry_clear(entry);
	archive_entry_copy_pathname(entry, path);
	archive_entry_set_filetype(entry, AE_IFCHR);
	archive_entry_set_rdevmajor(entry, 0);
	archive_entry_set_rdevminor(entry, 0);
	return archive_write_header(out, entry) >= ARCHIVE_WARN;
}

static bool write_file(struct archive *out, struct archive_entry *entry,
		       const struct apply_file *file)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	archive_entry_clear(entry);
	archive_entry_copy_pathname(entry, file->path);
	archive_entry_set_mode(entry, (file->is_symlink ? S_IFLNK : S_IFREG) | file->perm);
	archive_entry_set_uid(entry, file->uid);
	archive_entry_set_gid(entry, file->gid);
	archive_entry_set_mtime(entry, now.tv_sec, now.tv_nsec);
	archive_entry_set_size(entry, file->is_symlink ? 0 : (la_int64_t)file->len);
	if (file->is_symlink)
		archive_entry_copy_symlink(entry, file->data);
	return archive_write_header(out, entry) >= ARCHIVE_WARN &&
	       (file->is_symlink ||
		archive_write_data(out, file->data, file->len) == (la_ssize_t)file->len);
}

static bool write_all(const struct apply *apply, struct archive *out, struct archive_entry *entry)
{
	for (size_t i = 0; i < apply->n; i++)
		if (apply->files[i].gone && !apply->files[i].is_replaced &&
		    !write_whiteout(out, entry, apply->files[i].gone))
			return false;
	for (size_t i = 0; i < apply->n; i++)
		if (apply->files[i].status != APPLY_DELETED &&
		    !write_file(out, entry, &apply->files[i]))
			return false;
	return archive_write_close(out) == ARCHIVE_OK;
}

int apply_write(const struct apply *apply, int fd, struct pyro_error *err)
{
	struct archive *out = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	int r = 0;

	(void)archive_write_set_format_pax(out);
	(void)archive_write_set_options(out, "hdrcharset=BINARY");
	if (archive_write_open_fd(out, fd) != ARCHIVE_OK || !write_all(apply, out, entry))
		r = err_sys(err, archive_errno(out), "write the files");
	archive_entry_free(entry);
	(void)archive_write_free(out);
	return r;
}
