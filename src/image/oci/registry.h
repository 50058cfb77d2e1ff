/*
 * registry: one repository of a registry, by the OCI distribution protocol: GET of manifests and
 * blobs, with bearer tokens, basic authentication and redirects.
 *
 * Everything is https, but for a registry that is this machine's (127.x.x.x, [::1], localhost).
 * A redirect goes to https, or from loopback to loopback, and never takes an authorization to
 * another origin. Tokens are asked for on the same terms. Several threads may use one registry.
 */
#ifndef OCI_REGISTRY_H
#define OCI_REGISTRY_H

#include "image/oci/http.h"

struct pyro_error;
struct reference;
struct registry;

/* login: as login.h has it, or NULL; taken. helper: the program that gave none, or NULL; borrowed.
 */
struct registry *registry_new(const struct reference *reference, char *login, const char *helper);
struct registry *registry_free(struct registry *registry);

/*
 * GET /v2/REPOSITORY/WHAT. As http_send() of a request that has no URL yet; the status is 200, or
 * 206 where a range was asked for: any other is an error. PYRO_E_NOT_FOUND, PYRO_E_REFUSED where a
 * login is missing or wrong, PYRO_E_PULL_FAILED for what may pass.
 */
int registry_get(struct registry *registry, const char *what, struct http_request request,
		 struct http_reply *reply, struct pyro_error *err);
/*
 * Any other request, to a place below the repository, or to a URL that an earlier reply named. Each
 * status is the caller's to judge, but that what is to be authorized was, if it can be.
 */
int registry_send(struct registry *registry, const char *where, struct http_request request,
		  struct http_reply *reply, struct pyro_error *err);
/* registry_get() with retries, for what fits into the reply. */
int registry_read(struct registry *registry, const char *what, const char *accept,
		  struct http_reply *reply, struct pyro_error *err);

/* The URL of a place below the repository; owned by the caller. */
char *registry_url(const struct registry *registry, const char *what);

#define REGISTRY_TRIES 5
/* Waits before try n (from 1 on) of something that failed with err; -1 when that makes no sense. */
int registry_wait(int n, const struct http_reply *reply, struct pyro_error *err);

#endif
