#include "api/project.h"

#include "api/clone.h"
#include "api/git.h"
#include "api/handle.h"
#include "api/transfer.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/home.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_MS 120000
#define LIST_MAX ((int64_t)256 << 20)
#define ERRORS_MAX (64 * 1024)

struct project {
	char *path;
	char *repo_url;
	char *repo_ref;
	bool here;
	char **roots;
};

struct project *project_free(struct project *project)
{
	if (!project)
		return NULL;
	free(project->path);
	free(project->repo_url);
	free(project->repo_ref);
	strv_free(project->roots);
	free(project);
	return NULL;
}

void pyro_set_project(struct pyro *p, const struct pyro_project *project)
{
	p->project = project_free(p->project);
	if (!project)
		return;
	p->project = mem_zalloc(1, sizeof(*p->project));
	*p->project = (struct project){
		.path = mem_strdup(project->path),
		.repo_url = mem_strdup(project->repo_url),
		.repo_ref = mem_strdup(project->repo_ref),
		.here = project->here,
		.roots = strv_dup(project->roots),
	};
}

/*
 * Choosing.
 */

static bool has(const char *dir, const char *name)
{
	AUTO_FREE char *path = mem_printf("%s/%s", dir, name);
	struct stat st;

	return lstat(path, &st) == 0;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A ".git" is a repository, or the file by which a worktree or submodule names its own. */
static bool is_checkout(const char *dir)
{
	AUTO_FREE char *git = mem_printf("%s/.git", dir);

	return has(git, "HEAD") || (file_exists(git) && !is_directory(git));
}

/* Where the checkout begins that the absolute path is in, or NULL. Owned by the caller. */
static char *find_checkout(const char *path)
{
	AUTO_FREE char *dir = mem_strdup(path);

	while (!is_checkout(*dir ? dir : "/")) {
		char *slash = strrchr(dir, '/');

		if (!slash || !*dir)
			return NULL;
		*slash = '\0';
	}
	return *dir ? TAKE_PTR(dir) : mem_strdup("/");
}

static bool is_bare(const char *dir)
{
	return has(dir, "HEAD") && has(dir, "objects") && has(dir, "refs");
}

/* The repository itself, whose files are git's own. */
static bool is_in_repository(const char *path, const char *checkout)
{
	const char *below = path + strlen(checkout);

	below += *below == '/';
	return strncmp(below, ".git", 4) == 0 && (below[4] == '\0' || below[4] == '/');
}

static int choose_path(const char *given, struct project_source *ret, struct pyro_error *err)
{
	AUTO_FREE char *path = realpath(given, NULL);
	AUTO_FREE char *checkout = path ? find_checkout(path) : NULL;

	if (!path) {
		(void)err_set(err, errno == ENOENT ? PYRO_E_NOT_FOUND : PYRO_E_SYSTEM,
			      "project path '%s': %s", given, strerror(errno));
		return -1;
	}
	if (!is_directory(path))
		return err_set(err, PYRO_E_INVALID, "project path '%s' is not a directory", path);
	if (checkout ? is_in_repository(path, checkout) : is_bare(path))
		return err_set(err, PYRO_E_INVALID,
			       "project path '%s' is a Git repository itself, without the files of "
			       "a checkout",
			       path);
	*ret = (struct project_source){.kind = checkout ? PROJECT_TRACKED : PROJECT_WHOLE,
				       .path = TAKE_PTR(path)};
	return 0;
}

/* Nobody means all of a home directory, or what it is in, who only started a chat there. */
static bool is_too_much(const char *path)
{
	AUTO_FREE char *given = home_dir();
	AUTO_FREE char *home = given ? realpath(given, NULL) : NULL;
	size_t len = strlen(path);

	return strcmp(path, "/") == 0 ||
	       (home && strncmp(home, path, len) == 0 && (!home[len] || home[len] == '/'));
}

static void choose_root(char **roots, struct project_source *ret)
{
	for (; roots && *roots; roots++) {
		(void)choose_path(*roots, ret, NULL);
		if (ret->kind == PROJECT_TRACKED ||
		    (ret->kind == PROJECT_WHOLE && !is_too_much(ret->path)))
			return;
		project_source_done(ret);
	}
}

static void choose_here(struct project_source *ret)
{
	AUTO_FREE char *cwd = realpath(".", NULL);
	char *checkout = cwd ? find_checkout(cwd) : NULL;

	if (checkout)
		*ret = (struct project_source){.kind = PROJECT_TRACKED, .path = checkout};
}

static int choose(const struct project *project, struct project_source *ret, struct pyro_error *err)
{
	if (project->repo_url) {
		*ret = (struct project_source){.kind = PROJECT_CLONE,
					       .url = project->repo_url,
					       .ref = project->repo_ref};
		return clone_check(project->repo_url, project->repo_ref, err);
	}
	if (project->path)
		return choose_path(project->path, ret, err);
	if (project->here)
		choose_here(ret);
	if (ret->kind == PROJECT_NONE)
		choose_root(project->roots, ret);
	return 0;
}

int project_choose(struct pyro *p, struct project_source *ret, struct pyro_error *err)
{
	*ret = (struct project_source){0};
	if (!p->project || choose(p->project, ret, err) == 0)
		return 0;
	return err_hint(err, PROJECT_WAYS_OUT);
}

void project_source_done(struct project_source *source)
{
	free(source->path);
	*source = (struct project_source){0};
}

/*
 * Saying what was chosen.
 */

/* "URL" or "URL#REF". */
static char *clone_name(const struct project_source *source, const char *between)
{
	AUTO_FREE char *url = clone_shown_url(source->url);

	return mem_printf("%s%s%s", url, source->ref ? between : "",
			  source->ref ? source->ref : "");
}

static char *describe(const struct project_source *source)
{
	AUTO_FREE char *name = NULL;

	switch (source->kind) {
	case PROJECT_TRACKED:
		return mem_printf("the Git-tracked files of %s", source->path);
	case PROJECT_WHOLE:
		return mem_printf("all files of %s", source->path);
	case PROJECT_CLONE:
		name = clone_name(source, " at ");
		return mem_printf("a clean clone of %s", name);
	case PROJECT_NONE:
		break;
	}
	return NULL;
}

int pyro_describe_project(struct pyro *p, char **ret_text, struct pyro_error *err)
{
	struct project_source source;

	if (project_choose(p, &source, err) < 0)
		return -1;
	*ret_text = describe(&source);
	if (*ret_text)
		utf8_clean_line(*ret_text);
	project_source_done(&source);
	return 0;
}

void project_fill_seed(const struct project_source *source, struct pyro_workspace_seed *seed)
{
	bool is_clone = source->kind == PROJECT_CLONE;

	seed->mode = mem_strdup("directory");
	seed->seed_path = mem_strdup(source->path);
	seed->origin_kind = mem_strdup(is_clone ? "repo_url" : "project_path");
	seed->origin_ref = is_clone ? clone_name(source, "#") : mem_strdup(source->path);
}

/*
 * Packing.
 */

static int err_list(const char *dir, const struct buf *errors, struct pyro_error *err)
{
	AUTO_FREE char *reason = git_reason(errors);

	if (strstr(reason, "dubious ownership")) {
		(void)err_set(err, PYRO_E_REFUSED,
			      "the checkout at '%s' belongs to another user, and git does not "
			      "trust it",
			      dir);
		return err_hint(
			err, "git config --global --add safe.directory '%s', or " PROJECT_WAYS_OUT,
			dir);
	}
	(void)err_set(err, PYRO_E_SYSTEM, "list the Git-tracked files of '%s': %s", dir, reason);
	return err_hint(err, PROJECT_WAYS_OUT);
}

/* An anonymous file with the names, a NUL behind each; -1 with err. */
static int list_tracked(struct pyro *p, const char *dir, struct pyro_error *err)
{
	static const char *const words[] = {"ls-files", "-z", "--cached", "--recurse-submodules",
					    NULL};
	AUTO_BUF struct buf errors = BUF_INIT(ERRORS_MAX);
	AUTO_FD int fd = transfer_memory(NULL, 0, err);
	int status = fd < 0 ? -1
			    : git_run(p,
				      &(struct git_call){.words = words,
							 .cwd = dir,
							 .protocols = "",
							 .out_fd = fd,
							 .out_max = LIST_MAX,
							 .deadline = deadline_in(LIST_MS),
							 .errors = &errors},
				      err);

	if (status > 0)
		return err_list(dir, &errors, err);
	if (status == 0 && lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "rewind");
	return status < 0 ? -1 : TAKE_FD(fd);
}

static struct transfer *pack_tracked(struct pyro *p, const char *dir, struct pyro_error *err)
{
	AUTO_FD int names = list_tracked(p, dir, err);

	return names < 0 ? NULL : transfer_pack_project(p, dir, names, PROJECT_WAYS_OUT, err);
}

/* What git keeps of the clone has had its use, and may hold the password of its address. */
static struct transfer *pack_clone(struct pyro *p, const struct project_source *source,
				   const char *dir, struct pyro_error *err)
{
	AUTO_FREE char *repository = mem_printf("%s/.git", dir);
	AUTO_FD int names = -1;

	if (clone_make(p, source->url, source->ref, dir, err) < 0)
		return NULL;
	names = list_tracked(p, dir, err);
	if (names < 0 || dir_remove(repository, err) < 0)
		return NULL;
	return transfer_pack_project(p, dir, names, PROJECT_WAYS_OUT, err);
}

struct transfer *project_pack(struct pyro *p, const struct project_source *source,
			      const char *clone_dir, struct pyro_error *err)
{
	struct transfer *seed;

	if (source->kind == PROJECT_CLONE)
		seed = pack_clone(p, source, clone_dir, err);
	else if (source->kind == PROJECT_TRACKED)
		seed = pack_tracked(p, source->path, err);
	else
		seed = transfer_pack_project(p, source->path, -1, PROJECT_WAYS_OUT, err);
	if (!seed && err && !strstr(err->hint, PROJECT_WAYS_OUT)) {
		AUTO_FREE char *hint = mem_strdup(err->hint);

		(void)err_hint(err, "%s%s" PROJECT_WAYS_OUT, hint, *hint ? ", or " : "");
	}
	return seed;
}
