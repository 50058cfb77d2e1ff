/*
 * A plan is a list of steps, each a letter and a path, NUL-terminated:
 *
 *	-	what is live moves to the old ones, under the number of the step
 *	=	the same by a link, and then the staged file is renamed over it: at every moment
 *		one of the two is there
 *	+	what is staged, be it a whole tree, moves to where nothing is
 *
 * Going back, from the last step to the first: what is among the old ones moves back to its place,
 * over the new file if there is one; what is not among the staged any more moves back there.
 */
#include "guest/merge.h"

#include "base/err.h"
#include "base/mem.h"
#include "guest/root.h"
#include "guest/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STEP_REMOVE = '-',
	STEP_REPLACE = '=',
	STEP_ADD = '+',
};

/*
 * Planning.
 */

struct planner {
	const struct merge_dirs *dirs;
	const struct stage *stage;
	bool keep_modes;
	struct buf *plan;
	struct buf
		pending; /* directories that are in both trees, to be looked at; NUL-terminated */
	struct merge_result result;
};

static void add_step(struct planner *p, int kind, const char *path)
{
	buf_printf(p->plan, "%c%s", kind, path);
	buf_append(p->plan, "", 1);
}

/* Whether another whiteout removes a directory that the path is in. */
static bool is_covered(const struct stage *stage, const char *path)
{
	AUTO_FREE char *above = mem_strdup(path);
	char *slash;

	while ((slash = strrchr(above, '/'))) {
		*slash = '\0';
		if (stage_is_whiteout(stage, above))
			return true;
	}
	return false;
}

static int plan_whiteout(struct planner *p, struct root_parent *parent, const char *path,
			 struct pyro_error *err)
{
	const char *name;
	struct stat st;
	int fd;

	if (is_covered(p->stage, path))
		return 0;
	fd = root_parent(parent, p->dirs->live, path, &name);
	if (fd >= 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		add_step(p, STEP_REMOVE, path);
		p->result.removed++;
	} else if (errno != ENOENT && errno != ENOTDIR) {
		return root_err(err, errno, path);
	}
	return 0;
}

static int plan_whiteouts(struct planner *p, struct pyro_error *err)
{
	AUTO_PARENT struct root_parent parent = ROOT_PARENT_INIT;

	for (size_t i = 0; i < p->stage->n_whiteouts; i++)
		if (plan_whiteout(p, &parent, p->stage->whiteouts[i], err) < 0)
			return -1;
	return 0;
}

/* Something is in the place of a directory that is only needed for what goes into it. */
static int err_no_parent(struct pyro_error *err, const char *path, mode_t mode)
{
	return err_set(err, PYRO_E_REFUSED, "'%s' is %s, not a directory", path,
		       S_ISLNK(mode) ? "a symbolic link" : "a file");
}

struct taken {
	const struct stage *stage;
	const char *path; /* of a directory that a file or a link is to take the place of */
};

static int check_taken(void *ctx, const struct walk_entry *e, struct pyro_error *err)
{
	const struct taken *t = ctx;

	if (S_ISDIR(e->st.st_mode) || stage_is_whiteout(t->stage, e->path) ||
	    is_covered(t->stage, e->path))
		return 0;
	return err_set(err, PYRO_E_REFUSED, "'%s' is a directory that holds '%s'", t->path,
		       e->path);
}

/* What stands in it and is not removed by name would be lost without anybody having said so. */
static int check_directory(const struct planner *p, const char *path, struct pyro_error *err)
{
	AUTO_FD int fd = root_open_plain(p->dirs->live, path, O_RDONLY | O_DIRECTORY);
	struct taken taken = {p->stage, path};
	const struct walk walk = {fd, path, true, check_taken, &taken};
	int64_t too_long;

	if (fd < 0)
		return err_sys(err, errno, "open directory '%s'", path);
	if (walk_run(&walk, &too_long, err) < 0)
		return -1;
	return too_long ? err_set(err, PYRO_E_REFUSED, "'%s' is a directory that holds files", path)
			: 0;
}

static int plan_conflict(struct planner *p, int fresh, const char *name, const char *path,
			 mode_t new_mode, const struct stat *live, struct pyro_error *err)
{
	if (S_ISDIR(new_mode) && S_ISDIR(live->st_mode)) {
		buf_append(&p->pending, path, strlen(path) + 1);
		return 0;
	}
	if (S_ISDIR(new_mode) && !stage_lists_dir(p->stage, path))
		return err_no_parent(err, path, live->st_mode);
	if (p->keep_modes && !S_ISDIR(new_mode) && S_ISDIR(live->st_mode))
		return err_set(err, PYRO_E_INVALID, "'%s' is a directory", path);
	if (S_ISDIR(live->st_mode) && check_directory(p, path, err) < 0)
		return -1;
	if (S_ISDIR(new_mode) || S_ISDIR(live->st_mode)) {
		add_step(p, STEP_REMOVE, path);
		add_step(p, STEP_ADD, path);
	} else {
		add_step(p, STEP_REPLACE, path);
	}
	if (S_ISDIR(new_mode))
		p->result.removed++;
	else
		p->result.replaced++;
	if (p->keep_modes && S_ISREG(new_mode) && S_ISREG(live->st_mode) &&
	    fchmodat(fresh, name, live->st_mode & 07777, 0) < 0)
		return err_sys(err, errno, "set the mode of '%s'", path);
	return 0;
}

static int plan_entry(struct planner *p, int live, int fresh, const char *dir, const char *name,
		      struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s%s%s", dir, *dir ? "/" : "", name);
	struct stat new_st, live_st;

	if (fstatat(fresh, name, &new_st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "look at '%s'", path);
	if (stage_is_whiteout(p->stage, path)) {
		add_step(p, STEP_ADD, path);
		return 0;
	}
	if (fstatat(live, name, &live_st, AT_SYMLINK_NOFOLLOW) == 0)
		return plan_conflict(p, fresh, name, path, new_st.st_mode, &live_st, err);
	if (errno != ENOENT)
		return err_sys(err, errno, "look at '%s'", path);
	add_step(p, STEP_ADD, path);
	return 0;
}

static int plan_dir(struct planner *p, const char *path, struct pyro_error *err)
{
	AUTO_FD int live = root_open_plain(p->dirs->live, path, O_RDONLY | O_DIRECTORY);
	int fresh = root_open_plain(p->dirs->fresh, path, O_RDONLY | O_DIRECTORY), r = 0;
	DIR *dir = fresh < 0 ? NULL : fdopendir(fresh);
	struct dirent *entry;

	if (live < 0 || !dir) {
		fd_close(&fresh);
		return err_sys(err, errno, "open directory '%s'", path);
	}
	while (r == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = plan_entry(p, live, fresh, path, entry->d_name, err);
	(void)closedir(dir);
	return r;
}

static int plan_all(struct planner *p, struct pyro_error *err)
{
	if (plan_whiteouts(p, err) < 0)
		return -1;
	buf_append(&p->pending, "", 1);
	for (size_t at = 0; at < p->pending.len;) {
		/* The bytes move while the directory is looked at. */
		AUTO_FREE char *path = mem_strdup(p->pending.data + at);

		if (plan_dir(p, path, err) < 0)
			return -1;
		at += strlen(path) + 1;
	}
	if (p->plan->is_full || p->pending.is_full)
		return err_set(err, PYRO_E_LIMIT, "the archive changes too many entries at once");
	return 0;
}

int merge_plan(const struct merge_dirs *dirs, const struct stage *stage, bool keep_modes,
	       struct buf *plan, struct merge_result *ret, struct pyro_error *err)
{
	struct planner p = {.dirs = dirs,
			    .stage = stage,
			    .keep_modes = keep_modes,
			    .plan = plan,
			    .pending.max = MERGE_PLAN_MAX};
	int r = plan_all(&p, err);

	buf_done(&p.pending);
	*ret = p.result;
	return r;
}

/*
 * Carrying out, and undoing.
 */

/* One step, with what it is about. */
struct step {
	char kind;
	const char *path;
	char old[16]; /* its name among the old ones */
	int live;     /* the directory it is in; -1, with errno: there is none */
	int fresh;
	const char *name;
};

struct walker {
	const struct merge_dirs *dirs;
	struct root_parent live;
	struct root_parent fresh;
};

#define AUTO_WALKER __attribute__((cleanup(walker_done)))
#define WALKER_INIT(d)                                  \
	{                                               \
		(d), ROOT_PARENT_INIT, ROOT_PARENT_INIT \
	}

static void walker_done(struct walker *w)
{
	root_parent_done(&w->live);
	root_parent_done(&w->fresh);
}

static struct step step_at(struct walker *w, const char *text, size_t number)
{
	struct step step = {.kind = *text, .path = text + 1, .fresh = -1};

	(void)snprintf(step.old, sizeof(step.old), "%zu", number);
	if (step.kind != STEP_REMOVE)
		step.fresh = root_parent(&w->fresh, w->dirs->fresh, step.path, &step.name);
	step.live = root_parent(&w->live, w->dirs->live, step.path, &step.name);
	return step;
}

static int do_step(const struct merge_dirs *dirs, const struct step *s)
{
	if (s->live < 0)
		return -1;
	switch (s->kind) {
	case STEP_REPLACE:
		/* Where links are not allowed, there is a moment without either. */
		if (linkat(s->live, s->name, dirs->old, s->old, 0) < 0 &&
		    renameat(s->live, s->name, dirs->old, s->old) < 0)
			return -1;
		return renameat(s->fresh, s->name, s->live, s->name);
	case STEP_REMOVE:
		return renameat(s->live, s->name, dirs->old, s->old);
	default:
		return renameat2(s->fresh, s->name, s->live, s->name, RENAME_NOREPLACE);
	}
}

int merge_carry_out(const struct merge_dirs *dirs, const struct buf *plan, struct pyro_error *err)
{
	AUTO_WALKER struct walker w = WALKER_INIT(dirs);
	size_t number = 0;

	for (size_t at = 0; at < plan->len; at += strlen(plan->data + at) + 1) {
		struct step step = step_at(&w, plan->data + at, number++);

		if (do_step(dirs, &step) < 0)
			return errno == ELOOP ? root_err(err, errno, step.path)
					      : err_sys(err, errno, "put '%s'", step.path);
	}
	return 0;
}

static int undo_step(const struct merge_dirs *dirs, const struct step *s)
{
	struct stat st;

	if (s->kind != STEP_ADD)
		return s->live < 0 ? 0 : renameat(dirs->old, s->old, s->live, s->name);
	if (s->fresh < 0 || s->live < 0 ||
	    fstatat(s->fresh, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return renameat2(s->live, s->name, s->fresh, s->name, RENAME_NOREPLACE);
}

/* It was not done, or somebody changed the tree since: there is nothing to go back to. */
static bool is_moot(int errnum)
{
	return errnum == ENOENT || errnum == EEXIST || errnum == ENOTEMPTY || errnum == ENOTDIR ||
	       errnum == EISDIR;
}

/* Whether the step can be one of a plan of ours: a letter and a path in the one form they have. */
static bool is_step(const char *text)
{
	AUTO_FREE char *path = *text && text[1] ? root_entry_path(text + 1, NULL) : NULL;

	return path && strcmp(path, text + 1) == 0;
}

int merge_undo(const struct merge_dirs *dirs, const struct buf *plan, struct pyro_error *err)
{
	AUTO_WALKER struct walker w = WALKER_INIT(dirs);
	AUTO_FREE size_t *starts = NULL;
	size_t n = 0;

	if (!plan->len)
		return 0;
	for (size_t at = 0; at < plan->len; at += strlen(plan->data + at) + 1) {
		if ((n & (n - 1)) == 0)
			starts = mem_resize(starts, n ? n * 2 : 1, sizeof(*starts));
		starts[n++] = at;
	}
	while (n-- > 0) {
		const char *text = plan->data + starts[n];
		struct step step;

		if (!is_step(text))
			continue; /* the guest can write where it lies */
		step = step_at(&w, text, n);
		if (undo_step(dirs, &step) < 0 && !is_moot(errno))
			return err_sys(err, errno, "put '%s' back", step.path);
	}
	return 0;
}

/* Whether the plan moved the path, by itself or with a directory that it is in. */
static bool has_moved(const struct buf *plan, const char *path)
{
	for (size_t at = 0; at < plan->len; at += strlen(plan->data + at) + 1) {
		const char *moved = plan->data + at + 1;
		size_t len = strlen(moved);

		if (plan->data[at] == STEP_ADD && strncmp(path, moved, len) == 0 &&
		    (!path[len] || path[len] == '/'))
			return true;
	}
	return false;
}

void merge_set_modes(const struct merge_dirs *dirs, const struct buf *plan,
		     const struct stage *stage)
{
	/* From the inside out, since a directory may become one that cannot be entered. */
	for (size_t i = geteuid() == 0 ? 0 : stage->n_dirs; i-- > 0;) {
		const struct stage_dir *dir = &stage->dirs[i];
		AUTO_FD int fd = -1;

		if ((dir->mode & 0700) == 0700 || !has_moved(plan, dir->path))
			continue;
		fd = root_open_plain(dirs->live, dir->path, O_RDONLY | O_DIRECTORY);
		if (fd >= 0)
			(void)fchmod(fd, dir->mode);
	}
}
