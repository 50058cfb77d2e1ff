#include "base/err.h"
#include "channel/record.h"
#include "tests/test.h"

struct got {
	int records;
	enum mux_kind kind;
	size_t len;
};

/* Feeds text in pieces of `step` bytes; 0, or the code of the error. */
static enum pyro_code feed(struct record_reader *r, const char *data, size_t len, size_t step,
			   struct got *got)
{
	while (len > 0) {
		size_t n = len < step ? len : step;
		struct pyro_error err;
		struct buf payload;
		int result;

		len -= n;
		while ((result = record_read(r, &data, &n, &got->kind, &payload, &err)) > 0) {
			got->records++;
			got->len = payload.len;
			buf_done(&payload);
		}
		if (result < 0)
			return err.code;
	}
	return PYRO_OK;
}

static enum pyro_code feed_all(const char *kinds, const char *data, size_t len, struct got *got)
{
	struct record_reader r;
	enum pyro_code code;

	*got = (struct got){0};
	record_reader_init(&r, kinds);
	code = feed(&r, data, len, len, got);
	record_reader_done(&r);
	return code;
}

#define FEED(kinds, bytes, got) feed_all(kinds, bytes, sizeof(bytes) - 1, got)

TEST("what record_write writes, record_read reads, however it is cut")
{
	static char data[MUX_RECORD_MAX * 2 + 5];

	for (size_t step = 1; step < 300000; step = step * 7 + 1) {
		struct buf wire = BUF_INIT(4 * MUX_RECORD_MAX);
		struct got got = {0};
		struct record_reader r;

		record_reader_init(&r, "JI");
		record_write(&wire, MUX_JSON, data, sizeof(data));
		CHECK_INT(feed(&r, wire.data, wire.len, step, &got), PYRO_OK);
		CHECK(got.records == 1 && got.kind == MUX_JSON && got.len == sizeof(data));
		buf_reset(&wire);
		record_write(&wire, MUX_IN, data, sizeof(data));
		record_write(&wire, MUX_IN, NULL, 0);
		CHECK_INT(feed(&r, wire.data, wire.len, step, &got), PYRO_OK);
		CHECK(got.records == 5 && got.kind == MUX_IN && got.len == 0);
		CHECK(record_is_between(&r));
		record_reader_done(&r);
		buf_done(&wire);
	}
}

TEST("a record that breaks a rule is refused")
{
	struct got got;

	CHECK_INT(FEED("JI", "O\0\0\1x", &got), PYRO_E_PROTOCOL);
	CHECK_INT(FEED("JI", "\0\0\0\1x", &got), PYRO_E_PROTOCOL);
	CHECK_INT(FEED("JOE", "I\0\0\1x", &got), PYRO_E_PROTOCOL);
	CHECK_INT(FEED("JI", "I\4\0\1x", &got), PYRO_E_PROTOCOL); /* longer than a record */
	CHECK_INT(FEED("JI", "J\0\0\0", &got), PYRO_E_PROTOCOL);
	CHECK_INT(FEED("JI", "j\0\0\1{J\0\0\0", &got), PYRO_E_PROTOCOL);
	CHECK_INT(FEED("JI", "I\0\0\0I\0\0\1x", &got), PYRO_E_PROTOCOL);
	CHECK_INT(FEED("JI", "I\0\0\0I\0\0\0", &got), PYRO_E_PROTOCOL);
}

TEST("the largest record is taken, streams end on their own, texts may come in between")
{
	static char big[4 + MUX_RECORD_MAX] = "I\4\0\0";
	struct got got;

	CHECK_INT(feed_all("JI", big, sizeof(big), &got), PYRO_OK);
	CHECK(got.records == 1 && got.len == MUX_RECORD_MAX);
	CHECK_INT(FEED("JOE", "O\0\0\0j\0\0\1{E\0\0\1xJ\0\0\1}E\0\0\0", &got), PYRO_OK);
	CHECK_INT(got.records, 4);
}

TEST("a text beyond the limit is refused before its last part arrives")
{
	static char part[4 + MUX_RECORD_MAX] = "j\4\0\0";
	struct got got = {0};
	struct record_reader r;

	record_reader_init(&r, "JI");
	for (int i = 0; i < MUX_JSON_MAX / MUX_RECORD_MAX; i++)
		CHECK_INT(feed(&r, part, sizeof(part), sizeof(part), &got), PYRO_OK);
	CHECK(!record_is_between(&r));
	CHECK_INT(feed(&r, "j\0\0\1", 4, 4, &got), PYRO_E_PROTOCOL);
	record_reader_done(&r);
}

TEST("memory follows what arrived, not what was announced")
{
	struct got got = {0};
	struct record_reader r;

	record_reader_init(&r, "JI");
	CHECK_INT(feed(&r, "I\4\0\0abc", 7, 7, &got), PYRO_OK);
	CHECK(r.payload.cap < 4096);
	CHECK(!record_is_between(&r));
	record_reader_done(&r);
}
