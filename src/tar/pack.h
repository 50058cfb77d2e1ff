/*
 * pack: what a workspace is seeded from, as a pax archive on standard output.
 *
 * The source is a directory, which becomes the entry "." and everything below it in order of names,
 * or a tar archive, plain or compressed by gzip, whose entries are passed on; whether their names
 * stay inside the workspace is for the guest's agent to judge, which must not trust this program
 * either. Sockets are left out.
 */
#ifndef TAR_PACK_H
#define TAR_PACK_H

#include <stdint.h>

struct tally;
struct pyro_error;

/*
 * Nothing has been written when what the directory holds cannot be packed: PYRO_E_REFUSED names
 * what cannot be read, or all devices and pipes, 20 at the most. Each file's content is read once.
 * PYRO_E_LIMIT if the content is more than bytes_max. *ret is what was packed, also for progress.
 */
int pack(const char *path, int64_t bytes_max, struct tally *ret, struct pyro_error *err);

#endif
