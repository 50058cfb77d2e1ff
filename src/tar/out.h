/*
 * out: a pax archive on standard output, of entries as a workspace takes them.
 *
 * Owners become 0:0, and modes lose setuid, setgid and sticky; times are kept to the nanosecond,
 * links stay links, names are bytes.
 */
#ifndef TAR_OUT_H
#define TAR_OUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct archive;
struct archive_entry;
struct archive_entry_linkresolver;
struct pyro_error;
struct stat;
struct tally;

struct out {
	const char *path; /* what is packed, for messages; borrowed */
	int64_t bytes_max;
	struct tally *tally; /* of what was sent; borrowed */
	struct archive *archive;
	struct archive_entry *entry;
	struct archive_entry_linkresolver *links;
};

/* One entry, as it is sent. */
struct out_item {
	const char *name;
	mode_t mode;
	int64_t size;
	struct timespec mtime;
	const char *symlink;
	const char *hardlink;
};

/* Of a zeroed structure with path, bytes_max and tally. Whatever it returns, out_end() follows. */
int out_begin(struct out *o, struct pyro_error *err);
/*
 * Ends the archive where `result` says that all was sent; else what was sent does not look whole.
 * Returns result, or -1 with err.
 */
int out_end(struct out *o, int result, struct pyro_error *err);

int out_item(struct out *o, const struct out_item *item, struct pyro_error *err);
/* Content of the item before; PYRO_E_LIMIT beyond bytes_max. */
int out_data(struct out *o, const char *data, size_t len, struct pyro_error *err);
/* A regular file that is open, with the status that fstat() gave; a second name is a hard link. */
int out_file(struct out *o, int fd, const struct stat *st, const char *name,
	     struct pyro_error *err);
/* PYRO_E_BUSY: what is read now is not what was there a moment ago. */
int out_changed(struct pyro_error *err, const char *name);

#define OUT_BLOCK (256 * 1024)

#endif
