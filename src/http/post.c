#include "http/post.h"

#include "base/buf.h"
#include "base/err.h"

#include <curl/curl.h>
#include <string.h>

#define CONNECT_MS 10000L
#define HEADERS_MAX ((size_t)64 * 1024)

struct answer {
	struct buf *body;
	size_t header_bytes;
};

static size_t take_body(char *data, size_t size, size_t n, void *ctx)
{
	struct answer *a = ctx;

	buf_append(a->body, data, size * n);
	return a->body->is_full ? 0 : size * n;
}

static size_t take_header(char *data, size_t size, size_t n, void *ctx)
{
	struct answer *a = ctx;

	(void)data;
	a->header_bytes += size * n;
	return a->header_bytes > HEADERS_MAX ? 0 : size * n;
}

static int check_url(CURLU *parsed, const char *url, struct pyro_error *err)
{
	CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url, CURLU_DISALLOW_USER);
	char *scheme = NULL;
	bool is_http;

	if (code == CURLUE_USER_NOT_ALLOWED) /* and what it is is not repeated */
		return err_set(err, PYRO_E_INVALID, "the URL has credentials, which are not taken");
	if (code != CURLUE_OK || curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return err_set(err, PYRO_E_INVALID, "'%s' is no URL of a server", url);
	is_http = strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0;
	curl_free(scheme);
	return is_http ? 0 : err_set(err, PYRO_E_INVALID, "'%s' is neither http nor https", url);
}

static int explain(CURLcode code, const char *url, const char *why, struct pyro_error *err)
{
	const char *text = *why ? why : curl_easy_strerror(code);

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return err_set(err, PYRO_E_UNREACHABLE, "nobody answers at '%s': %s", url, text);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, PYRO_E_TIMEOUT, "wait for '%s': %s", url, text);
	case CURLE_WRITE_ERROR:
		return err_set(err, PYRO_E_LIMIT, "the answer of '%s' is too long", url);
	default:
		return err_set(err, PYRO_E_PROTOCOL, "talk to '%s': %s", url, text);
	}
}

static CURLcode perform(CURL *curl, CURLU *parsed, const struct curl_slist *headers,
			const char *json, int64_t seconds, struct answer *a)
{
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)seconds);
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_CURLU, parsed);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	return curl_easy_perform(curl);
}

int post(const char *url, const char *json, int64_t seconds, struct buf *answer,
	 int64_t *ret_status, struct pyro_error *err)
{
	struct answer a = {.body = answer};
	char why[CURL_ERROR_SIZE] = "";
	CURLU *parsed = curl_url();
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURLcode code;
	long status = 0;
	int result = -1;

	if (!parsed || !curl || !headers)
		mem_exhausted();
	if (check_url(parsed, url, err) == 0) {
		(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
		code = perform(curl, parsed, headers, json, seconds, &a);
		(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		result = code == CURLE_OK ? 0 : explain(code, url, why, err);
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	curl_url_cleanup(parsed);
	if (result == 0)
		*ret_status = status;
	return result;
}
