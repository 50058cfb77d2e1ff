#include "channel/call.h"

#include "base/err.h"
#include "base/loop.h"
#include "channel/mux.h"

#include <stdlib.h>
#include <string.h>

struct waiter {
	json_t *last; /* the latest JSON; what is there at the end is the result */
	bool is_over;
	struct pyro_error error; /* why there is no result; code PYRO_OK: nothing went wrong */
};

static void on_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct waiter *w = mux_call_ctx(call);
	json_error_t why;

	if (kind != MUX_JSON) {
		mux_consume(call, len);
		return;
	}
	json_decref(w->last);
	w->last = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);
	if (json_is_object(w->last))
		return;
	err_set(&w->error, PYRO_E_PROTOCOL, "the answer is no JSON object");
	mux_cancel(call);
}

static void on_close(struct mux_call *call, const struct pyro_error *error)
{
	struct waiter *w = mux_call_ctx(call);

	if (error && w->error.code == PYRO_OK)
		w->error = *error;
	w->is_over = true;
}

static const struct mux_call_ops waiter_ops = {
	.on_record = on_record,
	.on_close = on_close,
};

static struct mux_call *start(struct mux *mux, const char *name, json_t *args, struct waiter *w)
{
	AUTO_FREE char *text = args ? json_dumps(args, JSON_COMPACT) : mem_strdup("{}");

	json_decref(args);
	return text ? mux_start(mux, name, text, &waiter_ops, w) : NULL;
}

/* The result, or NULL with err. */
static json_t *judge(struct waiter *w, const char *name, struct pyro_error *err)
{
	if (w->error.code != PYRO_OK) {
		if (err)
			*err = w->error;
		err_wrap(err, "call '%s'", name);
		return NULL;
	}
	if (!w->last) {
		err_set(err, PYRO_E_PROTOCOL, "call '%s' ended without a result", name);
		return NULL;
	}
	if (call_error_from_json(w->last, err) < 0)
		return NULL;
	return json_incref(w->last);
}

json_t *call_wait(struct loop *loop, struct mux *mux, const char *name, json_t *args,
		  int64_t deadline, struct pyro_error *err)
{
	struct waiter w = {0};
	struct mux_call *call = start(mux, name, args, &w);
	json_t *result;

	if (!call) {
		err_set(err, PYRO_E_VM_DIED, "call '%s': the connection is down", name);
		return NULL;
	}
	mux_finish(call);
	if (loop_until(loop, &w.is_over, deadline, name, &w.error) < 0)
		mux_cancel(call);
	result = judge(&w, name, err);
	json_decref(w.last);
	return result;
}

void call_send(struct mux_call *call, json_t *object)
{
	AUTO_FREE char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	if (text)
		mux_send(call, MUX_JSON, text, strlen(text));
}

void call_answer(struct mux_call *call, json_t *object)
{
	call_send(call, object);
	mux_finish(call);
}

json_t *call_error_to_json(const struct pyro_error *error)
{
	return json_pack("{s:{s:s, s:s, s:s, s:b}}", "error", "code", pyro_code_name(error->code),
			 "message", error->message, "hint", error->hint, "retryable",
			 pyro_code_retryable(error->code));
}

int call_error_from_json(const json_t *object, struct pyro_error *err)
{
	const json_t *error = json_object_get(object, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *hint = json_string_value(json_object_get(error, "hint"));

	if (!error)
		return 0;
	if (!code || !message)
		return err_set(err, PYRO_E_PROTOCOL,
			       "the other side gave an error without code or message");
	err_set(err, err_code_from_name(code), "%s", message);
	if (hint)
		err_hint(err, "%s", hint);
	return -1;
}
