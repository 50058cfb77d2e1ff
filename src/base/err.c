#include "base/err.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	bool retryable;
	const char *hint;
} rows[PYRO_CODE_COUNT] = {
	[PYRO_OK] = {"ok", false, NULL},
#define ERR(code, wire, retryable, hint) [PYRO_E_##code] = {wire, retryable, hint},
#include "ops/errors.def"
#undef ERR
};

const char *pyro_code_name(enum pyro_code code)
{
	return (unsigned)code < PYRO_CODE_COUNT ? rows[code].name : "unknown";
}

bool pyro_code_retryable(enum pyro_code code)
{
	return (unsigned)code < PYRO_CODE_COUNT && rows[code].retryable;
}

const char *err_default_hint(enum pyro_code code)
{
	const char *hint = (unsigned)code < PYRO_CODE_COUNT ? rows[code].hint : NULL;

	return hint ? hint : "";
}

enum pyro_code err_code_from_name(const char *name)
{
	for (int i = 1; i < PYRO_CODE_COUNT; i++)
		if (strcmp(rows[i].name, name) == 0)
			return (enum pyro_code)i;
	return PYRO_E_PROTOCOL;
}

/*
 * One line of valid UTF-8, whatever came in: messages end up in JSON and on terminals. `whole` is
 * how long the text would be that had to fit.
 */
static void settle(char *text, size_t size, size_t whole)
{
	static const char more[] = "…";

	text[size - 1] = '\0';
	if (whole >= size) /* it was cut */
		memcpy(text + utf8_start(text, size - 1, size - sizeof(more)), more, sizeof(more));
	utf8_clean_line(text);
}

PRINTF(3, 0)
static void fill(struct pyro_error *err, enum pyro_code code, const char *fmt, va_list ap)
{
	err->code = code;
	settle(err->message, sizeof(err->message),
	       (size_t)vsnprintf(err->message, sizeof(err->message), fmt, ap));
	(void)snprintf(err->hint, sizeof(err->hint), "%s", err_default_hint(code));
}

int err_set(struct pyro_error *err, enum pyro_code code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	return -1;
}

static enum pyro_code code_from_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		return PYRO_E_NO_SPACE;
	case ETIMEDOUT:
		return PYRO_E_TIMEOUT;
	case ECANCELED:
		return PYRO_E_CANCELLED;
	default:
		return PYRO_E_SYSTEM;
	}
}

int err_sys(struct pyro_error *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	size_t used;

	if (!err)
		return -1;
	va_start(ap, fmt);
	fill(err, code_from_errno(errnum), fmt, ap);
	va_end(ap);
	used = strlen(err->message);
	used += (size_t)snprintf(err->message + used, sizeof(err->message) - used, ": %s",
				 strerror(errnum));
	settle(err->message, sizeof(err->message), used);
	return -1;
}

int err_wrap(struct pyro_error *err, const char *fmt, ...)
{
	char old[sizeof(err->message)];
	va_list ap;
	size_t used;

	if (!err)
		return -1;
	memcpy(old, err->message, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	used = strlen(err->message);
	used += (size_t)snprintf(err->message + used, sizeof(err->message) - used, ": %s", old);
	settle(err->message, sizeof(err->message), used);
	return -1;
}

int err_hint(struct pyro_error *err, const char *fmt, ...)
{
	va_list ap;
	size_t whole;

	if (!err)
		return -1;
	va_start(ap, fmt);
	whole = (size_t)vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	settle(err->hint, sizeof(err->hint), whole);
	return -1;
}
