/*
 * .pyro/lock is held while anything below happens. In .pyro/put are `new`, the staged tree, `old`,
 * what it replaces, and from the moment on when all of the stream was taken, `plan`.
 */
#include "guest/put.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/trash.h"
#include "guest/merge.h"
#include "guest/root.h"
#include "guest/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define AREA ".pyro"
#define PLAN "put/plan"
#define PUT_WAIT_MS (10 * 60 * 1000)
#define RECOVER_WAIT_MS 10000

struct put {
	int lock;
	int area;
	struct merge_dirs dirs;
};

#define PUT_INIT                                               \
	{                                                      \
		.lock = -1, .area = -1, .dirs = { -1, -1, -1 } \
	}
#define AUTO_PUT __attribute__((cleanup(put_done)))

static void close_dirs(struct put *put)
{
	fd_close(&put->dirs.live);
	fd_close(&put->dirs.fresh);
	fd_close(&put->dirs.old);
}

static void put_done(struct put *put)
{
	close_dirs(put);
	fd_close(&put->area);
	fd_close(&put->lock);
}

static int open_area(struct put *put, int64_t deadline, struct pyro_error *err)
{
	AUTO_FREE char *path = root_beside(AREA), *lock = root_beside(AREA "/lock");

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "create directory '%s'", path);
	put->area = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (put->area < 0)
		return err_sys(err, errno, "open directory '%s'", path);
	put->lock = file_lock(lock, deadline, err);
	return put->lock < 0 ? -1 : 0;
}

static int open_dirs(struct put *put, struct pyro_error *err)
{
	put->dirs.live = root_open(err);
	if (put->dirs.live < 0)
		return -1;
	put->dirs.fresh = root_open_plain(put->area, "put/new", O_RDONLY | O_DIRECTORY);
	put->dirs.old = root_open_plain(put->area, "put/old", O_RDONLY | O_DIRECTORY);
	if (put->dirs.fresh < 0 || put->dirs.old < 0)
		return err_sys(err, errno, "open directory '" AREA "/put'");
	return 0;
}

/* Back to what was before, and nothing left of it. */
static int roll_back(struct put *put, struct pyro_error *err)
{
	AUTO_FREE char *path = root_beside(AREA "/" PLAN);
	AUTO_BUF struct buf plan = BUF_INIT(MERGE_PLAN_MAX);

	close_dirs(put);
	if (faccessat(put->area, PLAN, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		if (file_read(path, &plan, err) < 0 || open_dirs(put, err) < 0 ||
		    merge_undo(&put->dirs, &plan, err) < 0)
			return -1;
		if (unlinkat(put->area, PLAN, 0) < 0)
			return err_sys(err, errno, "remove '%s'", path);
	}
	return trash_remove(put->area, "put", err);
}

int put_recover(struct pyro_error *err)
{
	AUTO_FREE char *path = root_beside(AREA "/put");
	AUTO_PUT struct put put = PUT_INIT;

	if (!file_exists(path))
		return 0;
	if (open_area(&put, deadline_in(RECOVER_WAIT_MS), err) < 0)
		return -1;
	return roll_back(&put, err);
}

void put_prepare(void)
{
	(void)root_make(NULL);
	(void)put_recover(NULL);
}

static int make_dirs(struct put *put, struct pyro_error *err)
{
	if (mkdirat(put->area, "put", 0700) < 0 || mkdirat(put->area, "put/new", 0755) < 0 ||
	    mkdirat(put->area, "put/old", 0700) < 0)
		return err_sys(err, errno, "create directory '" AREA "/put'");
	return open_dirs(put, err);
}

/*
 * ext4 writes renames before the content of new files, so a machine that is killed later would
 * leave the names with nothing in them. The plan is such a file, too.
 */
static int flush(struct put *put, struct pyro_error *err)
{
	return syncfs(put->area) < 0 ? err_sys(err, errno, "flush '" AREA "/put'") : 0;
}

static int put_all(struct put *put, const struct put_args *args, const char *path,
		   struct stage *stage, struct merge_result *ret, struct pyro_error *err)
{
	AUTO_FREE char *plan_path = root_beside(AREA "/" PLAN);
	AUTO_BUF struct buf plan = BUF_INIT(MERGE_PLAN_MAX);

	if (make_dirs(put, err) < 0 ||
	    stage_unpack(stage, STDIN_FILENO, put->dirs.fresh, path, err) < 0 ||
	    merge_plan(&put->dirs, stage, args->keep_modes, &plan, ret, err) < 0)
		return -1;
	if (!plan.len)
		return 0;
	if (file_write_atomic(plan_path, plan.data, plan.len, 0600, err) < 0 ||
	    (args->flush && flush(put, err) < 0) || merge_carry_out(&put->dirs, &plan, err) < 0)
		return -1;
	if (unlinkat(put->area, PLAN, 0) < 0)
		return err_sys(err, errno, "remove '%s'", plan_path);
	merge_set_modes(&put->dirs, &plan, stage);
	/* The plan must not come back, nor with it what was, once anybody has heard of success. */
	return args->flush ? flush(put, err) : 0;
}

/* After a failure, the error stays the first one, unless the tree could not be brought back. */
static int put_locked(struct put *put, const struct put_args *args, const char *path,
		      struct stage *stage, struct merge_result *ret, struct pyro_error *err)
{
	struct pyro_error undo_err;
	int r;

	if (roll_back(put, err) < 0)
		return err_wrap(err, "an earlier put is in the way");
	r = put_all(put, args, path, stage, ret, err);
	if (roll_back(put, &undo_err) < 0 && r < 0)
		return err_wrap(err, "%s; before that", undo_err.message);
	return r;
}

json_t *put_run(const void *arg, struct pyro_error *err)
{
	const struct put_args *args = arg;
	AUTO_FREE char *path = root_path(args->path, err);
	AUTO_PUT struct put put = PUT_INIT;
	AUTO_STAGE struct stage stage = {0};
	struct merge_result result = {0};

	if (!path)
		return NULL;
	(void)umask(0);
	put.dirs.live = root_open(err);
	if (put.dirs.live < 0 || open_area(&put, deadline_in(PUT_WAIT_MS), err) < 0 ||
	    put_locked(&put, args, path, &stage, &result, err) < 0)
		return NULL;
	return json_pack("{s:I s:I s:I s:I s:I}", "entries", (json_int_t)stage.entries, "bytes",
			 (json_int_t)stage.bytes, "removed", (json_int_t)result.removed, "created",
			 (json_int_t)(stage.leaves - result.replaced), "replaced",
			 (json_int_t)result.replaced);
}
