/*
 * unpack: what is exported from a workspace, from a tar stream on standard input that a hostile
 * guest may have made.
 *
 * Either one directory, itself as "." and first, or a single file or symbolic link; it is made in a
 * directory of the caller's, as UNPACK_ITEM. Names are resolved by the kernel (openat2) so that
 * they stay below that directory and pass through no symbolic link. Devices, pipes and hard links
 * are refused, as is a second entry of one name. Owners are who calls, modes are those of the
 * stream less setuid, setgid, sticky and the umask; times are kept.
 */
#ifndef TAR_UNPACK_H
#define TAR_UNPACK_H

#include "tar/tally.h"

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct pyro_error;

#define UNPACK_ITEM "item"
#define UNPACK_ENTRIES_MAX 1000000

struct unpacked {
	struct tally tally;
	/* For a directory, which does not have them yet: it could perhaps not be moved with them.
	 */
	mode_t mode;
	struct timespec mtime;
};

/*
 * What of an export has been made when it fails stays in the directory. PYRO_E_PROTOCOL for a
 * stream that is damaged or stops before its end; PYRO_E_REFUSED names the entry; PYRO_E_LIMIT
 * beyond bytes_max of content, UNPACK_ENTRIES_MAX, or 128 MiB of directories' paths.
 */
int unpack(int dir_fd, mode_t umask, int64_t bytes_max, struct unpacked *ret,
	   struct pyro_error *err);

/* A directory below dir_fd, through no symbolic link; the caller's, or -1 with errno. */
int unpack_open(int dir_fd, const char *path);

#endif
