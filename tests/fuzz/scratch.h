/*
 * A directory of the target's own, in memory, for what is said to stay inside of it; and
 * descriptors made of bytes.
 */
#ifndef TESTS_FUZZ_SCRATCH_H
#define TESTS_FUZZ_SCRATCH_H

#include <stddef.h>

/* Made by the first call, removed when the program ends; static. */
const char *scratch_dir(void);
/* How many names are in a directory. */
int scratch_names(const char *path);
/* Bytes of a memory file, which is at its beginning. */
int scratch_memory(const void *data, size_t len);
/*
 * A socket from which each read takes the next piece of the bytes, which are divided by NULs; then
 * its end comes. *ret_peer is the other side.
 */
int scratch_pieces(const char *data, size_t len, int *ret_peer);

#endif
