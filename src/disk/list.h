/*
 * list: what a directory on the disk holds, or all that is below it.
 */
#ifndef DISK_LIST_H
#define DISK_LIST_H

#include <stdbool.h>

struct ext4;
struct pyro_error;

/*
 * Writes the line {"result": {path, artifact_type, entries, too_long}} to fd, sorted by path; a
 * path that is no directory is its own entry. A million entries with 128 MiB of paths at the
 * most, else PYRO_E_LIMIT. Paths too long to be used are counted in too_long, and a directory that
 * is found twice is looked into once.
 */
int list(struct ext4 *fs, const char *path, bool is_recursive, int fd, struct pyro_error *err);

#endif
