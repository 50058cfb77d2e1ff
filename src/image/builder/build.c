#include "image/builder/build.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "helper/confine.h"
#include "helper/report.h"
#include "image/builder/bootstrap.h"
#include "image/builder/event.h"
#include "image/builder/ext4.h"
#include "image/builder/kernel.h"
#include "image/builder/untar.h"
#include "image/catalog.h"
#include "image/digest.h"
#include "image/image.h"
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_FRESH_SECONDS (24 * 3600) /* then the archive is asked for a newer one */
#define LOCK_MS (60 * 60 * 1000)
#define LOCK_STEP_MS 500
#define TOOL_MS (5 * 60 * 1000)
#define ID_DIGITS 16
#define KERNEL_NEED_MIB 100
#define REPORT_MAX 65536
#define CANCEL_STEP_MS 100
#define WRITE_MEMORY (UINT64_C(4) << 30)
#define WRITE_CPU_SECONDS (30 * 60)

static ssize_t read_bootstrap(void *ctx, void *data, size_t len, struct pyro_error *err)
{
	return bootstrap_read(ctx, data, len, err);
}

/* Runs mmdebstrap and gives its stream to `take`. */
static int bootstrap(const struct build *b, const char *suite, struct bootstrap_options options,
		     int (*take)(void *ctx, const struct untar_source *source,
				 struct pyro_error *err),
		     void *ctx, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_printf("%s/chroot", b->tmp);
	struct untar_source source = {.read = read_bootstrap};
	struct pyro_error why;
	int r;

	options.tmp_dir = dir;
	options.lock_fd = b->lock_fd;
	options.suite = suite;
	source.ctx = bootstrap_start(&options, err);
	if (!source.ctx)
		return -1;
	r = take(ctx, &source, err);
	/* When mmdebstrap breaks off, its own words say more than those about its broken stream. */
	if ((r == 0 || bootstrap_is_ended(source.ctx)) && bootstrap_finish(source.ctx, &why) < 0) {
		*err = why;
		r = -1;
	}
	(void)bootstrap_free(source.ctx);
	return r;
}

/* --- the kernel ------------------------------------------------------------------------- */

static bool is_fresh(const char *link)
{
	struct stat st;

	return lstat(link, &st) == 0 && st.st_mtime <= time(NULL) &&
	       time(NULL) - st.st_mtime <= KERNEL_FRESH_SECONDS;
}

/* The id of the installed kernel if it is intact and, unless any will do, was fetched lately. */
static char *usable_kernel(const struct build *b, const struct build_root *root)
{
	AUTO_FREE char *link = mem_printf("%s/kernels/current", b->root);
	AUTO_FREE char *path = mem_printf("%s/manifest.json", link);
	AUTO_MANIFEST struct manifest m = {NULL};

	if (!root->keeps_kernel && !is_fresh(link))
		return NULL;
	if (manifest_load(&m, path, NULL) < 0 || manifest_verify(&m, NULL) < 0)
		return NULL;
	return mem_strdup(manifest_text(&m, "id"));
}

struct kernel_job {
	const char *dir;
	struct kernel kernel;
};

static int take_kernel(void *ctx, const struct untar_source *source, struct pyro_error *err)
{
	struct kernel_job *job = ctx;

	return kernel_extract(source, job->dir, &job->kernel, err);
}

static int seal_kernel(const struct build *b, const struct kernel_job *job, char **ret_id,
		       struct pyro_error *err)
{
	AUTO_FREE char *manifest = mem_printf("%s/manifest.json", job->dir);
	AUTO_FREE char *vmlinux = mem_printf("%s/vmlinux", job->dir);
	AUTO_FREE char *parent = mem_printf("%s/kernels", b->root);
	char hex[DIGEST_HEX];

	if (digest_file(vmlinux, hex, err) < 0)
		return -1;
	*ret_id = mem_printf("%s-%.*s", job->kernel.release, ID_DIGITS, hex);
	if (manifest_write(manifest,
			   json_pack("{ssssss}", "id", *ret_id, "release", job->kernel.release,
				     "package", KERNEL_PACKAGE),
			   (const char *const *)job->kernel.files, err) < 0)
		return -1;
	return store_install(job->dir, parent, *ret_id, err);
}

/* Sees to a kernel in the store; its id is the caller's. */
static int need_kernel(const struct build *b, const struct build_root *root, char **ret_id,
		       struct pyro_error *err)
{
	static const char *const packages[] = {KERNEL_PACKAGE, NULL};
	AUTO_FREE char *dir = mem_printf("%s/kernel", b->tmp);
	struct kernel_job job = {.dir = dir};
	int r;

	*ret_id = usable_kernel(b, root);
	if (*ret_id)
		return 0;
	event_phase("kernel");
	r = bootstrap(b, root->suite,
		      (struct bootstrap_options){
			      .variant = "extract", .packages = packages, .phase = "kernel"},
		      take_kernel, &job, err);
	if (r == 0)
		r = seal_kernel(b, &job, ret_id, err);
	kernel_done(&job.kernel);
	return r;
}

/* --- the root file system --------------------------------------------------------------- */

static int add_text(struct ext4 *fs, const char *path, const char *text, struct pyro_error *err)
{
	struct ext4_entry e = {.path = path, .mode = S_IFREG | 0644, .mtime_s = time(NULL)};

	if (ext4_add(fs, &e, err) < 0 || ext4_write(fs, text, strlen(text), 0, err) < 0)
		return -1;
	return ext4_finish(fs, (int64_t)strlen(text), err);
}

/* What the distribution leaves to the installer. Names and resolvers of this host stay here. */
static int add_site(struct ext4 *fs, struct pyro_error *err)
{
	static const char *const files[][2] = {
		{"etc/hostname", "pyro\n"},
		{"etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tpyro\n"
			      "::1\tlocalhost ip6-localhost ip6-loopback\n"},
		{"etc/machine-id", ""},
		{"etc/resolv.conf", "# written when the machine is given a network\n"},
	};
	struct ext4_entry workspace = {.path = "workspace",
				       .mode = S_IFDIR | 0755,
				       .mtime_s = time(NULL)};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (add_text(fs, files[i][0], files[i][1], err) < 0)
			return -1;
	return ext4_add(fs, &workspace, err);
}

static int check_tool(struct argv *a, struct pyro_error *err)
{
	int r = proc_check(a, &(struct proc_options){.deadline = deadline_in(TOOL_MS)}, err);

	argv_done(a);
	return r;
}

/* What write_root() needs. */
struct writing {
	const struct build *b;
	const struct build_root *root;
	struct ext4 *fs;
};

/* Everything from the empty file system to the complete one, which is closed in any case. */
static int write_root(void *ctx, json_t *notes, struct pyro_error *err)
{
	const struct writing *w = ctx;

	event_phase("root");
	if (w->root->fill(w->b, w->root, w->fs, notes, err) == 0 && add_site(w->fs, err) == 0)
		return ext4_close(w->fs, err);
	(void)ext4_free(w->fs);
	return -1;
}

/* Until it says something, or has died. */
static int await_report(int fd, struct pyro_error *err)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	while (poll(&wait, 1, CANCEL_STEP_MS) <= 0)
		if (bootstrap_check_cancelled(err) < 0)
			return -1;
	return 0;
}

/* What the process that wrote has to say. */
static int take_report(const struct buf *text, json_t *notes, struct pyro_error *err)
{
	json_t *json = json_loadb(buf_text(text), text->len, 0, NULL);
	const json_t *error = json_object_get(json, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	int r = -1;

	if (code && message)
		(void)err_set(err, err_code_from_name(code), "%s", message);
	else if (json_object_update(notes, json_object_get(json, "result")) == 0)
		r = 0;
	else
		(void)err_set(err, PYRO_E_LIMIT, "the image takes too much time or memory");
	json_decref(json);
	return r;
}

static int run_confined(int (*run)(void *ctx, json_t *notes, struct pyro_error *err), void *ctx,
			int report_fd)
{
	static const struct confine_limits limits = {.memory_bytes = WRITE_MEMORY,
						     .cpu_seconds = WRITE_CPU_SECONDS,
						     .link_dir = -1,
						     .work_dir = -1};
	json_t *notes = json_object();
	struct pyro_error err;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (confine(&limits, &err) == 0 && run(ctx, notes, &err) == 0)
		return report_end(report_fd, notes, NULL);
	return report_end(report_fd, NULL, &err);
}

int build_apart(int (*run)(void *ctx, json_t *notes, struct pyro_error *err), void *ctx,
		json_t *notes, struct pyro_error *err)
{
	AUTO_BUF struct buf report = BUF_INIT(REPORT_MAX);
	AUTO_FD int report_r = -1, report_w = -1;
	int fds[2], r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	report_r = fds[0];
	report_w = fds[1];
	pid = fork();
	if (pid == 0) {
		fd_close(&report_r);
		_exit(run_confined(run, ctx, report_w));
	}
	fd_close(&report_w);
	if (pid < 0)
		return err_sys(err, errno, "start a process");
	r = await_report(report_r, err);
	if (r == 0)
		r = file_read_fd(report_r, "the report", &report, err);
	proc_kill(pid); /* it has ended, or is not to go on */
	return r < 0 ? -1 : take_report(&report, notes, err);
}

static int make_root(const struct build *b, const struct build_root *root, const char *dir,
		     json_t *notes, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/root.ext4", dir);
	struct ext4 *fs = ext4_new(path, IMAGE_DISK_BYTES, "pyro-root", root->identity, err);
	struct writing w = {b, root, fs};
	struct argv a = ARGV_INIT;
	int r;

	if (!fs)
		return -1;
	r = root->is_confined ? build_apart(write_root, &w, notes, err)
			      : write_root(&w, notes, err);
	if (root->is_confined)
		(void)ext4_free(fs);
	if (r < 0)
		return -1;
	event_phase("check");
	argv_add(&a, "e2fsck", "-f", "-n", path, NULL);
	return check_tool(&a, err);
}

/* An overlay without the name of what lies below: whoever uses it says so. */
static int make_blank(const char *dir, struct pyro_error *err)
{
	struct argv a = ARGV_INIT;

	argv_add(&a, "qemu-img", "create", "-q", "-f", "qcow2", NULL);
	argv_addf(&a, "%s/blank.qcow2", dir);
	argv_addf(&a, "%lld", (long long)IMAGE_DISK_BYTES);
	return check_tool(&a, err);
}

/* Takes the notes. */
static int seal_image(const struct build *b, const struct build_root *root, const char *dir,
		      const char *kernel_id, json_t *notes, struct pyro_error *err)
{
	static const char *const artifacts[] = {"root.ext4", "blank.qcow2", NULL};
	AUTO_FREE char *manifest = mem_printf("%s/manifest.json", dir);
	AUTO_FREE char *parent = store_image_dir(b->root, root->name);
	AUTO_MANIFEST struct manifest m = {NULL};
	AUTO_FREE char *id = NULL;

	if (root->texts)
		(void)json_object_update(notes, (json_t *)(uintptr_t)root->texts);
	(void)json_object_update_new(notes, json_pack("{ssssss}", "name", root->name, "version",
						      root->version, "kernel", kernel_id));
	if (manifest_write(manifest, notes, artifacts, err) < 0 ||
	    manifest_load(&m, manifest, err) < 0)
		return -1;
	id = mem_strndup(manifest_digest(&m, "root.ext4"), ID_DIGITS);
	return store_install(dir, parent, id, err);
}

static int build_all(const struct build *b, const struct build_root *root, struct pyro_error *err)
{
	AUTO_FREE char *dir = mem_printf("%s/image", b->tmp);
	AUTO_FREE char *kernel_id = NULL;
	json_t *notes = json_object();

	if (dir_make(dir, 0755, err) == 0 && need_kernel(b, root, &kernel_id, err) == 0 &&
	    make_root(b, root, dir, notes, err) == 0 && make_blank(dir, err) == 0)
		return seal_image(b, root, dir, kernel_id, notes, err);
	json_decref(notes);
	return -1;
}

/* --- the whole -------------------------------------------------------------------------- */

/* The lock; says once that it waits, and can be interrupted. */
static int take_lock(const char *root, struct pyro_error *err)
{
	int64_t deadline = deadline_in(LOCK_MS);
	int fd = store_lock(root, deadline_in(0), err);

	if (fd < 0 && err->code == PYRO_E_BUSY)
		event_phase("wait");
	while (fd < 0 && err->code == PYRO_E_BUSY && deadline_left(deadline) > 0) {
		if (bootstrap_check_cancelled(err) < 0)
			return -1;
		fd = store_lock(root, deadline_in(LOCK_STEP_MS), err);
	}
	return fd;
}

static int check_space(const struct build *b, const struct build_root *root, struct pyro_error *err)
{
	int64_t free_mib = dir_free_bytes(b->root) >> 20;
	int64_t need_mib = root->need_mib + KERNEL_NEED_MIB;

	if (free_mib < 0 || free_mib >= need_mib)
		return 0;
	return err_set(err, PYRO_E_NO_SPACE,
		       "'%s' has %lld MiB free, and building '%s' needs %lld MiB", b->root,
		       (long long)free_mib, root->name, (long long)need_mib);
}

/* The error names where and how much, which the one that a write met does not. */
static void explain_no_space(const struct build *b, const struct build_root *root,
			     struct pyro_error *err)
{
	if (err->code == PYRO_E_NO_SPACE && !strstr(err->message, "needs"))
		(void)err_set(err, PYRO_E_NO_SPACE,
			      "no space left in '%s': building '%s' needs %lld MiB", b->root,
			      root->name, (long long)root->need_mib + KERNEL_NEED_MIB);
}

int build_begin(struct build *b, const char *root, struct pyro_error *err)
{
	*b = (struct build){.root = root, .lock_fd = take_lock(root, err)};
	if (b->lock_fd < 0)
		return -1;
	b->tmp = mem_printf("%s/tmp", root);
	if (store_remove(b->tmp, err) == 0 && dir_make(b->tmp, 0700, err) == 0)
		return 0;
	return build_end(b, -1, err);
}

int build_install(const struct build *b, const struct build_root *root, struct pyro_error *err)
{
	if (check_space(b, root, err) < 0)
		return -1;
	if (build_all(b, root, err) == 0)
		return 0;
	explain_no_space(b, root, err);
	return -1;
}

int build_end(struct build *b, int r, struct pyro_error *err)
{
	if (store_remove(b->tmp, r < 0 ? NULL : err) < 0)
		r = -1;
	free(b->tmp);
	fd_close(&b->lock_fd);
	return r;
}

/* --- an official environment ------------------------------------------------------------ */

static int take_root(void *ctx, const struct untar_source *source, struct pyro_error *err)
{
	return untar_to_ext4(source, ctx, err);
}

static int fill_root(const struct build *b, const struct build_root *root, struct ext4 *fs,
		     json_t *notes, struct pyro_error *err)
{
	const struct catalog_entry *entry = root->ctx;

	(void)notes;
	return bootstrap(b, root->suite,
			 (struct bootstrap_options){.variant = "minbase",
						    .packages = entry->packages,
						    .phase = "root"},
			 take_root, fs, err);
}

int build_environment(const char *root, const struct catalog_entry *entry, struct pyro_error *err)
{
	AUTO_FREE char *identity = mem_printf("%s %s", entry->name, entry->version);
	const struct build_root what = {.name = entry->name,
					.version = entry->version,
					.identity = identity,
					.need_mib = entry->need_mib,
					.suite = entry->suite,
					.fill = fill_root,
					.ctx = (void *)(uintptr_t)entry};
	AUTO_INSTALL struct install install = INSTALL_INIT;
	struct build b;

	if (build_begin(&b, root, err) < 0)
		return -1;
	if (store_open(&install, root, entry->name, NULL) == 0)
		return build_end(&b, 0, err);
	return build_end(&b, build_install(&b, &what, err), err);
}
