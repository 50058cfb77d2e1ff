/*
 * Files of a started workspace: list, write, import, export, patch. No shell of the guest is
 * involved; all writes are one call of the agent, which does all of it or nothing.
 */
#include "api/handle.h"
#include "api/helper.h"
#include "api/remote.h"
#include "api/transfer.h"
#include "api/workspace.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/utf8.h"
#include "ops/ops.h"
#include "workspace/history.h"
#include "workspace/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)

/*
 * Paths.
 */

/* ".." takes the last component away. No link is followed: the agent refuses those that leave. */
static bool go_up(struct buf *out)
{
	if (out->len == 0)
		return false;
	while (out->len > 0 && out->data[--out->len] != '/')
		;
	out->data[out->len] = '\0';
	return true;
}

/* Appends one component; false for one that leaves. */
static bool add_part(struct buf *out, const char *part, size_t len)
{
	if (len == 0 || (len == 1 && part[0] == '.'))
		return true;
	if (len == 2 && memcmp(part, "..", 2) == 0)
		return go_up(out);
	if (out->len)
		buf_puts(out, "/");
	buf_append(out, part, len);
	return true;
}

char *workspace_relative(const char *path, struct pyro_error *err)
{
	AUTO_BUF struct buf out = BUF_INIT(PATH_MAX);
	const size_t root = strlen(WORKSPACE_PATH);
	const char *at = path;
	bool is_inside = true;

	if (*at == '/') {
		is_inside = strncmp(at, WORKSPACE_PATH, root) == 0 &&
			    (at[root] == '/' || at[root] == '\0');
		at += is_inside ? root : 0;
	}
	while (is_inside && *at) {
		size_t len = strcspn(at, "/");

		is_inside = add_part(&out, at, len);
		at += len + (at[len] == '/');
	}
	if (is_inside && !out.is_full)
		return out.len ? buf_take(&out) : mem_strdup("");
	(void)err_set(err, is_inside ? PYRO_E_LIMIT : PYRO_E_REFUSED,
		      is_inside ? "path '%.60s…' is too long" : "path '%s' leaves " WORKSPACE_PATH,
		      path);
	(void)err_hint(err, "give a path relative to " WORKSPACE_PATH);
	return NULL;
}

char *workspace_absolute(const char *relative)
{
	return *relative ? mem_printf(WORKSPACE_PATH "/%s", relative) : mem_strdup(WORKSPACE_PATH);
}

void workspace_missing_hint(const struct pyro_workspace *ws, struct pyro_error *err)
{
	if (err && err->code == PYRO_E_NOT_FOUND && !err->hint[0])
		(void)err_hint(err, "pyro workspace file list %s shows what there is",
			       ws->workspace_id);
}

/*
 * List.
 */

static const char *type_name(char type)
{
	return type == 'f' ? "file" : type == 'd' ? "directory" : type == 'l' ? "symlink" : "other";
}

/* Names are the guest's: bytes that are not UTF-8 are replaced. */
static struct pyro_file_entry file_entry(const struct tree_entry *e)
{
	AUTO_FREE char *path = utf8_repair(e->path, strlen(e->path), NULL);

	return (struct pyro_file_entry){
		.path = workspace_absolute(path),
		.artifact_type = mem_strdup(type_name(e->type)),
		.size_bytes = e->size,
		.link_target =
			e->type == 'l' ? utf8_repair(e->target, strlen(e->target), NULL) : NULL,
	};
}

static void fill_list(const struct tree *tree, const char *relative, struct pyro_file_list *ret)
{
	size_t count = tree_count(tree);
	/* The one thing that is not a directory is its own only entry. */
	bool is_single = count == 1 && strcmp(tree_at(tree, 0)->path, relative) == 0;

	ret->path = workspace_absolute(relative);
	ret->artifact_type =
		mem_strdup(is_single ? type_name(tree_at(tree, 0)->type) : "directory");
	ret->entries = mem_zalloc(count + 1, sizeof(*ret->entries));
	ret->entries_count = count;
	ret->count = (int64_t)count;
	for (size_t i = 0; i < count; i++)
		ret->entries[i] = file_entry(tree_at(tree, i));
}

static int list(struct pyro *p, const struct pyro_list_workspace_files_args *a,
		struct pyro_file_list *ret, struct pyro_error *err)
{
	AUTO_FREE char *relative = workspace_relative(a->path, err);
	struct pyro_workspace ws = {0};
	struct remote *remote = NULL;
	struct tree *tree;

	if (!relative || workspace_connect(p, a->workspace_id, &ws, &remote, err) < 0)
		return -1;
	tree = workspace_scan(remote, relative, a->recursive, err);
	(void)remote_free(remote);
	if (tree) {
		*ret = (struct pyro_file_list){.workspace_id = mem_strdup(ws.workspace_id)};
		fill_list(tree, relative, ret);
		(void)tree_free(tree);
	} else {
		workspace_missing_hint(&ws, err);
	}
	pyro_workspace_done(&ws);
	return tree ? 0 : -1;
}

int pyro_list_workspace_files(struct pyro *p, const struct pyro_list_workspace_files_args *given,
			      struct pyro_file_list *ret, struct pyro_error *err)
{
	struct pyro_list_workspace_files_args a;

	if (ops_apply_defaults(OP_list_workspace_files, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, list(p, &a, ret, err));
}

/*
 * Write.
 */

static int put_file(struct remote *remote, const char *relative, const char *text, size_t len,
		    struct pyro_error *err)
{
	AUTO_FD int fd = transfer_one_file(relative, text, len, err);
	const struct remote_io io = {.in_fd = fd};

	if (fd < 0)
		return -1;
	return remote_stream(remote, "put", json_pack("{s:s, s:b}", "path", "", "keep_modes", 1),
			     &io, deadline_in(WORKSPACE_CALL_MS), NULL, err);
}

static int write_one(struct pyro *p, const struct pyro_write_workspace_file_args *a,
		     struct pyro_file_written *ret, struct pyro_error *err)
{
	AUTO_FREE char *relative = workspace_relative(a->path, err);
	AUTO_FREE char *path = relative ? workspace_absolute(relative) : NULL;
	struct pyro_workspace ws = {0};
	struct remote *remote = NULL;
	size_t len = strlen(a->text);
	int result;

	if (!relative)
		return -1;
	if (!*relative)
		return err_set(err, PYRO_E_INVALID, "path '%s' is the workspace itself", a->path);
	if (len > FILE_MAX)
		return err_set(err, PYRO_E_LIMIT, "text: %zu bytes are more than 1 MiB", len);
	if (workspace_connect(p, a->workspace_id, &ws, &remote, err) < 0)
		return -1;
	result = put_file(remote, relative, a->text, len, err);
	(void)remote_free(remote);
	if (result == 0)
		result = workspace_note(p, ws.workspace_id, "file_write", path, NULL, err);
	if (result == 0)
		*ret = (struct pyro_file_written){
			.workspace_id = TAKE_PTR(ws.workspace_id),
			.path = TAKE_PTR(path),
			.size_bytes = (int64_t)len,
			.bytes_written = (int64_t)len,
		};
	pyro_workspace_done(&ws);
	return result;
}

int pyro_write_workspace_file(struct pyro *p, const struct pyro_write_workspace_file_args *given,
			      struct pyro_file_written *ret, struct pyro_error *err)
{
	struct pyro_write_workspace_file_args a;

	if (ops_apply_defaults(OP_write_workspace_file, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, write_one(p, &a, ret, err));
}

/*
 * Import.
 */

static int push_into(struct pyro *p, const struct pyro_workspace *ws, struct remote *remote,
		     const char *relative, const char *source, bool is_directory,
		     struct pyro_workspace_synced *ret, struct pyro_error *err)
{
	struct transfer *t = transfer_pack(p, source, "push", err);
	AUTO_FREE char *dest = workspace_absolute(relative);
	struct transfer_tally tally;
	int result = t ? transfer_put(t, remote, relative, &tally, err) : -1;

	(void)transfer_free(t);
	if (result < 0 && !is_directory && err && err->code == PYRO_E_INVALID)
		(void)err_hint(err,
			       "give a directory, a .tar, a .tar.gz or a .tgz; one file: pyro "
			       "workspace file write %s PATH --text-file FILE",
			       ws->name ? ws->name : ws->workspace_id);
	if (result < 0 || workspace_note(p, ws->workspace_id, "sync_push", dest, source, err) < 0)
		return -1;
	*ret = (struct pyro_workspace_synced){
		.workspace_id = mem_strdup(ws->workspace_id),
		.source_path = mem_strdup(source),
		.mode = mem_strdup(is_directory ? "directory" : "tar_archive"),
		.destination = TAKE_PTR(dest),
		.entry_count = tally.entries,
		.bytes_written = tally.bytes,
	};
	return 0;
}

static int push(struct pyro *p, const struct pyro_push_workspace_sync_args *a,
		struct pyro_workspace_synced *ret, struct pyro_error *err)
{
	AUTO_FREE char *relative = workspace_relative(a->dest, err);
	AUTO_FREE char *source = NULL;
	struct pyro_workspace ws = {0};
	struct remote *remote = NULL;
	bool is_directory;
	int result;

	if (!relative ||
	    transfer_check_source("source path", a->source_path, &source, &is_directory, err) < 0 ||
	    workspace_connect(p, a->workspace_id, &ws, &remote, err) < 0)
		return -1;
	handle_phase(p, "workspace-sync-push", "phase=push source=%s dest=%s", source, a->dest);
	result = push_into(p, &ws, remote, relative, source, is_directory, ret, err);
	(void)remote_free(remote);
	pyro_workspace_done(&ws);
	return result;
}

int pyro_push_workspace_sync(struct pyro *p, const struct pyro_push_workspace_sync_args *given,
			     struct pyro_workspace_synced *ret, struct pyro_error *err)
{
	struct pyro_push_workspace_sync_args a;

	if (ops_apply_defaults(OP_push_workspace_sync, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, push(p, &a, ret, err));
}

/*
 * Export.
 */

char *workspace_output_path(const char *path, struct pyro_error *err)
{
	AUTO_FREE char *here = NULL;

	if (*path == '/')
		return mem_strdup(path);
	here = getcwd(NULL, 0);
	if (here && *path)
		return mem_printf("%s/%s", here, path);
	(void)err_sys(err, *path ? errno : ENOENT, "output path '%s'", path);
	return NULL;
}

static int export(struct pyro *p, const struct pyro_export_workspace_args *a,
		  struct pyro_workspace_export *ret, struct pyro_error *err)
{
	AUTO_FREE char *relative = workspace_relative(a->path, err);
	AUTO_FREE char *output = relative ? workspace_output_path(a->output_path, err) : NULL;
	AUTO_FREE char *path = relative ? workspace_absolute(relative) : NULL;
	struct pyro_workspace ws = {0};
	struct remote *remote = NULL;
	struct transfer_tally tally;
	char *type = NULL;
	int result;

	if (!output || workspace_connect(p, a->workspace_id, &ws, &remote, err) < 0)
		return -1;
	result = transfer_export(p, remote, relative, output, &tally, &type, err);
	(void)remote_free(remote);
	if (result == 0)
		result = history_event(p->records, ws.workspace_id, "export", clock_wall(), path,
				       output, err);
	if (result == 0)
		*ret = (struct pyro_workspace_export){
			.workspace_id = TAKE_PTR(ws.workspace_id),
			.workspace_path = TAKE_PTR(path),
			.output_path = TAKE_PTR(output),
			.artifact_type = TAKE_PTR(type),
			.entry_count = tally.entries,
			.bytes_written = tally.bytes,
		};
	else
		workspace_missing_hint(&ws, err);
	free(type);
	pyro_workspace_done(&ws);
	return result;
}

int pyro_export_workspace(struct pyro *p, const struct pyro_export_workspace_args *given,
			  struct pyro_workspace_export *ret, struct pyro_error *err)
{
	struct pyro_export_workspace_args a;

	if (ops_apply_defaults(OP_export_workspace, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, export(p, &a, ret, err));
}
