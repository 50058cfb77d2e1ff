/*
 * The disk of a stopped workspace, read by pyro-disk without booting anything.
 */
#include "api/handle.h"
#include "api/helper.h"
#include "api/install.h"
#include "api/transfer.h"
#include "api/workspace.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "ops/ops.h"
#include "ops/values.h"
#include "workspace/state.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DISK_MS (60 * 60 * 1000)
#define REPORT_MAX (512 * 1024 * 1024) /* a list of a million names */

/* A stopped workspace whose life is locked, and where its disk is. */
struct disk {
	struct pyro_workspace ws;
	int lock;
	char *disk_path;
	char *root_path;
};

static void disk_done(struct disk *d)
{
	pyro_workspace_done(&d->ws);
	fd_close(&d->lock);
	free(d->disk_path);
	free(d->root_path);
}

int workspace_disk_paths(struct pyro *p, const char *id, char **ret_disk, char **ret_root,
			 struct pyro_error *err)
{
	AUTO_FREE char *path = state_vm_file(p->state, id, "base");
	AUTO_BUF struct buf base = BUF_INIT(PATH_MAX);

	if (file_read(path, &base, err) < 0)
		return err_wrap(err, "workspace '%s' has no disk", id);
	*ret_disk = state_vm_file(p->state, id, "disk.qcow2");
	*ret_root = mem_printf("%s/root.ext4", buf_text(&base));
	return 0;
}

static int open_disk(struct pyro *p, const char *id_or_name, struct disk *ret,
		     struct pyro_error *err)
{
	struct disk d = {.lock = -1};

	if (workspace_find_stopped(p, id_or_name, &d.ws, &d.lock, err) < 0)
		return -1;
	if (strcmp(d.ws.execution_mode ? d.ws.execution_mode : "", "host_compat") == 0) {
		(void)err_set(err, PYRO_E_REFUSED, "host_compat has no disk");
		disk_done(&d);
		return -1;
	}
	if (workspace_disk_paths(p, d.ws.workspace_id, &d.disk_path, &d.root_path, err) < 0) {
		disk_done(&d);
		return -1;
	}
	*ret = d;
	return 0;
}

/* words: the command and its arguments. out: what standard output is, or -1. */
static int run_disk(struct pyro *p, const struct disk *d, const char *const *words, int out,
		    const char *what, json_t **ret, struct pyro_error *err)
{
	const char *args[8] = {d->disk_path, d->root_path};
	const struct proc_fd fd = {out, STDOUT_FILENO};
	struct helper *helper;
	int result;

	for (size_t i = 0; words[i] && i + 3 < ARRAY_SIZE(args); i++)
		args[i + 2] = words[i];
	helper = helper_start(p,
			      &(struct helper_options){
				      .part = "disk",
				      .program = "pyro-disk",
				      .args = args,
				      .fds = &fd,
				      .n_fds = out >= 0,
				      .report_as = 3,
				      .report_max = REPORT_MAX,
				      .die_with_parent = true,
				      .what = what,
			      },
			      err);
	result = helper ? helper_finish(helper, deadline_in(DISK_MS), ret, err) : -1;
	(void)helper_free(helper);
	return result;
}

/* Any place of the disk; a relative one is under /workspace. */
static char *disk_path(const char *path)
{
	return *path == '/' ? mem_strdup(path) : mem_printf(WORKSPACE_PATH "/%s", path);
}

static int list(struct pyro *p, const struct pyro_list_workspace_disk_args *a,
		struct pyro_file_list *ret, struct pyro_error *err)
{
	AUTO_FREE char *path = disk_path(a->path);
	const char *const words[] = {"list", path, a->recursive ? "--recursive" : NULL, NULL};
	json_t *object = NULL;
	struct disk d;
	int result;

	if (open_disk(p, a->workspace_id, &d, err) < 0)
		return -1;
	result = run_disk(p, &d, words, -1, NULL, &object, err);
	if (result == 0)
		result = values_decode_record(&ops_records[REC_file_list], object, ret, err);
	if (result == 0) {
		ret->workspace_id = TAKE_PTR(d.ws.workspace_id);
		ret->count = (int64_t)ret->entries_count;
	}
	json_decref(object);
	disk_done(&d);
	return result;
}

int pyro_list_workspace_disk(struct pyro *p, const struct pyro_list_workspace_disk_args *given,
			     struct pyro_file_list *ret, struct pyro_error *err)
{
	struct pyro_list_workspace_disk_args a;

	if (ops_apply_defaults(OP_list_workspace_disk, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, list(p, &a, ret, err));
}

static int read_page(struct pyro *p, const struct disk *d, const char *path,
		     const struct workspace_page *page, struct pyro_file_read *ret,
		     struct pyro_error *err)
{
	AUTO_FREE char *max = mem_printf("%lld", (long long)page->read_bytes);
	AUTO_FREE char *offset = mem_printf("%lld", (long long)page->read_offset);
	const char *const words[] = {"read", path, max, offset, NULL};
	AUTO_BUF struct buf data = BUF_INIT((size_t)page->read_bytes);
	char *room = buf_room(&data, (size_t)page->read_bytes);
	AUTO_FD int fd = transfer_memory("", 0, err);
	json_t *object = NULL;
	int64_t size;
	ssize_t n;
	int result = fd < 0 ? -1 : run_disk(p, d, words, fd, NULL, &object, err);

	if (result == 0)
		result = workspace_number(object, "size_bytes", &size, err);
	json_decref(object);
	if (result < 0)
		return -1;
	n = pread(fd, room, (size_t)page->read_bytes, 0);
	buf_grew(&data, n > 0 ? (size_t)n : 0);
	workspace_page_show(p, page, &data, size, ret);
	return 0;
}

static int read_one(struct pyro *p, const struct pyro_read_workspace_disk_args *a,
		    struct pyro_file_read *ret, struct pyro_error *err)
{
	AUTO_FREE char *path = disk_path(a->path);
	struct workspace_page page;
	struct disk d;
	int result;

	if (open_disk(p, a->workspace_id, &d, err) < 0)
		return -1;
	result = workspace_page_init(p, d.ws.workspace_id, a->offset, a->max_bytes, &page, err);
	if (result == 0) {
		result = read_page(p, &d, path, &page, ret, err);
		workspace_page_done(&page);
	}
	if (result == 0) {
		ret->path = TAKE_PTR(path);
		ret->workspace_id = TAKE_PTR(d.ws.workspace_id);
	}
	disk_done(&d);
	return result;
}

int pyro_read_workspace_disk(struct pyro *p, const struct pyro_read_workspace_disk_args *given,
			     struct pyro_file_read *ret, struct pyro_error *err)
{
	struct pyro_read_workspace_disk_args a;

	if (ops_apply_defaults(OP_read_workspace_disk, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, read_one(p, &a, ret, err));
}

static int export(struct pyro *p, const struct pyro_export_workspace_disk_args *a,
		  struct pyro_disk_export *ret, struct pyro_error *err)
{
	AUTO_FREE char *output = workspace_output_path(a->output_path, err);
	const char *const words[] = {"export", output, NULL};
	json_t *object = NULL;
	struct disk d;
	int result;

	if (!output || open_disk(p, a->workspace_id, &d, err) < 0)
		return -1;
	result = run_disk(p, &d, words, -1, "export", &object, err);
	if (result == 0)
		result = values_decode_record(&ops_records[REC_disk_export], object, ret, err);
	if (result == 0) {
		ret->workspace_id = TAKE_PTR(d.ws.workspace_id);
		ret->output_path = TAKE_PTR(output);
		ret->disk_format = mem_strdup("ext4");
	}
	json_decref(object);
	disk_done(&d);
	return result;
}

int pyro_export_workspace_disk(struct pyro *p, const struct pyro_export_workspace_disk_args *given,
			       struct pyro_disk_export *ret, struct pyro_error *err)
{
	struct pyro_export_workspace_disk_args a;

	if (ops_apply_defaults(OP_export_workspace_disk, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, export(p, &a, ret, err));
}
