/*
 * place: puts an export in its place, which may not exist yet.
 *
 * It is unpacked beside it, in a directory whose name the caller gives, and then put there by one
 * rename that replaces nothing; so there is all of it or nothing, whatever fails. If this process
 * is killed, the caller removes the directory; if both are, the next export beside it does: it is
 * locked as long as it is used, and its name is `.pyro-` and hex digits. The stream is read by a
 * child that can open and write nothing but what is in that directory: who takes over the reader of
 * archives has won no more.
 */
#ifndef TAR_PLACE_H
#define TAR_PLACE_H

#include <stdint.h>

struct pyro_error;
struct tally;

/*
 * PYRO_E_INVALID if there is something at the path already; PYRO_E_CANCELLED when SIGTERM or SIGINT
 * came, which this function handles until the process ends; else as unpack(). *ret_type is
 * "directory", "file" or "symlink", static.
 */
int place_export(const char *path, const char *temporary, int64_t bytes_max, struct tally *ret,
		 const char **ret_type, struct pyro_error *err);

#endif
