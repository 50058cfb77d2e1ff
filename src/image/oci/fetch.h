/*
 * fetch: an image from a registry. Its blobs are kept in ROOT/blobs under their digests; one that
 * broke off stays there, too, and is continued the next time.
 */
#ifndef OCI_FETCH_H
#define OCI_FETCH_H

struct pyro_error;
struct reference;
struct registry;
struct spec;

/* What the reference stands for now, all but the layers' paths. */
int fetch_spec(struct registry *registry, const struct reference *reference, struct spec *ret,
	       struct pyro_error *err);
/*
 * The layers, several at a time, with progress as event.h has it; one that another pull fetches is
 * waited for. The lock of the store's blobs is shared. PYRO_E_NO_SPACE if they cannot fit.
 */
int fetch_layers(struct registry *registry, const char *root, struct spec *spec,
		 struct pyro_error *err);

#endif
