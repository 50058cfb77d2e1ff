/*
 * post: one JSON text is sent to an HTTP server, and its answer read.
 *
 * Only http and https, directly: no proxy, no redirect to elsewhere, no compression, no
 * credentials in the URL.
 */
#ifndef HTTP_POST_H
#define HTTP_POST_H

#include <stdint.h>

struct buf;
struct pyro_error;

/*
 * Waits seconds at the most, all in all. Whatever the server's status, it is no error: it comes in
 * *ret_status and the body is appended to answer; more than answer->max is PYRO_E_LIMIT.
 * PYRO_E_UNREACHABLE: nobody answers there.
 */
int post(const char *url, const char *json, int64_t seconds, struct buf *answer,
	 int64_t *ret_status, struct pyro_error *err);

#endif
