/*
 * push: an image of a layout goes to a registry: what it lacks of the blobs, in chunks, then the
 * manifest under the reference's tag.
 *
 * PYRO_OCI_UPLOAD_CHUNK_SIZE_BYTES, PYRO_OCI_UPLOAD_TIMEOUT_SECONDS (each chunk) and
 * PYRO_OCI_REQUEST_TIMEOUT_SECONDS (any other request) say how; PYRO_E_INVALID if they are no
 * numbers.
 */
#ifndef OCI_PUSH_H
#define OCI_PUSH_H

struct pyro_error;
struct reference;

int push_layout(const struct reference *from, const struct reference *to, struct pyro_error *err);

#endif
