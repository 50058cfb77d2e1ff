/*
 * Changes of a workspace as patches, both ways.
 *
 * diff: metadata of the live tree is compared with that of the baseline, and only of what differs
 * the content is looked at: the new side comes from the agent, the old one from the baseline's
 * snapshot in the disk (pyro-disk), and pyro-patch makes the patch of both.
 * apply: pyro-patch names the files that a patch is about, the agent packs them, pyro-patch applies
 * it to them, and the outcome is put into the tree as one.
 */
#include "api/handle.h"
#include "api/helper.h"
#include "api/remote.h"
#include "api/transfer.h"
#include "api/workspace.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "ops/ops.h"
#include "ops/values.h"
#include "vm/disk.h"
#include "workspace/history.h"
#include "workspace/state.h"
#include "workspace/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GLOBS_MAX 64
#define GLOB_MAX 255
#define DIFF_MS (20 * 60 * 1000)
#define PATCH_MAX (1024 * 1024)
#define NAMES_MAX (512 * 1024 * 1024)
#define REPORT_MAX (512 * 1024 * 1024)

static int socket_pair(int pair[2], struct pyro_error *err)
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0
		       ? err_sys(err, errno, "create a socket pair")
		       : 0;
}

/*
 * Diff.
 */

/* What pyro-patch is given, and by whom. */
struct sides {
	struct pyro *p;
	const struct pyro_workspace *ws;
	int old_names; /* NUL-terminated, in memory */
	int new_names;
	int values; /* of secrets; -1: there are none */
};

static int names_of(const struct tree_changes *changes, enum tree_side side, struct pyro_error *err)
{
	AUTO_BUF struct buf names = BUF_INIT(NAMES_MAX);

	for (size_t i = 0; i < changes->count; i++)
		if (changes->v[i].sides & side)
			buf_append(&names, changes->v[i].path, strlen(changes->v[i].path) + 1);
	if (names.is_full)
		return err_set(err, PYRO_E_LIMIT, "too many files differ");
	return transfer_memory(buf_text(&names), names.len, err);
}

/* The old side, from the disk that the running machine has open: a snapshot in it never changes. */
static struct helper *start_old_disk(const struct sides *s, const struct proc_fd *fds, size_t n_fds,
				     struct pyro_error *err)
{
	AUTO_FREE char *disk = NULL;
	AUTO_FREE char *root = NULL;
	AUTO_FREE char *tag = disk_tag(DISK_BASELINE);

	if (workspace_disk_paths(s->p, s->ws->workspace_id, &disk, &root, err) < 0)
		return NULL;
	return helper_start(s->p,
			    &(struct helper_options){
				    .part = "disk",
				    .program = "pyro-disk",
				    .args = (const char *const[]){"--snapshot", tag, disk, root,
								  "tar", WORKSPACE_PATH, NULL},
				    .fds = fds,
				    .n_fds = n_fds,
				    .report_as = 3,
				    .report_max = 64 * 1024,
			    },
			    err);
}

/* The same from the copy that host_compat has. */
static struct helper *start_old_copy(const struct sides *s, const struct proc_fd *fds, size_t n_fds,
				     struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(s->p->state, s->ws->workspace_id);
	AUTO_FREE char *tag = disk_tag(DISK_BASELINE);
	AUTO_FREE char *copy = disk_copy_path(dir, tag);

	return helper_start(s->p,
			    &(struct helper_options){
				    .program = "tar",
				    .args = (const char *const[]){"--create", "--directory", copy,
								  "--null", "--no-recursion",
								  "--files-from=-", NULL},
				    .fds = fds,
				    .n_fds = n_fds,
				    .report_as = -1,
			    },
			    err);
}

static struct helper *start_old(const struct sides *s, int out, struct pyro_error *err)
{
	const struct proc_fd fds[] = {{s->old_names, STDIN_FILENO}, {out, STDOUT_FILENO}};
	bool is_host = strcmp(s->ws->execution_mode, "host_compat") == 0;

	return is_host ? start_old_copy(s, fds, ARRAY_SIZE(fds), err)
		       : start_old_disk(s, fds, ARRAY_SIZE(fds), err);
}

static struct helper *start_diff(const struct sides *s, int old_side, int new_side,
				 struct pyro_error *err)
{
	return helper_start(s->p,
			    &(struct helper_options){
				    .part = "patch",
				    .program = "pyro-patch",
				    .args = (const char *const[]){"diff",
								  s->values < 0 ? NULL : "--redact",
								  NULL},
				    .fds = (const struct proc_fd[]){{old_side, 3},
								    {new_side, 4},
								    {s->values, 5}},
				    .n_fds = s->values < 0 ? 2 : 3,
				    .report_as = STDOUT_FILENO,
				    .report_max = REPORT_MAX,
			    },
			    err);
}

/*
 * Everything is started; the new side is passed on, and then all are waited for. When the old side
 * fails, pyro-patch fails for want of it, and the other way round: who did not only hear of the
 * other's end says why.
 */
static int run_diff(struct sides *s, struct remote *remote, struct helper *old, struct helper *diff,
		    int *new_side, json_t **ret, struct pyro_error *err)
{
	json_t *args = json_pack("{s:s, s:b}", "path", "", "names", 1);

	if (transfer_pass_out(s->p, remote, args, s->new_names, *new_side, NULL, err) < 0) {
		transfer_explain(old, err);
		transfer_explain(diff, err);
		return -1;
	}
	transfer_end(new_side);
	if (helper_finish(old, deadline_in(DIFF_MS), NULL, err) < 0 &&
	    !(err && helper_was_cut_off(err)))
		return -1;
	return helper_finish(diff, deadline_in(DIFF_MS), ret, err);
}

static int diff_contents(struct sides *s, struct remote *remote, json_t **ret,
			 struct pyro_error *err)
{
	AUTO_FD int old_in = -1, old_out = -1, new_in = -1, new_out = -1;
	struct helper *old = NULL, *diff = NULL;
	int pair[2], result = -1;

	/* Not sockets: whose reader is gone would be told of a reset, and tar tells nobody why. */
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	old_in = pair[0];
	old_out = pair[1];
	if (socket_pair(pair, err) < 0)
		return -1;
	new_out = pair[0];
	new_in = pair[1];
	old = start_old(s, old_out, err);
	if (old)
		diff = start_diff(s, old_in, new_in, err);
	fd_close(&old_out);
	fd_close(&old_in);
	fd_close(&new_in);
	if (diff)
		result = run_diff(s, remote, old, diff, &new_out, ret, err);
	(void)helper_free(old);
	(void)helper_free(diff);
	return result;
}

/* Devices, pipes and sockets that are new have no content that a patch could show. */
static void add_specials(const struct tree_changes *changes, struct pyro_workspace_diff *diff)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct tree_change *c = &changes->v[i];
		struct pyro_diff_entry *e;

		if (!c->is_special)
			continue;
		diff->entries =
			mem_resize(diff->entries, diff->entries_count + 1, sizeof(*diff->entries));
		e = &diff->entries[diff->entries_count++];
		*e = (struct pyro_diff_entry){
			.path = utf8_repair(c->path, strlen(c->path), NULL),
			.status = mem_strdup("added"),
			.artifact_type = mem_strdup("other"),
		};
		diff->changed = true;
		diff->summary.total++;
		diff->summary.added++;
		diff->summary.non_text++;
	}
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct pyro_diff_entry *)a)->path,
		      ((const struct pyro_diff_entry *)b)->path);
}

static void redact(const struct redact_patterns *patterns, char **text)
{
	char *shown = redact_text(patterns, *text);

	free(*text);
	*text = shown;
}

/* In contents values were redacted before there was a patch; here are the names of files. */
static int redact_names(struct pyro *p, const char *id, struct pyro_workspace_diff *diff,
			struct pyro_error *err)
{
	struct redact_patterns *patterns;

	if (workspace_patterns(p, id, &patterns, err) < 0)
		return -1;
	if (patterns)
		redact(patterns, &diff->patch);
	for (size_t i = 0; patterns && i < diff->entries_count; i++) {
		redact(patterns, &diff->entries[i].path);
		redact(patterns, &diff->entries[i].old_path);
	}
	(void)redact_patterns_free(patterns);
	return 0;
}

static int diff_changes(struct pyro *p, const struct pyro_workspace *ws, struct remote *remote,
			const struct tree_changes *changes, struct pyro_workspace_diff *ret,
			struct pyro_error *err)
{
	AUTO_FD int old_names = names_of(changes, TREE_OLD, err);
	AUTO_FD int new_names = old_names < 0 ? -1 : names_of(changes, TREE_NEW, err);
	AUTO_FD int values = -1;
	struct sides sides = {p, ws, old_names, new_names, -1};
	json_t *object = NULL;
	int result =
		new_names < 0 ? -1 : workspace_secret_values(p, ws->workspace_id, &values, err);

	sides.values = values;
	if (result == 0)
		result = diff_contents(&sides, remote, &object, err);

	if (result == 0)
		result = values_decode_record(&ops_records[REC_workspace_diff], object, ret, err);
	json_decref(object);
	if (result < 0)
		return -1;
	add_specials(changes, ret);
	if (redact_names(p, ws->workspace_id, ret, err) < 0) {
		pyro_workspace_diff_done(ret);
		return -1;
	}
	qsort(ret->entries, ret->entries_count, sizeof(*ret->entries), compare_entries);
	return 0;
}

int workspace_diff(struct pyro *p, const struct pyro_workspace *ws, struct remote *remote,
		   const char *below, const char *const *exclude, struct pyro_workspace_diff *ret,
		   struct pyro_error *err)
{
	AUTO_FREE char *path = state_vm_file(p->state, ws->workspace_id, "manifest");
	struct tree *before = tree_load(path, err);
	struct tree *now = before ? workspace_scan(remote, "", true, err) : NULL;
	struct tree_changes changes = {0};
	int result = now ? 0 : -1;

	if (now) {
		tree_compare(before, now, &changes);
		tree_changes_keep(&changes, below);
		tree_changes_drop(&changes, exclude);
	}
	*ret = (struct pyro_workspace_diff){0};
	if (now && changes.count)
		result = diff_changes(p, ws, remote, &changes, ret, err);
	else if (now)
		ret->patch = mem_strdup("");
	if (result == 0) {
		ret->workspace_id = mem_strdup(ws->workspace_id);
		ret->has_summary = true;
	}
	tree_changes_done(&changes);
	(void)tree_free(now);
	(void)tree_free(before);
	return result;
}

static int check_globs(const char *const *globs, struct pyro_error *err)
{
	for (size_t n = 0; globs && globs[n]; n++) {
		if (n == GLOBS_MAX)
			return err_set(err, PYRO_E_INVALID, "exclude: more than %d globs",
				       GLOBS_MAX);
		if (!*globs[n] || strlen(globs[n]) > GLOB_MAX)
			return err_set(err, PYRO_E_INVALID, "exclude: a glob has 1 to %d bytes",
				       GLOB_MAX);
	}
	return 0;
}

static int diff(struct pyro *p, const struct pyro_diff_workspace_args *a,
		struct pyro_workspace_diff *ret, struct pyro_error *err)
{
	AUTO_FREE char *below = workspace_relative(a->path, err);
	struct pyro_workspace ws = {0};
	struct remote *remote = NULL;
	int result;

	if (!below || check_globs(a->exclude, err) < 0 ||
	    workspace_connect(p, a->workspace_id, &ws, &remote, err) < 0)
		return -1;
	result = workspace_diff(p, &ws, remote, below, a->exclude, ret, err);
	(void)remote_free(remote);
	pyro_workspace_done(&ws);
	return result;
}

int pyro_diff_workspace(struct pyro *p, const struct pyro_diff_workspace_args *given,
			struct pyro_workspace_diff *ret, struct pyro_error *err)
{
	struct pyro_diff_workspace_args a;

	if (ops_apply_defaults(OP_diff_workspace, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, diff(p, &a, ret, err));
}

/*
 * Apply.
 */

/* The files that a patch is about, as names in memory. */
static int name_files(struct pyro *p, int patch, struct pyro_error *err)
{
	AUTO_FD int names = transfer_memory("", 0, err);
	struct helper *helper;
	int result;

	if (names < 0)
		return -1;
	helper = helper_start(p,
			      &(struct helper_options){
				      .part = "patch",
				      .program = "pyro-patch",
				      .args = (const char *const[]){"names", NULL},
				      .fds = (const struct proc_fd[]){{patch, STDIN_FILENO},
								      {names, STDOUT_FILENO}},
				      .n_fds = 2,
				      .report_as = 3,
				      .report_max = 64 * 1024,
			      },
			      err);
	result = helper ? helper_finish(helper, deadline_in(DIFF_MS), NULL, err) : -1;
	(void)helper_free(helper);
	if (result < 0 || lseek(names, 0, SEEK_SET) < 0 || lseek(patch, 0, SEEK_SET) < 0)
		return -1;
	return TAKE_FD(names);
}

/* The applied files as a tar stream in memory, and what was done to each. */
static int apply_to_files(struct pyro *p, struct remote *remote, int patch, int names, int out,
			  json_t **ret, struct pyro_error *err)
{
	AUTO_FD int ours = -1, theirs = -1;
	struct helper *helper;
	int pair[2], result;

	if (socket_pair(pair, err) < 0)
		return -1;
	ours = pair[0];
	theirs = pair[1];
	helper = helper_start(p,
			      &(struct helper_options){
				      .part = "patch",
				      .program = "pyro-patch",
				      .args = (const char *const[]){"apply", NULL},
				      .fds = (const struct proc_fd[]){{patch, 3},
								      {theirs, 4},
								      {out, STDOUT_FILENO}},
				      .n_fds = 3,
				      .report_as = 5,
				      .report_max = REPORT_MAX,
			      },
			      err);
	fd_close(&theirs);
	if (!helper)
		return -1;
	result = transfer_pass_out(p, remote, json_pack("{s:s, s:b}", "path", "", "names", 1),
				   names, ours, NULL, err);
	if (result < 0) {
		transfer_explain(helper, err);
	} else {
		transfer_end(&ours);
		result = helper_finish(helper, deadline_in(DIFF_MS), ret, err);
	}
	(void)helper_free(helper);
	return result < 0 || lseek(out, 0, SEEK_SET) < 0 ? -1 : 0;
}

static int put_files(struct remote *remote, int files, struct pyro_error *err)
{
	const struct remote_io io = {.in_fd = files};

	return remote_stream(remote, "put", json_pack("{s:s, s:b}", "path", "", "keep_modes", 0),
			     &io, deadline_in(DIFF_MS), NULL, err);
}

static int apply(struct pyro *p, struct remote *remote, const char *text,
		 struct pyro_patch_applied *ret, struct pyro_error *err)
{
	AUTO_FD int patch = transfer_memory(text, strlen(text), err);
	AUTO_FD int names = patch < 0 ? -1 : name_files(p, patch, err);
	AUTO_FD int files = names < 0 ? -1 : transfer_memory("", 0, err);
	json_t *object = NULL;
	int result = files < 0 ? -1 : apply_to_files(p, remote, patch, names, files, &object, err);

	if (result == 0)
		result = put_files(remote, files, err);
	if (result == 0)
		result = values_decode_record(&ops_records[REC_patch_applied], object, ret, err);
	json_decref(object);
	return result;
}

static int apply_patch(struct pyro *p, const struct pyro_apply_workspace_patch_args *a,
		       struct pyro_patch_applied *ret, struct pyro_error *err)
{
	AUTO_FREE char *detail = NULL;
	struct pyro_workspace ws = {0};
	struct remote *remote = NULL;
	int result;

	if (strlen(a->patch) > PATCH_MAX)
		return err_set(err, PYRO_E_LIMIT, "patch: %zu bytes are more than 1 MiB",
			       strlen(a->patch));
	if (workspace_connect(p, a->workspace_id, &ws, &remote, err) < 0)
		return -1;
	result = apply(p, remote, a->patch, ret, err);
	(void)remote_free(remote);
	if (result == 0) {
		detail = mem_printf("%lld %s", (long long)ret->summary.total,
				    ret->summary.total == 1 ? "file" : "files");
		ret->workspace_id = mem_strdup(ws.workspace_id);
		result = workspace_note(p, ws.workspace_id, "patch_apply", NULL, detail, err);
		if (result < 0)
			pyro_patch_applied_done(ret);
	}
	pyro_workspace_done(&ws);
	return result;
}

int pyro_apply_workspace_patch(struct pyro *p, const struct pyro_apply_workspace_patch_args *given,
			       struct pyro_patch_applied *ret, struct pyro_error *err)
{
	struct pyro_apply_workspace_patch_args a;

	if (ops_apply_defaults(OP_apply_workspace_patch, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, apply_patch(p, &a, ret, err));
}
