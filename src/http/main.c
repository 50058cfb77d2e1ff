/*
 * pyro-http: sends one JSON text to an HTTP server.
 *
 *	0: {"url": "http://…", "body": {…}, "seconds": N}    the URL, what is sent, how long at most
 *	1: the body of the answer, at most 1 MiB
 *	3: a report of the form in helper/report.h, {"status": 200}
 *
 * A program of its own, so that neither a TLS library nor what a server sends is in the process
 * that owns workspaces. Ends with 0 or 1.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "helper/report.h"
#include "http/post.h"

#include <signal.h>
#include <unistd.h>

#define REQUEST_MAX ((size_t)16 << 20)
#define ANSWER_MAX ((size_t)1 << 20)
#define SECONDS_MAX 3600
#define REPORT_FD 3

static int send_request(const json_t *request, struct buf *answer, int64_t *ret_status,
			struct pyro_error *err)
{
	const char *url = json_string_value(json_object_get(request, "url"));
	AUTO_FREE char *body = json_dumps(json_object_get(request, "body"), JSON_COMPACT);
	int64_t seconds = json_integer_value(json_object_get(request, "seconds"));

	if (!url || !body || seconds < 1 || seconds > SECONDS_MAX)
		return err_set(err, PYRO_E_INVALID, "the request lacks a url, a body or seconds");
	return post(url, body, seconds, answer, ret_status, err);
}

static json_t *run(struct pyro_error *err)
{
	AUTO_BUF struct buf text = BUF_INIT(REQUEST_MAX);
	AUTO_BUF struct buf answer = BUF_INIT(ANSWER_MAX);
	int64_t status = 0;
	json_t *request;
	int result;

	if (file_read_fd(STDIN_FILENO, "the request", &text, err) < 0)
		return NULL;
	request = json_loadb(buf_text(&text), text.len, 0, NULL);
	result = send_request(request, &answer, &status, err);
	json_decref(request);
	if (result < 0 || file_write_all(STDOUT_FILENO, buf_text(&answer), answer.len, err) < 0)
		return NULL;
	return json_pack("{s:I}", "status", (json_int_t)status);
}

int main(void)
{
	struct pyro_error err = {0};

	(void)signal(SIGPIPE, SIG_IGN);
	return report_end(REPORT_FD, run(&err), &err);
}
