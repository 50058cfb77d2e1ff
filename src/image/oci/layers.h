/*
 * layers: the layers of an image become a root file system. Nothing of them is ever unpacked into
 * this machine's file system: each is uncompressed into one file, all are read once to know which
 * entries stay (tree.h), and once more to write those.
 */
#ifndef OCI_LAYERS_H
#define OCI_LAYERS_H

#include <jansson.h>
#include <stdint.h>

struct ext4;
struct pyro_error;
struct spec;

struct layers {
	const struct spec *spec; /* borrowed */
	int *packed_fds;         /* as they came, the lowest layer first */
	int *fds;                /* tar archives, once they are uncompressed */
	size_t n;
};

#define AUTO_LAYERS __attribute__((cleanup(layers_done)))

/* Opens all files, those below tmp for what is to come. Close with layers_done() in any case. */
int layers_open(const struct spec *spec, const char *tmp, struct layers *ret,
		struct pyro_error *err);
/*
 * Uncompresses gzip and zstd; *ret_bytes is what all have become. Opens nothing. PYRO_E_PULL_FAILED
 * for what is not what its diff_id says, PYRO_E_LIMIT for what becomes too large, be it altogether
 * or for what it was.
 */
int layers_unpack(const struct layers *layers, int64_t *ret_bytes, struct pyro_error *err);
/*
 * Writes the file system; opens nothing. `notes` gets what it says about itself: "distribution",
 * "distribution_version".
 */
int layers_write(const struct layers *layers, struct ext4 *fs, json_t *notes,
		 struct pyro_error *err);
void layers_done(struct layers *layers);

#endif
