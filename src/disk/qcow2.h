/*
 * qcow2: reads the disk of a workspace, now or as a snapshot inside the file has it, without QEMU.
 *
 * The file was written by a QEMU that may have been taken over, so every offset and count in it is
 * checked, and what is read is only ever data. Of the format only what pyro's own disks use is
 * known: versions 2 and 3, clusters of 64 KiB, not encrypted, not compressed. Clusters that the
 * file does not have come from the root below it, which the caller names: a name in the file is
 * ignored. Behind the end of the root there are zeros.
 *
 * A snapshot may be read while QEMU has the file open for writing: nothing that a snapshot refers
 * to changes while it exists. The state without a snapshot may not.
 *
 * Errors: PYRO_E_NOT_FOUND for a snapshot that is not there, PYRO_E_PROTOCOL "the disk of the
 * workspace is damaged: …".
 */
#ifndef DISK_QCOW2_H
#define DISK_QCOW2_H

#include <stddef.h>
#include <stdint.h>

struct pyro_error;
struct qcow2;

/* Both descriptors are borrowed until qcow2_free(). snapshot: NULL for the state without one. */
struct qcow2 *qcow2_open(int fd, int root_fd, const char *snapshot, struct pyro_error *err);
/* The size of the disk in bytes. */
uint64_t qcow2_size(const struct qcow2 *q);
/* Reads exactly len bytes, all of them within the disk. */
int qcow2_read(struct qcow2 *q, uint64_t offset, void *data, size_t len, struct pyro_error *err);
/*
 * The next place at or behind offset that may hold something else than zeros, and its length, at
 * most a cluster. 1, or 0 when there is none, or -1.
 */
int qcow2_next_data(struct qcow2 *q, uint64_t offset, uint64_t *ret_start, uint64_t *ret_len,
		    struct pyro_error *err);
struct qcow2 *qcow2_free(struct qcow2 *q);

#endif
