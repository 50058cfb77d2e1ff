/*
 * doctor: what works on this machine, and for what does not, the one thing that mends it.
 */
#include "api/daily.h"
#include "api/egress.h"
#include "api/handle.h"
#include "api/install.h"
#include "api/project.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "image/catalog.h"
#include "image/image.h"
#include "ops/ops.h"
#include "vm/engine.h"
#include "vm/jail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PLATFORM "linux-x86_64"
#define FREE_MIN_BYTES (256ULL << 20) /* below that a guest's disk is soon full */

static void add_issue(struct pyro_doctor *d, const char *check, const char *message,
		      const char *fix)
{
	d->issues = mem_resize(d->issues, d->issues_count + 1, sizeof(*d->issues));
	d->issues[d->issues_count++] = (struct pyro_issue){
		.check = mem_strdup(check),
		.message = mem_strdup(message),
		.fix = mem_strdup(fix),
	};
}

static void add_error(struct pyro_doctor *d, const char *check, const struct pyro_error *error)
{
	add_issue(d, check, error->message, error->hint[0] ? error->hint : "pyro doctor --json");
}

static void examine_kvm(struct pyro_doctor *d, const char *cache_dir)
{
	struct vm_host host;
	struct pyro_error err;

	if (vm_host_examine(cache_dir, &host, &err) < 0)
		add_error(d, "accelerator", &err);
	d->kvm = (struct pyro_kvm_status){
		.exists = host.kvm_exists,
		.readable = host.kvm_readable,
		.writable = host.kvm_writable,
		.usable = host.kvm_usable,
		.reason = host.kvm_reason[0] ? mem_strdup(host.kvm_reason) : NULL,
	};
	d->has_kvm = true;
	d->accel = mem_strdup(vm_accel_name(host.accel));
	if (host.kvm_exists && !(host.kvm_readable && host.kvm_writable))
		add_issue(d, "kvm", "this user may not use /dev/kvm; guests run, but slowly",
			  "sudo usermod -aG kvm $USER, then log in again");
}

/* Without these there is no runtime, or a part of every workspace is missing. */
static bool examine_programs(struct pyro_doctor *d)
{
	static const char *const own[][2] = {
		{"supervisor", "pyro-supervisor"},
		{"guest", "pyro-agent"},
		{"vm", "pyro-ram-shim.so"},
		{"image", "pyro-image"},
		{"tar", "pyro-tar"},
		{"patch", "pyro-patch"},
		{"disk", "pyro-disk"},
		{"term", "pyro-term"},
		{"http", "pyro-http"},
		{"net", "pyro-net"},
		{"mcp", "pyro-mcp"},
	};
	AUTO_FREE char *qemu_img = proc_find("qemu-img");
	struct pyro_error err;
	bool is_ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		AUTO_FREE char *path = handle_program(own[i][0], own[i][1], &err);

		if (!path) {
			add_error(d, own[i][1], &err);
			is_ok = false;
		}
	}
	if (!qemu_img)
		add_issue(d, "runtime", "'qemu-img' is not installed; workspaces cannot be reset",
			  "apt install qemu-utils");
	return is_ok && qemu_img;
}

/* And the jail for real. */
static bool examine_runtime(struct pyro_doctor *d)
{
	bool is_ok = examine_programs(d);
	struct pyro_error err;

	if (engine_qemu_try(&err) == 0)
		return is_ok;
	add_error(d, "runtime", &err);
	return false;
}

/* The directory, or what it would be made in. */
static void examine_place(struct pyro_doctor *d, const char *check, const char *dir,
			  const char *variable)
{
	AUTO_FREE char *at = mem_strdup(dir);
	AUTO_FREE char *message = NULL;
	AUTO_FREE char *fix = NULL;
	struct statvfs fs;

	while (strrchr(at, '/') > at && !file_exists(at))
		*strrchr(at, '/') = '\0';
	if (euidaccess(at, W_OK | X_OK) < 0)
		message = mem_printf("'%s' cannot be written: %s", at, strerror(errno));
	else if (statvfs(at, &fs) == 0 && fs.f_bavail * fs.f_frsize < FREE_MIN_BYTES)
		message = mem_printf("there are only %llu MiB free in '%s'",
				     (unsigned long long)(fs.f_bavail * fs.f_frsize >> 20), at);
	if (!message)
		return;
	fix = mem_printf("export %s=DIRECTORY, one that is yours and has room", variable);
	add_issue(d, check, message, fix);
}

static void examine_network(struct pyro_doctor *d)
{
	struct pyro_error err;

	d->networking.available = egress_check(true, &err) == 0;
	if (!d->networking.available) {
		d->networking.reason = mem_strdup(err.message);
		add_error(d, "network", &err);
	}
	d->has_networking = true;
}

/* Programs that environments are built with, and projects read with; guests run without. */
static void examine_tools(struct pyro_doctor *d)
{
	static const struct {
		const char *program, *package, *check, *effect;
	} tools[] = {
		{"mmdebstrap", "mmdebstrap", "environments", "none can be added"},
		{"mke2fs", "e2fsprogs", "environments", "none can be added"},
		{"git", "git", "project", "a project's tracked files cannot be told"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		AUTO_FREE char *found = proc_find(tools[i].program);
		AUTO_FREE char *message =
			mem_printf("'%s' is not installed; %s", tools[i].program, tools[i].effect);
		AUTO_FREE char *fix = mem_printf("apt install %s", tools[i].package);

		if (!found)
			add_issue(d, tools[i].check, message, fix);
	}
}

static void examine_catalog(struct pyro_doctor *d, const char *cache_dir)
{
	struct pyro_environment_list list = {0};
	struct pyro_error err;
	size_t n = 0;

	d->catalog = (struct pyro_doctor_catalog){
		.version = mem_strdup(CATALOG_VERSION),
		.cache_dir = mem_strdup(cache_dir ? cache_dir : ""),
		.installed = mem_zalloc(1, sizeof(char *)),
	};
	d->has_catalog = true;
	if (image_list(&list, &err) < 0) {
		add_error(d, "environments", &err);
		return;
	}
	for (size_t i = 0; i < list.environments_count; i++) {
		if (!list.environments[i].installed)
			continue;
		d->catalog.installed =
			mem_resize(d->catalog.installed, n + 2, sizeof(*d->catalog.installed));
		d->catalog.installed[n++] = mem_strdup(list.environments[i].name);
		d->catalog.installed[n] = NULL;
	}
	pyro_environment_list_done(&list);
}

/* A state directory that is no good has been told of; then only the proof is not known. */
static int examine_daily(struct pyro *p, const char *environment, struct pyro_doctor *d,
			 struct pyro_error *err)
{
	if (!environment)
		return 0;
	if (daily_examine(p, environment, &d->daily_loop, err) < 0)
		return -1;
	d->has_daily_loop = true;
	return 0;
}

static void examine_places(struct pyro *p, struct pyro_doctor *d, const char *cache_dir)
{
	struct pyro_error err;

	if (cache_dir)
		examine_place(d, "cache", cache_dir, "PYRO_ENVIRONMENT_CACHE_DIR");
	if (handle_open_quietly(p, &err) < 0)
		add_error(d, "state", &err);
	else
		examine_place(d, "state", p->state, "XDG_STATE_HOME");
}

/* What a chat host that is started here gets, unless the handle was told something else. */
static void examine_project(struct pyro *p, struct pyro_doctor *d)
{
	static const struct pyro_project here = {.here = true};
	bool is_ours = !p->project;
	struct pyro_error err;

	if (is_ours)
		pyro_set_project(p, &here);
	if (pyro_describe_project(p, &d->project_source, &err) < 0)
		add_error(d, "project source", &err);
	if (is_ours)
		pyro_set_project(p, NULL);
}

int pyro_doctor(struct pyro *p, const struct pyro_doctor_args *given, struct pyro_doctor *ret,
		struct pyro_error *err)
{
	struct pyro_doctor d = {0};
	struct pyro_doctor_args a;
	struct pyro_error why;
	AUTO_FREE char *cache_dir = NULL;

	if (ops_apply_defaults(OP_doctor, given, &a, err) < 0)
		return -1;
	if (strcmp(a.platform, PLATFORM) != 0)
		return err_set(err, PYRO_E_INVALID, "platform '%s' is not " PLATFORM, a.platform);
	cache_dir = install_cache_dir(&why);
	if (!cache_dir)
		add_error(&d, "cache", &why);
	examine_places(p, &d, cache_dir);
	d.platform = mem_strdup(PLATFORM);
	d.runtime_ok = examine_runtime(&d) && d.issues_count == 0;
	examine_kvm(&d, cache_dir);
	examine_catalog(&d, cache_dir);
	examine_tools(&d);
	d.jail = mem_strdup(jail_level());
	examine_network(&d);
	examine_project(p, &d);
	d.capabilities = (struct pyro_capabilities){d.runtime_ok, d.runtime_ok,
						    d.runtime_ok && d.networking.available};
	d.has_capabilities = true;
	if (examine_daily(p, a.environment, &d, err) < 0) {
		pyro_doctor_done(&d);
		return -1;
	}
	*ret = d;
	return 0;
}
