/*
 * export: the whole disk as a sparse raw image.
 */
#ifndef DISK_EXPORT_H
#define DISK_EXPORT_H

#include <jansson.h>

struct pyro_error;
struct qcow2;

/* A file without a name yet, and where it will have one. Zeroed but for fd and dir: -1. */
struct export
{
	int fd;
	int dir;
	const char *name; /* in dir; borrowed */
};

#define AUTO_EXPORT __attribute__((cleanup(export_done)))

/* path, borrowed, must not exist. Opens all that export_disk() needs. */
int export_open(struct export *ret, const char *path, struct pyro_error *err);
/*
 * Writes what is not zero, tells progress {"done", "total"} on report_fd, and gives the file its
 * name at the end. Returns {"size_bytes", "bytes_written"}, or NULL.
 */
json_t *export_disk(const struct export *e, struct qcow2 *disk, int report_fd,
		    struct pyro_error *err);
void export_done(struct export *e);

#endif
