#include "base/buf.h"
#include "tests/test.h"

#include <stdint.h>

TEST("buf holds exactly its maximum and refuses the next byte")
{
	AUTO_BUF struct buf b = BUF_INIT(4);

	buf_puts(&b, "abcd");
	CHECK(!b.is_full);
	buf_puts(&b, "e");
	CHECK(b.is_full);
	CHECK_STR(buf_text(&b), "abcd");
}

TEST("buf appends all of a piece or nothing of it")
{
	AUTO_BUF struct buf b = BUF_INIT(5);

	buf_puts(&b, "abc");
	buf_puts(&b, "defg");
	CHECK_STR(buf_text(&b), "abc");
	CHECK(b.is_full);
}

TEST("buf takes nothing more once it refused something, so text never has a hole")
{
	AUTO_BUF struct buf b = BUF_INIT(5);

	buf_puts(&b, "abc");
	buf_puts(&b, "defg");
	buf_puts(&b, "h");
	CHECK_STR(buf_text(&b), "abc");
	buf_reset(&b);
	buf_puts(&b, "h");
	CHECK_STR(buf_text(&b), "h");
}

TEST("buf without an append is an empty text that can be taken")
{
	struct buf b = BUF_INIT(8);
	char *text;

	CHECK_STR(buf_text(&b), "");
	buf_consume(&b, 0);
	text = buf_take(&b);
	CHECK_STR(text, "");
	free(text);
}

TEST("buf_take hands the text over and leaves an empty buffer with the same maximum")
{
	struct buf b = BUF_INIT(8);
	char *text;

	buf_printf(&b, "%s-%d", "vm", 7);
	text = buf_take(&b);
	CHECK_STR(text, "vm-7");
	CHECK_INT(b.len, 0);
	buf_puts(&b, "12345678");
	CHECK_STR(buf_text(&b), "12345678");
	free(text);
	buf_done(&b);
}

TEST("buf_consume drops from the front and makes room again")
{
	AUTO_BUF struct buf b = BUF_INIT(6);

	buf_puts(&b, "abcdef");
	buf_consume(&b, 4);
	CHECK_STR(buf_text(&b), "ef");
	buf_puts(&b, "ghij");
	CHECK_STR(buf_text(&b), "efghij");
}

TEST("buf_room gives writable space that counts only after buf_grew")
{
	AUTO_BUF struct buf b = BUF_INIT(1000);
	char *room = buf_room(&b, 1000);

	memset(room, 'x', 1000);
	CHECK_INT(b.len, 0);
	buf_grew(&b, 1000);
	CHECK_INT(strlen(buf_text(&b)), 1000);
	CHECK(!buf_room(&b, 1));
}

TEST("buf with the largest maximum there is still allocates what it needs")
{
	AUTO_BUF struct buf b = BUF_INIT(SIZE_MAX);

	for (int i = 0; i < 1000; i++)
		buf_puts(&b, "0123456789");
	CHECK_INT(b.len, 10000);
	CHECK(!buf_room(&b, SIZE_MAX));
}

TEST("buf_append_last keeps the last bytes, however they come, and is never full")
{
	AUTO_BUF struct buf b = BUF_INIT(4);

	buf_append_last(&b, "abc", 3);
	CHECK_STR(buf_text(&b), "abc");
	buf_append_last(&b, "de", 2);
	CHECK_STR(buf_text(&b), "bcde");
	buf_append_last(&b, "0123456789", 10);
	CHECK_STR(buf_text(&b), "6789");
	CHECK(!b.is_full);
}
