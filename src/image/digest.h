/*
 * Digests of files. The content of a sparse file is its blocks that are not zero: SHA-256 over
 * (offset, block) for each block of 64 KiB that holds anything, and the size, so a 16 GiB image
 * costs only its data, and holes and written zeros are the same.
 */
#ifndef IMAGE_DIGEST_H
#define IMAGE_DIGEST_H

#include <stddef.h>

struct pyro_error;

#define DIGEST_HEX 65 /* with the NUL */

int digest_file(const char *path, char hex[DIGEST_HEX], struct pyro_error *err);
/* Plain SHA-256 of bytes in memory. */
void digest_bytes(const void *data, size_t len, char hex[DIGEST_HEX]);

#endif
