#include "base/err.h"
#include "base/utf8.h"
#include "tests/test.h"

#include <errno.h>

TEST("err_set fills message, code and the code's own hint")
{
	struct pyro_error err;

	CHECK_INT(err_set(&err, PYRO_E_UNKNOWN_ENVIRONMENT, "no environment '%s'", "x"), -1);
	CHECK_INT(err.code, PYRO_E_UNKNOWN_ENVIRONMENT);
	CHECK_STR(err.message, "no environment 'x'");
	CHECK_STR(err.hint, "pyro env list");
}

TEST("err_sys says why, and tells a full disk from other errors")
{
	struct pyro_error err;

	CHECK_INT(err_sys(&err, ENOENT, "open '%s'", "/x"), -1);
	CHECK_STR(err.message, "open '/x': No such file or directory");
	CHECK_INT(err.code, PYRO_E_SYSTEM);
	(void)err_sys(&err, ENOSPC, "write");
	CHECK_INT(err.code, PYRO_E_NO_SPACE);
	CHECK(pyro_code_retryable(err.code));
}

TEST("err_wrap puts context before the message and keeps code and hint")
{
	struct pyro_error err;

	(void)err_set(&err, PYRO_E_BUSY, "locked");
	(void)err_hint(&err, "wait for '%s'", "vm-1");
	CHECK_INT(err_wrap(&err, "start '%s'", "vm-1"), -1);
	CHECK_STR(err.message, "start 'vm-1': locked");
	CHECK_STR(err.hint, "wait for 'vm-1'");
	CHECK_INT(err.code, PYRO_E_BUSY);
}

TEST("err functions take NULL")
{
	CHECK_INT(err_set(NULL, PYRO_E_BUSY, "x"), -1);
	CHECK_INT(err_sys(NULL, EIO, "x"), -1);
	CHECK_INT(err_wrap(NULL, "x"), -1);
	CHECK_INT(err_hint(NULL, "x"), -1);
}

TEST("err messages stay one valid line, whatever is in them and however long")
{
	char text[2000];
	struct pyro_error err;

	for (size_t shift = 0; shift < 3; shift++) {
		for (size_t i = 0; i < sizeof(text) - 1; i++)
			text[i] = "\xE2\x82\xAC"[(i + shift) % 3];
		text[sizeof(text) - 1] = '\0';
		(void)err_set(&err, PYRO_E_INVALID, "bad '%s'", text);
		CHECK(utf8_is_valid(err.message, strlen(err.message)));
		(void)err_sys(&err, EIO, "a\nb\x1B %s", text);
		CHECK(utf8_is_valid(err.message, strlen(err.message)));
		CHECK(!strchr(err.message, '\n') && !strchr(err.message, '\x1B'));
		CHECK(strstr(err.message, "…"));
		(void)err_wrap(&err, "%s", text);
		CHECK(utf8_is_valid(err.message, strlen(err.message)));
		(void)err_hint(&err, "%s", text);
		CHECK(utf8_is_valid(err.hint, strlen(err.hint)));
	}
}

TEST("every error code has a wire name that leads back to it")
{
	for (int i = 1; i < PYRO_CODE_COUNT; i++)
		CHECK_INT(err_code_from_name(pyro_code_name((enum pyro_code)i)), i);
	CHECK_INT(err_code_from_name("ok"), PYRO_E_PROTOCOL);
	CHECK_INT(err_code_from_name("no such code"), PYRO_E_PROTOCOL);
	CHECK_STR(pyro_code_name(PYRO_CODE_COUNT), "unknown");
	CHECK_STR(err_default_hint(PYRO_E_INVALID), "");
}
