/*
 * Files of a workspace, read in pages.
 */
#include "api/handle.h"
#include "api/remote.h"
#include "api/workspace.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "ops/ops.h"
#include "workspace/page.h"

#include <stdlib.h>

#define SHOWN_MAX (16 * 1024 * 1024) /* each byte may become a mark */

int workspace_page_init(struct pyro *p, const char *id, int64_t offset, int64_t max_bytes,
			struct workspace_page *ret, struct pyro_error *err)
{
	struct redact_patterns *patterns;
	int64_t margin;

	if (workspace_patterns(p, id, &patterns, err) < 0)
		return -1;
	margin = (int64_t)page_margin(patterns);
	*ret = (struct workspace_page){
		.patterns = patterns,
		.offset = offset,
		.max_bytes = max_bytes,
		.read_offset = offset > margin ? offset - margin : 0,
	};
	ret->read_bytes = offset - ret->read_offset + max_bytes + margin;
	return 0;
}

void workspace_page_show(struct pyro *p, const struct workspace_page *page, const struct buf *data,
			 int64_t size, struct pyro_file_read *ret)
{
	const struct pyro_observer *observer = &p->observer;
	AUTO_BUF struct buf shown = BUF_INIT(SHOWN_MAX);
	size_t from = (size_t)(page->offset - page->read_offset), end;
	int64_t next;
	bool is_text;

	if (from > data->len)
		from = data->len;
	end = page_show(page->patterns, data, from, (size_t)page->max_bytes, &shown, &is_text);
	next = page->offset + (int64_t)(end - from);
	*ret = (struct pyro_file_read){
		.size_bytes = size,
		.offset = page->offset,
		.max_bytes = page->max_bytes,
		/* Of a file that ends sooner than its size says there is no more. */
		.truncated = end > from && next < size,
		.content_is_binary = !is_text,
		.content = utf8_repair(buf_text(&shown), shown.len, NULL),
	};
	ret->next_offset = ret->truncated ? next : PYRO_NONE;
	if (observer->on_output && shown.len)
		observer->on_output(observer->ctx, 1, shown.data, shown.len);
}

void workspace_page_done(struct workspace_page *page)
{
	page->patterns = redact_patterns_free(page->patterns);
}

static int take_bytes(void *ctx, int stream, const void *data, size_t len, struct pyro_error *err)
{
	struct buf *out = ctx;

	if (stream != 1)
		return 0;
	buf_append(out, data, len);
	return out->is_full
		       ? err_set(err, PYRO_E_PROTOCOL, "the guest sends more than it was asked for")
		       : 0;
}

static int read_page(struct pyro *p, struct remote *remote, const char *relative,
		     const struct workspace_page *page, struct pyro_file_read *ret,
		     struct pyro_error *err)
{
	AUTO_BUF struct buf data = BUF_INIT((size_t)page->read_bytes);
	const struct remote_io io = {.in_fd = -1, .on_output = take_bytes, .ctx = &data};
	json_t *result = NULL;
	int64_t size;
	int r = remote_stream(remote, "read",
			      json_pack("{s:s, s:I, s:I}", "path", relative, "offset",
					(json_int_t)page->read_offset, "max_bytes",
					(json_int_t)page->read_bytes),
			      &io, deadline_in(WORKSPACE_CALL_MS), &result, err);

	if (r == 0)
		r = workspace_number(result, "size", &size, err);
	json_decref(result);
	if (r == 0)
		workspace_page_show(p, page, &data, size, ret);
	return r;
}

static int read_one(struct pyro *p, const struct pyro_read_workspace_file_args *a,
		    struct pyro_file_read *ret, struct pyro_error *err)
{
	AUTO_FREE char *relative = workspace_relative(a->path, err);
	struct pyro_workspace ws = {0};
	struct workspace_page page;
	struct remote *remote = NULL;
	int result;

	if (!relative || workspace_connect(p, a->workspace_id, &ws, &remote, err) < 0)
		return -1;
	result = workspace_page_init(p, ws.workspace_id, a->offset, a->max_bytes, &page, err);
	if (result == 0) {
		result = read_page(p, remote, relative, &page, ret, err);
		workspace_page_done(&page);
	}
	(void)remote_free(remote);
	if (result == 0) {
		ret->path = workspace_absolute(relative);
		ret->workspace_id = TAKE_PTR(ws.workspace_id);
	} else {
		workspace_missing_hint(&ws, err);
	}
	pyro_workspace_done(&ws);
	return result;
}

int pyro_read_workspace_file(struct pyro *p, const struct pyro_read_workspace_file_args *given,
			     struct pyro_file_read *ret, struct pyro_error *err)
{
	struct pyro_read_workspace_file_args a;

	if (ops_apply_defaults(OP_read_workspace_file, given, &a, err) < 0)
		return -1;
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, read_one(p, &a, ret, err));
}
