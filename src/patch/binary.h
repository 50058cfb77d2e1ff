/*
 * binary: the encoding of binary changes in git's patches: base-85 of deflated bytes, which are the
 * new content, or a delta that makes it from the old one.
 */
#ifndef PATCH_BINARY_H
#define PATCH_BINARY_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct parse_binary;

/* Appends what one line stands for; false if it is none. */
bool binary_decode(const char *line, size_t len, struct buf *out);
/* Appends the new content. Returns NULL, or what is wrong. */
const char *binary_apply(const struct parse_binary *part, const char *old_data, size_t old_len,
			 struct buf *out);

#endif
