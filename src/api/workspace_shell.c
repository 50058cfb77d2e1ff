/*
 * Shells: terminal sessions that outlive a call. The supervisor has them (supervisor/shells.h);
 * here its stream of bytes becomes text, counted in characters.
 */
#include "api/handle.h"
#include "api/remote.h"
#include "api/term.h"
#include "api/workspace.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "ops/ops.h"
#include "ops/values.h"
#include "workspace/shells.h"
#include "workspace/workspaces.h"

#include <stdlib.h>
#include <string.h>

#define CHARACTER_MAX 4   /* bytes */
#define DETACH_KEY '\x1d' /* Ctrl-] */
#define DEFAULT_COLS 120
#define DEFAULT_ROWS 30

/* One operation of the handle on one workspace, whose supervisor it is connected to. */
struct session {
	struct pyro *p;
	struct pyro_workspace ws;
	struct remote *remote;
};

static int session_begin(struct session *s, struct pyro *p, const char *id_or_name,
			 struct pyro_error *err)
{
	*s = (struct session){.p = p};
	if (handle_begin(p, err) < 0)
		return -1;
	if (workspace_connect(p, id_or_name, &s->ws, &s->remote, err) == 0)
		return 0;
	return handle_end(p, -1);
}

/* Returns result. */
static int session_end(struct session *s, int result)
{
	(void)remote_free(s->remote);
	pyro_workspace_done(&s->ws);
	return handle_end(s->p, result);
}

/* One call whose answer is a shell; args are taken. */
static int ask(struct session *s, const char *name, json_t *args, struct pyro_shell *ret,
	       struct pyro_error *err)
{
	json_t *answer = NULL;
	int result = remote_call(s->remote, name, name, args, deadline_in(WORKSPACE_CALL_MS),
				 &answer, err);

	if (result == 0)
		result = values_decode_record(&ops_records[REC_shell], answer, ret, err);
	json_decref(answer);
	return result;
}

/* What was done is done, whatever becomes of the note. */
static void note(struct session *s, const char *kind, const struct pyro_shell *shell)
{
	(void)workspace_note(s->p, s->ws.workspace_id, kind, shell->shell_id, shell->cwd, NULL);
}

static void touch(struct session *s)
{
	(void)workspaces_touch(s->p->records, s->ws.workspace_id, clock_wall(), NULL);
}

/*
 * Open, list, signal, close.
 */

static int open_shell(struct session *s, const char *cwd, int64_t cols, int64_t rows,
		      const char *const *secret_env, struct pyro_shell *ret, struct pyro_error *err)
{
	AUTO_FREE char *path =
		cwd[0] == '/' ? mem_strdup(cwd) : mem_printf(WORKSPACE_PATH "/%s", cwd);
	json_t *args = json_pack("{s:s, s:I, s:I}", "cwd", path, "cols", (json_int_t)cols, "rows",
				 (json_int_t)rows);

	if (workspace_add_secret_env(secret_env, args, err) < 0) {
		json_decref(args);
		return -1;
	}
	if (ask(s, "shell_open", args, ret, err) < 0)
		return -1;
	note(s, "shell_open", ret);
	return 0;
}

int pyro_open_shell(struct pyro *p, const struct pyro_open_shell_args *given,
		    struct pyro_shell *ret, struct pyro_error *err)
{
	struct pyro_open_shell_args a;
	struct session s;

	if (ops_apply_defaults(OP_open_shell, given, &a, err) < 0 ||
	    session_begin(&s, p, a.workspace_id, err) < 0)
		return -1;
	return session_end(&s, open_shell(&s, a.cwd, a.cols, a.rows, a.secret_env, ret, err));
}

int pyro_list_shells(struct pyro *p, const struct pyro_list_shells_args *given,
		     struct pyro_shell_list *ret, struct pyro_error *err)
{
	struct pyro_list_shells_args a;
	struct pyro_shell_list list = {0};
	struct pyro_workspace ws;
	int result;

	if (ops_apply_defaults(OP_list_shells, given, &a, err) < 0 ||
	    workspace_find(p, a.workspace_id, &ws, err) < 0)
		return -1;
	result = shells_list(p->records, ws.workspace_id, &list.shells, &list.shells_count, err);
	list.workspace_id = TAKE_PTR(ws.workspace_id);
	list.count = (int64_t)list.shells_count;
	pyro_workspace_done(&ws);
	if (result == 0)
		*ret = list;
	else
		pyro_shell_list_done(&list);
	return result;
}

static int signal_shell(struct session *s, const struct pyro_signal_shell_args *a,
			struct pyro_shell *ret, struct pyro_error *err)
{
	json_t *args = json_pack("{s:s, s:s}", "shell_id", a->shell_id, "signal", a->signal_name);

	if (ask(s, "shell_signal", args, ret, err) < 0)
		return -1;
	touch(s);
	return 0;
}

int pyro_signal_shell(struct pyro *p, const struct pyro_signal_shell_args *given,
		      struct pyro_shell *ret, struct pyro_error *err)
{
	struct pyro_signal_shell_args a;
	struct session s;

	if (ops_apply_defaults(OP_signal_shell, given, &a, err) < 0 ||
	    session_begin(&s, p, a.workspace_id, err) < 0)
		return -1;
	return session_end(&s, signal_shell(&s, &a, ret, err));
}

static int close_shell(struct session *s, const char *shell_id, struct pyro_shell *ret,
		       struct pyro_error *err)
{
	if (ask(s, "shell_close", json_pack("{s:s}", "shell_id", shell_id), ret, err) < 0)
		return -1;
	note(s, "shell_close", ret);
	return 0;
}

int pyro_close_shell(struct pyro *p, const struct pyro_close_shell_args *given,
		     struct pyro_shell *ret, struct pyro_error *err)
{
	struct pyro_close_shell_args a;
	struct session s;

	if (ops_apply_defaults(OP_close_shell, given, &a, err) < 0 ||
	    session_begin(&s, p, a.workspace_id, err) < 0)
		return -1;
	return session_end(&s, close_shell(&s, a.shell_id, ret, err));
}

/*
 * Write.
 */

static int write_shell(struct session *s, const struct pyro_write_shell_args *a,
		       struct pyro_shell_written *ret, struct pyro_error *err)
{
	AUTO_FREE char *text =
		mem_printf("%s%s", a->input, a->append_newline == PYRO_ON ? "\n" : "");
	json_t *answer = NULL;
	int result = remote_call(s->remote, "shell_write", "shell_write",
				 json_pack("{s:s, s:s}", "shell_id", a->shell_id, "input", text),
				 deadline_in(WORKSPACE_CALL_MS), &answer, err);

	json_decref(answer);
	if (result < 0)
		return -1;
	touch(s);
	*ret = (struct pyro_shell_written){
		.workspace_id = mem_strdup(s->ws.workspace_id),
		.shell_id = mem_strdup(a->shell_id),
		.input_bytes = (int64_t)strlen(text),
	};
	return 0;
}

int pyro_write_shell(struct pyro *p, const struct pyro_write_shell_args *given,
		     struct pyro_shell_written *ret, struct pyro_error *err)
{
	struct pyro_write_shell_args a;
	struct session s;

	if (ops_apply_defaults(OP_write_shell, given, &a, err) < 0)
		return -1;
	if (strlen(a.input) > SHELLS_INPUT_MAX)
		return err_set(err, PYRO_E_INVALID, "the input is longer than 1 MiB");
	if (session_begin(&s, p, a.workspace_id, err) < 0)
		return -1;
	return session_end(&s, write_shell(&s, &a, ret, err));
}

/*
 * Read.
 */

/* What a read brought: `context` bytes of before, then those from the cursor on. */
struct output {
	struct buf bytes;
	int64_t context;
	int64_t end; /* of all that was printed */
	int64_t cols, rows;
};

#define OUTPUT_INIT                                                 \
	{                                                           \
		.bytes = BUF_INIT(SHELLS_KEPT + SHELLS_CONTEXT_MAX) \
	}

static int take_bytes(void *ctx, int stream, const void *data, size_t len, struct pyro_error *err)
{
	struct buf *bytes = ctx;

	(void)stream;
	buf_append(bytes, data, len);
	return bytes->is_full ? err_set(err, PYRO_E_PROTOCOL, "more was read than asked for") : 0;
}

/* args are taken. *ret has the fields that the supervisor knows. */
static int fetch(struct session *s, json_t *args, struct output *out, struct pyro_shell_read *ret,
		 struct pyro_error *err)
{
	const struct remote_io io = {.in_fd = -1, .on_output = take_bytes, .ctx = &out->bytes};
	json_t *answer = NULL;
	int result = remote_stream(s->remote, "shell_read", args, &io,
				   deadline_in(WORKSPACE_CALL_MS), &answer, err);

	if (result == 0 && (workspace_number(answer, "context", &out->context, err) < 0 ||
			    workspace_number(answer, "end", &out->end, err) < 0 ||
			    workspace_number(answer, "cols", &out->cols, err) < 0 ||
			    workspace_number(answer, "rows", &out->rows, err) < 0))
		result = -1;
	if (result == 0 && out->context > (int64_t)out->bytes.len)
		result = err_set(err, PYRO_E_PROTOCOL, "less was read than told");
	if (result == 0)
		result = values_decode_record(&ops_records[REC_shell_read], answer, ret, err);
	json_decref(answer);
	return result;
}

/* How many bytes the first characters take; *max_chars becomes what is left of it. */
static size_t take_chars(const char *text, size_t len, bool is_whole, int64_t *max_chars)
{
	size_t at = 0;

	for (; at < len && *max_chars; (*max_chars)--) {
		int n = utf8_next((const unsigned char *)text + at, len - at);

		if (n < 0 && !is_whole)
			break; /* the rest of the character is still to come */
		at += n > 0 ? (size_t)n : 1;
	}
	return at;
}

/* A value that escape sequences kept apart is in one piece on the screen. Takes text. */
static char *redact(struct session *s, char *text, struct pyro_error *err)
{
	AUTO_FREE char *shown = text;
	struct redact_patterns *patterns;
	char *redacted;

	if (workspace_patterns(s->p, s->ws.workspace_id, &patterns, err) < 0)
		return NULL;
	redacted = redact_text(patterns, shown);
	(void)redact_patterns_free(patterns);
	return redacted;
}

/* The first `len` bytes behind the context as text; NULL with err. The caller's. */
static char *render(struct session *s, const struct output *out, size_t len, bool is_plain,
		    struct pyro_error *err)
{
	const char *raw = buf_text(&out->bytes);
	size_t context = (size_t)out->context;
	char *text;

	if (!is_plain)
		return utf8_repair(raw + context, len, NULL);
	text = term_text(s->p, (int)out->cols, (int)out->rows, raw, context + len, context, err);
	return text ? redact(s, text, err) : NULL;
}

static int read_shell(struct session *s, const struct pyro_read_shell_args *a,
		      struct pyro_shell_read *ret, struct pyro_error *err)
{
	struct output out = OUTPUT_INIT;
	int64_t left = a->max_chars;
	json_t *args = json_pack("{s:s, s:I, s:I, s:I, s:I}", "shell_id", a->shell_id, "cursor",
				 (json_int_t)a->cursor, "max_bytes",
				 (json_int_t)a->max_chars * CHARACTER_MAX, "wait_for_idle_ms",
				 (json_int_t)a->wait_for_idle_ms, "context_bytes",
				 (json_int_t)(a->plain ? SHELLS_CONTEXT_MAX : 0));
	const char *text;
	bool is_end;
	size_t len;

	if (fetch(s, args, &out, ret, err) < 0) {
		buf_done(&out.bytes);
		return -1;
	}
	text = buf_text(&out.bytes) + out.context;
	is_end = strcmp(ret->state, "running") != 0 && ret->next_cursor == out.end;
	len = take_chars(text, out.bytes.len - (size_t)out.context, is_end, &left);
	/* A character that is still to come is not more output. */
	ret->truncated =
		ret->next_cursor < out.end || (left == 0 && ret->cursor + (int64_t)len < out.end);
	ret->next_cursor = ret->cursor + (int64_t)len;
	ret->plain = a->plain;
	ret->output = render(s, &out, len, a->plain, err);
	buf_done(&out.bytes);
	if (ret->output)
		return 0;
	pyro_shell_read_done(ret);
	return -1;
}

int pyro_read_shell(struct pyro *p, const struct pyro_read_shell_args *given,
		    struct pyro_shell_read *ret, struct pyro_error *err)
{
	struct pyro_read_shell_args a;
	struct session s;

	if (ops_apply_defaults(OP_read_shell, given, &a, err) < 0 ||
	    session_begin(&s, p, a.workspace_id, err) < 0)
		return -1;
	return session_end(&s, read_shell(&s, &a, ret, err));
}

/*
 * Attach.
 */

static int observe(void *ctx, int stream, const void *data, size_t len, struct pyro_error *err)
{
	const struct pyro_observer *observer = &((struct session *)ctx)->p->observer;

	(void)err;
	if (observer->on_output && len)
		observer->on_output(observer->ctx, stream, data, len);
	return 0;
}

/* The running shell that was opened last, or a new one. The caller's. */
static char *choose(struct session *s, struct pyro_error *err)
{
	struct pyro_shell_list list = {0};
	struct pyro_shell made = {0};
	unsigned size = s->p->size;
	char *id = NULL;

	if (shells_list(s->p->records, s->ws.workspace_id, &list.shells, &list.shells_count, err) <
	    0)
		return NULL;
	for (size_t i = list.shells_count; i-- > 0 && !id;)
		if (strcmp(list.shells[i].state, "running") == 0)
			id = mem_strdup(list.shells[i].shell_id);
	pyro_shell_list_done(&list);
	if (!id && open_shell(s, WORKSPACE_PATH, size ? size >> 16 : DEFAULT_COLS,
			      size ? size & 0xffff : DEFAULT_ROWS, NULL, &made, err) == 0)
		id = TAKE_PTR(made.shell_id);
	pyro_shell_done(&made);
	return id;
}

/* Shows what the terminal shows now. *ret_cursor is where that ends. */
static int repaint(struct session *s, const char *shell_id, int64_t *ret_cursor,
		   struct pyro_error *err)
{
	struct output out = OUTPUT_INIT;
	struct pyro_shell_read read;
	char *screen = NULL;
	int result = fetch(s,
			   json_pack("{s:s, s:I}", "shell_id", shell_id, "max_bytes",
				     (json_int_t)SHELLS_KEPT),
			   &out, &read, err);

	if (result == 0) {
		*ret_cursor = read.next_cursor;
		pyro_shell_read_done(&read);
		screen = term_repaint(s->p, (int)out.cols, (int)out.rows, buf_text(&out.bytes),
				      out.bytes.len, err);
		result = screen ? observe(s, 1, screen, strlen(screen), err) : -1;
	}
	free(screen);
	buf_done(&out.bytes);
	return result;
}

static int stay(struct session *s, const char *shell_id, int64_t cursor, struct pyro_shell *ret,
		struct pyro_error *err)
{
	int64_t in_bytes = 0;
	const struct remote_io io = {
		.in_fd = s->p->input_fd,
		.in_end = DETACH_KEY,
		.ret_in_bytes = &in_bytes,
		.tells_size = true,
		.on_output = observe,
		.ctx = s,
	};
	json_t *answer = NULL;
	int result = remote_stream(s->remote, "shell_attach",
				   json_pack("{s:s, s:I}", "shell_id", shell_id, "cursor",
					     (json_int_t)cursor),
				   &io, DEADLINE_NONE, &answer, err);

	if (in_bytes)
		touch(s);
	if (result == 0)
		result = values_decode_record(&ops_records[REC_shell], answer, ret, err);
	json_decref(answer);
	return result;
}

static int attach(struct session *s, const char *given_id, struct pyro_shell *ret,
		  struct pyro_error *err)
{
	AUTO_FREE char *shell_id = given_id ? mem_strdup(given_id) : choose(s, err);
	int64_t cursor = 0;

	if (!shell_id || repaint(s, shell_id, &cursor, err) < 0)
		return -1;
	return stay(s, shell_id, cursor, ret, err);
}

int pyro_attach_shell(struct pyro *p, const struct pyro_attach_shell_args *given,
		      struct pyro_shell *ret, struct pyro_error *err)
{
	struct pyro_attach_shell_args a;
	struct session s;

	if (ops_apply_defaults(OP_attach_shell, given, &a, err) < 0 ||
	    session_begin(&s, p, a.workspace_id, err) < 0)
		return -1;
	return session_end(&s, attach(&s, a.shell_id, ret, err));
}
