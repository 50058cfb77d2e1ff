/*
 * project: what a workspace is filled with when nobody says it (pyro_set_project in pyro.h).
 * docs/design/project-source.md has the reasons.
 */
#ifndef API_PROJECT_H
#define API_PROJECT_H

#include "pyro.h"

struct project;
struct transfer;

enum project_kind {
	PROJECT_NONE,
	PROJECT_TRACKED, /* the files below `path` that git tracks */
	PROJECT_WHOLE,   /* `path`, which is in no checkout */
	PROJECT_CLONE,   /* `url` at `ref` */
};

struct project_source {
	enum project_kind kind;
	char *path;      /* absolute, for TRACKED and WHOLE */
	const char *url; /* borrowed from the handle, for CLONE */
	const char *ref; /* as url; NULL: the repository's HEAD */
};

/* Decides without starting a process. *ret is the caller's: project_source_done(). */
int project_choose(struct pyro *p, struct project_source *ret, struct pyro_error *err);
void project_source_done(struct project_source *source);

/* Fills in mode, seed_path, origin_kind and origin_ref. */
void project_fill_seed(const struct project_source *source, struct pyro_workspace_seed *seed);

/*
 * Clones if need be, lists, and begins to pack. `clone_dir` does not exist; a clone is made there
 * and must stay until the transfer's end, the caller removes it. NULL with err, whose hint names
 * the other sources there are.
 */
struct transfer *project_pack(struct pyro *p, const struct project_source *source,
			      const char *clone_dir, struct pyro_error *err);

/* NULL is fine; returns NULL. */
struct project *project_free(struct project *project);

#define PROJECT_WAYS_OUT \
	"--project-path PATH, --repo-url URL, --no-project-source, or an explicit seed_path"

#endif
