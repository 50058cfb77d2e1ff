/*
 * The workspaces of the canned libpyro. Names choose what is answered: the workspace "empty" has
 * nothing in it, "failed" has failed; PYRO_CANNED_EMPTY makes lists empty. Times are relative to
 * now, as what is shown of them.
 */
#include "base/clock.h"
#include "base/err.h"
#include "canned.h"

#include <stdlib.h>
#include <string.h>

#define HOSTILE "a\033[31mb\nc" /* a name that tries to colour and to begin a line */

static bool is_empty(const char *workspace_id)
{
	return strcmp(workspace_id, "empty") == 0;
}

static void fill(struct pyro_workspace *ws, const char *id, const char *name)
{
	double now = clock_wall();

	*ws = (struct pyro_workspace){
		.workspace_id = mem_strdup(id),
		.name = name ? mem_strdup(name) : NULL,
		.labels = strv_dup((const char *const[]){"issue=42", "team=core", NULL}),
		.environment = mem_strdup("debian:12"),
		.state = mem_strdup("started"),
		.vcpu_count = 1,
		.mem_mib = 1024,
		.created_at = now - 7300,
		.expires_at = now + 480,
		.last_activity_at = now - 125,
		.network_policy = mem_strdup("off"),
		.execution_mode = mem_strdup("guest_serial"),
		.accel = mem_strdup("tcg"),
		.workspace_path = mem_strdup("/workspace"),
		.workspace_seed = {.mode = mem_strdup("directory"),
				   .seed_path = mem_strdup("/home/user/project"),
				   .origin_kind = mem_strdup("manual_seed_path"),
				   .origin_ref = mem_strdup("/home/user/project"),
				   .entry_count = 812,
				   .bytes_written = 3355443},
		.command_count = 3,
		.service_count = 2,
		.running_service_count = 1,
		.running_shell_count = 1,
		.reset_count = 2,
		.last_reset_at = now - 60 * 60 * 24 * 3,
	};
}

static void fail(struct pyro_workspace *ws)
{
	free(ws->state);
	ws->state = mem_strdup("failed");
	ws->reason = mem_strdup("the machine ended unexpectedly");
	ws->next_step = mem_printf("pyro workspace start %s", ws->workspace_id);
}

int pyro_create_workspace(struct pyro *p, const struct pyro_create_workspace_args *args,
			  struct pyro_workspace *ret, struct pyro_error *err)
{
	(void)err;
	canned_phase(p, "workspace-create", "phase=create environment=debian:12");
	fill(ret, "ws-1", args->name);
	return 0;
}

int pyro_list_workspaces(struct pyro *p, const struct pyro_list_workspaces_args *args,
			 struct pyro_workspace_list *ret, struct pyro_error *err)
{
	(void)p, (void)args, (void)err;
	if (getenv("PYRO_CANNED_EMPTY"))
		return 0;
	ret->count = 2;
	ret->workspaces = mem_zalloc(2, sizeof(*ret->workspaces));
	ret->workspaces_count = 2;
	fill(&ret->workspaces[0], "ws-1", "fix-é");
	fill(&ret->workspaces[1], "ws-longer", NULL);
	strv_free(TAKE_PTR(ret->workspaces[1].labels));
	fail(&ret->workspaces[1]);
	return 0;
}

int pyro_status_workspace(struct pyro *p, const struct pyro_status_workspace_args *args,
			  struct pyro_workspace *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	fill(ret, "ws-1", NULL);
	if (strcmp(args->workspace_id, "failed") == 0)
		fail(ret);
	return 0;
}

int pyro_exec_workspace(struct pyro *p, const struct pyro_exec_workspace_args *args,
			struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	int code = canned_act(p, args->command[0], err);

	if (code < 0)
		return -1;
	*ret = (struct pyro_workspace_exec){
		.workspace_id = mem_strdup("ws-1"),
		.sequence = 4,
		.state = mem_strdup(args->wait_seconds ? "running" : "finished"),
		.command = strv_dup(args->command),
		.cwd = mem_strdup("/workspace"),
		.stdout = mem_strdup("captured"),
		.stderr = mem_strdup(""),
		.exit_code = args->wait_seconds ? PYRO_NONE : code,
		.duration_ms = 12,
		.timed_out = code == 124,
		.execution_mode = mem_strdup("guest_serial"),
		.next_step = args->wait_seconds ? mem_strdup("pyro workspace wait ws-1 4") : NULL,
		.warning = strcmp(args->workspace_id, "failed") == 0
				   ? mem_strdup("the workspace is removed in 90 s")
				   : NULL,
	};
	return 0;
}

int pyro_wait_workspace_exec(struct pyro *p, const struct pyro_wait_workspace_exec_args *args,
			     struct pyro_workspace_exec *ret, struct pyro_error *err)
{
	static const char *const command[] = {"make", NULL};

	(void)err;
	canned_output(p, 1, "so far\n");
	*ret = (struct pyro_workspace_exec){
		.workspace_id = mem_strdup("ws-1"),
		.sequence = args->sequence,
		.state = mem_strdup("interrupted"),
		.command = strv_dup(command),
		.cwd = mem_strdup("/workspace"),
		.stdout = mem_strdup("so far\n"),
		.stderr = mem_strdup(""),
		.exit_code = PYRO_NONE,
		.duration_ms = PYRO_NONE,
		.execution_mode = mem_strdup("guest_serial"),
	};
	return 0;
}

static void fill_command(struct pyro_workspace_command *c, int64_t sequence, const char *state,
			 const char *const *command)
{
	*c = (struct pyro_workspace_command){
		.sequence = sequence,
		.state = mem_strdup(state),
		.command = strv_dup(command),
		.cwd = mem_strdup("/workspace"),
		.started_at = clock_wall() - 125,
		.exit_code = PYRO_NONE,
		.stdout = mem_strdup("line\nescape \033[2J and no end"),
		.stderr = mem_strdup(""),
		.duration_ms = PYRO_NONE,
		.execution_mode = mem_strdup("guest_serial"),
		.next_offset = PYRO_NONE,
	};
}

int pyro_logs_workspace(struct pyro *p, const struct pyro_logs_workspace_args *args,
			struct pyro_workspace_logs *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	ret->workspace_id = mem_strdup(args->workspace_id);
	if (is_empty(args->workspace_id))
		return 0;
	ret->entries = mem_zalloc(2, sizeof(*ret->entries));
	ret->count = 2;
	ret->entries_count = 2;
	fill_command(&ret->entries[0], 1, "finished",
		     (const char *const[]){"make test | tail", NULL});
	free(ret->entries[0].stderr);
	ret->entries[0].stderr = mem_strdup("warning\n");
	ret->entries[0].exit_code = 2;
	ret->entries[0].duration_ms = 1234;
	fill_command(&ret->entries[1], 2, "running",
		     (const char *const[]){"echo", "two words", "it's", "", NULL});
	return 0;
}

static const char *const statuses[][3] = {
	{"added", "new dir", NULL}, {"modified", "src/" HOSTILE, NULL}, {"deleted", "old", NULL},
	{"renamed", "to", "from"},  {"type_changed", "link", NULL},
};

static void fill_entries(struct pyro_diff_entry **ret, size_t *ret_n,
			 struct pyro_diff_summary *summary)
{
	static const char *const types[] = {"directory", "file", "file", "file", "other"};

	*ret = mem_zalloc(ARRAY_SIZE(statuses), sizeof(**ret));
	*ret_n = ARRAY_SIZE(statuses);
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		(*ret)[i] = (struct pyro_diff_entry){
			.status = mem_strdup(statuses[i][0]),
			.path = mem_strdup(statuses[i][1]),
			.old_path = statuses[i][2] ? mem_strdup(statuses[i][2]) : NULL,
			.artifact_type = mem_strdup(types[i]),
		};
	*summary = (struct pyro_diff_summary){5, 1, 1, 1, 1, 1, 3, 2};
}

/* Longer than any buffer that is not made for it. */
static char *long_patch(void)
{
	const size_t size = 60 * 1024 * 1024;
	char *patch = mem_zalloc(size + 1, 1);

	memset(patch, '+', size);
	return patch;
}

int pyro_diff_workspace(struct pyro *p, const struct pyro_diff_workspace_args *args,
			struct pyro_workspace_diff *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	ret->workspace_id = mem_strdup(args->workspace_id);
	if (is_empty(args->workspace_id)) {
		ret->patch = mem_strdup("");
		return 0;
	}
	ret->changed = true;
	fill_entries(&ret->entries, &ret->entries_count, &ret->summary);
	if (strcmp(args->workspace_id, "huge") == 0)
		ret->patch_omitted =
			mem_strdup("the changed files hold too much, first 'b\033[2Jg'");
	else if (strcmp(args->workspace_id, "long") == 0)
		ret->patch = long_patch();
	else
		ret->patch = mem_strdup("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n"
					" same\n-old\n--- gone\n+\tnew\033[2J\n"
					"diff --git a/b b/b\nGIT binary patch\nliteral 1\n+cmZ\n");
	return 0;
}

int pyro_list_workspace_files(struct pyro *p, const struct pyro_list_workspace_files_args *args,
			      struct pyro_file_list *ret, struct pyro_error *err)
{
	static const struct {
		const char *path, *type, *target;
		int64_t size;
	} files[] = {{"/workspace/" HOSTILE, "file", NULL, 12},
		     {"/workspace/src", "directory", NULL, 4096},
		     {"/workspace/link", "symlink", "src/main.c", 10},
		     {"/workspace/pipe", "other", NULL, 0},
		     {"/workspace/big", "file", NULL, 5 << 20}};

	(void)p, (void)err;
	ret->workspace_id = mem_strdup(args->workspace_id);
	ret->path = mem_strdup("/workspace");
	ret->artifact_type = mem_strdup("directory");
	if (is_empty(args->workspace_id))
		return 0;
	ret->entries = mem_zalloc(ARRAY_SIZE(files), sizeof(*ret->entries));
	ret->count = ret->entries_count = ARRAY_SIZE(files);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		ret->entries[i] = (struct pyro_file_entry){
			mem_strdup(files[i].path), mem_strdup(files[i].type), files[i].size,
			files[i].target ? mem_strdup(files[i].target) : NULL};
	return 0;
}

int pyro_read_workspace_file(struct pyro *p, const struct pyro_read_workspace_file_args *args,
			     struct pyro_file_read *ret, struct pyro_error *err)
{
	bool is_binary = strcmp(args->path, "binary") == 0;
	const char *bytes = is_binary ? "\377\001" : "text\nwithout end";

	(void)err;
	canned_output(p, 1, bytes);
	*ret = (struct pyro_file_read){
		.workspace_id = mem_strdup(args->workspace_id),
		.path = mem_printf("/workspace/%s", args->path),
		.size_bytes = is_binary ? 2 : 70000,
		.max_bytes = 65536,
		.truncated = !is_binary,
		.next_offset = is_binary ? PYRO_NONE : 65536,
		.content_is_binary = is_binary,
		.content = mem_strdup(is_binary ? "\357\277\275\001" : bytes),
	};
	return 0;
}

int pyro_write_workspace_file(struct pyro *p, const struct pyro_write_workspace_file_args *args,
			      struct pyro_file_written *ret, struct pyro_error *err)
{
	int64_t size = (int64_t)strlen(args->text);

	(void)p, (void)err;
	*ret = (struct pyro_file_written){mem_strdup(args->workspace_id),
					  mem_printf("/workspace/%s", args->path), size, size};
	return 0;
}

int pyro_apply_workspace_patch(struct pyro *p, const struct pyro_apply_workspace_patch_args *args,
			       struct pyro_patch_applied *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	ret->workspace_id = mem_strdup(args->workspace_id);
	ret->entries = mem_zalloc(1, sizeof(*ret->entries));
	if (is_empty(args->workspace_id))
		return 0;
	ret->changed = true;
	ret->entries_count = 1;
	ret->entries[0] =
		(struct pyro_patch_entry){mem_strdup("src/main.c"), mem_strdup("modified")};
	return 0;
}

int pyro_push_workspace_sync(struct pyro *p, const struct pyro_push_workspace_sync_args *args,
			     struct pyro_workspace_synced *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_workspace_synced){mem_strdup(args->workspace_id),
					      mem_strdup(args->source_path),
					      mem_strdup("directory"),
					      mem_strdup("/workspace/lib"),
					      1,
					      1536};
	return 0;
}

int pyro_export_workspace(struct pyro *p, const struct pyro_export_workspace_args *args,
			  struct pyro_workspace_export *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_workspace_export){mem_strdup(args->workspace_id),
					      mem_printf("/workspace/%s", args->path),
					      mem_strdup(args->output_path),
					      mem_strdup("directory"),
					      12,
					      1536};
	return 0;
}

int pyro_delete_workspace(struct pyro *p, const struct pyro_delete_workspace_args *args,
			  struct pyro_workspace_deleted *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_workspace_deleted){mem_strdup(args->workspace_id), true};
	return 0;
}

int pyro_cancel_workspace_exec(struct pyro *p, const struct pyro_cancel_workspace_exec_args *args,
			       struct pyro_workspace_cancelled *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_workspace_cancelled){mem_strdup(args->workspace_id), args->sequence,
						 args->sequence == 1};
	return 0;
}

static struct pyro_snapshot snapshot(const char *name, const char *kind)
{
	return (struct pyro_snapshot){mem_strdup(name), mem_strdup(kind), clock_wall() - 7300};
}

int pyro_create_snapshot(struct pyro *p, const struct pyro_create_snapshot_args *args,
			 struct pyro_snapshot_created *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	ret->workspace_id = mem_strdup(args->workspace_id);
	ret->snapshot = snapshot(args->snapshot_name, "named");
	return 0;
}

int pyro_list_snapshots(struct pyro *p, const struct pyro_list_snapshots_args *args,
			struct pyro_snapshot_list *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_snapshot_list){mem_strdup(args->workspace_id), 2,
					   mem_zalloc(2, sizeof(*ret->snapshots)), 2};
	ret->snapshots[0] = snapshot("baseline", "baseline");
	ret->snapshots[1] = snapshot("green", "named");
	return 0;
}

int pyro_delete_snapshot(struct pyro *p, const struct pyro_delete_snapshot_args *args,
			 struct pyro_snapshot_deleted *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_snapshot_deleted){mem_strdup(args->workspace_id),
					      mem_strdup(args->snapshot_name), true};
	return 0;
}

int pyro_export_workspace_disk(struct pyro *p, const struct pyro_export_workspace_disk_args *args,
			       struct pyro_disk_export *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_disk_export){mem_strdup(args->workspace_id),
					 mem_strdup(args->output_path), mem_strdup("ext4"),
					 INT64_C(16) << 30, 260 << 20};
	return 0;
}

static struct pyro_review_event *events(const char *kind, const char *path, const char *detail)
{
	struct pyro_review_event *event = mem_zalloc(1, sizeof(*event));

	*event = (struct pyro_review_event){mem_strdup(kind), clock_wall(), mem_strdup(path),
					    detail ? mem_strdup(detail) : NULL};
	return event;
}

static void fill_summary_commands(struct pyro_summary_commands *commands)
{
	*commands = (struct pyro_summary_commands){8, 2, mem_zalloc(3, sizeof(*commands->last)), 3};
	commands->last[0] = (struct pyro_summary_command){
		6,
		mem_strdup("finished"),
		strv_dup((const char *const[]){"grep -c `date` log | wc ``x``", NULL}),
		124,
		1234,
		true};
	commands->last[1] =
		(struct pyro_summary_command){7,
					      mem_strdup("interrupted"),
					      strv_dup((const char *const[]){"make", NULL}),
					      PYRO_NONE,
					      PYRO_NONE,
					      false};
	commands->last[2] =
		(struct pyro_summary_command){8,
					      mem_strdup("cancelled"),
					      strv_dup((const char *const[]){"make", NULL}),
					      137,
					      60,
					      false};
}

int pyro_summarize_workspace(struct pyro *p, const struct pyro_summarize_workspace_args *args,
			     struct pyro_workspace_summary *ret, struct pyro_error *err)
{
	(void)p, (void)err;
	*ret = (struct pyro_workspace_summary){
		.workspace_id = mem_strdup("ws-1"),
		.name = mem_strdup(args->workspace_id),
		.environment = mem_strdup("debian:12"),
		.state = mem_strdup("started"),
		.session = {1700000000, 1700000100, 0},
		.outcome = mem_strdup("The last command was interrupted; 5 entries changed."),
	};
	if (is_empty(args->workspace_id)) {
		ret->changes.reason = mem_strdup("the workspace is stopped");
		return 0;
	}
	fill_summary_commands(&ret->commands);
	ret->changes.available = ret->changes.changed = true;
	fill_entries(&ret->changes.entries, &ret->changes.entries_count, &ret->changes.summary);
	ret->changes.summary.total = 9;
	ret->edits = events("sync_push", "/workspace/lib", "/home/user/lib");
	ret->edits = mem_resize(ret->edits, 2, sizeof(*ret->edits));
	ret->edits[1] = (struct pyro_review_event){.kind = mem_strdup("patch_apply"),
						   .detail = mem_strdup("1 file")};
	ret->edits_count = 2;
	ret->artifacts.exports = events("export", "/workspace/dist", "/home/user/out");
	ret->artifacts.exports_count = 1;
	ret->snapshots.events = events("snapshot_create", "green", NULL);
	ret->snapshots.events_count = 1;
	ret->services.current = mem_zalloc(1, sizeof(*ret->services.current));
	ret->services.current_count = 1;
	ret->services.current[0].service_name = mem_strdup("web");
	ret->services.current[0].state = mem_strdup("running");
	ret->services.events = events("service_start", "web", NULL);
	ret->services.events_count = 1;
	return 0;
}

/* What prints as one of those above. */
CANNED_REST(update_workspace, workspace)
CANNED_REST(start_workspace, workspace)
CANNED_REST(stop_workspace, workspace)
CANNED_REST(reset_workspace, workspace)
CANNED_REST(list_workspace_disk, file_list)
CANNED_REST(read_workspace_disk, file_read)
