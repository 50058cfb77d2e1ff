#include "api/reap.h"

#include "api/handle.h"
#include "api/life.h"
#include "base/file.h"
#include "pyro/error.h"
#include "tests/test.h"
#include "workspace/state.h"

#include <sqlite3.h>
#include <stdlib.h>

#define ID "ws-0123456789abcdef"

/* A directory without a record, in a state directory of this test's own. */
static struct pyro *with_orphan(void)
{
	struct pyro *p = pyro_new();
	struct pyro_error err;

	(void)setenv("XDG_STATE_HOME", test_dir(), 1);
	CHECK(p);
	CHECK_OK(handle_open_quietly(p, &err), err);
	CHECK_OK(life_make_dir(p, ID, &err), err);
	return p;
}

static bool has_dir(const struct pyro *p)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, ID);

	return file_exists(dir);
}

TEST("a directory that has no record is reaped")
{
	struct pyro *p = with_orphan();
	struct pyro_error err;

	CHECK_OK(reap_dead(p, NULL, &err), err);
	CHECK(!has_dir(p));
	pyro_free(p);
}

TEST("a directory whose record cannot be read is not reaped")
{
	struct pyro *p = with_orphan();
	AUTO_FREE char *path = mem_printf("%s/pyro.db", p->state);
	struct pyro_error err = {0};
	sqlite3 *db;

	CHECK(sqlite3_open(path, &db) == SQLITE_OK);
	CHECK(sqlite3_exec(db, "ALTER TABLE vm RENAME COLUMN accel TO gone", NULL, NULL, NULL) ==
	      SQLITE_OK);
	CHECK(sqlite3_close(db) == SQLITE_OK);
	CHECK(reap_dead(p, NULL, &err) < 0);
	CHECK_INT(err.code, PYRO_E_SYSTEM);
	CHECK(has_dir(p));
	pyro_free(p);
}
