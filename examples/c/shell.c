/* A shell that keeps its state between calls: what is typed, and what a person would see. */
#include <pyro.h>

#include <stdio.h>

static int type(struct pyro *p, const struct pyro_shell *shell, const char *line, int64_t *cursor,
		struct pyro_error *err)
{
	const struct pyro_write_shell_args write = {.workspace_id = shell->workspace_id,
						    .shell_id = shell->shell_id,
						    .input = line};
	const struct pyro_read_shell_args read = {.workspace_id = shell->workspace_id,
						  .shell_id = shell->shell_id,
						  .cursor = *cursor,
						  .plain = true,
						  .wait_for_idle_ms = 300};
	struct pyro_shell_written written;
	struct pyro_shell_read seen;

	if (pyro_write_shell(p, &write, &written, err) < 0)
		return -1;
	pyro_shell_written_done(&written);
	if (pyro_read_shell(p, &read, &seen, err) < 0)
		return -1;
	printf("%s\n", seen.output);
	*cursor = seen.next_cursor;
	pyro_shell_read_done(&seen);
	return 0;
}

static int use(struct pyro *p, const char *id, struct pyro_error *err)
{
	struct pyro_shell shell;
	int64_t cursor = 0;
	int result;

	if (pyro_open_shell(p, &(struct pyro_open_shell_args){.workspace_id = id}, &shell, err) < 0)
		return -1;
	result = type(p, &shell, "cd /tmp && word=remembered", &cursor, err);
	if (result == 0)
		result = type(p, &shell, "echo $word in $PWD", &cursor, err);
	pyro_shell_done(&shell);
	return result;
}

int main(void)
{
	const struct pyro_create_workspace_args args = {.environment = "debian:12"};
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
		result = use(p, ws.workspace_id, &err);
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
