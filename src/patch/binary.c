#include "patch/binary.h"

#include "base/buf.h"
#include "patch/parse.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

/*
 * A line is the number of its bytes (A to Z: 1 to 26, a to z: 27 to 52) and five digits for each
 * four of them, the last ones padded.
 */
static size_t line_bytes(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (size_t)(c - 'A') + 1;
	return c >= 'a' && c <= 'z' ? (size_t)(c - 'a') + 27 : 0;
}

bool binary_decode(const char *line, size_t len, struct buf *out)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"!#$%&()*+-;<=>?@^_`{|}~";
	size_t bytes = len ? line_bytes(*line) : 0;

	if (!bytes || len - 1 != (bytes + 3) / 4 * 5)
		return false;
	for (line++; bytes; line += 5) {
		uint64_t value = 0;
		unsigned char four[4];
		size_t n = bytes < 4 ? bytes : 4;

		for (int i = 0; i < 5; i++) {
			const char *digit = line[i] ? strchr(digits, line[i]) : NULL;

			if (!digit)
				return false;
			value = value * 85 + (uint64_t)(digit - digits);
		}
		if (value > UINT32_MAX)
			return false;
		for (int i = 0; i < 4; i++)
			four[i] = (unsigned char)(value >> (24 - 8 * i));
		buf_append(out, four, n);
		bytes -= n;
	}
	return !out->is_full;
}

/* Exactly part->size bytes. */
static bool inflate_part(const struct parse_binary *part, struct buf *out)
{
	uLongf size = part->size;
	uLong used = part->deflated_len;
	/* One byte more, so that there is always room. */
	void *room = buf_room(out, part->size + 1);

	if (!room || !part->deflated ||
	    uncompress2(room, &size, (const Bytef *)part->deflated, &used) != Z_OK ||
	    size != part->size || used != part->deflated_len)
		return false;
	buf_grew(out, part->size);
	return true;
}

/*
 * A delta: the size of the old content, that of the new one, both with seven bits a byte, and then
 * commands. 0x80 and bits: copy from the old content; the bits tell which bytes of the offset (4)
 * and the length (3) follow. 1 to 127: so many bytes follow. 0 means nothing.
 */
struct delta {
	const unsigned char *at;
	const unsigned char *end;
};

static bool take_size(struct delta *d, size_t *ret)
{
	size_t value = 0;
	unsigned char c;
	int shift = 0;

	do {
		if (d->at == d->end || shift > 28)
			return false;
		c = *d->at++;
		value |= (size_t)(c & 0x7f) << shift;
		shift += 7;
	} while (c & 0x80);
	*ret = value;
	return true;
}

/* The bytes, lowest first, whose bits are set. */
static bool take_bytes(struct delta *d, unsigned bits, int n, size_t *ret)
{
	*ret = 0;
	for (int i = 0; i < n; i++)
		if (bits & (1u << i)) {
			if (d->at == d->end)
				return false;
			*ret |= (size_t)*d->at++ << (8 * i);
		}
	return true;
}

static bool apply_command(struct delta *d, const char *old_data, size_t old_len, struct buf *out)
{
	unsigned command = *d->at++;
	size_t offset, len;

	if (!(command & 0x80)) {
		if (!command || command > (size_t)(d->end - d->at))
			return false;
		buf_append(out, d->at, command);
		d->at += command;
		return true;
	}
	if (!take_bytes(d, command, 4, &offset) || !take_bytes(d, command >> 4 & 7, 3, &len))
		return false;
	len = len ? len : 0x10000;
	if (offset > old_len || len > old_len - offset)
		return false;
	buf_append(out, old_data + offset, len);
	return true;
}

static const char *apply_delta(const struct buf *delta, const char *old_data, size_t old_len,
			       struct buf *out)
{
	struct delta d = {(const unsigned char *)delta->data,
			  (const unsigned char *)delta->data + delta->len};
	size_t from, to, begin = out->len;

	if (!take_size(&d, &from) || !take_size(&d, &to))
		return "the delta is damaged";
	if (from != old_len)
		return "the delta is made for another file";
	while (d.at < d.end && !out->is_full && out->len - begin <= to)
		if (!apply_command(&d, old_data, old_len, out))
			return "the delta is damaged";
	if (out->is_full)
		return "the new content is larger than 16 MiB";
	return out->len - begin == to ? NULL : "the delta is damaged";
}

const char *binary_apply(const struct parse_binary *part, const char *old_data, size_t old_len,
			 struct buf *out)
{
	AUTO_BUF struct buf delta = BUF_INIT(PARSE_BINARY_MAX + 1);

	if (!inflate_part(part, part->is_delta ? &delta : out))
		return "the binary part is damaged";
	return part->is_delta ? apply_delta(&delta, old_data, old_len, out) : NULL;
}
