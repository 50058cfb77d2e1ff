/*
 * The way of a request: it carries the authorization that the registry has by now, if any. A 401 of
 * the registry itself (not of where it redirects to) says what it wants: the answer is the user's
 * name and password, or a token that another server gives for them, or for nothing where the image
 * is public. With it the request is made once more. A redirect is followed by hand, so that each
 * step can be checked and another origin gets no authorization.
 */
#include "image/oci/registry.h"

#include "base/clock.h"
#include "base/err.h"
#include "image/builder/bootstrap.h"
#include "image/reference.h"

#include <ctype.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DOCUMENT_MS 60000
#define TOKEN_BODY_MAX (256 * 1024)
#define TOKEN_MAX 65536
#define REDIRECTS_MAX 5
#define WAIT_FIRST_MS 250
#define WAIT_STEP_MS 100

struct registry {
	char *name; /* as errors call it */
	char *base; /* URL of the repository */
	char *repository;
	char *login;        /* for Basic; NULL: anonymous */
	const char *helper; /* the program that has no login; NULL: none was asked */
	struct http_url origin;
	pthread_mutex_t lock; /* of what follows */
	char *authorization;  /* the header's value; NULL: none yet */
};

struct registry *registry_new(const struct reference *reference, char *login, const char *helper)
{
	bool is_hub = strcmp(reference->registry, "docker.io") == 0;
	const char *host = is_hub ? "registry-1.docker.io" : reference->registry;
	struct registry *r = mem_zalloc(1, sizeof(*r));
	AUTO_FREE char *probe = mem_printf("https://%s/", host);

	(void)http_url_parse(probe, &r->origin, NULL);
	r->name = mem_strdup(reference->registry);
	r->base = mem_printf("%s://%s/v2/%s", r->origin.is_loopback ? "http" : "https", host,
			     reference->repository);
	http_url_done(&r->origin);
	(void)http_url_parse(r->base, &r->origin, NULL);
	r->repository = mem_strdup(reference->repository);
	r->login = login;
	r->helper = helper;
	(void)pthread_mutex_init(&r->lock, NULL);
	return r;
}

struct registry *registry_free(struct registry *r)
{
	if (!r)
		return NULL;
	free(r->name);
	free(r->base);
	free(r->repository);
	free(r->login);
	free(r->authorization);
	http_url_done(&r->origin);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}

char *registry_url(const struct registry *r, const char *what)
{
	return mem_printf("%s/%s", r->base, what);
}

/* --- authorization ---------------------------------------------------------------------- */

/* A parameter of a challenge, without its quotes; owned by the caller, NULL if it is missing. */
static char *parameter(const char *challenge, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = strchr(challenge, ' '); p; p = strchr(p, ',')) {
		p += strspn(p, ", ");
		if (strncasecmp(p, name, len) == 0 && p[len] == '=') {
			p += len + 1;
			if (*p == '"')
				return mem_strndup(p + 1, strcspn(p + 1, "\""));
			return mem_strndup(p, strcspn(p, ", "));
		}
		if (strchr(p, '"') &&
		    strcspn(p, "\"") < strcspn(p, ",")) { /* over a quoted value */
			p += strcspn(p, "\"") + 1;
			p += strcspn(p, "\"");
		}
	}
	return NULL;
}

static int needs_login(const struct registry *r, struct pyro_error *err)
{
	if (r->login)
		(void)err_set(err, PYRO_E_REFUSED,
			      "registry '%s' does not accept the login that is stored for it",
			      r->name);
	else
		(void)err_set(err, PYRO_E_REFUSED,
			      "registry '%s' has no such image for everybody%s%s%s", r->name,
			      r->helper ? ", and 'docker-credential-" : "",
			      r->helper ? r->helper : "", r->helper ? "' gives no login" : "");
	return err_hint(err, "check the name; for a private image, docker login %s", r->name);
}

/* Whether a request of ours may go there. */
static int check_target(const struct http_url *from, const char *url, struct http_url *ret,
			struct pyro_error *err)
{
	if (http_url_parse(url, ret, err) < 0)
		return -1;
	if (ret->is_https || (from->is_loopback && ret->is_loopback))
		return 0;
	return err_set(err, PYRO_E_REFUSED, "'%s' sends to '%.200s', which is not safe",
		       from->origin, url);
}

static char *token_url(const char *challenge, struct pyro_error *err)
{
	AUTO_FREE char *realm = parameter(challenge, "realm");
	AUTO_FREE char *service = parameter(challenge, "service");
	AUTO_FREE char *scope = parameter(challenge, "scope");
	AUTO_FREE char *service_text = http_escape(service ? service : "");
	AUTO_FREE char *scope_text = http_escape(scope ? scope : "");

	if (!realm) {
		(void)err_set(err, PYRO_E_PULL_FAILED,
			      "the registry does not say who gives tokens");
		return NULL;
	}
	return mem_printf("%s%sservice=%s&scope=%s", realm, strchr(realm, '?') ? "&" : "?",
			  service_text, scope_text);
}

static bool is_token(const char *text)
{
	if (!text || !*text || strlen(text) > TOKEN_MAX)
		return false;
	for (; *text; text++)
		if (!isgraph((unsigned char)*text))
			return false;
	return true;
}

/* The token in a reply, as a header's value; NULL if there is none. */
static char *take_token(const struct http_reply *reply)
{
	json_t *json = json_loadb(buf_text(&reply->body), reply->body.len, 0, NULL);
	const char *token = json_string_value(json_object_get(json, "token"));
	char *ret;

	if (!token)
		token = json_string_value(json_object_get(json, "access_token"));
	ret = is_token(token) ? mem_printf("Bearer %s", token) : NULL;
	json_decref(json);
	return ret;
}

static char *fetch_token(const struct registry *r, const char *challenge, struct pyro_error *err)
{
	AUTO_HTTP_REPLY struct http_reply reply = HTTP_REPLY_INIT(TOKEN_BODY_MAX);
	AUTO_FREE char *url = token_url(challenge, err);
	AUTO_FREE char *basic = r->login ? mem_printf("Basic %s", r->login) : NULL;
	AUTO_HTTP_URL struct http_url target = {NULL};
	const struct http_request request = {.url = url,
					     .authorization = basic,
					     .timeout_ms = DOCUMENT_MS};
	char *token;

	if (!url || check_target(&r->origin, url, &target, err) < 0 ||
	    http_send(&request, &reply, err) < 0)
		return NULL;
	if (reply.status == 401 || reply.status == 403) {
		(void)needs_login(r, err);
		return NULL;
	}
	token = reply.status == 200 ? take_token(&reply) : NULL;
	if (!token)
		(void)err_set(err, PYRO_E_PULL_FAILED, "'%s' gives no token (status %ld)",
			      target.origin, reply.status);
	return token;
}

/* Answers a challenge to a request that was made with `used`, unless another thread just has. */
static int authenticate(struct registry *r, const char *challenge, const char *used,
			struct pyro_error *err)
{
	char *fresh = NULL;
	int result = 0;

	(void)pthread_mutex_lock(&r->lock);
	if (r->authorization && (!used || strcmp(r->authorization, used) != 0)) {
		(void)pthread_mutex_unlock(&r->lock);
		return 0;
	}
	if (!challenge || (strncasecmp(challenge, "Basic", 5) == 0 && !r->login))
		(void)needs_login(r, err);
	else if (strncasecmp(challenge, "Basic", 5) == 0)
		fresh = mem_printf("Basic %s", r->login);
	else
		fresh = fetch_token(r, challenge, err);
	if (fresh) {
		free(r->authorization);
		r->authorization = fresh;
	} else {
		result = -1;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return result;
}

static char *authorization_of(struct registry *r)
{
	char *copy;

	(void)pthread_mutex_lock(&r->lock);
	copy = r->authorization ? mem_strdup(r->authorization) : NULL;
	(void)pthread_mutex_unlock(&r->lock);
	return copy;
}

/* --- requests --------------------------------------------------------------------------- */

static int not_found(const struct registry *r, const char *what, struct pyro_error *err)
{
	const char *name = strchr(what, '/') + 1;

	if (strncmp(what, "manifests/", 10) != 0) {
		(void)err_set(err, PYRO_E_NOT_FOUND, "registry '%s' lacks '%.200s' of the image",
			      r->name, what);
		return err_hint(err, "the image has to be pushed to the registry once more");
	}
	(void)err_set(err, PYRO_E_NOT_FOUND, "registry '%s' has no '%s%s%.200s'", r->name,
		      r->repository, reference_is_digest(name) ? "@" : ":", name);
	return err_hint(err, "check the name and the tag of the image");
}

static int judge(const struct registry *r, const char *what, const struct http_request *request,
		 const struct http_reply *reply, struct pyro_error *err)
{
	if (reply->status == 200 || (reply->status == 206 && request->from > 0))
		return 0;
	if (reply->status == 404)
		return not_found(r, what, err);
	if (reply->status == 401 || reply->status == 403)
		return needs_login(r, err);
	(void)err_set(err, PYRO_E_PULL_FAILED, "registry '%s' answers '%.200s' with status %ld",
		      r->name, what, reply->status);
	return err_hint(err, "the registry has a problem or wants a pause; pull again later");
}

static bool is_redirect(const struct http_reply *reply)
{
	long s = reply->status;

	return reply->location && (s == 301 || s == 302 || s == 303 || s == 307 || s == 308);
}

/* One request with its redirects; *ret_is_own says whether the reply is the registry's. */
static int follow(struct registry *r, struct http_request request, const char *first_url,
		  struct http_reply *reply, bool *ret_is_own, struct pyro_error *err)
{
	AUTO_FREE char *url = mem_strdup(first_url);
	const char *authorization = request.authorization;

	for (int hops = 0; hops <= REDIRECTS_MAX; hops++) {
		AUTO_HTTP_URL struct http_url target = {NULL};
		char *next;

		if (check_target(&r->origin, url, &target, err) < 0)
			return -1;
		*ret_is_own = strcmp(target.origin, r->origin.origin) == 0;
		request.url = url;
		request.authorization = *ret_is_own ? authorization : NULL;
		if (http_send(&request, reply, err) < 0)
			return -1;
		if (!is_redirect(reply))
			return 0;
		next = http_url_join(url, reply->location, err);
		if (!next)
			return -1;
		free(url);
		url = next;
	}
	return err_set(err, PYRO_E_INVALID, "registry '%s' redirects in circles", r->name);
}

int registry_send(struct registry *r, const char *where, struct http_request request,
		  struct http_reply *reply, struct pyro_error *err)
{
	bool is_url = strncmp(where, "http", 4) == 0 && strstr(where, "://");
	AUTO_FREE char *url = is_url ? mem_strdup(where) : registry_url(r, where);
	bool is_own = true;

	for (int tries = 0; tries < 2; tries++) {
		AUTO_FREE char *authorization = authorization_of(r);

		request.authorization = authorization;
		if (follow(r, request, url, reply, &is_own, err) < 0)
			return -1;
		if (reply->status != 401 || !is_own || tries > 0)
			break;
		if (authenticate(r, reply->challenge, authorization, err) < 0)
			return -1;
	}
	return 0;
}

int registry_get(struct registry *r, const char *what, struct http_request request,
		 struct http_reply *reply, struct pyro_error *err)
{
	return registry_send(r, what, request, reply, err) < 0
		       ? -1
		       : judge(r, what, &request, reply, err);
}

int registry_wait(int n, const struct http_reply *reply, struct pyro_error *err)
{
	int64_t wait_ms =
		reply->retry_after_s ? reply->retry_after_s * 1000 : WAIT_FIRST_MS << (n - 1);
	int64_t deadline = deadline_in(wait_ms);

	if (err->code != PYRO_E_PULL_FAILED || n >= REGISTRY_TRIES)
		return -1;
	while (deadline_left(deadline) > 0) {
		if (bootstrap_check_cancelled(err) < 0)
			return -1;
		(void)poll(NULL, 0, WAIT_STEP_MS);
	}
	return 0;
}

int registry_read(struct registry *r, const char *what, const char *accept,
		  struct http_reply *reply, struct pyro_error *err)
{
	const struct http_request request = {.accept = accept, .timeout_ms = DOCUMENT_MS};

	for (int n = 1;; n++) {
		if (registry_get(r, what, request, reply, err) == 0)
			return 0;
		if (registry_wait(n, reply, err) < 0)
			return -1;
	}
}
