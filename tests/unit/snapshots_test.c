#include "workspace/snapshots.h"

#include "base/mem.h"
#include "unit/workspace_sample.h"

TEST("a snapshot's name is 1 to 64 plain characters and not the baseline's")
{
	struct pyro_error err;
	char longest[66] = {0};

	memset(longest, 's', 64);
	CHECK_OK(snapshots_check_name("before-1.0_x", &err), err);
	CHECK_OK(snapshots_check_name(longest, &err), err);
	longest[64] = 's';
	CHECK(snapshots_check_name(longest, &err) < 0);
	CHECK(snapshots_check_name("", &err) < 0 && snapshots_check_name("-a", &err) < 0);
	CHECK(snapshots_check_name("a/b", &err) < 0 && snapshots_check_name("..", &err) < 0);
	CHECK(snapshots_check_name("baseline", &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
}

TEST("snapshots are listed behind the baseline, the oldest first")
{
	static const char *const names[] = {"baseline", "b", "a"};
	struct records *r = sample_open();
	struct pyro_snapshot *list;
	struct pyro_error err;
	size_t n;

	sample_add(r, SAMPLE_ID, NULL, NULL, 200);
	CHECK_OK(snapshots_add(r, SAMPLE_ID, "a", 400, &err), err);
	CHECK_OK(snapshots_add(r, SAMPLE_ID, "b", 300, &err), err);
	CHECK_OK(snapshots_list(r, SAMPLE_ID, &list, &n, &err), err);
	CHECK_INT(n, 3);
	CHECK_INT(list[0].created_at, 200);
	for (size_t i = 0; i < n; i++) {
		CHECK_STR(list[i].snapshot_name, names[i]);
		CHECK_STR(list[i].kind, i ? "named" : "baseline");
		pyro_snapshot_done(&list[i]);
	}
	free(list);
	(void)records_close(r);
}

TEST("a snapshot exists from its making to its end, for its workspace only")
{
	struct records *r = sample_open();
	struct pyro_error err;

	sample_add(r, SAMPLE_ID, NULL, NULL, 200);
	sample_add(r, "ws-00000000000000bb", NULL, NULL, 200);
	CHECK_OK(snapshots_check_new(r, SAMPLE_ID, "a", &err), err);
	CHECK_OK(snapshots_add(r, SAMPLE_ID, "a", 300, &err), err);
	CHECK_OK(snapshots_check(r, SAMPLE_ID, "a", &err), err);
	CHECK(snapshots_check_new(r, SAMPLE_ID, "a", &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK(snapshots_check(r, "ws-00000000000000bb", "a", &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	CHECK_OK(snapshots_delete(r, SAMPLE_ID, "a", &err), err);
	CHECK(snapshots_check(r, SAMPLE_ID, "a", &err) < 0);
	(void)records_close(r);
}

TEST("a workspace has at most 100 named snapshots")
{
	struct records *r = sample_open();
	struct pyro_error err;
	int64_t n;

	sample_add(r, SAMPLE_ID, NULL, NULL, 200);
	for (int i = 0; i < SNAPSHOTS_MAX; i++) {
		AUTO_FREE char *name = mem_printf("s%d", i);

		CHECK_OK(snapshots_check_new(r, SAMPLE_ID, name, &err), err);
		CHECK_OK(snapshots_add(r, SAMPLE_ID, name, 300 + i, &err), err);
	}
	CHECK(snapshots_check_new(r, SAMPLE_ID, "more", &err) < 0);
	CHECK_INT(err.code, PYRO_E_LIMIT);
	CHECK_OK(snapshots_count(r, SAMPLE_ID, &n, &err), err);
	CHECK_INT(n, SNAPSHOTS_MAX);
	(void)records_close(r);
}
