/*
 * The nghttp2 side of a mux.
 *
 * No callback in this file calls back into the users of the mux: it only files what happened with
 * the call, marks the call ready, and mux.c tells the user after nghttp2 has returned. So users
 * may do anything in their callbacks, also run the loop, and nghttp2 is never entered twice.
 *
 * A stream finds its call by the stream's user data. http2_abandon() clears it, so nothing that
 * nghttp2 does later with that stream can reach a call that is gone.
 *
 * Windows: each stream may have MUX_CALL_WINDOW bytes under way, and the connection as much as all
 * streams together, so a call whose reader is slow never holds up another one. nghttp2 refuses a
 * peer that sends more than it was allowed; window updates are sent for what was consumed.
 *
 * Bodies are not copied into nghttp2 (NO_COPY): read_body() says how much may go, send_body()
 * moves it from the call's queue to the connection's. While the connection has enough to write,
 * send_body() returns WOULDBLOCK and nghttp2 asks again next time.
 */
#include "base/err.h"
#include "base/log.h"
#include "channel/mux_impl.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#define PATH_PREFIX "/v1/"
#define FRAME_HEAD_LEN 9

static struct mux_call *find_call(struct mux *mux, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(mux->session, stream_id);
}

/*
 * The peer broke the rules, mux->error says which. nghttp2 gets a goodbye ready and must not go on
 * parsing: it is asked to fail, because after a goodbye alone it would, and trip an assertion.
 */
static int refuse(struct mux *mux)
{
	(void)nghttp2_session_terminate_session(mux->session, NGHTTP2_PROTOCOL_ERROR);
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct mux *mux = ctx;
	struct mux_call *call;

	if (mux->role != MUX_SERVER || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = mux__new_call(mux, frame->hd.stream_id);
	(void)nghttp2_session_set_stream_user_data(session, call->stream_id, call);
	return 0;
}

static bool is_equal(const uint8_t *data, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(data, text, len) == 0;
}

/* Keeps the name of the call; a path that is none leaves it empty, which nobody serves. */
static void keep_name(struct mux_call *call, const uint8_t *path, size_t len)
{
	const size_t prefix = strlen(PATH_PREFIX);

	if (len <= prefix || len - prefix > MUX_NAME_MAX || memcmp(path, PATH_PREFIX, prefix) != 0)
		return;
	for (size_t i = prefix; i < len; i++)
		if ((path[i] < 'a' || path[i] > 'z') && path[i] != '_')
			return;
	memcpy(call->name, path + prefix, len - prefix);
	call->name[len - prefix] = '\0';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t namelen, const uint8_t *value, size_t valuelen, uint8_t flags,
		     void *ctx)
{
	struct mux *mux = ctx;
	struct mux_call *call = find_call(mux, frame->hd.stream_id);

	(void)session;
	(void)flags;
	if (!call)
		return 0;
	if (mux->role == MUX_SERVER && is_equal(name, namelen, ":path"))
		keep_name(call, value, valuelen);
	if (mux->role == MUX_CLIENT && is_equal(name, namelen, ":status") &&
	    !is_equal(value, valuelen, "200"))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct mux *mux = ctx;
	struct mux_call *call;

	(void)session;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	call = find_call(mux, frame->hd.stream_id);
	if (!call)
		return 0;
	call->is_requested = true;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		if (!record_is_between(&call->reader)) {
			err_set(&mux->error, PYRO_E_PROTOCOL, "a call ended within a record");
			return refuse(mux);
		}
		call->peer_finished = true;
	}
	mux__set_ready(call);
	return 0;
}

static void add_record(struct mux_call *call, enum mux_kind kind, struct buf *payload)
{
	struct mux_record *record = mem_zalloc(1, sizeof(*record));

	record->kind = kind;
	record->payload = *payload;
	STAILQ_INSERT_TAIL(&call->records, record, next);
	if (kind != MUX_JSON)
		call->owed += payload->len;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
			 const uint8_t *bytes, size_t len, void *ctx)
{
	struct mux *mux = ctx;
	struct mux_call *call = find_call(mux, stream_id);
	const char *data = (const char *)bytes;
	struct buf payload;
	enum mux_kind kind;
	int r;

	(void)flags;
	if (!call) {
		(void)nghttp2_session_consume(session, stream_id, len);
		return 0;
	}
	call->uncredited += len;
	while ((r = record_read(&call->reader, &data, &len, &kind, &payload, &mux->error)) > 0)
		add_record(call, kind, &payload);
	mux__set_ready(call);
	return r < 0 ? refuse(mux) : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *ctx)
{
	struct mux *mux = ctx;
	struct mux_call *call = find_call(mux, stream_id);
	bool is_in_order;

	(void)session;
	if (!call)
		return 0;
	is_in_order = mux->role == MUX_CLIENT ? call->peer_finished : call->is_finished;
	if (code == NGHTTP2_CANCEL)
		err_set(&call->error, PYRO_E_CANCELLED, "the other side cancelled the call");
	else if (code != NGHTTP2_NO_ERROR || !is_in_order)
		err_set(&call->error, PYRO_E_PROTOCOL, "the call broke off: %s",
			nghttp2_http2_strerror(code));
	call->is_closed = true;
	mux__set_ready(call);
	return 0;
}

/*
 * The server has the last word: when its side is complete, whatever the client would still send is
 * of no use to anybody, and RST_STREAM(NO_ERROR) tells it so (RFC 9113, 8.1).
 */
static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *bytes, size_t max,
			 uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct mux *mux = ctx;
	struct mux_call *call = find_call(mux, stream_id);
	size_t n;

	(void)bytes;
	(void)source;
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = call->out.len - call->out_at;
	if (n == 0 && !call->is_finishing) {
		call->is_deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n > max)
		return (ssize_t)max;
	if (!call->is_finishing)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	call->is_finished = true;
	if (mux->role == MUX_SERVER && !nghttp2_session_get_stream_remote_close(session, stream_id))
		(void)nghttp2_submit_rst_stream(session, 0, stream_id, NGHTTP2_NO_ERROR);
	return (ssize_t)n;
}

static int send_body(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
		     size_t len, nghttp2_data_source *source, void *ctx)
{
	struct mux *mux = ctx;
	struct mux_call *call = find_call(mux, frame->hd.stream_id);

	(void)session;
	(void)source;
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (mux->out.len >= MUX_OUT_GOAL)
		return NGHTTP2_ERR_WOULDBLOCK;
	buf_append(&mux->out, head, FRAME_HEAD_LEN);
	mux__move_out(call, len);
	return 0;
}

static ssize_t frame_max(nghttp2_session *session, uint8_t type, int32_t stream_id, int32_t window,
			 int32_t stream_window, uint32_t peer_max, void *ctx)
{
	(void)session;
	(void)type;
	(void)stream_id;
	(void)window; /* nghttp2 applies the windows itself */
	(void)stream_window;
	(void)ctx;
	return peer_max < MUX_FRAME_MAX ? (ssize_t)peer_max : MUX_FRAME_MAX;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
			    void *ctx)
{
	(void)session;
	(void)ctx;
	log_debug("mux: frame of type %d on stream %d is refused: %s", frame->hd.type,
		  frame->hd.stream_id, nghttp2_strerror(code));
	return 0;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
	nghttp2_session_callbacks *cb = NULL;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		mem_exhausted();
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
	nghttp2_session_callbacks_set_send_data_callback(cb, send_body);
	nghttp2_session_callbacks_set_data_source_read_length_callback(cb, frame_max);
	return cb;
}

static nghttp2_option *make_options(void)
{
	nghttp2_option *opt = NULL;

	if (nghttp2_option_new(&opt) != 0)
		mem_exhausted();
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_option_set_peer_max_concurrent_streams(opt, MUX_CALLS_MAX);
	nghttp2_option_set_max_settings(opt, 16);
	nghttp2_option_set_max_outbound_ack(opt, 256);
	/* Cancelling is ordinary here, so a client may do it far more often than on the web. */
	nghttp2_option_set_stream_reset_rate_limit(opt, 10000, 1000);
	return opt;
}

static void make_session(struct mux *mux)
{
	nghttp2_session_callbacks *cb = make_callbacks();
	nghttp2_option *opt = make_options();
	int r;

	if (mux->role == MUX_SERVER)
		r = nghttp2_session_server_new2(&mux->session, cb, mux, opt);
	else
		r = nghttp2_session_client_new2(&mux->session, cb, mux, opt);
	if (r != 0)
		mem_exhausted();
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
}

void http2_open(struct mux *mux)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MUX_CALLS_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, MUX_CALL_WINDOW},
		{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, MUX_FRAME_MAX},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 4096},
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	};
	/* ENABLE_PUSH is the client's alone to set. */
	size_t n = ARRAY_SIZE(settings) - (mux->role == MUX_SERVER);

	make_session(mux);
	if (nghttp2_submit_settings(mux->session, 0, settings, n) != 0 ||
	    nghttp2_session_set_local_window_size(mux->session, 0, 0,
						  MUX_CALLS_MAX * MUX_CALL_WINDOW) != 0)
		mem_exhausted();
}

void http2_close(struct mux *mux)
{
	nghttp2_session_del(mux->session);
}

bool http2_wants_write(const struct mux *mux)
{
	return nghttp2_session_want_write(mux->session);
}

/* Whether nghttp2 has given the connection up, or the server is going away. */
static bool is_ending(struct mux *mux)
{
	if (!nghttp2_session_want_read(mux->session))
		return true;
	return mux->role == MUX_CLIENT && !nghttp2_session_check_request_allowed(mux->session);
}

static int check_end(struct mux *mux, struct pyro_error *err)
{
	if (is_ending(mux))
		return err_set(err, PYRO_E_PROTOCOL,
			       "the other side broke the protocol or ended the connection");
	return 0;
}

int http2_receive(struct mux *mux, const char *data, size_t len, struct pyro_error *err)
{
	ssize_t r = nghttp2_session_mem_recv(mux->session, (const uint8_t *)data, len);

	if (r == NGHTTP2_ERR_CALLBACK_FAILURE) {
		*err = mux->error;
		return -1;
	}
	if (r < 0)
		return err_set(err, PYRO_E_PROTOCOL,
			       "the other side does not speak the protocol: %s",
			       nghttp2_strerror((int)r));
	return check_end(mux, err);
}

int http2_make_frames(struct mux *mux, struct pyro_error *err)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(mux->session, &data)) > 0)
		buf_append(&mux->out, data, (size_t)n);
	if (n < 0)
		return err_set(err, PYRO_E_PROTOCOL, "the connection cannot go on: %s",
			       nghttp2_strerror((int)n));
	return check_end(mux, err);
}

#define HEADER(field, text)                                                      \
	{                                                                        \
		.name = (uint8_t *)(uintptr_t)(field), .namelen = strlen(field), \
		.value = (uint8_t *)(uintptr_t)(text), .valuelen = strlen(text), \
		.flags = NGHTTP2_NV_FLAG_NONE,                                   \
	}

int http2_request(struct mux_call *call, const char *name)
{
	const nghttp2_data_provider body = {.read_callback = read_body};
	AUTO_FREE char *path = mem_printf(PATH_PREFIX "%s", name);
	const nghttp2_nv headers[] = {
		HEADER(":method", "POST"),
		HEADER(":scheme", "http"),
		HEADER(":authority", "pyro"),
		HEADER(":path", path),
	};
	int32_t id = nghttp2_submit_request(call->mux->session, NULL, headers, ARRAY_SIZE(headers),
					    &body, call);

	if (id < 0)
		return -1;
	call->stream_id = id;
	return 0;
}

void http2_respond(struct mux_call *call)
{
	const nghttp2_data_provider body = {.read_callback = read_body};
	const nghttp2_nv headers[] = {HEADER(":status", "200")};

	(void)nghttp2_submit_response(call->mux->session, call->stream_id, headers, 1, &body);
}

void http2_resume(struct mux_call *call)
{
	if (call->is_deferred && !call->is_closed)
		(void)nghttp2_session_resume_data(call->mux->session, call->stream_id);
	call->is_deferred = false;
}

void http2_consume(struct mux_call *call, size_t len)
{
	if (len > 0)
		(void)nghttp2_session_consume(call->mux->session, call->stream_id, len);
}

void http2_abandon(struct mux_call *call)
{
	nghttp2_session *session = call->mux->session;

	(void)nghttp2_session_set_stream_user_data(session, call->stream_id, NULL);
	if (!call->is_closed)
		(void)nghttp2_submit_rst_stream(session, 0, call->stream_id, NGHTTP2_CANCEL);
}
