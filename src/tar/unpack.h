/*
 * unpack: what is exported from a workspace, from a tar stream on standard input that a hostile
 * guest may have made.
 *
 * Either one directory, itself as "." and first, or a single file or symbolic link. Everything is
 * made beside its place, in a directory whose name the caller gives (who removes it if this process
 * is killed), and put there by one rename that replaces nothing; so there is all of it or nothing,
 * whatever fails. Names are resolved by the kernel (openat2) so that they stay below that directory
 * and pass through no symbolic link. Devices, pipes and hard links are refused, as is a second
 * entry of one name. Owners are who calls, modes are those of the stream less setuid, setgid,
 * sticky and the umask; times are kept.
 */
#ifndef TAR_UNPACK_H
#define TAR_UNPACK_H

#include <stdint.h>

struct tally;
struct pyro_error;

/*
 * PYRO_E_INVALID if there is something at the path already; PYRO_E_PROTOCOL for a stream that is
 * damaged or stops before its end; PYRO_E_REFUSED names the entry; PYRO_E_LIMIT beyond bytes_max
 * of content, UNPACK_ENTRIES_MAX, or 128 MiB of directories' paths; PYRO_E_CANCELLED when SIGTERM
 * or SIGINT came, which this function handles until the process ends. *ret_type is "directory",
 * "file" or "symlink", static.
 */
int unpack(const char *path, const char *temporary, int64_t bytes_max, struct tally *ret,
	   const char **ret_type, struct pyro_error *err);

#define UNPACK_ENTRIES_MAX 1000000

#endif
