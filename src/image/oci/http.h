/*
 * http: one request, and what came back. Redirects are not followed and statuses not judged here
 * (registry.h does). May be used by several threads at once. What a server sends is bounded: its
 * headers, its body, and the time in which nothing comes. Proxies are taken from the environment,
 * as curl does; so is SSL_CERT_FILE, which names the authorities to trust in the place of this
 * machine's.
 */
#ifndef OCI_HTTP_H
#define OCI_HTTP_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_reply;
struct pyro_error;

struct http_request {
	const char *url;           /* http or https */
	const char *accept;        /* NULL: anything */
	const char *authorization; /* NULL: none */
	const char *method;        /* NULL: GET; HEAD, or one that sends body */
	const void *body;
	size_t body_len;
	const char *content_type, *content_range; /* of the body; may be NULL */
	int64_t from;       /* more than 0: a range that begins there and has no end */
	int64_t timeout_ms; /* for all of it */
	/* Takes the body of a status 200 or 206; NULL: it goes to reply->body. -1 ends it with err.
	 */
	int (*sink)(void *ctx, const struct http_reply *reply, const void *data, size_t len,
		    struct pyro_error *err);
	void *ctx;
};

/* Texts are NULL where the header is missing. */
struct http_reply {
	long status;
	char *location;
	char *challenge; /* WWW-Authenticate, the first that is Bearer or Basic */
	char *range;     /* Content-Range */
	int64_t retry_after_s;
	struct buf body; /* of an error, as much as fits */
};

#define AUTO_HTTP_REPLY __attribute__((cleanup(http_reply_done)))
#define HTTP_REPLY_INIT(body_max)           \
	{                                   \
		.body = BUF_INIT(body_max), \
	}

/*
 * 0 when there is a status, whichever. PYRO_E_PULL_FAILED where the network, or the server, broke
 * off: trying again may help. PYRO_E_REFUSED for a certificate that does not hold, PYRO_E_LIMIT for
 * too large a body, PYRO_E_CANCELLED, and what the sink says.
 */
int http_send(const struct http_request *request, struct http_reply *reply, struct pyro_error *err);
void http_reply_done(struct http_reply *reply);

/* What of a URL decides where a request may go; texts are owned. */
struct http_url {
	char *origin; /* scheme, host and port */
	bool is_https;
	bool is_loopback;
};

#define AUTO_HTTP_URL __attribute__((cleanup(http_url_done)))

/* PYRO_E_REFUSED for what is no http or https, or has a user in it. To be freed in any case. */
int http_url_parse(const char *text, struct http_url *ret, struct pyro_error *err);
void http_url_done(struct http_url *url);
/* Where a reference in a reply to `base` leads; owned by the caller, NULL with err. */
char *http_url_join(const char *base, const char *reference, struct pyro_error *err);
/* text with everything escaped that a query may not contain; owned by the caller. */
char *http_escape(const char *text);

#endif
