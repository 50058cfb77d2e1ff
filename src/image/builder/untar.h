/*
 * untar: a tar stream becomes the content of an ext4 image: owners, modes, times, links, devices,
 * extended attributes and holes included.
 */
#ifndef BUILDER_UNTAR_H
#define BUILDER_UNTAR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct archive;
struct archive_entry;
struct ext4;
struct pyro_error;

/* Where a stream comes from: as read(2), blocking; -1 with err. */
struct untar_source {
	ssize_t (*read)(void *ctx, void *data, size_t len, struct pyro_error *err);
	void *ctx;
};

/* All entries of the stream, which may be compressed. Stops at the first that cannot be taken. */
int untar_to_ext4(const struct untar_source *source, struct ext4 *fs, struct pyro_error *err);

/* One entry that is no hard link, under another path than its own. */
int untar_add(struct ext4 *fs, const char *path, struct archive *archive,
	      struct archive_entry *entry, struct pyro_error *err);

/* Calls on_entry for each entry of a tar stream; it may read the data from `archive`. */
int untar_each(const struct untar_source *source,
	       int (*on_entry)(void *ctx, struct archive *archive, struct archive_entry *entry,
			       struct pyro_error *err),
	       void *ctx, struct pyro_error *err);

#endif
