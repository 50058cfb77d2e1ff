/*
 * local: images that lie on this machine: an OCI image layout (a directory), or an archive that
 * `docker save` wrote, whose parts are copied to tmp.
 */
#ifndef OCI_LOCAL_H
#define OCI_LOCAL_H

struct pyro_error;
struct reference;
struct spec;

/*
 * The image that the reference means, with the layers' paths. Where it names none, there must be
 * only one. PYRO_E_NOT_FOUND names those there are.
 */
int local_layout(const struct reference *reference, struct spec *ret, struct pyro_error *err);
int local_archive(const struct reference *reference, const char *tmp, struct spec *ret,
		  struct pyro_error *err);

#endif
