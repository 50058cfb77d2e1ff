#include "cli/exit.h"

#include "base/buf.h"
#include "base/err.h"
#include "ops/values.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

int exit_write(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd wait = {.fd = fd, .events = POLLOUT};

			(void)poll(&wait, 1, 1000);
		} else if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

int exit_unwritten(int errnum)
{
	struct pyro_error err;

	if (errnum == EPIPE)
		return EXIT_PIPE;
	(void)err_sys(&err, errnum, "write to standard output");
	return exit_error(&err, /* as_json= */ false);
}

int exit_text(const struct buf *text, int code)
{
	int errnum = exit_write(STDOUT_FILENO, buf_text(text), text->len);

	return errnum ? exit_unwritten(errnum) : code;
}

static int code_of(const struct pyro_error *err)
{
	return err->code == PYRO_E_USAGE || err->code == PYRO_E_INVALID ? EXIT_USAGE : EXIT_OWN;
}

int exit_error(const struct pyro_error *err, bool as_json)
{
	AUTO_BUF struct buf out = BUF_INIT(64 * 1024);

	if (as_json) {
		json_t *whole = json_pack("{s:o}", "error", values_encode_error(err));
		AUTO_FREE char *text = json_dumps(whole, JSON_INDENT(2));

		json_decref(whole);
		buf_printf(&out, "%s\n", text ? text : "{}");
		return exit_text(&out, code_of(err));
	}
	buf_printf(&out, "pyro: %s\n", err->message);
	if (err->hint[0])
		buf_printf(&out, "hint: %s\n", err->hint);
	(void)exit_write(STDERR_FILENO, buf_text(&out), out.len);
	return code_of(err);
}
