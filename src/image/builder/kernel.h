/*
 * kernel: the guest's kernel, taken out of the distribution's package as data. Nothing of it is
 * ever installed or run on the host.
 */
#ifndef BUILDER_KERNEL_H
#define BUILDER_KERNEL_H

#include <stddef.h>

struct pyro_error;

#define KERNEL_PACKAGE "linux-image-cloud-amd64"
#define KERNEL_MAX_FILES 40

/* What was put into a kernel directory. */
struct kernel {
	char release[128];             /* "6.1.0-56-cloud-amd64" */
	char *files[KERNEL_MAX_FILES]; /* relative paths; NULL-terminated; owned */
	size_t n_files;
};

struct untar_source;

/*
 * Reads a tar stream of the unpacked package and makes in dir: vmlinux (the uncompressed kernel),
 * modules/NAME.ko for each module a guest needs, and modules/order, their file names in the order
 * in which they are to be loaded.
 */
int kernel_extract(const struct untar_source *source, const char *dir, struct kernel *ret,
		   struct pyro_error *err);
void kernel_done(struct kernel *kernel);

/*
 * The kernel inside a bzImage as its boot protocol describes it, whatever it is compressed with:
 * writes the ELF file to path.
 */
int kernel_unpack(const void *bzimage, size_t len, const char *path, struct pyro_error *err);

#endif
