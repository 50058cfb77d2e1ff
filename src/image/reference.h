/*
 * reference: names of OCI images, which are names of environments, too.
 *
 *	docker.io/library/python:3.12-slim      a registry; without a tag, the tag is "latest"
 *	127.0.0.1:5000/team/app@sha256:HEX      that very manifest
 *	oci:PATH[:TAG]                          an image layout, a directory
 *	docker-archive:FILE[:NAME[:TAG]]        what `docker save` writes
 *
 * The registry must be spelt out: its part has a dot or a port, or is "localhost". A short name
 * such as "python:3.12" is none of these, so that a slip in the name of an official environment
 * does not reach for a stranger's image. Paths of local images have no ':' in them.
 */
#ifndef IMAGE_REFERENCE_H
#define IMAGE_REFERENCE_H

#include <stdbool.h>

struct pyro_error;

enum reference_kind {
	REFERENCE_REGISTRY,
	REFERENCE_LAYOUT,
	REFERENCE_ARCHIVE,
};

/* All strings are owned; those that do not apply are NULL. */
struct reference {
	enum reference_kind kind;
	char *registry;   /* HOST[:PORT] as it was given */
	char *repository; /* with the "library/" that docker.io leaves out */
	char *path;       /* of a local image, absolute */
	char *tag;        /* of a local image: which one of several, or NULL */
	char *digest;     /* "sha256:HEX"; stronger than the tag */
};

#define AUTO_REFERENCE __attribute__((cleanup(reference_done)))
#define REFERENCE_INIT             \
	{                          \
		REFERENCE_REGISTRY \
	}

/* Whether a name is meant as a reference, be it a good one or not. */
bool reference_is(const char *name);
/* PYRO_E_INVALID says what is wrong. `ret` is to be freed in every case. */
int reference_parse(const char *name, struct reference *ret, struct pyro_error *err);
void reference_done(struct reference *reference);
/*
 * The name under which an environment is installed: the name itself, but with an absolute path in
 * it, since another working directory must not mean another image. Owned by the caller.
 */
char *reference_install_name(const char *name);
/* "sha256:" and 64 digits. */
bool reference_is_digest(const char *text);

#endif
