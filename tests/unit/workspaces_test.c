#include "workspace/workspaces.h"

#include "base/mem.h"
#include "unit/workspace_sample.h"

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool is_name(const char *name)
{
	struct pyro_error err;

	return workspaces_check_name(name, &err) == 0;
}

static bool is_label(const char *label)
{
	struct pyro_error err;

	return workspaces_check_labels(LABELS(label), &err) == 0;
}

TEST("a workspace's name is 1 to 64 plain characters and never looks like an identity")
{
	char longest[66] = {0};

	memset(longest, 'n', 64);
	CHECK(is_name("a") && is_name("7-of.nine_") && is_name(longest));
	longest[64] = 'n';
	CHECK(!is_name("") && !is_name(longest));
	CHECK(!is_name("-a") && !is_name(".a") && !is_name("_a"));
	CHECK(!is_name("a b") && !is_name("a/b") && !is_name("a\n") && !is_name("\xc3\xa9"));
	CHECK(!is_name(SAMPLE_ID) && is_name("ws-1"));
}

TEST("a label is a key of plain characters and one line of text")
{
	char value[] = "k=0123456789012345678901234567890123456789012345678901234567890123456789"
		       "012345678901234567890123456789012345678901234567890123456789012345678901"
		       "234567890123456789012345678901234567890123456789012345678901234567890123"
		       "45678901234567890123456789012345678901234567";

	CHECK(is_label("k=v") && is_label("k=") && is_label("team/a.b_c-d=x=y z") &&
	      is_label("k=\xc3\xa9"));
	CHECK(!is_label("k") && !is_label("=v") && !is_label("a b=v"));
	CHECK(!is_label("k=a\nb") && !is_label("k=\x1b[1m") && !is_label("k=\xff"));
	CHECK(strlen(value) > 2 + 256 && !is_label(value));
	value[2 + 256] = '\0';
	CHECK(is_label(value));
}

TEST("a workspace comes back as it was added, by identity and by name")
{
	struct records *r = sample_open();
	struct pyro_workspace ws;
	struct pyro_error err;

	sample_add(r, SAMPLE_ID, "one", LABELS("b=2", "a=1=x"), 200);
	CHECK_OK(workspaces_get(r, "one", &ws, &err), err);
	CHECK_STR(ws.workspace_id, SAMPLE_ID);
	pyro_workspace_done(&ws);
	CHECK_OK(workspaces_get(r, SAMPLE_ID, &ws, &err), err);
	CHECK_STR(ws.name, "one");
	CHECK_STR(ws.labels[0], "a=1=x");
	CHECK_STR(ws.labels[1], "b=2");
	CHECK(!ws.labels[2] && !ws.reason);
	CHECK_STR(ws.environment, "debian:12");
	CHECK_STR(ws.execution_mode, "guest_vsock");
	CHECK_STR(ws.workspace_seed.seed_path, "/made/up");
	CHECK_INT(ws.workspace_seed.entry_count, 3);
	CHECK_INT(ws.workspace_seed.bytes_written, 4096);
	CHECK_INT(ws.last_activity_at, 200);
	CHECK_INT(ws.last_reset_at, PYRO_NONE);
	CHECK_INT(ws.reset_count + ws.command_count, 0);
	pyro_workspace_done(&ws);
	(void)records_close(r);
}

TEST("a name that is taken is refused, naming its owner, and nothing of the new one stays")
{
	struct records *r = sample_open();
	struct pyro_error err;
	AUTO_STRV char **ids = NULL;

	sample_add(r, SAMPLE_ID, "one", NULL, 200);
	sample_add(r, "ws-00000000000000bb", "two", NULL, 200);
	CHECK(sample_begin(r, "ws-00000000000000cc", "one", LABELS("a=1"), &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK(strstr(err.hint, SAMPLE_ID));
	CHECK(workspaces_update(r, "ws-00000000000000bb", "one", false, LABELS("a=1"), NULL, 0, 300,
				&err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK_OK(workspaces_update(r, SAMPLE_ID, "one", false, NULL, NULL, 0, 300, &err), err);
	CHECK_OK(records_list_ids(r, &ids, &err), err);
	CHECK_INT(strv_len((const char *const *)ids), 2);
	(void)records_close(r);
}

TEST("a workspace is kept longer, never shorter, and not once its time is over")
{
	struct records *r = sample_open();
	struct pyro_workspace ws;
	struct pyro_error err;
	double until;

	sample_add(r, SAMPLE_ID, "one", NULL, 200);
	CHECK_OK(workspaces_get(r, SAMPLE_ID, &ws, &err), err);
	until = ws.expires_at;
	pyro_workspace_done(&ws);
	for (int later = 0; later <= 1; later++) {
		CHECK_OK(workspaces_update(r, SAMPLE_ID, NULL, false, NULL, NULL,
					   until + (later ? 50 : -50), until - 1, &err),
			 err);
		CHECK_OK(workspaces_get(r, SAMPLE_ID, &ws, &err), err);
		CHECK_INT(ws.expires_at, until + (later ? 50 : 0));
		pyro_workspace_done(&ws);
	}
	CHECK(workspaces_update(r, SAMPLE_ID, "new", false, NULL, NULL, until + 900, until + 50,
				&err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	CHECK(workspaces_get(r, "new", &ws, &err) < 0);
	(void)records_close(r);
}

TEST("a workspace that is not there is not found, and the nearest name is offered")
{
	struct records *r = sample_open();
	struct pyro_workspace ws;
	struct pyro_error err;

	sample_add(r, SAMPLE_ID, "backend", NULL, 200);
	CHECK(workspaces_get(r, "backedn", &ws, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	CHECK(strstr(err.message, "'backedn'") && strstr(err.hint, "'backend'"));
	(void)records_close(r);
}

TEST("a workspace whose creation is not complete is not found, and its machine is doomed")
{
	struct records *r = sample_open();
	struct pyro_workspace ws, *list;
	struct pyro_vm *vms;
	struct pyro_error err;
	AUTO_STRV char **doomed = NULL, **later = NULL;
	size_t n;

	CHECK_OK(sample_begin(r, SAMPLE_ID, "one", NULL, &err), err);
	sample_add(r, "ws-00000000000000bb", "two", NULL, 200);
	CHECK(workspaces_get(r, "one", &ws, &err) < 0);
	CHECK_OK(workspaces_list(r, &list, &n, &err), err);
	CHECK_INT(n, 1);
	pyro_workspace_done(&list[0]);
	free(list);
	CHECK_OK(records_list_vms(r, &vms, &n, &err), err);
	CHECK_INT(n, 0);
	CHECK_OK(records_list_doomed(r, 200, &doomed, &err), err);
	CHECK_INT(strv_len((const char *const *)doomed), 1);
	CHECK_STR(doomed[0], SAMPLE_ID);
	CHECK_OK(records_list_doomed(r, 2e10, &later, &err), err);
	CHECK_INT(strv_len((const char *const *)later), 2);
	(void)records_close(r);
}

TEST("workspaces are listed with the most recently active first")
{
	static const char *const ids[] = {"ws-00000000000000bb", "ws-00000000000000cc", SAMPLE_ID};
	struct records *r = sample_open();
	struct pyro_workspace *list;
	struct pyro_error err;
	size_t n;

	sample_add(r, SAMPLE_ID, NULL, NULL, 200);
	sample_add(r, "ws-00000000000000bb", NULL, NULL, 300);
	sample_add(r, "ws-00000000000000cc", NULL, NULL, 400);
	CHECK_OK(workspaces_touch(r, "ws-00000000000000bb", 500, &err), err);
	CHECK_OK(workspaces_list(r, &list, &n, &err), err);
	CHECK_INT(n, 3);
	for (size_t i = 0; i < n; i++) {
		CHECK_STR(list[i].workspace_id, ids[i]);
		pyro_workspace_done(&list[i]);
	}
	free(list);
	(void)records_close(r);
}

TEST("an update sets and clears name and labels, and counts as activity")
{
	struct records *r = sample_open();
	struct pyro_workspace ws;
	struct pyro_error err;

	sample_add(r, SAMPLE_ID, "one", LABELS("a=1", "b=2"), 200);
	CHECK_OK(workspaces_update(r, SAMPLE_ID, "uno", false, LABELS("b=3", "c=4"), LABELS("a"), 0,
				   300, &err),
		 err);
	CHECK_OK(workspaces_get(r, "uno", &ws, &err), err);
	CHECK_STR(ws.labels[0], "b=3");
	CHECK_STR(ws.labels[1], "c=4");
	CHECK(!ws.labels[2]);
	CHECK_INT(ws.last_activity_at, 300);
	pyro_workspace_done(&ws);
	CHECK_OK(workspaces_update(r, SAMPLE_ID, NULL, true, NULL, NULL, 0, 400, &err), err);
	CHECK_OK(workspaces_get(r, SAMPLE_ID, &ws, &err), err);
	CHECK(!ws.name);
	pyro_workspace_done(&ws);
	(void)records_close(r);
}

TEST("a workspace has at most 64 labels, and an update that is refused changes nothing")
{
	struct records *r = sample_open();
	AUTO_STRV char **many = mem_zalloc(66, sizeof(*many));
	struct pyro_workspace ws;
	struct pyro_error err;

	for (int i = 0; i < 64; i++)
		many[i] = mem_printf("k%02d=v", i);
	sample_add(r, SAMPLE_ID, NULL, LABELS("one=more"), 200);
	CHECK_OK(workspaces_check_labels((const char *const *)many, &err), err);
	CHECK(workspaces_update(r, SAMPLE_ID, "new", false, (const char *const *)many, NULL, 0, 300,
				&err) < 0);
	CHECK_INT(err.code, PYRO_E_LIMIT);
	CHECK_OK(workspaces_get(r, SAMPLE_ID, &ws, &err), err);
	CHECK_STR(ws.labels[0], "one=more");
	CHECK(!ws.labels[1] && !ws.name);
	pyro_workspace_done(&ws);
	many[64] = mem_strdup("k64=v");
	CHECK(workspaces_check_labels((const char *const *)many, &err) < 0);
	CHECK_INT(err.code, PYRO_E_LIMIT);
	(void)records_close(r);
}
