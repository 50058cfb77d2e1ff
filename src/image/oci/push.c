/*
 * A blob that the registry does not have is sent so: POST opens an upload and answers with where it
 * is; PATCH adds a chunk and answers with where the next goes; PUT with the digest ends it. An
 * upload that fails is begun again, a few times.
 */
#include "image/oci/push.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "image/builder/event.h"
#include "image/oci/local.h"
#include "image/oci/login.h"
#include "image/oci/registry.h"
#include "image/oci/spec.h"
#include "image/reference.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPLY_MAX 8192
#define CHUNK_DEFAULT (8 << 20)
#define CHUNK_MAX (256 << 20)
#define UPLOAD_S 300
#define REQUEST_S 90
#define TIMEOUT_MAX_S (24 * 3600)

struct push {
	struct registry *registry;
	const struct reference *to;
	char *blobs_dir;
	int64_t chunk_bytes;
	int64_t upload_ms;
	int64_t request_ms;
	int64_t done_bytes;
	int64_t total_bytes;
};

static int read_number(const char *name, int64_t max, int64_t *value, struct pyro_error *err)
{
	const char *text = getenv(name);

	if (text && *text && !parse_int(text, 1, max, value))
		return err_set(err, PYRO_E_INVALID, "%s is '%.40s', not a number from 1 to %lld",
			       name, text, (long long)max);
	return 0;
}

static int read_settings(struct push *p, struct pyro_error *err)
{
	int64_t upload_s = UPLOAD_S, request_s = REQUEST_S;

	p->chunk_bytes = CHUNK_DEFAULT;
	if (read_number("PYRO_OCI_UPLOAD_CHUNK_SIZE_BYTES", CHUNK_MAX, &p->chunk_bytes, err) < 0 ||
	    read_number("PYRO_OCI_UPLOAD_TIMEOUT_SECONDS", TIMEOUT_MAX_S, &upload_s, err) < 0 ||
	    read_number("PYRO_OCI_REQUEST_TIMEOUT_SECONDS", TIMEOUT_MAX_S, &request_s, err) < 0)
		return -1;
	p->upload_ms = upload_s * 1000;
	p->request_ms = request_s * 1000;
	return 0;
}

static int refused(const struct push *p, const char *what, const struct http_reply *reply,
		   struct pyro_error *err)
{
	bool is_login = reply->status == 401 || reply->status == 403;

	(void)err_set(err, is_login || reply->status < 500 ? PYRO_E_REFUSED : PYRO_E_PULL_FAILED,
		      "registry '%s' answers the %s with status %ld", p->to->registry, what,
		      reply->status);
	if (!is_login)
		return err_hint(err, "push again later, or ask who runs the registry");
	return err_hint(err,
			"set OCI_REGISTRY_USERNAME and OCI_REGISTRY_PASSWORD, or docker login %s",
			p->to->registry);
}

/* A request whose answer must have that status. */
static int send(const struct push *p, const char *where, struct http_request request,
		const char *what, long want, struct http_reply *reply, struct pyro_error *err)
{
	if (registry_send(p->registry, where, request, reply, err) < 0)
		return -1;
	return reply->status == want ? 0 : refused(p, what, reply, err);
}

/* Where the answer says that it goes on; replaces *url. */
static int next_place(char **url, const struct http_reply *reply, struct pyro_error *err)
{
	char *next;

	if (!reply->location)
		return err_set(err, PYRO_E_PROTOCOL,
			       "the registry does not say where an upload is");
	next = http_url_join(*url, reply->location, err);
	if (!next)
		return -1;
	free(*url);
	*url = next;
	return 0;
}

static int send_chunks(struct push *p, int fd, char **url, struct http_reply *reply,
		       struct pyro_error *err)
{
	AUTO_FREE char *chunk = mem_zalloc(1, (size_t)p->chunk_bytes);
	int64_t at = 0;
	ssize_t n;

	while ((n = pread(fd, chunk, (size_t)p->chunk_bytes, at)) > 0) {
		AUTO_FREE char *range =
			mem_printf("%lld-%lld", (long long)at, (long long)(at + n - 1));
		const struct http_request request = {.method = "PATCH",
						     .body = chunk,
						     .body_len = (size_t)n,
						     .content_type = "application/octet-stream",
						     .content_range = range,
						     .timeout_ms = p->upload_ms};

		if (send(p, *url, request, "upload", 202, reply, err) < 0 ||
		    next_place(url, reply, err) < 0)
			return -1;
		at += n;
		if (p->done_bytes + at <= p->total_bytes) /* the configuration is not counted */
			event_progress("upload", p->done_bytes + at, p->total_bytes, "bytes");
	}
	return n < 0 ? err_sys(err, errno, "read a layer") : 0;
}

static int upload(struct push *p, const char *digest, int fd, struct http_reply *reply,
		  struct pyro_error *err)
{
	const struct http_request begin = {.method = "POST", .timeout_ms = p->request_ms};
	const struct http_request finish = {.method = "PUT", .timeout_ms = p->upload_ms};
	AUTO_FREE char *url = registry_url(p->registry, "blobs/uploads/");
	AUTO_FREE char *last = NULL;

	if (send(p, url, begin, "upload", 202, reply, err) < 0 ||
	    next_place(&url, reply, err) < 0 || send_chunks(p, fd, &url, reply, err) < 0)
		return -1;
	last = mem_printf("%s%sdigest=%s", url, strchr(url, '?') ? "&" : "?", digest);
	return send(p, last, finish, "upload", 201, reply, err);
}

static int push_blob(struct push *p, const char *digest, struct pyro_error *err)
{
	AUTO_HTTP_REPLY struct http_reply reply = HTTP_REPLY_INIT(REPLY_MAX);
	const struct http_request ask = {.method = "HEAD", .timeout_ms = p->request_ms};
	AUTO_FREE char *what = mem_printf("blobs/%s", digest);
	AUTO_FREE char *path = mem_printf("%s/%s", p->blobs_dir, strchr(digest, ':') + 1);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open '%s'", path);
	for (int n = 1; n <= REGISTRY_TRIES; n++) {
		r = registry_send(p->registry, what, ask, &reply, err);
		if (r == 0 && reply.status != 200)
			r = upload(p, digest, fd, &reply, err);
		if (r == 0 || registry_wait(n, &reply, err) < 0)
			break;
	}
	p->done_bytes += st.st_size;
	return r;
}

static int push_manifest(const struct push *p, const struct spec *spec, struct pyro_error *err)
{
	AUTO_HTTP_REPLY struct http_reply reply = HTTP_REPLY_INIT(REPLY_MAX);
	AUTO_FREE char *path = mem_printf("%s/%s", p->blobs_dir, strchr(spec->digest, ':') + 1);
	AUTO_FREE char *where = mem_printf("manifests/%s", p->to->tag);
	AUTO_BUF struct buf text = BUF_INIT(SPEC_DOCUMENT_MAX);
	struct http_request request = {.method = "PUT", .timeout_ms = p->request_ms};
	json_t *json;
	const char *type;
	int r;

	if (file_read(path, &text, err) < 0 || !(json = spec_parse(&text, "manifest", err)))
		return -1;
	type = json_string_value(json_object_get(json, "mediaType"));
	request.body = text.data;
	request.body_len = text.len;
	request.content_type = type ? type : SPEC_MANIFEST_TYPE;
	r = send(p, where, request, "manifest", 201, &reply, err);
	json_decref(json);
	return r;
}

static int push_all(struct push *p, const struct spec *spec, struct pyro_error *err)
{
	for (size_t i = 0; i < spec->n_layers; i++)
		p->total_bytes += spec->layers[i].size;
	for (size_t i = 0; i < spec->n_layers; i++)
		if (push_blob(p, spec->layers[i].digest, err) < 0)
			return -1;
	return push_blob(p, spec->config_digest, err) < 0 ? -1 : push_manifest(p, spec, err);
}

int push_layout(const struct reference *from, const struct reference *to, struct pyro_error *err)
{
	struct push p = {.to = to};
	struct spec spec = {NULL};
	AUTO_FREE char *helper = NULL;
	int r = read_settings(&p, err);
	char *login;

	if (r == 0)
		r = local_layout(from, &spec, err);
	if (r == 0) {
		event_phase("upload");
		p.blobs_dir = mem_printf("%s/blobs/sha256", from->path);
		login = login_find_to_push(to->registry, &helper);
		p.registry = registry_new(to, login, helper);
		r = push_all(&p, &spec, err);
		(void)registry_free(p.registry);
		free(p.blobs_dir);
	}
	spec_done(&spec);
	return r;
}
