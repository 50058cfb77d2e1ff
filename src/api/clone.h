/*
 * clone: a fresh checkout of somebody's repository.
 */
#ifndef API_CLONE_H
#define API_CLONE_H

struct pyro;
struct pyro_error;

/*
 * Makes `dir`, which does not exist, with the files of `ref` (a branch, a tag or a commit; NULL:
 * what the repository has as its HEAD) and of its submodules. The history is not fetched where that
 * can be avoided. PYRO_E_NOT_FOUND for a repository or ref that does not exist; messages have no
 * password that the address has.
 */
int clone_make(struct pyro *p, const char *url, const char *ref, const char *dir,
	       struct pyro_error *err);

/* PYRO_E_INVALID for what git would take as something else than an address and a ref. */
int clone_check(const char *url, const char *ref, struct pyro_error *err);

/* The address without user and password, as anybody may see it. Owned by the caller. */
char *clone_shown_url(const char *url);

#endif
