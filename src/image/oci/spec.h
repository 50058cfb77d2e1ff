/*
 * spec: the documents that describe an image: index, manifest, configuration. They come from
 * anywhere and name each other by digest, which is checked here; limits are in spec.c.
 */
#ifndef OCI_SPEC_H
#define OCI_SPEC_H

#include "base/buf.h"

#include <jansson.h>
#include <stdint.h>

struct pyro_error;

#define SPEC_DOCUMENT_MAX (4 << 20)
#define SPEC_LAYERS_MAX 128
#define SPEC_LAYER_BYTES_MAX (INT64_C(16) << 30) /* compressed, of all layers together, too */
#define SPEC_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define SPEC_DIGEST_PREFIX "sha256:"
#define SPEC_DIGEST_SIZE 72 /* "sha256:HEX" with the NUL */
/* What to accept when asking for a manifest. */
#define SPEC_ACCEPT                                                                             \
	"application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " \
	"application/vnd.docker.distribution.manifest.list.v2+json, "                           \
	"application/vnd.docker.distribution.manifest.v2+json"

struct spec_layer {
	char *digest;  /* of the blob; NULL: nothing promises what it is but diff_id */
	int64_t size;  /* of the blob; -1: unknown */
	char *diff_id; /* digest of what the blob contains */
	char *path;    /* of the file that holds the blob, once there is one */
};

/* An image. Everything is owned. */
struct spec {
	char *digest;        /* what names it: its manifest's, for archives its configuration's */
	char *config_digest; /* NULL for archives */
	json_t *config;
	struct spec_layer *layers; /* the lowest first */
	size_t n_layers;
};

/* Where documents come from: puts the one with that digest into out. */
struct spec_source {
	int (*read)(void *ctx, const char *kind, const char *digest, struct buf *out,
		    struct pyro_error *err); /* kind: "manifests" or "blobs" */
	void *ctx;
};

/*
 * Follows a document (an index or a manifest) to the image for this platform and fills in all but
 * the layers' paths. PYRO_E_INVALID for what is not well-formed, not for linux/amd64 or over a
 * limit; PYRO_E_PULL_FAILED for a digest that does not hold.
 */
int spec_resolve(struct spec *spec, const struct spec_source *source, const struct buf *document,
		 struct pyro_error *err);
/* Takes a configuration, whose layers' number must be n_layers. */
int spec_take_config(struct spec *spec, const struct buf *document, struct pyro_error *err);
void spec_done(struct spec *spec);

/* A document as JSON, or NULL with err. `what` names it. */
json_t *spec_parse(const struct buf *document, const char *what, struct pyro_error *err);
void spec_digest(const void *data, size_t len, char ret[SPEC_DIGEST_SIZE]);
int spec_digest_file(const char *path, char ret[SPEC_DIGEST_SIZE], struct pyro_error *err);

#endif
