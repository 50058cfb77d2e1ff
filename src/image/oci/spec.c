#include "image/oci/spec.h"

#include "base/err.h"
#include "image/digest.h"
#include "image/reference.h"

#include <errno.h>
#include <sha256.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_DEPTH 2
#define INDEX_MAX 1024
#define OTHER_IMAGE "name an image, or a tag, that is for linux/amd64"

static int bad(struct pyro_error *err, const char *what, const char *why)
{
	return err_set(err, PYRO_E_INVALID, "the image's %s %s", what, why);
}

static const char *text(const json_t *json, const char *key)
{
	const char *s = json_string_value(json_object_get(json, key));

	return s ? s : "";
}

void spec_digest(const void *data, size_t len, char ret[SPEC_DIGEST_SIZE])
{
	memcpy(ret, SPEC_DIGEST_PREFIX, sizeof(SPEC_DIGEST_PREFIX));
	digest_bytes(data, len, ret + 7);
}

int spec_digest_file(const char *path, char ret[SPEC_DIGEST_SIZE], struct pyro_error *err)
{
	memcpy(ret, SPEC_DIGEST_PREFIX, sizeof(SPEC_DIGEST_PREFIX));
	return SHA256File(path, ret + 7) ? 0 : err_sys(err, errno, "read '%s'", path);
}

json_t *spec_parse(const struct buf *document, const char *what, struct pyro_error *err)
{
	json_t *json = json_loadb(buf_text(document), document->len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(json))
		return json;
	json_decref(json);
	(void)bad(err, what, "is no JSON object");
	return NULL;
}

/* A descriptor's digest; NULL with err. Borrowed. */
static const char *digest_of(const json_t *descriptor, const char *what, struct pyro_error *err)
{
	const char *digest = text(descriptor, "digest");

	if (reference_is_digest(digest))
		return digest;
	(void)bad(err, what, "has no SHA-256 digest");
	return NULL;
}

/* Reads what a descriptor names, and believes nothing else. */
static int read_checked(const struct spec_source *source, const char *kind,
			const json_t *descriptor, const char *what, struct buf *out,
			struct pyro_error *err)
{
	const char *digest = digest_of(descriptor, what, err);
	char found[SPEC_DIGEST_SIZE];

	if (!digest || source->read(source->ctx, kind, digest, out, err) < 0)
		return -1;
	spec_digest(buf_text(out), out->len, found);
	if (strcmp(found, digest) != 0)
		return err_set(err, PYRO_E_PULL_FAILED,
			       "the image's %s does not match its digest '%s'", what, digest);
	return 0;
}

/* --- the index -------------------------------------------------------------------------- */

static bool is_ours(const json_t *descriptor)
{
	const json_t *platform = json_object_get(descriptor, "platform");

	/* Without a platform its configuration tells. */
	return !platform || (strcmp(text(platform, "os"), "linux") == 0 &&
			     strcmp(text(platform, "architecture"), "amd64") == 0);
}

/* The one for this platform; one for any processor of it comes before one for newer ones. */
static const json_t *pick(const json_t *manifests)
{
	const json_t *descriptor, *found = NULL;
	size_t i;

	json_array_foreach(manifests, i, descriptor)
	{
		const json_t *platform = json_object_get(descriptor, "platform");

		if (!is_ours(descriptor))
			continue;
		if (!*text(platform, "variant"))
			return descriptor;
		if (!found)
			found = descriptor;
	}
	return found;
}

/* Replaces an index by the document that it names for us. */
static int descend(const struct spec_source *source, json_t **json, struct buf *document,
		   struct pyro_error *err)
{
	const json_t *manifests = json_object_get(*json, "manifests");
	const json_t *descriptor = pick(manifests);

	if (json_array_size(manifests) > INDEX_MAX)
		return bad(err, "index", "has too many manifests");
	if (!descriptor) {
		(void)bad(err, "index", "has nothing for linux/amd64");
		return err_hint(err, OTHER_IMAGE);
	}
	buf_reset(document);
	if (read_checked(source, "manifests", descriptor, "manifest", document, err) < 0)
		return -1;
	json_decref(*json);
	*json = spec_parse(document, "manifest", err);
	return *json ? 0 : -1;
}

/* --- the manifest ----------------------------------------------------------------------- */

static int take_layer(struct spec_layer *layer, const json_t *descriptor, int64_t *total,
		      struct pyro_error *err)
{
	const json_t *size = json_object_get(descriptor, "size");
	const char *digest = digest_of(descriptor, "layer", err);
	const char *type = text(descriptor, "mediaType");

	if (!digest)
		return -1;
	if (!json_is_integer(size) || json_integer_value(size) < 0 ||
	    json_integer_value(size) > SPEC_LAYER_BYTES_MAX - *total)
		return bad(err, "layers", "are too large or have no size");
	if (strstr(type, "encrypted") || (*type && !strstr(type, "tar")))
		return err_set(err, PYRO_E_INVALID, "the image has a layer of type '%.100s'", type);
	layer->size = json_integer_value(size);
	layer->digest = mem_strdup(digest);
	*total += layer->size;
	return 0;
}

static int take_manifest(struct spec *spec, const json_t *json, struct pyro_error *err)
{
	const json_t *layers = json_object_get(json, "layers"), *descriptor;
	int64_t total = 0;
	size_t i;

	if (!json_is_array(layers) || !json_is_object(json_object_get(json, "config")))
		return bad(err, "manifest",
			   json_object_get(json, "fsLayers") ? "is of the old schema 1"
							     : "is no image's");
	if (json_array_size(layers) > SPEC_LAYERS_MAX)
		return bad(err, "manifest", "has too many layers");
	spec->layers = mem_zalloc(json_array_size(layers) + 1, sizeof(*spec->layers));
	json_array_foreach(layers, i, descriptor)
	{
		spec->n_layers = i + 1;
		if (take_layer(&spec->layers[i], descriptor, &total, err) < 0)
			return -1;
	}
	return 0;
}

/* --- the configuration ------------------------------------------------------------------ */

int spec_take_config(struct spec *spec, const struct buf *document, struct pyro_error *err)
{
	json_t *config = spec_parse(document, "configuration", err);
	const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	const char *arch = text(config, "architecture"), *os = text(config, "os");

	if (!config)
		return -1;
	spec->config = config;
	if (strcmp(os, "linux") != 0 || strcmp(arch, "amd64") != 0) {
		(void)err_set(err, PYRO_E_INVALID, "the image is for %.40s/%.40s, not linux/amd64",
			      *os ? os : "?", *arch ? arch : "?");
		return err_hint(err, OTHER_IMAGE);
	}
	if (json_array_size(ids) != spec->n_layers)
		return bad(err, "configuration", "is of other layers");
	for (size_t i = 0; i < spec->n_layers; i++) {
		const char *id = json_string_value(json_array_get(ids, i));

		if (!id || !reference_is_digest(id))
			return bad(err, "configuration", "has no SHA-256 digest for a layer");
		spec->layers[i].diff_id = mem_strdup(id);
	}
	return 0;
}

/* --- the whole -------------------------------------------------------------------------- */

static int resolve(struct spec *spec, const struct spec_source *source, json_t **json,
		   struct buf *document, struct pyro_error *err)
{
	AUTO_BUF struct buf config = BUF_INIT(SPEC_DOCUMENT_MAX);
	char digest[SPEC_DIGEST_SIZE];
	int depth = 0;

	while (json_object_get(*json, "manifests")) {
		if (json_object_get(*json, "layers") || depth++ == INDEX_DEPTH)
			return bad(err, "index", "is a riddle");
		if (descend(source, json, document, err) < 0)
			return -1;
	}
	spec_digest(buf_text(document), document->len, digest);
	spec->digest = mem_strdup(digest);
	if (take_manifest(spec, *json, err) < 0 ||
	    read_checked(source, "blobs", json_object_get(*json, "config"), "configuration",
			 &config, err) < 0)
		return -1;
	spec->config_digest = mem_strdup(text(json_object_get(*json, "config"), "digest"));
	return spec_take_config(spec, &config, err);
}

int spec_resolve(struct spec *spec, const struct spec_source *source, const struct buf *document,
		 struct pyro_error *err)
{
	AUTO_BUF struct buf current = BUF_INIT(SPEC_DOCUMENT_MAX);
	json_t *json = spec_parse(document, "manifest", err);
	int r = -1;

	*spec = (struct spec){NULL};
	buf_append(&current, buf_text(document), document->len);
	if (json)
		r = resolve(spec, source, &json, &current, err);
	json_decref(json);
	return r;
}

void spec_done(struct spec *spec)
{
	for (size_t i = 0; i < spec->n_layers; i++) {
		free(spec->layers[i].digest);
		free(spec->layers[i].diff_id);
		free(spec->layers[i].path);
	}
	free(spec->layers);
	free(spec->digest);
	free(spec->config_digest);
	json_decref(spec->config);
	*spec = (struct spec){NULL};
}
