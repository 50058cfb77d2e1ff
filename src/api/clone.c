/*
 * Not `git clone`, which cannot fetch one commit by its name without all of the history: a new
 * repository, one fetch of the ref, one checkout, then the submodules.
 */
#include "api/clone.h"

#include "api/git.h"
#include "api/handle.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/redact.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CLONE_MS (10 * 60 * 1000)
#define ERRORS_MAX (64 * 1024)
#define URL_MAX 4096
#define REF_MAX 1024
#define REMOTE_PROTOCOLS "https:http:ssh:git"

struct clone {
	struct pyro *p;
	const char *url;
	const char *shown;
	const char *ref; /* NULL: HEAD */
	const char *dir;
	const char *protocols;
	int64_t deadline;
	struct buf errors;
};

/*
 * Addresses.
 */

/* As git tells them apart: a path, unless there is a colon before its first slash. */
static bool is_path(const char *url)
{
	return url[strcspn(url, ":/")] != ':';
}

static bool is_local(const char *url)
{
	return is_path(url) || strncmp(url, "file://", 7) == 0;
}

/* "user:password" of "https://user:password@host/…"; its length, 0 if there is none. */
static const char *find_user(const char *url, size_t *ret_len)
{
	const char *host = strstr(url, "://");
	const char *at = NULL;

	*ret_len = 0;
	if (!host)
		return url;
	host += 3;
	for (size_t i = 0, end = strcspn(host, "/?#"); i < end; i++)
		if (host[i] == '@')
			at = host + i;
	*ret_len = at ? (size_t)(at - host) : 0;
	return host;
}

/* A name alone may be a token, except with ssh, where it is needed to see who is meant. */
static bool is_user_secret(const char *url, const char *user, size_t len)
{
	return memchr(user, ':', len) || strncmp(url, "ssh", 3) != 0;
}

char *clone_shown_url(const char *url)
{
	size_t len;
	const char *user = find_user(url, &len);

	if (!len || !is_user_secret(url, user, len))
		return mem_strdup(url);
	return mem_printf("%.*s%s", (int)(user - url), url, user + len + 1);
}

/* git's complaints name the address as it was given, or decoded, or less all up to the first @. */
static void redact(struct clone *c, struct pyro_error *err)
{
	size_t len;
	const char *at = find_user(c->url, &len);
	AUTO_FREE char *user = mem_strndup(at, len);
	const char *colon = strchr(user, ':');
	const char *secret = colon ? colon + 1 : user;
	AUTO_FREE char *decoded = parse_percent(secret);
	const char *sign = strchr(secret, '@');
	const char *const values[] = {secret, decoded, sign ? sign + 1 : NULL, NULL};
	struct redact_patterns *patterns;

	if (!err || !*secret || !is_user_secret(c->url, user, len))
		return;
	patterns = redact_patterns_new(values);
	redact_error(patterns, err);
	(void)redact_patterns_free(patterns);
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			return true;
	return false;
}

int clone_check(const char *url, const char *ref, struct pyro_error *err)
{
	if (!*url || *url == '-' || strlen(url) > URL_MAX || has_control(url))
		return err_set(err, PYRO_E_INVALID, "repo_url is not the address of a repository");
	/* What git forbids in names of branches would be something else to it. */
	if (ref && (!*ref || strchr("-+/.", *ref) || strlen(ref) > REF_MAX || has_control(ref) ||
		    ref[strcspn(ref, " ~^:?*[\\")] || strstr(ref, "..") || strstr(ref, "@{")))
		return err_set(err, PYRO_E_INVALID,
			       "repo_ref '%s' is not the name of a branch, tag or commit", ref);
	return 0;
}

/*
 * Steps.
 */

static int git(struct clone *c, const char *const *words, struct pyro_error *err)
{
	return git_run(c->p,
		       &(struct git_call){.words = words,
					  .cwd = c->dir,
					  .protocols = c->protocols,
					  .out_fd = -1,
					  .deadline = c->deadline,
					  .errors = &c->errors},
		       err);
}

static int err_git(const struct clone *c, struct pyro_error *err)
{
	AUTO_FREE char *reason = git_reason(&c->errors);

	return err_set(err, PYRO_E_SYSTEM, "clone '%s': %s", c->shown, reason);
}

static int must(struct clone *c, const char *const *words, struct pyro_error *err)
{
	int status = git(c, words, err);

	return status > 0 ? err_git(c, err) : status;
}

static bool complains(const struct clone *c, const char *of)
{
	return strstr(buf_text(&c->errors), of);
}

static bool is_commit(const char *ref)
{
	return strlen(ref) >= 4 && ref[strspn(ref, "0123456789abcdefABCDEF")] == '\0';
}

static int err_ref(const struct clone *c, struct pyro_error *err)
{
	if (!c->ref)
		return err_set(err, PYRO_E_NOT_FOUND, "'%s' has no commit yet", c->shown);
	return err_set(err, PYRO_E_NOT_FOUND, "'%s' has no branch, tag or commit '%s'", c->shown,
		       c->ref);
}

static int fetch_ref(struct clone *c, bool is_shallow, struct pyro_error *err)
{
	const char *const words[] = {"fetch",
				     "-q",
				     "--no-tags",
				     "--no-recurse-submodules",
				     is_shallow ? "--depth=1" : "--no-auto-gc",
				     "--",
				     "origin",
				     c->ref ? c->ref : "HEAD",
				     NULL};

	return git(c, words, err);
}

/* A server may know a commit, but not by the beginning of its name, or not outside of a branch. */
static int fetch_all(struct clone *c, struct pyro_error *err)
{
	static const char *const words[] = {"fetch",
					    "-q",
					    "--no-recurse-submodules",
					    "--",
					    "origin",
					    "+refs/heads/*:refs/remotes/origin/*",
					    "+refs/tags/*:refs/tags/*",
					    NULL};

	return must(c, words, err);
}

static int check_out(struct clone *c, const char *what, struct pyro_error *err)
{
	const char *const words[] = {"checkout", "-q", "--detach", what, "--", NULL};

	return git(c, words, err);
}

static int fetch_commit(struct clone *c, struct pyro_error *err)
{
	AUTO_FREE char *commit = mem_printf("%s^{commit}", c->ref);
	int status = fetch_all(c, err);

	if (status == 0)
		status = check_out(c, commit, err);
	return status > 0 ? err_ref(c, err) : status;
}

static int fetch(struct clone *c, struct pyro_error *err)
{
	int status = fetch_ref(c, true, err);

	if (status > 0 && complains(c, "shallow")) /* a plain web server has no parts of history */
		status = fetch_ref(c, false, err);
	if (status > 0 && c->ref && is_commit(c->ref))
		return fetch_commit(c, err);
	if (status > 0 && complains(c, "couldn't find remote ref"))
		return err_ref(c, err);
	if (status == 0)
		status = check_out(c, "FETCH_HEAD", err);
	return status > 0 ? err_git(c, err) : status;
}

static int add_submodules(struct clone *c, struct pyro_error *err)
{
	static const char *const words[] = {"submodule", "-q",          "update",
					    "--init",    "--recursive", NULL};
	AUTO_FREE char *list = mem_printf("%s/.gitmodules", c->dir);

	return file_exists(list) ? must(c, words, err) : 0;
}

static int make(struct clone *c, struct pyro_error *err)
{
	static const char *const init[] = {"init", "-q", NULL};
	const char *const remote[] = {"remote", "add", "--", "origin", c->url, NULL};

	if (mkdir(c->dir, 0755) < 0)
		return err_sys(err, errno, "create '%s'", c->dir);
	if (must(c, init, err) < 0 || must(c, remote, err) < 0 || fetch(c, err) < 0)
		return -1;
	return add_submodules(c, err);
}

int clone_make(struct pyro *p, const char *url, const char *ref, const char *dir,
	       struct pyro_error *err)
{
	AUTO_FREE char *path = is_path(url) ? realpath(url, NULL) : NULL;
	AUTO_FREE char *shown = clone_shown_url(url);
	struct clone c = {
		.p = p,
		.url = path ? path : url,
		.shown = shown,
		.ref = ref,
		.dir = dir,
		.protocols = is_local(url) ? "file:" REMOTE_PROTOCOLS : REMOTE_PROTOCOLS,
		.deadline = deadline_in(CLONE_MS),
		.errors = BUF_INIT(ERRORS_MAX),
	};
	int result;

	if (is_path(url) && !path)
		return err_sys(err, errno, "clone '%s'", url);
	handle_phase(p, "workspace-create", "phase=clone url=%s%s%s", shown, ref ? " ref=" : "",
		     ref ? ref : "");
	result = make(&c, err);
	if (result < 0)
		redact(&c, err);
	buf_done(&c.errors);
	return result;
}
