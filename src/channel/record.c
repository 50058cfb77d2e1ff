#include "channel/record.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

void record_reader_init(struct record_reader *r, const char *kinds)
{
	*r = (struct record_reader){
		.kinds = kinds,
		.payload = BUF_INIT(MUX_RECORD_MAX),
		.json = BUF_INIT(MUX_JSON_MAX),
	};
}

void record_reader_done(struct record_reader *r)
{
	buf_done(&r->payload);
	buf_done(&r->json);
}

static bool *ended(struct record_reader *r, unsigned char kind)
{
	return &r->has_ended[kind == MUX_IN ? 0 : kind == MUX_OUT ? 1 : 2];
}

static int begin_record(struct record_reader *r, struct pyro_error *err)
{
	unsigned char kind = r->head[0];
	bool is_json = kind == MUX_JSON || kind == RECORD_JSON_PART;

	r->missing = (size_t)r->head[1] << 16 | (size_t)r->head[2] << 8 | r->head[3];
	if (kind == '\0' || !strchr(r->kinds, is_json ? MUX_JSON : kind))
		return err_set(err, PYRO_E_PROTOCOL, "record of unexpected kind 0x%02x", kind);
	if (r->missing > MUX_RECORD_MAX)
		return err_set(err, PYRO_E_PROTOCOL, "record of %zu bytes is too long", r->missing);
	if (is_json && r->missing == 0)
		return err_set(err, PYRO_E_PROTOCOL, "empty JSON record");
	if (is_json && r->missing > MUX_JSON_MAX - r->json.len)
		return err_set(err, PYRO_E_PROTOCOL, "JSON text is longer than %d bytes",
			       MUX_JSON_MAX);
	if (is_json)
		return 0;
	if (*ended(r, kind))
		return err_set(err, PYRO_E_PROTOCOL, "record behind the end of stream '%c'", kind);
	*ended(r, kind) = r->missing == 0;
	return 0;
}

static bool is_json_kind(const struct record_reader *r)
{
	return r->head[0] == MUX_JSON || r->head[0] == RECORD_JSON_PART;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Takes what *data has of the head; true when the head is whole. */
static bool take_head(struct record_reader *r, const char **data, size_t *len)
{
	size_t n = smaller(RECORD_HEAD_LEN - r->head_len, *len);

	memcpy(r->head + r->head_len, *data, n);
	r->head_len += n;
	*data += n;
	*len -= n;
	return r->head_len == RECORD_HEAD_LEN;
}

static void take_payload(struct record_reader *r, const char **data, size_t *len)
{
	size_t n = smaller(r->missing, *len);

	buf_append(is_json_kind(r) ? &r->json : &r->payload, *data, n);
	r->missing -= n;
	*data += n;
	*len -= n;
}

int record_read(struct record_reader *r, const char **data, size_t *len, enum mux_kind *ret_kind,
		struct buf *ret_payload, struct pyro_error *err)
{
	while (*len > 0) {
		if (r->head_len < RECORD_HEAD_LEN) {
			if (!take_head(r, data, len))
				return 0;
			if (begin_record(r, err) < 0)
				return -1;
		}
		take_payload(r, data, len);
		if (r->missing > 0)
			return 0;
		r->head_len = 0;
		if (r->head[0] != RECORD_JSON_PART) {
			struct buf *whole = is_json_kind(r) ? &r->json : &r->payload;

			*ret_kind = (enum mux_kind)r->head[0];
			*ret_payload = *whole;
			*whole = (struct buf)BUF_INIT(whole->max);
			return 1;
		}
	}
	return 0;
}

bool record_is_between(const struct record_reader *r)
{
	return r->head_len == 0 && r->json.len == 0;
}

static void put_record(struct buf *out, unsigned char kind, const char *data, size_t len)
{
	unsigned char head[RECORD_HEAD_LEN] = {kind, (unsigned char)(len >> 16),
					       (unsigned char)(len >> 8), (unsigned char)len};

	buf_append(out, head, sizeof(head));
	buf_append(out, data, len);
}

void record_write(struct buf *out, enum mux_kind kind, const char *data, size_t len)
{
	while (len > MUX_RECORD_MAX) {
		put_record(out, kind == MUX_JSON ? RECORD_JSON_PART : kind, data, MUX_RECORD_MAX);
		data += MUX_RECORD_MAX;
		len -= MUX_RECORD_MAX;
	}
	put_record(out, (unsigned char)kind, data, len);
}
