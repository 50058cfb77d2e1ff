/*
 * A registry that answers whatever it likes. The bytes are texts divided by NULs: the name of an
 * image, then replies, each a line with its status, lines with Location and WWW-Authenticate (which
 * may be empty), and a body. Where the requests go, and with what, is judged here.
 */
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "image/oci/registry.h"
#include "image/reference.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX 65536
#define LOGIN "dXNlcjpwYXNzd29yZA=="
/* Six hops of one request, a token, and six hops of the same request with it. */
#define REQUESTS_MAX 13

static const char *next, *end; /* replies that nobody has got yet */
static struct http_url own;    /* the registry */
static int requests;

int __wrap_http_send(const struct http_request *request, struct http_reply *reply,
		     struct pyro_error *err);

static void check_request(const struct http_request *request)
{
	const char *authorization = request->authorization;
	bool is_own, is_token = !request->accept; /* of the token server, or its own place */
	struct http_url url;

	assert(++requests <= REQUESTS_MAX);
	assert(http_url_parse(request->url, &url, NULL) == 0);
	assert(url.is_https || (own.is_loopback && url.is_loopback));
	is_own = strcmp(url.origin, own.origin) == 0;
	if (authorization) {
		assert(strncmp(authorization, "Bearer ", 7) == 0
			       ? is_own && !is_token
			       : strcmp(authorization, "Basic " LOGIN) == 0 &&
					 (is_own || is_token));
		for (authorization += 6; *authorization; authorization++)
			assert(isgraph((unsigned char)*authorization) || *authorization == ' ');
	}
	http_url_done(&url);
}

static char *line_of(char **rest)
{
	char *line = strsep(rest, "\n");

	return line && *line ? mem_strdup(line) : NULL;
}

static bool is_known(const char *challenge)
{
	return strncasecmp(challenge, "Bearer ", 7) == 0 ||
	       strncasecmp(challenge, "Basic ", 6) == 0;
}

int __wrap_http_send(const struct http_request *request, struct http_reply *reply,
		     struct pyro_error *err)
{
	AUTO_FREE char *text = NULL;
	size_t max = reply->body.max;
	char *rest;
	AUTO_FREE char *status = NULL;

	check_request(request);
	http_reply_done(reply);
	*reply = (struct http_reply)HTTP_REPLY_INIT(max);
	if (next >= end)
		return err_set(err, PYRO_E_REFUSED, "the connection broke off");
	text = mem_strndup(next, strnlen(next, (size_t)(end - next)));
	next += strlen(text) + 1;
	rest = text;
	status = line_of(&rest);
	for (const char *p = status; p && isdigit((unsigned char)*p) && reply->status < 100; p++)
		reply->status = reply->status * 10 + (*p - '0');
	reply->location = line_of(&rest);
	reply->challenge = line_of(&rest);
	if (reply->challenge && !is_known(reply->challenge))
		free(TAKE_PTR(reply->challenge));
	buf_puts(&reply->body, rest ? rest : "");
	return 0;
}

static void ask(const struct reference *reference, char *login)
{
	AUTO_HTTP_REPLY struct http_reply reply = HTTP_REPLY_INIT(BODY_MAX);
	const struct http_request request = {.accept = "a/b", .timeout_ms = 1};
	struct registry *registry = registry_new(reference, login, NULL);
	AUTO_FREE char *url = registry_url(registry, "");
	struct pyro_error err;

	assert(http_url_parse(url, &own, NULL) == 0);
	assert(own.is_https || own.is_loopback);
	do
		requests = 0;
	while (registry_get(registry, "manifests/latest", request, &reply, &err) == 0);
	requests = 0;
	(void)registry_send(registry, "blobs/uploads/", request, &reply, &err);
	http_url_done(&own);
	(void)registry_free(registry);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	AUTO_REFERENCE struct reference reference = REFERENCE_INIT;
	AUTO_FREE char *name = NULL, *install = NULL;
	struct pyro_error err;

	if (size < 2)
		return 0;
	name = mem_strndup((const char *)bytes + 1, size - 1);
	next = (const char *)bytes + 2 + strlen(name);
	end = (const char *)bytes + size;
	install = reference_install_name(name);
	if (!reference_is(name) || reference_parse(name, &reference, &err) < 0)
		return 0;
	assert(!reference.digest || reference_is_digest(reference.digest));
	if (reference.kind == REFERENCE_REGISTRY)
		ask(&reference, bytes[0] & 1 ? mem_strdup(LOGIN) : NULL);
	return 0;
}
