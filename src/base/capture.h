/*
 * struct capture: a bounded record of a stream. The first half of the limit is kept from the
 * beginning, the other half from the end; what lies between is counted and cut, never silently.
 */
#ifndef BASE_CAPTURE_H
#define BASE_CAPTURE_H

#include "base/buf.h"

#include <stdint.h>

struct capture {
	size_t limit;
	int64_t total; /* bytes that were added */
	struct buf head;
	struct buf tail; /* the last limit / 2 bytes and up to as many before them */
};

/* limit: bytes to keep at the most. */
void capture_init(struct capture *c, size_t limit);
void capture_add(struct capture *c, const void *data, size_t len);
bool capture_is_truncated(const struct capture *c);
/*
 * What was kept, as valid UTF-8, with a line in the middle that says how much was cut. Owned by
 * the caller. The cut never splits a character.
 */
char *capture_text(const struct capture *c);
void capture_done(struct capture *c);

#endif
