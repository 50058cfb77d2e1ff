#include "vm/template.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "channel/call.h"
#include "vm/boot.h"
#include "vm/disk.h"
#include "vm/qemu.h"
#include "vm/qmp.h"
#include "vm/vm.h"

#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define FORMAT "pyro template 4"
#define GONE ".gone"
#define UNUSED_SECONDS (7 * 24 * 3600)
#define KEPT 8 /* templates of about 100 MB each */
#define NAME_HEX 32
#define LOCK_MS 60000
#define LOCK_LOOK_MS 20
#define WARM_MS 5000

/* What most commands need first: their pages are then in every machine's page cache. */
static const char *const warm_commands[] = {
	"true",
	"/bin/true; cat /dev/null; ls / >/dev/null",
	"bash -c 'exit 0'",
	"git --version",
	"python3 -c pass",
	"sync",
};

/* A file whose content matters, named by what changes when a package is upgraded. */
static void add_file(SHA2_CTX *ctx, const char *path)
{
	struct stat st = {0};
	AUTO_FREE char *text = NULL;

	(void)stat(path, &st);
	text = mem_printf("%s %lld %lld %lld.%ld", path, (long long)st.st_ino,
			  (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	SHA256Update(ctx, (const uint8_t *)text, strlen(text) + 1);
}

static void add_text(SHA2_CTX *ctx, const char *text)
{
	SHA256Update(ctx, (const uint8_t *)text, strlen(text) + 1);
}

/*
 * What `-cpu host` hands through, and the kernel whose KVM does it: a guest's code is patched for
 * the processor it booted on.
 */
static void add_processor(SHA2_CTX *ctx, const struct vm_spec *spec)
{
	static const unsigned leaves[] = {0,          1,          7,          0xd,
					  0x80000001, 0x80000002, 0x80000003, 0x80000004};
	struct utsname host;

	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		unsigned regs[4] = {0};

		(void)__get_cpuid_count(leaves[i], 0, &regs[0], &regs[1], &regs[2], &regs[3]);
		if (leaves[i] == 1)
			regs[1] &= 0x00ffffff; /* the rest is the number of the core we are on */
		SHA256Update(ctx, (const uint8_t *)regs, sizeof(regs));
	}
	(void)uname(&host);
	add_text(ctx, host.release);
	SHA256Update(ctx, (const uint8_t *)&spec->tsc_khz, sizeof(spec->tsc_khz));
}

static int template_name(const struct vm_spec *spec, enum template_kind kind,
			 char name[NAME_HEX + 1], struct pyro_error *err)
{
	AUTO_FREE char *qemu = qemu_program(err);
	AUTO_ARGV struct argv args = ARGV_INIT;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	if (!qemu)
		return -1;
	SHA256Init(&ctx);
	add_text(&ctx, FORMAT);
	add_file(&ctx, qemu);
	add_file(&ctx, "/usr/share/qemu/bios-microvm.bin");
	add_file(&ctx, "/usr/share/qemu/pvh.bin");
	qemu_arguments(spec, QEMU_RESTORE, &args);
	for (size_t i = 0; i < args.n; i++)
		add_text(&ctx, args.v[i]);
	if (spec->accel == VM_ACCEL_KVM)
		add_processor(&ctx, spec);
	add_text(&ctx, spec->kernel_id);
	add_text(&ctx, spec->initrd_id);
	add_text(&ctx, kind == TEMPLATE_ROOTED ? spec->root_id : "bare");
	SHA256Final(digest, &ctx);
	for (size_t i = 0; i < NAME_HEX / 2; i++)
		(void)snprintf(name + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

static struct template template_at(const char *dir)
{
	return (struct template){
		.dir = mem_strdup(dir),
		.ram_path = mem_printf("%s/ram", dir),
		.state_path = mem_printf("%s/state", dir),
		.disk_path = mem_printf("%s/disk", dir),
	};
}

void template_done(struct template *t)
{
	free(t->dir);
	free(t->ram_path);
	free(t->state_path);
	free(t->disk_path);
	*t = (struct template){0};
}

/* Out of its place first: a template that lost half its files must not be found again. */
static void discard(const char *dir)
{
	AUTO_FREE char *gone = mem_printf("%s" GONE, dir);

	(void)dir_remove(gone, NULL);
	if (rename(dir, gone) < 0)
		log_debug("template: '%s' stays: %s", dir, strerror(errno));
	(void)dir_remove(gone, NULL);
}

void template_discard(const struct template *t)
{
	discard(t->dir);
}

static int make_ram_file(const struct vm_spec *spec, const char *path, struct pyro_error *err)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)spec->mem_mib << 20) < 0)
		return err_sys(err, errno, "create '%s'", path);
	return 0;
}

/* Programs that the environment does not have are not missed. */
static int warm_up(struct vm *vm, struct pyro_error *err)
{
	int64_t ms = vm_patience_ms(vm->spec.accel, WARM_MS);

	for (size_t i = 0; i < ARRAY_SIZE(warm_commands); i++) {
		json_t *args = json_pack("{s:s, s:I}", "shell", warm_commands[i], "timeout_ms",
					 (json_int_t)ms);

		if (vm_call(vm, "exec", args, deadline_in(2 * ms), err) < 0)
			return -1;
	}
	return 0;
}

static int keep_baseline(struct vm *vm, struct pyro_error *err)
{
	AUTO_FREE char *tag = disk_tag(DISK_BASELINE);

	return vm->engine->snapshot(vm, tag, err);
}

/* From a booted machine to files: the agent must wait for its next client when it is saved. */
static int save(struct vm *vm, enum template_kind kind, const struct template *t,
		struct pyro_error *err)
{
	if (kind == TEMPLATE_ROOTED && (vm_call(vm, "mount", NULL, boot_deadline(vm), err) < 0 ||
					warm_up(vm, err) < 0 || keep_baseline(vm, err) < 0))
		return -1;
	qmp_expect_port_open(vm->qmp);
	vm_hang_up(vm);
	if (qmp_await_port_open(vm->qmp, boot_deadline(vm), err) < 0 ||
	    qemu_save(vm, t->state_path, err) < 0 || qemu_quit(vm, err) < 0)
		return -1;
	/* Ours again, and nobody's to change. */
	if (chown(t->ram_path, geteuid(), getegid()) < 0 || chmod(t->ram_path, 0444) < 0 ||
	    chown(t->disk_path, geteuid(), getegid()) < 0 || chmod(t->disk_path, 0444) < 0 ||
	    chmod(t->state_path, 0444) < 0)
		return err_sys(err, errno, "protect '%s'", t->dir);
	return 0;
}

/* A template that cannot be restored must not be kept, or every start would find that out. */
static int verify(struct loop *loop, const struct vm_spec *spec, const struct template *t,
		  struct pyro_error *err)
{
	static const struct vm_hooks none = {0};
	AUTO_FREE char *disk = mem_printf("%s/disk.tried", t->dir);
	struct vm_spec with = *spec;
	struct vm *vm;
	int result;

	with.disk_path = disk;
	if (file_copy(t->disk_path, disk, 0600, err) < 0)
		return -1;
	vm = vm_new(loop, &engine_qemu, &with, &none);
	result = boot_restored(vm, t, err);
	(void)vm_free(vm);
	(void)unlink(disk);
	return result < 0 ? err_wrap(err, "verify the template") : 0;
}

static int make_at(struct loop *loop, const struct vm_spec *spec, enum template_kind kind,
		   const struct template *t, struct pyro_error *err)
{
	static const struct vm_hooks none = {0};
	struct vm_spec with = *spec;
	struct vm *vm;
	int result;

	with.disk_path = t->disk_path;
	if (dir_make(t->dir, 0700, err) < 0 ||
	    file_copy(spec->blank_path, t->disk_path, 0600, err) < 0 ||
	    make_ram_file(spec, t->ram_path, err) < 0)
		return -1;
	vm = vm_new(loop, &engine_qemu, &with, &none);
	result = boot_cold(vm, QEMU_SAVE, t->ram_path, err);
	if (result == 0)
		result = save(vm, kind, t, err);
	(void)vm_free(vm);
	return result < 0 ? -1 : verify(loop, spec, t, err);
}

/* All of it is on disk before its name says that it is good. */
static int put_in_place(const struct template *t, const char *parent, const char *dir,
			struct pyro_error *err)
{
	const char *const files[] = {t->ram_path, t->disk_path, t->state_path};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		AUTO_FD int fd = open(files[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || fsync(fd) < 0)
			return err_sys(err, errno, "sync '%s'", files[i]);
	}
	if (file_sync_dir(t->dir, err) < 0)
		return -1;
	if (rename(t->dir, dir) < 0)
		return err_sys(err, errno, "rename '%s'", t->dir);
	return file_sync_dir(parent, err);
}

/* Removes all but the most recently used templates, and what is left of those removed before. */
static void evict(const char *parent)
{
	AUTO_FREE char *oldest = NULL;
	time_t oldest_time = 0;
	DIR *dir = opendir(parent);
	struct dirent *entry;
	int count = 0;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);
		struct stat st;

		if (len == NAME_HEX + strlen(GONE) && strcmp(entry->d_name + NAME_HEX, GONE) == 0) {
			AUTO_FREE char *gone = mem_printf("%s/%s", parent, entry->d_name);

			(void)dir_remove(gone, NULL);
		}
		if (len != NAME_HEX || fstatat(dirfd(dir), entry->d_name, &st, 0) < 0)
			continue;
		count++;
		if (!oldest || st.st_mtime < oldest_time) {
			free(oldest);
			oldest = mem_printf("%s/%s", parent, entry->d_name);
			oldest_time = st.st_mtime;
		}
	}
	if (dir)
		(void)closedir(dir);
	if (count > KEPT && oldest)
		discard(oldest);
}

/* Waits for others who build the same, and can be interrupted. */
static int lock_build(struct loop *loop, const char *path, int64_t deadline, struct pyro_error *err)
{
	static const bool never = false;
	struct pyro_error why;

	for (;;) {
		int fd = file_lock(path, clock_ms(), &why);

		if (fd >= 0)
			return fd;
		if (why.code == PYRO_E_BUSY && deadline_left(deadline) > 0)
			(void)loop_until(loop, &never, deadline_in(LOCK_LOOK_MS), "a template",
					 &why);
		if (why.code != PYRO_E_TIMEOUT) {
			if (err)
				*err = why;
			return -1;
		}
	}
}

/* Beside its place, under a lock, then renamed into it. */
static int make_template(struct loop *loop, const struct vm_spec *spec, enum template_kind kind,
			 const char *parent, const char *dir, struct pyro_error *err)
{
	AUTO_FREE char *lock_path = mem_printf("%s.lock", dir);
	AUTO_FREE char *build_dir = mem_printf("%s.build", dir);
	AUTO_FD int lock = -1;
	struct template t;
	int result;

	if (dir_make(parent, 0700, err) < 0)
		return -1;
	lock = lock_build(loop, lock_path, deadline_in(vm_patience_ms(spec->accel, LOCK_MS)), err);
	if (lock < 0)
		return -1;
	if (file_exists(dir)) { /* somebody else made it while we waited */
		(void)unlink(lock_path);
		return 0;
	}
	if (dir_remove(build_dir, err) < 0)
		return -1;
	t = template_at(build_dir);
	result = make_at(loop, spec, kind, &t, err);
	if (result == 0)
		result = put_in_place(&t, parent, dir, err);
	if (result < 0)
		(void)dir_remove(build_dir, NULL);
	template_done(&t);
	(void)unlink(lock_path);
	evict(parent);
	return result;
}

int template_ensure(struct loop *loop, const struct vm_spec *spec, enum template_kind kind,
		    const struct vm_hooks *hooks, struct template *ret, struct pyro_error *err)
{
	AUTO_FREE char *parent = mem_printf("%s/templates", spec->cache_dir);
	AUTO_FREE char *dir = NULL;
	char name[NAME_HEX + 1];

	if (template_name(spec, kind, name, err) < 0)
		return -1;
	dir = mem_printf("%s/%s", parent, name);
	/* Its time of change says when it was used last. */
	if (utimensat(AT_FDCWD, dir, NULL, 0) < 0) {
		vm_phase(hooks, "template", kind == TEMPLATE_ROOTED ? "kind=rooted" : "kind=bare");
		if (make_template(loop, spec, kind, parent, dir, err) < 0)
			return err_wrap(err, "make a template");
	}
	*ret = template_at(dir);
	return 0;
}

/* Whether an entry of the directory is a template of old, or a build whose builder is gone. */
static bool is_stale(int dir_fd, const char *name, const char *path)
{
	AUTO_FREE char *lock = NULL;
	struct stat st;

	if (fstatat(dir_fd, name, &st, 0) < 0 || name[0] == '.')
		return false;
	if (strlen(name) == NAME_HEX)
		return time(NULL) - st.st_mtime > UNUSED_SECONDS;
	lock = mem_printf("%.*s.lock", (int)(strlen(path) - strlen(strrchr(name, '.'))), path);
	return !file_is_locked(lock);
}

int64_t template_prune(const char *cache_dir)
{
	AUTO_FREE char *parent = mem_printf("%s/templates", cache_dir);
	DIR *dir = opendir(parent);
	struct dirent *entry;
	int64_t freed = 0;

	while (dir && (entry = readdir(dir))) {
		AUTO_FREE char *path = mem_printf("%s/%s", parent, entry->d_name);

		if ((strlen(entry->d_name) != NAME_HEX && !strchr(entry->d_name, '.')) ||
		    !is_stale(dirfd(dir), entry->d_name, path))
			continue;
		freed += dir_disk_bytes(path);
		if (strlen(entry->d_name) == NAME_HEX)
			discard(path);
		else
			(void)dir_remove(path, NULL);
	}
	if (dir)
		(void)closedir(dir);
	return freed;
}
