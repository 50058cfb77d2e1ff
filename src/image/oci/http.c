#include "image/oci/http.h"

#include "base/err.h"
#include "base/parse.h"
#include "image/builder/bootstrap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#define HEADERS_MAX 65536
#define CONNECT_MS 20000L
#define STALL_BYTES_PER_S 64L
#define STALL_SECONDS 30L
#define RETRY_AFTER_MAX_S 30

struct transfer {
	const struct http_request *request;
	struct http_reply *reply;
	size_t header_bytes;
	struct pyro_error error; /* ours; code PYRO_OK: none */
};

static void take_header(struct http_reply *reply, const char *name, char *value)
{
	bool is_known =
		strncasecmp(value, "Bearer ", 7) == 0 || strncasecmp(value, "Basic ", 6) == 0;
	char **slot = NULL;

	if (strcasecmp(name, "location") == 0)
		slot = &reply->location;
	else if (strcasecmp(name, "content-range") == 0)
		slot = &reply->range;
	else if (strcasecmp(name, "www-authenticate") == 0 && is_known)
		slot = &reply->challenge;
	else if (strcasecmp(name, "retry-after") == 0)
		(void)parse_int(value, 0, RETRY_AFTER_MAX_S, &reply->retry_after_s);
	if (slot && !*slot)
		*slot = mem_strdup(value);
}

static void forget(struct http_reply *reply)
{
	free(reply->location);
	free(reply->challenge);
	free(reply->range);
	*reply = (struct http_reply){.body = reply->body};
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	AUTO_FREE char *line = mem_strndup(data, size * n);
	char *value;

	t->header_bytes += size * n;
	if (t->header_bytes > HEADERS_MAX) {
		(void)err_set(&t->error, PYRO_E_LIMIT,
			      "the server sends more than %d bytes of headers", HEADERS_MAX);
		return 0;
	}
	line[strcspn(line, "\r\n")] = '\0';
	if (strncmp(line, "HTTP/", 5) == 0) { /* what a proxy or a 100 said before is over */
		forget(t->reply);
	} else if ((value = strchr(line, ':'))) {
		*value++ = '\0';
		take_header(t->reply, line, value + strspn(value, " \t"));
	}
	return size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *handle)
{
	size_t len = size * n;
	struct transfer *t = NULL;

	(void)curl_easy_getinfo(handle, CURLINFO_PRIVATE, &t);
	(void)curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &t->reply->status);
	if (t->request->sink && (t->reply->status == 200 || t->reply->status == 206))
		return t->request->sink(t->request->ctx, t->reply, data, len, &t->error) < 0 ? 0
											     : len;
	buf_append(&t->reply->body, data, len);
	if (!t->reply->body.is_full)
		return len;
	if (t->reply->status == 200)
		(void)err_set(&t->error, PYRO_E_LIMIT, "the server sends more than %zu bytes",
			      t->reply->body.max);
	return 0;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct transfer *t = ctx;

	(void)a, (void)b, (void)c, (void)d;
	return bootstrap_check_cancelled(&t->error) < 0;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
	AUTO_FREE char *line = value ? mem_printf("%s: %s", name, value) : NULL;

	return line ? curl_slist_append(list, line) : list;
}

static struct curl_slist *make_headers(const struct http_request *request)
{
	AUTO_FREE char *accept =
		mem_printf("Accept: %s", request->accept ? request->accept : "*/*");
	struct curl_slist *list = curl_slist_append(NULL, accept);

	list = add_header(list, "Authorization", request->authorization);
	list = add_header(list, "Content-Type", request->content_type);
	list = add_header(list, "Content-Range", request->content_range);
	return curl_slist_append(list, "Expect:");
}

static void set_method(CURL *curl, const struct http_request *request)
{
	if (!request->method)
		return;
	if (strcmp(request->method, "HEAD") == 0) {
		(void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		return;
	}
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body ? request->body : "");
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_options(CURL *curl, struct transfer *t, struct curl_slist *headers, char *why)
{
	AUTO_FREE char *range = mem_printf("%lld-", (long long)t->request->from);
	const char *authorities = getenv("SSL_CERT_FILE");

	(void)curl_easy_setopt(curl, CURLOPT_URL, t->request->url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "pyro");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)t->request->timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_S);
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	(void)curl_easy_setopt(curl, CURLOPT_PRIVATE, t);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, curl);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	if (t->request->from > 0)
		(void)curl_easy_setopt(curl, CURLOPT_RANGE, range);
	if (authorities && *authorities)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
	set_method(curl, t->request);
}

static int failed(const struct transfer *t, CURLcode code, const char *why, struct pyro_error *err)
{
	if (t->error.code != PYRO_OK) {
		*err = t->error;
		return -1;
	}
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
		(void)err_set(err, PYRO_E_REFUSED, "'%.200s': %s", t->request->url, why);
		return err_hint(err, "if the authority behind it is your own, install it with "
				     "update-ca-certificates, or name its file in SSL_CERT_FILE");
	}
	(void)err_set(err, PYRO_E_PULL_FAILED, "'%.200s': %s", t->request->url,
		      *why ? why : curl_easy_strerror(code));
	return err_hint(err, "check the name of the image and the network, then pull again");
}

int http_send(const struct http_request *request, struct http_reply *reply, struct pyro_error *err)
{
	struct transfer t = {.request = request, .reply = reply};
	struct curl_slist *headers = make_headers(request);
	AUTO_HTTP_URL struct http_url url = {NULL};
	char why[CURL_ERROR_SIZE] = "";
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_FAILED_INIT;
	bool is_cut;

	forget(reply);
	buf_reset(&reply->body);
	if (curl && http_url_parse(request->url, &url, &t.error) == 0) {
		set_options(curl, &t, headers, why);
		if (url.is_loopback) /* no proxy stands for this machine */
			(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
		code = curl_easy_perform(curl);
		(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	/* Of an error the beginning is enough. */
	is_cut = code == CURLE_WRITE_ERROR && t.error.code == PYRO_OK;
	return code == CURLE_OK || is_cut ? 0 : failed(&t, code, why, err);
}

void http_reply_done(struct http_reply *reply)
{
	forget(reply);
	buf_done(&reply->body);
}

static bool is_loopback_host(const char *host)
{
	struct in_addr address;

	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &address) == 1 &&
		ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET);
}

int http_url_parse(const char *text, struct http_url *ret, struct pyro_error *err)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
	CURLU *url = curl_url();
	bool is_good;

	*ret = (struct http_url){NULL};
	is_good = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
		  (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0);
	if (is_good) {
		ret->origin = mem_printf("%s://%s:%s", scheme, host, port);
		ret->is_https = strcmp(scheme, "https") == 0;
		ret->is_loopback = is_loopback_host(host);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_url_cleanup(url);
	return is_good ? 0
		       : err_set(err, PYRO_E_REFUSED, "'%.200s' is no address for a pull", text);
}

void http_url_done(struct http_url *url)
{
	free(url->origin);
	*url = (struct http_url){NULL};
}

char *http_url_join(const char *base, const char *reference, struct pyro_error *err)
{
	CURLU *url = curl_url();
	char *joined = NULL, *ret = NULL;

	if (curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_URL, reference, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &joined, 0) == CURLUE_OK)
		ret = mem_strdup(joined);
	else
		(void)err_set(err, PYRO_E_PULL_FAILED, "a redirect leads to '%.200s'", reference);
	curl_free(joined);
	curl_url_cleanup(url);
	return ret;
}

char *http_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);
	char *ret = mem_strdup(escaped ? escaped : "");

	curl_free(escaped);
	return ret;
}
