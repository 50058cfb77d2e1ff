#include "api/chat.h"

#include "api/handle.h"
#include "api/helper.h"
#include "api/transfer.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_SECONDS 300 /* a model may have to be loaded first, and think on a slow machine */
#define GRACE_MS 5000      /* for pyro-http to say what happened */
#define ANSWER_MAX ((size_t)1 << 20)
#define REPORT_MAX (64 * 1024)
#define QUOTE_MAX 300

void chat_say(struct chat *chat, json_t *message)
{
	json_array_append_new(chat->messages, message);
}

static void tell_payload(struct pyro *p, const struct chat *chat, const char *what,
			 const char *text)
{
	if (chat->is_verbose)
		handle_phase(p, "ollama", "phase=%s payload=%s", what, text);
}

static int run_helper(struct pyro *p, int in, int out, int64_t *ret_status, struct pyro_error *err)
{
	static const char *const none[] = {NULL};
	const struct proc_fd fds[] = {{in, STDIN_FILENO}, {out, STDOUT_FILENO}};
	struct helper *helper = helper_start(p,
					     &(struct helper_options){
						     .part = "http",
						     .program = "pyro-http",
						     .args = none,
						     .fds = fds,
						     .n_fds = ARRAY_SIZE(fds),
						     .report_as = 3,
						     .report_max = REPORT_MAX,
						     .die_with_parent = true,
					     },
					     err);
	int64_t deadline = deadline_in(ANSWER_SECONDS * 1000 + GRACE_MS);
	json_t *report = NULL;
	int result = helper ? helper_finish(helper, deadline, &report, err) : -1;

	(void)helper_free(helper);
	if (result == 0)
		*ret_status = json_integer_value(json_object_get(report, "status"));
	json_decref(report);
	return result;
}

/* The request goes through a file in memory, since a URL on a command line is seen by everybody. */
static int exchange(struct pyro *p, const char *request, struct buf *answer, int64_t *ret_status,
		    struct pyro_error *err)
{
	AUTO_FD int in = transfer_memory(request, strlen(request), err);
	AUTO_FD int out = in < 0 ? -1 : transfer_memory(NULL, 0, err);

	if (out < 0 || run_helper(p, in, out, ret_status, err) < 0)
		return -1;
	if (lseek(out, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "rewind");
	return file_read_fd(out, "the answer", answer, err);
}

static json_t *request(const struct chat *chat)
{
	size_t len = strlen(chat->base_url);

	while (len && chat->base_url[len - 1] == '/')
		len--;
	return json_pack("{s:o, s:i, s:{s:s, s:O, s:O, s:b, s:i}}", "url",
			 json_sprintf("%.*s/chat/completions", (int)len, chat->base_url), "seconds",
			 ANSWER_SECONDS, "body", "model", chat->model, "messages", chat->messages,
			 "tools", chat->tools, "stream", 0, "temperature", 0);
}

static int send_request(struct pyro *p, const struct chat *chat, struct buf *answer,
			int64_t *ret_status, struct pyro_error *err)
{
	json_t *whole = request(chat);
	AUTO_FREE char *text = json_dumps(whole, JSON_COMPACT);
	AUTO_FREE char *body = json_dumps(json_object_get(whole, "body"), JSON_COMPACT);

	json_decref(whole);
	if (!text || !body)
		return err_set(err, PYRO_E_INVALID, "the address or the model's name is not UTF-8");
	tell_payload(p, chat, "request", body);
	if (exchange(p, text, answer, ret_status, err) < 0) {
		if (err->code == PYRO_E_UNREACHABLE)
			(void)err_hint(err, "start it with `ollama serve`, or set OLLAMA_BASE_URL");
		if (err->code == PYRO_E_TIMEOUT)
			(void)err_hint(err, "choose a smaller model with OLLAMA_MODEL");
		return -1;
	}
	return 0;
}

/* {"error": {"message": …}}, as Ollama and OpenAI say it; else the beginning of what came. */
static int refused(const struct chat *chat, int64_t status, const json_t *answer, const char *text,
		   struct pyro_error *err)
{
	const json_t *error = json_object_get(answer, "error");
	const char *why = json_string_value(json_object_get(error, "message"));
	AUTO_FREE char *quoted = mem_printf("%.*s", QUOTE_MAX, why ? why : text);

	utf8_clean_line(quoted);
	(void)err_set(err, status == 404 ? PYRO_E_NOT_FOUND : PYRO_E_PROTOCOL,
		      "'%s' answers with status %lld: %s", chat->base_url, (long long)status,
		      quoted);
	if (status >= 300 && status < 400)
		return err_hint(err, "redirects are not followed: give the address itself");
	if (status == 404 && why)
		return err_hint(err, "ollama pull %s, or choose another with OLLAMA_MODEL",
				chat->model);
	if (status == 404)
		return err_hint(err, "Ollama's address ends with /v1: set OLLAMA_BASE_URL");
	return err_hint(err, "choose a model that can use tools with OLLAMA_MODEL");
}

static int no_chat(const struct chat *chat, struct pyro_error *err)
{
	(void)err_set(err, PYRO_E_PROTOCOL, "'%s' does not answer with a chat completion",
		      chat->base_url);
	return err_hint(err, "set OLLAMA_BASE_URL to a server that has OpenAI's chat completions");
}

static bool is_message(const json_t *message)
{
	const json_t *content = json_object_get(message, "content");
	const json_t *calls = json_object_get(message, "tool_calls");

	return json_is_object(message) &&
	       (!content || json_is_null(content) || json_is_string(content)) &&
	       (!calls || json_is_null(calls) || json_is_array(calls));
}

int chat_ask(struct pyro *p, struct chat *chat, json_t **ret_message, struct pyro_error *err)
{
	AUTO_BUF struct buf text = BUF_INIT(ANSWER_MAX);
	int64_t status = 0;
	json_t *answer, *message;
	int result = 0;

	if (send_request(p, chat, &text, &status, err) < 0)
		return -1;
	tell_payload(p, chat, "response", buf_text(&text));
	answer = json_loadb(buf_text(&text), text.len, 0, NULL);
	message = json_object_get(json_array_get(json_object_get(answer, "choices"), 0), "message");
	if (status != 200)
		result = refused(chat, status, answer, buf_text(&text), err);
	else if (!is_message(message))
		result = no_chat(chat, err);
	else
		*ret_message = json_incref(message);
	json_decref(answer);
	return result;
}
