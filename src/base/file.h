/*
 * Files and directories: whole-file reads with a limit, writes that survive a crash, trees.
 *
 * Every descriptor is close-on-exec. Paths are NUL-terminated and used as given.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pyro_error;

/* Reads all of a file of at most out->max bytes, appending to out. */
int file_read(const char *path, struct buf *out, struct pyro_error *err);
/* The same of what is open and waits for its bytes; errors call it `path`. */
int file_read_fd(int fd, const char *path, struct buf *out, struct pyro_error *err);
/*
 * Replaces path as a whole: temporary file, fsync, rename, fsync of the directory. The temporary
 * file has always the same name and is locked, so what a kill has left of it goes with the next
 * one.
 */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
		      struct pyro_error *err);
/* Writes all of data to fd, waiting where needed. */
int file_write_all(int fd, const void *data, size_t len, struct pyro_error *err);
/* The same of a file, from an offset on. */
int file_write_at(int fd, const void *data, size_t len, int64_t at, struct pyro_error *err);
/* Reads until the end what nobody needs, so that who sends it can finish. */
int file_drain(int fd, struct pyro_error *err);
/* Copies a regular file; sparse stays sparse, and the file system shares blocks if it can. */
int file_copy(const char *from, const char *to, mode_t mode, struct pyro_error *err);
/* fsync of a directory, so that renames in it are durable. */
int file_sync_dir(const char *path, struct pyro_error *err);
bool file_exists(const char *path);

/* mkdir -p; directories that it makes get `mode`. */
int dir_make(const char *path, mode_t mode, struct pyro_error *err);
/*
 * rm -r, also of what is in directories that are closed to their owner: never follows symbolic
 * links, stays on one file system; missing is fine.
 */
int dir_remove(const char *path, struct pyro_error *err);
/* Bytes of disk that the tree occupies. */
int64_t dir_disk_bytes(const char *path);
/* Bytes that an ordinary user can still write to the file system that holds path. */
int64_t dir_free_bytes(const char *path);

/*
 * An exclusive lock on a file that is made if missing. Returns the descriptor that holds the lock
 * (closing it, or dying, releases it), or -1: PYRO_E_BUSY if somebody holds it until the deadline.
 */
int file_lock(const char *path, int64_t deadline, struct pyro_error *err);
/* The same, but with any number of others who share it. */
int file_lock_shared(const char *path, int64_t deadline, struct pyro_error *err);
/* Whether somebody holds the lock now. */
bool file_is_locked(const char *path);

#endif
