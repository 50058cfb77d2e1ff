/*
 * project: the files of somebody's project as an archive (out.h), which a file that cannot be taken
 * does not stop: it is skipped, counted and named.
 *
 * The directory becomes the entry ".", directories come before what is in them. Names are resolved
 * below the directory and never through a symbolic link, whatever happens there at the same time.
 */
#ifndef TAR_PROJECT_H
#define TAR_PROJECT_H

#include <jansson.h>
#include <stdint.h>

struct pyro_error;
struct tally;

struct project_skipped {
	int64_t count;
	json_t *names; /* the first PROJECT_NAMED of them; the caller's */
};

/*
 * Those files whose names, relative to `dir`, stand on the descriptor, a NUL behind each. A name
 * that comes twice is taken once; one of which there is nothing any more is left out. Skipped is
 * what cannot be read, is a device, a pipe or a socket, is a directory that holds something, is
 * behind a symbolic link, or has a name that leaves the directory or goes into a ".git".
 */
int project_pack_listed(const char *dir, int names_fd, int64_t bytes_max, struct tally *ret,
			struct project_skipped *ret_skipped, struct pyro_error *err);
/* All that is in the directory. */
int project_pack_whole(const char *dir, int64_t bytes_max, struct tally *ret,
		       struct project_skipped *ret_skipped, struct pyro_error *err);

#define PROJECT_NAMED 20
#define PROJECT_NAME_SHOWN 512        /* bytes of such a name, lest the report is too long */
#define PROJECT_NAMES_MAX (256 << 20) /* bytes of names */
#define PROJECT_ENTRIES_MAX 1000000

#endif
