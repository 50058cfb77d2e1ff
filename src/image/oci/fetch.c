/*
 * Layers are fetched by a few threads, each by itself: take the next layer, ask for what is missing
 * of it, hash what comes, and begin again where it broke off, as long as there is progress. What
 * was there already is hashed first. Only the whole of a blob with the right digest gets its name.
 */
#include "image/oci/fetch.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "image/builder/bootstrap.h"
#include "image/builder/event.h"
#include "image/oci/registry.h"
#include "image/oci/spec.h"
#include "image/reference.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sha256.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 4
#define PROGRESS_BYTES (1 << 20) /* with so much, a break is no failed try */
#define BLOB_MS (60 * 60 * 1000)
#define ERROR_BODY_MAX 8192
#define PROGRESS_MS 200
#define CHUNK (256 * 1024)

struct fetch {
	struct registry *registry;
	struct spec *spec;
	char *dir;
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a thread has, or there is an error */
	size_t next;          /* layer that nobody took yet */
	int n_running;
	struct pyro_error error; /* the first; code PYRO_OK: none */
	atomic_bool is_failed;   /* the same for those under way */
	atomic_bool is_waiting;  /* for another pull, and has said so */
	atomic_llong done_bytes;
};

/* A blob that grows. */
struct blob {
	struct fetch *f;
	const struct spec_layer *layer;
	char *part_path;
	int fd;
	int64_t len;
	SHA2_CTX sha;
};

/* --- documents -------------------------------------------------------------------------- */

static int read_document(void *ctx, const char *kind, const char *digest, struct buf *out,
			 struct pyro_error *err)
{
	AUTO_HTTP_REPLY struct http_reply reply = HTTP_REPLY_INIT(SPEC_DOCUMENT_MAX);
	AUTO_FREE char *what = mem_printf("%s/%s", kind, digest);

	if (registry_read(ctx, what, SPEC_ACCEPT ", application/octet-stream, */*", &reply, err) <
	    0)
		return -1;
	buf_append(out, buf_text(&reply.body), reply.body.len);
	return 0;
}

int fetch_spec(struct registry *registry, const struct reference *reference, struct spec *ret,
	       struct pyro_error *err)
{
	const struct spec_source source = {read_document, registry};
	const char *name = reference->digest ? reference->digest : reference->tag;
	AUTO_HTTP_REPLY struct http_reply reply = HTTP_REPLY_INIT(SPEC_DOCUMENT_MAX);
	AUTO_FREE char *what = mem_printf("manifests/%s", name);
	char digest[SPEC_DIGEST_SIZE];

	if (registry_read(registry, what, SPEC_ACCEPT, &reply, err) < 0)
		return -1;
	spec_digest(buf_text(&reply.body), reply.body.len, digest);
	if (reference->digest && strcmp(digest, reference->digest) != 0)
		return err_set(err, PYRO_E_PULL_FAILED,
			       "the registry sends another manifest than '%s'", reference->digest);
	return spec_resolve(ret, &source, &reply.body, err);
}

/* --- one blob --------------------------------------------------------------------------- */

static int restart(struct blob *b, struct pyro_error *err)
{
	atomic_fetch_sub(&b->f->done_bytes, b->len);
	b->len = 0;
	SHA256Init(&b->sha);
	return ftruncate(b->fd, 0) < 0 ? err_sys(err, errno, "empty '%s'", b->part_path) : 0;
}

static void count(struct blob *b, const void *data, size_t len)
{
	SHA256Update(&b->sha, data, len);
	b->len += (int64_t)len;
	atomic_fetch_add(&b->f->done_bytes, (long long)len);
}

/* Hashes what a file has, up to the blob's size. */
static int take_file(struct blob *b, int fd, const char *path, struct pyro_error *err)
{
	AUTO_FREE char *chunk = mem_zalloc(1, CHUNK);
	ssize_t n;

	while ((n = pread(fd, chunk, CHUNK, b->len)) > 0 && b->len + n <= b->layer->size)
		count(b, chunk, (size_t)n);
	if (n < 0)
		return err_sys(err, errno, "read '%s'", path);
	return n > 0 ? restart(b, err) : 0;
}

/* Whether the server really begins where it was asked to. */
static bool begins_at(const struct http_reply *reply, int64_t from)
{
	AUTO_FREE char *want = mem_printf("bytes %lld-", (long long)from);

	return reply->range && strncmp(reply->range, want, strlen(want)) == 0;
}

/* The first bytes of a reply tell whether it goes on or begins again. */
struct part {
	struct blob *b;
	int64_t from;
	bool is_begun;
};

static int take_part(void *ctx, const struct http_reply *reply, const void *data, size_t len,
		     struct pyro_error *err)
{
	struct part *part = ctx;
	struct blob *b = part->b;

	if (!part->is_begun && part->from > 0) {
		if (reply->status == 206 && !begins_at(reply, part->from))
			return err_set(err, PYRO_E_INVALID,
				       "the registry sends another part of '%s'", b->layer->digest);
		if (reply->status == 200 && restart(b, err) < 0)
			return -1;
	}
	part->is_begun = true;
	if (atomic_load(&b->f->is_failed))
		return err_set(err, PYRO_E_CANCELLED, "another layer failed");
	if ((int64_t)len > b->layer->size - b->len)
		return err_set(err, PYRO_E_INVALID,
			       "the registry sends more than the %lld bytes of '%s'",
			       (long long)b->layer->size, b->layer->digest);
	if (file_write_at(b->fd, data, len, b->len, err) < 0)
		return -1;
	count(b, data, len);
	return 0;
}

/* Fetches what is missing, in as many parts as it takes. */
static int fetch_rest(struct blob *b, struct pyro_error *err)
{
	AUTO_HTTP_REPLY struct http_reply reply = HTTP_REPLY_INIT(ERROR_BODY_MAX);
	AUTO_FREE char *what = mem_printf("blobs/%s", b->layer->digest);
	int64_t deadline = deadline_in(BLOB_MS);

	for (int n = 1; b->len < b->layer->size; n++) {
		struct part part = {.b = b, .from = b->len};
		const struct http_request request = {.from = b->len,
						     .timeout_ms = deadline_left(deadline) + 1,
						     .sink = take_part,
						     .ctx = &part};
		int r = registry_get(b->f->registry, what, request, &reply, err);

		if (r == 0 && b->len < b->layer->size)
			(void)err_set(err, PYRO_E_PULL_FAILED,
				      "the registry sends %lld of %lld bytes of '%s'",
				      (long long)b->len, (long long)b->layer->size,
				      b->layer->digest);
		if (b->len - part.from > PROGRESS_BYTES)
			n = 1;
		if (b->len < b->layer->size && registry_wait(n, &reply, err) < 0)
			return -1;
	}
	return 0;
}

static bool is_right(const struct blob *b)
{
	char digest[SPEC_DIGEST_SIZE] = SPEC_DIGEST_PREFIX;
	SHA2_CTX sha = b->sha;

	(void)SHA256End(&sha, digest + 7);
	return strcmp(digest, b->layer->digest) == 0;
}

static int complete(struct blob *b, const char *path, struct pyro_error *err)
{
	bool was_begun = b->len > 0;

	if (fetch_rest(b, err) < 0)
		return -1;
	/* The beginning may have been spoilt since: everything once more. */
	if (!is_right(b) && was_begun && (restart(b, err) < 0 || fetch_rest(b, err) < 0))
		return -1;
	if (!is_right(b)) {
		(void)unlink(b->part_path);
		return err_set(err, PYRO_E_PULL_FAILED,
			       "the registry sends a layer that does not "
			       "match its digest '%s'",
			       b->layer->digest);
	}
	if (fsync(b->fd) < 0 || rename(b->part_path, path) < 0)
		return err_sys(err, errno, "complete '%s'", path);
	return 0;
}

/* Whether the whole blob is there already. */
static bool is_cached(struct blob *b, const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct pyro_error why;

	SHA256Init(&b->sha);
	if (fd >= 0 && take_file(b, fd, path, &why) == 0 && b->len == b->layer->size && is_right(b))
		return true;
	atomic_fetch_sub(&b->f->done_bytes, b->len);
	b->len = 0;
	SHA256Init(&b->sha);
	return false;
}

static char *blob_path(const struct fetch *f, const char *digest)
{
	return mem_printf("%s/%s", f->dir, strchr(digest, ':') + 1);
}

/* The beginning, once nobody else fetches the same; a descriptor, or -1 with err. */
static int lock_part(struct fetch *f, const char *part_path, struct pyro_error *err)
{
	int64_t deadline = deadline_in(BLOB_MS);
	int fd = file_lock(part_path, deadline_in(0), err);

	if (fd < 0 && err->code == PYRO_E_BUSY && !atomic_exchange(&f->is_waiting, true))
		event_phase("wait");
	while (fd < 0 && err->code == PYRO_E_BUSY && deadline_left(deadline) > 0 &&
	       !atomic_load(&f->is_failed)) {
		if (bootstrap_check_cancelled(err) < 0)
			return -1;
		fd = file_lock(part_path, deadline_in(PROGRESS_MS), err);
	}
	return fd;
}

static int fetch_layer(struct fetch *f, struct spec_layer *layer, struct pyro_error *err)
{
	AUTO_FREE char *path = blob_path(f, layer->digest);
	AUTO_FREE char *part_path = mem_printf("%s.part", path);
	AUTO_FD int fd = lock_part(f, part_path, err);
	struct blob b = {.f = f, .layer = layer, .part_path = part_path, .fd = fd};

	if (fd < 0)
		return -1;
	if (is_cached(&b, path)) {
		(void)unlink(part_path);
		return 0;
	}
	if (take_file(&b, fd, part_path, err) < 0)
		return -1;
	return complete(&b, path, err);
}

/* --- all of them ------------------------------------------------------------------------ */

/* A layer that occurs twice is fetched once. */
static bool is_first(const struct spec *spec, size_t i)
{
	size_t first = 0;

	while (strcmp(spec->layers[first].digest, spec->layers[i].digest) != 0)
		first++;
	return first == i;
}

/* The next layer that nobody has begun. */
static struct spec_layer *next_layer(struct fetch *f)
{
	while (f->next < f->spec->n_layers)
		if (is_first(f->spec, f->next++))
			return &f->spec->layers[f->next - 1];
	return NULL;
}

static void *run(void *ctx)
{
	struct fetch *f = ctx;
	struct spec_layer *layer;
	struct pyro_error err;

	(void)pthread_mutex_lock(&f->lock);
	while (f->error.code == PYRO_OK && (layer = next_layer(f))) {
		(void)pthread_mutex_unlock(&f->lock);
		err.code = PYRO_OK;
		if (fetch_layer(f, layer, &err) == 0)
			err.code = PYRO_OK;
		(void)pthread_mutex_lock(&f->lock);
		if (f->error.code == PYRO_OK)
			f->error = err;
		atomic_store(&f->is_failed, f->error.code != PYRO_OK);
	}
	f->n_running--;
	(void)pthread_cond_signal(&f->ended);
	(void)pthread_mutex_unlock(&f->lock);
	return NULL;
}

static int64_t total_bytes(const struct spec *spec)
{
	int64_t total = 0;

	for (size_t i = 0; i < spec->n_layers; i++)
		total += is_first(spec, i) ? spec->layers[i].size : 0;
	return total;
}

static int check_space(const struct fetch *f, struct pyro_error *err)
{
	int64_t free_bytes = dir_free_bytes(f->dir), need = total_bytes(f->spec);
	struct stat st;

	for (size_t i = 0; i < f->spec->n_layers; i++) {
		AUTO_FREE char *path = blob_path(f, f->spec->layers[i].digest);
		AUTO_FREE char *part_path = mem_printf("%s.part", path);

		if (is_first(f->spec, i) && (stat(path, &st) == 0 || stat(part_path, &st) == 0))
			need -= st.st_size;
	}
	if (free_bytes < 0 || need <= free_bytes)
		return 0;
	return err_set(err, PYRO_E_NO_SPACE,
		       "'%s' has %lld MiB free, and the image's layers need %lld MiB", f->dir,
		       (long long)(free_bytes >> 20), (long long)(need >> 20) + 1);
}

/* Tells how it goes until all threads have ended. */
static void watch(struct fetch *f)
{
	int64_t total = total_bytes(f->spec), told = 0;

	(void)pthread_mutex_lock(&f->lock);
	while (f->n_running > 0) {
		struct timespec at;
		int64_t done = atomic_load(&f->done_bytes);

		if (done > told && done <= total)
			event_progress("download", told = done, total, "bytes");
		(void)clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += PROGRESS_MS * 1000000L;
		at.tv_sec += at.tv_nsec / 1000000000L;
		at.tv_nsec %= 1000000000L;
		(void)pthread_cond_timedwait(&f->ended, &f->lock, &at);
	}
	(void)pthread_mutex_unlock(&f->lock);
	if (f->error.code == PYRO_OK && total > told)
		event_progress("download", total, total, "bytes");
}

int fetch_layers(struct registry *registry, const char *root, struct spec *spec,
		 struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_printf("%s/blobs", root);
	struct fetch f = {.registry = registry,
			  .spec = spec,
			  .dir = dir,
			  .lock = PTHREAD_MUTEX_INITIALIZER,
			  .ended = PTHREAD_COND_INITIALIZER};
	pthread_t threads[THREADS];
	int n = 0;

	if (check_space(&f, err) < 0)
		return -1;
	(void)pthread_mutex_lock(&f.lock);
	while (n < THREADS && pthread_create(&threads[n], NULL, run, &f) == 0)
		n++;
	f.n_running = n;
	(void)pthread_mutex_unlock(&f.lock);
	if (n == 0)
		return err_set(err, PYRO_E_SYSTEM, "start a thread");
	watch(&f);
	for (int i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	if (f.error.code != PYRO_OK) {
		*err = f.error;
		return -1;
	}
	for (size_t i = 0; i < spec->n_layers; i++)
		spec->layers[i].path = blob_path(&f, spec->layers[i].digest);
	return file_sync_dir(dir, err);
}
