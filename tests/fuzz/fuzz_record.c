/*
 * The reader of records, fed arbitrary bytes in two pieces. The first byte says whose records they
 * are and where the cut is.
 */
#include "base/err.h"
#include "channel/record.h"
#include "fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct record_reader r;
	size_t cut, left;
	const char *data = (const char *)bytes + 1;
	int result = 0;

	if (size < 2)
		return 0;
	size--;
	cut = (bytes[0] & 0x7f) % size;
	record_reader_init(&r, bytes[0] & 0x80 ? "JI" : "JOE");
	for (int piece = 0; piece < 2 && result == 0; piece++) {
		struct pyro_error err = {0};
		enum mux_kind kind;
		struct buf payload;

		left = piece == 0 ? cut : size - cut;
		while ((result = record_read(&r, &data, &left, &kind, &payload, &err)) > 0) {
			assert(payload.len <= (kind == MUX_JSON ? MUX_JSON_MAX : MUX_RECORD_MAX));
			buf_done(&payload);
		}
		assert(result < 0 ? err.code == PYRO_E_PROTOCOL : left == 0);
	}
	record_reader_done(&r);
	return 0;
}
