#include "image/reference.h"

#include "base/err.h"
#include "base/parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES_MAX 1024
#define REPOSITORY_MAX 255
#define TAG_MAX 128
#define DIGEST_PREFIX "sha256:"
#define DIGEST_DIGITS 64

static const char layout_prefix[] = "oci:", archive_prefix[] = "docker-archive:";

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool reference_is(const char *name)
{
	size_t len = strcspn(name, "/");

	if (has_prefix(name, layout_prefix) || has_prefix(name, archive_prefix))
		return true;
	if (!name[len] || (!isalnum((unsigned char)*name) && *name != '['))
		return false;
	return memchr(name, '.', len) || memchr(name, ':', len) ||
	       (len == 9 && strncmp(name, "localhost", len) == 0);
}

bool reference_is_digest(const char *text)
{
	size_t len = strlen(DIGEST_PREFIX);

	return has_prefix(text, DIGEST_PREFIX) && strlen(text) == len + DIGEST_DIGITS &&
	       strspn(text + len, "0123456789abcdef") == DIGEST_DIGITS;
}

static bool is_word(const char *text, const char *also, bool upper)
{
	for (; *text; text++)
		if (!isdigit((unsigned char)*text) && !islower((unsigned char)*text) &&
		    !(upper && isupper((unsigned char)*text)) && !strchr(also, *text))
			return false;
	return true;
}

/* Words of letters and digits, '.', '_' and '-' only inside of them, '/' between. */
static bool is_repository(const char *text)
{
	char before = '/';

	if (strlen(text) > REPOSITORY_MAX || !is_word(text, "._-/", false))
		return false;
	for (; *text; before = *text++)
		if ((before == '/' && !isalnum((unsigned char)*text)) ||
		    (*text == '/' && !isalnum((unsigned char)before)))
			return false;
	return isalnum((unsigned char)before);
}

static bool is_tag(const char *text)
{
	return *text && strlen(text) <= TAG_MAX && *text != '.' && *text != '-' &&
	       is_word(text, "._-", true);
}

/* A name or an address, which has brackets if it is IPv6, and perhaps a port. */
static bool is_registry(const char *text)
{
	const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
	size_t len = bracket ? (size_t)(bracket - text) + 1 : strcspn(text, ":");
	AUTO_FREE char *host = mem_strndup(text, len);
	struct in6_addr address;
	int64_t port;

	if (text[len] && (text[len] != ':' || !parse_int(text + len + 1, 1, UINT16_MAX, &port)))
		return false;
	if (bracket) {
		host[len - 1] = '\0';
		return inet_pton(AF_INET6, host + 1, &address) == 1;
	}
	return *host && len <= REPOSITORY_MAX && is_word(host, ".-", true);
}

static int bad(struct pyro_error *err, const char *name, const char *why)
{
	return err_set(err, PYRO_E_INVALID, "image reference '%.200s' %s", name, why);
}

/* The path of "PREFIX:PATH[:TAG]", made absolute, and its tag. */
static int parse_local(const char *name, const char *rest, struct reference *ret,
		       struct pyro_error *err)
{
	size_t len = strcspn(rest, ":");
	AUTO_FREE char *path = mem_strndup(rest, len);
	AUTO_FREE char *cwd = NULL;

	if (!len)
		return bad(err, name, "has no path");
	if (rest[len])
		ret->tag = mem_strdup(rest + len + 1);
	if (ret->tag && !*ret->tag)
		return bad(err, name, "has an empty tag");
	while (has_prefix(path, "./"))
		memmove(path, path + 2, strlen(path) - 1);
	if (*path != '/')
		cwd = getcwd(NULL, 0);
	ret->path = cwd ? mem_printf("%s/%s", cwd, path) : TAKE_PTR(path);
	return 0;
}

static int parse_registry(const char *name, struct reference *ret, struct pyro_error *err)
{
	AUTO_FREE char *text = mem_strdup(name);
	char *digest = strchr(text, '@');
	char *path, *tag;

	if (digest)
		*digest++ = '\0';
	path = strchr(text, '/');
	if (!path)
		return bad(err, name, "has no repository");
	*path++ = '\0';
	tag = strchr(path, ':');
	if (tag)
		*tag++ = '\0';
	if (!is_registry(text))
		return bad(err, name, "has a bad registry");
	if (!is_repository(path))
		return bad(err, name, "has a bad repository: lower-case words with '/' between");
	if (tag && !is_tag(tag))
		return bad(err, name, "has a bad tag");
	if (digest && !reference_is_digest(digest))
		return bad(err, name, "has a digest that is not sha256 and 64 digits");
	ret->registry = mem_strdup(text);
	ret->repository = strcmp(text, "docker.io") == 0 && !strchr(path, '/')
				  ? mem_printf("library/%s", path)
				  : mem_strdup(path);
	ret->tag = mem_strdup(tag ? tag : "latest");
	ret->digest = digest ? mem_strdup(digest) : NULL;
	return 0;
}

int reference_parse(const char *name, struct reference *ret, struct pyro_error *err)
{
	*ret = (struct reference)REFERENCE_INIT;
	if (strlen(name) > NAME_BYTES_MAX)
		return bad(err, name, "is too long");
	for (const char *p = name; *p; p++)
		if (iscntrl((unsigned char)*p))
			return bad(err, name, "has a control character in it");
	if (has_prefix(name, layout_prefix)) {
		ret->kind = REFERENCE_LAYOUT;
		return parse_local(name, name + strlen(layout_prefix), ret, err);
	}
	if (has_prefix(name, archive_prefix)) {
		ret->kind = REFERENCE_ARCHIVE;
		return parse_local(name, name + strlen(archive_prefix), ret, err);
	}
	return parse_registry(name, ret, err);
}

void reference_done(struct reference *reference)
{
	free(reference->registry);
	free(reference->repository);
	free(reference->path);
	free(reference->tag);
	free(reference->digest);
	*reference = (struct reference)REFERENCE_INIT;
}

char *reference_install_name(const char *name)
{
	AUTO_REFERENCE struct reference r = REFERENCE_INIT;

	if (!reference_is(name) || reference_parse(name, &r, NULL) < 0 || !r.path)
		return mem_strdup(name);
	return mem_printf("%s%s%s%s", r.kind == REFERENCE_LAYOUT ? layout_prefix : archive_prefix,
			  r.path, r.tag ? ":" : "", r.tag ? r.tag : "");
}
