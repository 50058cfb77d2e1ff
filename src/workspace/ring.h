/*
 * ring: the last bytes of a stream without end, in a file of fixed room.
 *
 * Positions count from the beginning of the stream and never change: a ring of capacity C that took
 * T bytes keeps those from T - C to T. One process adds; anybody reads, also while it does, and
 * after any kill: what ring_read() gives back is always what the stream had there.
 *
 *	struct ring *r = ring_open(path, 1024 * 1024, &err);
 *	ring_add(r, data, len);
 *	ring_read(r, 0, 4096, &buf, &at);	buf holds the stream from at.from to at.next
 */
#ifndef WORKSPACE_RING_H
#define WORKSPACE_RING_H

#include "base/buf.h"

#include <stdint.h>

struct pyro_error;
struct ring;

#define RING_CAPACITY_MAX (64 * 1024 * 1024)

/* Positions in the stream, as they were when the bytes were read. */
struct ring_span {
	int64_t first; /* the oldest byte that is kept */
	int64_t from;  /* the first byte that was read: what was asked for, or `first` */
	int64_t next;  /* behind the last one that was read */
	int64_t end;   /* behind the newest one */
};

/*
 * Makes the file anew, and its directory if that is missing, with all of its room on the disk. Who
 * reads one that was there goes on reading that. NULL with err.
 */
struct ring *ring_open(const char *path, int64_t capacity, struct pyro_error *err);
/* An error of the disk ends what is kept, never the stream. */
void ring_add(struct ring *r, const void *data, size_t len);
/* Bytes that it took: the position of the next one. */
int64_t ring_end(const struct ring *r);
/* The file stays. NULL is fine; returns NULL. */
struct ring *ring_close(struct ring *r);

/*
 * Appends up to `max` bytes from position `from` on to `into`, as far as that has room for them. A
 * position that is kept no longer means the oldest one; one behind the end reads nothing (from and
 * next are the end). Nor does one whose bytes were overwritten while they were read, by a writer
 * that is that fast: next is behind them then.
 */
int ring_read(const struct ring *r, int64_t from, size_t max, struct buf *into,
	      struct ring_span *ret, struct pyro_error *err);
/* The same of a file, which somebody may be writing. A missing one is PYRO_E_NOT_FOUND. */
int ring_read_file(const char *path, int64_t from, size_t max, struct buf *into,
		   struct ring_span *ret, struct pyro_error *err);

#endif
