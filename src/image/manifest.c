#include "image/manifest.h"

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "image/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES (256 * 1024)

static int broken(struct pyro_error *err, const char *path, const char *why)
{
	return err_set(err, PYRO_E_ENVIRONMENT_BROKEN, "'%s' %s", path, why);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static int check_form(const struct manifest *m, struct pyro_error *err)
{
	const json_t *format = json_object_get(m->json, "format");
	const json_t *artifact;
	size_t i;

	if (!json_is_integer(format) || json_integer_value(format) < MANIFEST_FORMAT)
		return broken(err, m->path, "is no manifest");
	if (json_integer_value(format) > MANIFEST_FORMAT)
		return err_set(err, PYRO_E_STATE_VERSION, "'%s' has format %lld, newer than %d",
			       m->path, (long long)json_integer_value(format), MANIFEST_FORMAT);
	json_array_foreach(json_object_get(m->json, "artifacts"), i, artifact) if (
		!*text_of(artifact, "path") ||
		!*text_of(artifact,
			  "digest")) return broken(err, m->path,
						   "names an artifact without path or digest");
	return i > 0 ? 0 : broken(err, m->path, "names no artifacts");
}

int manifest_load(struct manifest *m, const char *path, struct pyro_error *err)
{
	AUTO_BUF struct buf text = BUF_INIT(MAX_BYTES);

	*m = (struct manifest){.path = mem_strdup(path)};
	if (file_read(path, &text, err) < 0)
		return access(path, F_OK) < 0 && errno == ENOENT
			       ? err_set(err, PYRO_E_NOT_FOUND, "there is no '%s'", path)
			       : -1;
	m->json = json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
	if (!m->json)
		return broken(err, path, "is not JSON");
	return check_form(m, err);
}

void manifest_done(struct manifest *m)
{
	free(m->path);
	json_decref(m->json);
	*m = (struct manifest){.path = NULL};
}

const char *manifest_text(const struct manifest *m, const char *key)
{
	return text_of(m->json, key);
}

const char *manifest_digest(const struct manifest *m, const char *name)
{
	const json_t *artifact;
	size_t i;

	json_array_foreach(json_object_get(m->json, "artifacts"), i,
			   artifact) if (strcmp(text_of(artifact, "path"), name) ==
					 0) return text_of(artifact, "digest");
	return "";
}

static char *artifact_path(const char *manifest_path, const char *name)
{
	const char *slash = strrchr(manifest_path, '/');

	if (*name == '/' || !slash)
		return mem_strdup(name);
	return mem_printf("%.*s/%s", (int)(slash - manifest_path), manifest_path, name);
}

/* NULL with errno if there is no regular file. */
static char *stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return NULL;
	}
	return mem_printf("%lld %lld.%09ld %lld.%09ld %llu", (long long)st.st_size,
			  (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
			  (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
			  (unsigned long long)st.st_ino);
}

/* 0: believed; 1: right, and has a new stamp; -1: broken. */
static int verify_artifact(const struct manifest *m, json_t *artifact, struct pyro_error *err)
{
	AUTO_FREE char *path = artifact_path(m->path, text_of(artifact, "path"));
	AUTO_FREE char *stamp = stamp_of(path);
	char hex[DIGEST_HEX];

	if (!stamp)
		return broken(err, path, errno == ENOENT ? "is missing" : "is no readable file");
	if (strcmp(stamp, text_of(artifact, "stamp")) == 0)
		return 0;
	if (digest_file(path, hex, err) < 0 || strcmp(hex, text_of(artifact, "digest")) != 0)
		return broken(err, path, "does not match its digest");
	(void)json_object_set_new(artifact, "stamp", json_string(stamp));
	return 1;
}

static int save(const char *path, const json_t *json, struct pyro_error *err)
{
	AUTO_FREE char *text = json_dumps(json, JSON_INDENT(2));

	return file_write_atomic(path, text, strlen(text), 0644, err);
}

int manifest_verify(struct manifest *m, struct pyro_error *err)
{
	bool is_renewed = false;
	json_t *artifact;
	size_t i;

	json_array_foreach(json_object_get(m->json, "artifacts"), i, artifact)
	{
		int r = verify_artifact(m, artifact, err);

		if (r < 0)
			return -1;
		is_renewed |= r > 0;
	}
	/* Only a saving for the next time: a cache that cannot be written is still right. */
	if (is_renewed && save(m->path, m->json, NULL) < 0)
		log_debug("'%s': stamps not renewed", m->path);
	return 0;
}

static json_t *describe(const char *manifest_path, const char *name, struct pyro_error *err)
{
	AUTO_FREE char *path = artifact_path(manifest_path, name);
	AUTO_FREE char *stamp = NULL;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char hex[DIGEST_HEX];

	if (fd < 0 || (*name != '/' && fsync(fd) < 0)) {
		(void)err_sys(err, errno, "sync '%s'", path);
		return NULL;
	}
	stamp = stamp_of(path); /* before the digest: a change after it makes the stamp differ */
	if (!stamp) {
		(void)err_sys(err, errno, "examine '%s'", path);
		return NULL;
	}
	if (digest_file(path, hex, err) < 0)
		return NULL;
	return json_pack("{ssssss}", "path", name, "digest", hex, "stamp", stamp);
}

int manifest_write(const char *path, json_t *texts, const char *const *artifacts,
		   struct pyro_error *err)
{
	json_t *list = json_array();
	json_t *json = json_pack("{si}", "format", MANIFEST_FORMAT);
	int r = 0;

	(void)json_object_update_new(json, texts);
	(void)json_object_set_new(json, "artifacts", list);
	for (size_t i = 0; artifacts[i] && r == 0; i++) {
		json_t *artifact = describe(path, artifacts[i], err);

		r = artifact ? json_array_append_new(list, artifact) : -1;
	}
	if (r == 0)
		r = save(path, json, err);
	json_decref(json);
	return r;
}
