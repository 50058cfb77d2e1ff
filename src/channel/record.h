/*
 * Records: what the body of a call is made of, in both directions.
 *
 *	kind     1 byte    'J', 'j', 'I', 'O' or 'E'
 *	length   3 bytes   of the payload, big-endian, at most MUX_RECORD_MAX
 *	payload
 *
 * A JSON text that is longer than one record travels as 'j' records and a last 'J' record; the
 * reader puts it together again, up to MUX_JSON_MAX. Each stream (I, O, E) ends with one empty
 * record and has nothing behind it.
 *
 * The reader takes bytes in any pieces and trusts none of them: a kind that the side may not
 * send, a length or text beyond its maximum, an empty JSON record, bytes behind the end of a
 * stream, all are PYRO_E_PROTOCOL. Memory grows with the bytes that arrived, never with the
 * length that was announced.
 */
#ifndef CHANNEL_RECORD_H
#define CHANNEL_RECORD_H

#include "base/buf.h"
#include "channel/mux.h"

#define RECORD_HEAD_LEN 4
#define RECORD_JSON_PART 'j'

struct record_reader {
	const char *kinds; /* that may arrive here, such as "JI" */
	unsigned char head[RECORD_HEAD_LEN];
	size_t head_len;
	size_t missing; /* bytes of payload that are still to come */
	struct buf payload;
	struct buf json;
	bool has_ended[3]; /* I, O, E */
};

/* kinds: a string of enum mux_kind, static. */
void record_reader_init(struct record_reader *r, const char *kinds);
void record_reader_done(struct record_reader *r);

/*
 * Takes bytes from *data, advancing it and *len, until a record is whole or they are used up.
 * Returns 1 with the record, its payload owned by the caller; 0 when more bytes are needed; -1
 * with err when the peer broke the rules, after which the reader is of no further use.
 */
int record_read(struct record_reader *r, const char **data, size_t *len, enum mux_kind *ret_kind,
		struct buf *ret_payload, struct pyro_error *err);
/* Whether the bytes so far end with a whole record and a whole text. */
bool record_is_between(const struct record_reader *r);

/* Appends the records that carry data to out. */
void record_write(struct buf *out, enum mux_kind kind, const char *data, size_t len);

#endif
