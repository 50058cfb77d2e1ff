/*
 * A manifest says which files belong together and what they must contain. It is a JSON file:
 *
 *	{"format": 1, …texts…, "artifacts": [{"path", "digest", "stamp"}, …]}
 *
 * Paths are relative to the manifest's directory, or absolute. A stamp is a file's size, inode and
 * times when its digest was last found right. manifest_verify() believes a file whose stamp is
 * the same, which takes microseconds, and reads any other again in full. A manifest is written
 * when everything it names is in place, and never half.
 */
#ifndef IMAGE_MANIFEST_H
#define IMAGE_MANIFEST_H

#include <jansson.h>

struct pyro_error;

#define MANIFEST_FORMAT 1

struct manifest {
	char *path;
	json_t *json;
};

#define AUTO_MANIFEST __attribute__((cleanup(manifest_done)))

/*
 * Reads and checks the form. PYRO_E_NOT_FOUND if there is no such file, PYRO_E_STATE_VERSION if a
 * newer pyro wrote it, PYRO_E_ENVIRONMENT_BROKEN for nonsense.
 */
int manifest_load(struct manifest *m, const char *path, struct pyro_error *err);
/* PYRO_E_ENVIRONMENT_BROKEN naming the first artifact that is missing or differs. */
int manifest_verify(struct manifest *m, struct pyro_error *err);
/* A text of the manifest, "" if there is none. Borrowed. */
const char *manifest_text(const struct manifest *m, const char *key);
/* The digest of an artifact, "" if it names none such. Borrowed. */
const char *manifest_digest(const struct manifest *m, const char *artifact);
void manifest_done(struct manifest *m);

/*
 * Writes a manifest: `texts` is an object of texts (taken), artifacts ends with NULL. Every
 * artifact is digested and synced.
 */
int manifest_write(const char *path, json_t *texts, const char *const *artifacts,
		   struct pyro_error *err);

#endif
