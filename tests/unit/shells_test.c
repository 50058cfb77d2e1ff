#include "workspace/shells.h"

#include "base/err.h"
#include "base/file.h"
#include "unit/workspace_sample.h"
#include "workspace/ring.h"

static char id[] = SAMPLE_ID, cwd[] = "/workspace", running[] = "running";

static struct pyro_shell shell_of(char *shell_id, double started_at)
{
	return (struct pyro_shell){
		.workspace_id = id,
		.shell_id = shell_id,
		.cwd = cwd,
		.cols = 80,
		.rows = 24,
		.state = running,
		.started_at = started_at,
		.ended_at = (double)PYRO_NONE,
		.exit_code = PYRO_NONE,
	};
}

static struct records *open_with(const char *const *shell_ids)
{
	struct records *r = sample_open();
	struct pyro_error err;

	sample_add(r, SAMPLE_ID, NULL, NULL, 200);
	for (int i = 0; shell_ids[i]; i++) {
		AUTO_FREE char *shell_id = mem_strdup(shell_ids[i]);
		const struct pyro_shell shell = shell_of(shell_id, 300 - i);

		CHECK_OK(shells_add(r, &shell, &err), err);
	}
	return r;
}

TEST("shells are listed, the oldest first, and found by their identity")
{
	struct records *r = open_with((const char *const[]){"sh-b", "sh-a", NULL});
	struct pyro_shell *list, one;
	struct pyro_error err;
	size_t n;

	CHECK_OK(shells_list(r, SAMPLE_ID, &list, &n, &err), err);
	CHECK_INT(n, 2);
	CHECK_STR(list[0].shell_id, "sh-a");
	CHECK_STR(list[1].shell_id, "sh-b");
	for (size_t i = 0; i < n; i++)
		pyro_shell_done(&list[i]);
	free(list);
	CHECK_OK(shells_get(r, SAMPLE_ID, "sh-b", &one, &err), err);
	CHECK_STR(one.cwd, "/workspace");
	CHECK(one.ended_at == (double)PYRO_NONE && one.exit_code == PYRO_NONE);
	pyro_shell_done(&one);
	CHECK(shells_get(r, SAMPLE_ID, "sh-c", &one, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	CHECK(strstr(err.hint, "shell list " SAMPLE_ID));
	records_close(r);
}

TEST("a shell's size and end are kept, and a workspace counts those that run")
{
	struct records *r = open_with((const char *const[]){"sh-a", "sh-b", NULL});
	struct pyro_shell shell = shell_of((char[]){"sh-a"}, 300), one;
	struct pyro_workspace ws;
	struct pyro_error err;

	shell.cols = 100;
	shell.ended_at = 400.5;
	shell.exit_code = 3;
	shell.state = (char[]){"stopped"};
	CHECK_OK(shells_update(r, &shell, &err), err);
	CHECK_OK(shells_get(r, SAMPLE_ID, "sh-a", &one, &err), err);
	CHECK_INT(one.cols, 100);
	CHECK_INT(one.exit_code, 3);
	CHECK(one.ended_at == 400.5);
	CHECK_STR(one.state, "stopped");
	pyro_shell_done(&one);
	CHECK_OK(workspaces_get(r, SAMPLE_ID, &ws, &err), err);
	CHECK_INT(ws.running_shell_count, 1);
	pyro_workspace_done(&ws);
	records_close(r);
}

TEST("shells that are cleared take their output along")
{
	struct records *r = open_with((const char *const[]){"sh-a", "sh-b", NULL});
	AUTO_FREE char *path = shells_path(test_dir(), "sh-a");
	struct pyro_shell *list;
	struct pyro_error err;
	size_t n;

	CHECK_OK(shells_clear(r, test_dir(), "ws-other", &err), err);
	ring_close(ring_open(path, SHELLS_KEPT, &err));
	CHECK(file_exists(path));
	CHECK_OK(shells_remove(r, SAMPLE_ID, "sh-b", &err), err);
	CHECK_OK(shells_clear(r, test_dir(), SAMPLE_ID, &err), err);
	CHECK(!file_exists(path));
	CHECK_OK(shells_list(r, SAMPLE_ID, &list, &n, &err), err);
	CHECK_INT(n, 0);
	CHECK_OK(shells_clear(r, test_dir(), SAMPLE_ID, &err), err);
	records_close(r);
}
