/* workspace DIRECTORY: change a copy of the directory in a workspace, and print what changed. */
#include <pyro.h>

#include <stdio.h>

static int change(struct pyro *p, const char *id, struct pyro_error *err)
{
	const char *const command[] = {"echo more >>notes.txt && wc -l notes.txt", NULL};
	const struct pyro_exec_workspace_args exec_args = {.workspace_id = id, .command = command};
	const struct pyro_diff_workspace_args diff_args = {.workspace_id = id};
	struct pyro_workspace_exec exec;
	struct pyro_workspace_diff diff;

	if (pyro_exec_workspace(p, &exec_args, &exec, err) < 0)
		return -1;
	printf("exit %lld: %s", (long long)exec.exit_code, exec.stdout);
	pyro_workspace_exec_done(&exec);
	if (pyro_diff_workspace(p, &diff_args, &diff, err) < 0)
		return -1;
	printf("%s", diff.patch);
	pyro_workspace_diff_done(&diff);
	return 0;
}

int main(int argc, char **argv)
{
	const char *const labels[] = {"task=example", NULL};
	const struct pyro_create_workspace_args args = {
		.environment = "debian:12",
		.seed_path = argc > 1 ? argv[1] : NULL,
		.labels = labels,
	};
	struct pyro *p = pyro_new();
	struct pyro_delete_workspace_args delete = {0};
	struct pyro_workspace_deleted deleted;
	struct pyro_workspace ws;
	struct pyro_error err;
	int result;

	if (!p)
		return 125;
	result = pyro_create_workspace(p, &args, &ws, &err);
	if (result == 0) {
		result = change(p, ws.workspace_id, &err);
		delete.workspace_id = ws.workspace_id;
		if (pyro_delete_workspace(p, &delete, &deleted, NULL) == 0)
			pyro_workspace_deleted_done(&deleted);
		pyro_workspace_done(&ws);
	}
	if (result < 0)
		fprintf(stderr, "%s\n%s\n", err.message, err.hint);
	pyro_free(p);
	return result < 0 ? 125 : 0;
}
