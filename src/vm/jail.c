#include "vm/jail.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KVM_DEVICE "/dev/kvm"
#define GIB (1024ULL * 1024 * 1024)
/* Far above the users of a system and of its containers, and below 2^31. */
#define UID_BASE 0x70000000u
#define UID_SPAN 0x0fffffffu
/* What QEMU needs beside the guest's memory: 1 GiB of room for translated code, and libraries. */
#define ROOM_BYTES (4 * GIB)
#define FILE_BYTES (64 * GIB) /* the largest disk, 16 GiB, with what its snapshots keep */
#define TRY_MS 10000
#define MAX_FDS 128
#define MAX_SOCKETS 4096
#define MAX_THREADS 256

/* Whether there are such user ids here: root in a namespace has only those it was given. */
static bool has_uids(void)
{
	AUTO_BUF struct buf map = BUF_INIT(4096);
	unsigned inside, outside, count;

	return file_read("/proc/self/uid_map", &map, NULL) == 0 &&
	       sscanf(buf_text(&map), "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
	       count > UID_BASE + UID_SPAN;
}

uid_t jail_uid(const char *vm_id)
{
	uint32_t hash = 2166136261u; /* FNV-1a: ids are random already, this only shortens them */

	if (geteuid() != 0 || !has_uids())
		return (uid_t)-1;
	for (; *vm_id; vm_id++)
		hash = (hash ^ (unsigned char)*vm_id) * 16777619u;
	return UID_BASE + hash % UID_SPAN;
}

/* Not for everybody, and the group is not one with other powers. */
static bool is_for_group(const struct stat *st)
{
	return (st->st_mode & 066) == 060 && st->st_gid != 0;
}

char *jail_kvm(const char *dir, uid_t uid, struct pyro_error *err)
{
	AUTO_FREE char *own = mem_printf("%s/kvm", dir);
	AUTO_FD int fd = -1;
	struct stat st = {0};

	if (uid == (uid_t)-1 || (stat(KVM_DEVICE, &st) == 0 && (st.st_mode & 06) == 06))
		return mem_strdup(KVM_DEVICE);
	(void)unlink(own);
	if (mknod(own, S_IFCHR | 0600, st.st_rdev) == 0 && chown(own, uid, uid) == 0)
		fd = open(own, O_RDWR | O_CLOEXEC); /* not where devices are forbidden */
	if (fd < 0 && is_for_group(&st))
		return mem_strdup(KVM_DEVICE);
	if (fd < 0) {
		(void)err_sys(err, errno, "make '%s', a KVM that QEMU's user may open", own);
		(void)err_hint(err, "chmod 666 /dev/kvm");
		return NULL;
	}
	return TAKE_PTR(own);
}

/* The parents of a bound file must be made first: bubblewrap makes missing ones 0700. */
static void add_tree(struct argv *a)
{
	static const char *const dirs[] = {"/usr", "/usr/bin", "/usr/share", "/usr/share/qemu",
					   "/etc", "/vm",      "/dev"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		argv_add(a, "--dir", dirs[i], NULL);
	argv_add(a, "--ro-bind", "/usr/lib", "/usr/lib", "--ro-bind", "/usr/lib64", "/usr/lib64",
		 "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--ro-bind",
		 "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind", "/usr/share/qemu",
		 "/usr/share/qemu", "--dev-bind", "/dev/null", "/dev/null", "--dev-bind",
		 "/dev/urandom", "/dev/urandom", NULL);
}

static void add_identity(struct argv *a, const struct jail *jail)
{
	argv_add(a, "--cap-drop", "ALL", NULL);
	if (jail->uid == (uid_t)-1)
		argv_add(a, "--unshare-user", jail->passt ? NULL : "--disable-userns", NULL);
	else /* what setpriv needs to give up everything, which it does next */
		argv_add(a, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add",
			 "CAP_SETPCAP", "--ro-bind", "/usr/bin/setpriv", "/usr/bin/setpriv", NULL);
}

static void add_setpriv(struct argv *a, const struct jail *jail)
{
	struct stat st;

	argv_add(a, "/usr/bin/setpriv", NULL);
	argv_addf(a, "--reuid=%u", (unsigned)jail->uid);
	argv_addf(a, "--regid=%u", (unsigned)jail->uid);
	if (jail->kvm && stat(jail->kvm, &st) == 0 && is_for_group(&st))
		argv_addf(a, "--groups=%u", (unsigned)st.st_gid);
	else
		argv_add(a, "--clear-groups", NULL);
	argv_add(a, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", NULL);
}

/* passt confines itself further, by a user namespace, and wants to find itself and a /tmp. */
static void add_passt(struct argv *a, const char *passt)
{
	AUTO_FREE char *fast = mem_printf("%s.avx2", passt);

	argv_add(a, "--proc", "/proc", "--dir", "/tmp", "--ro-bind", passt, "/usr/bin/passt", NULL);
	if (file_exists(fast))
		argv_add(a, "--ro-bind", fast, "/usr/bin/passt.avx2", NULL);
}

static char *find_bwrap(struct pyro_error *err)
{
	char *bwrap = proc_find("bwrap");

	if (!bwrap) {
		(void)err_set(err, PYRO_E_MISSING_DEPENDENCY, "'bwrap' is not installed");
		(void)err_hint(err, "apt install bubblewrap");
	}
	return bwrap;
}

int jail_check(struct pyro_error *err)
{
	AUTO_FREE char *bwrap = find_bwrap(err);

	return bwrap ? 0 : -1;
}

int jail_command(const struct jail *jail, struct argv *a, struct pyro_error *err)
{
	AUTO_FREE char *bwrap = find_bwrap(err);
	AUTO_FREE char *program = mem_printf("/usr/bin%s", strrchr(jail->program, '/'));

	if (!bwrap)
		return -1;
	argv_add(a, bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-uts",
		 "--unshare-cgroup-try", "--die-with-parent", "--new-session", "--clearenv",
		 jail->passt ? NULL : "--unshare-net", NULL);
	if (jail->preload)
		argv_add(a, "--setenv", "LD_PRELOAD", jail->preload, NULL);
	add_tree(a);
	add_identity(a, jail);
	argv_add(a, "--ro-bind", jail->program, program, NULL);
	if (jail->passt)
		add_passt(a, jail->passt);
	if (jail->kvm)
		argv_add(a, "--dev-bind", jail->kvm, "/dev/kvm", NULL);
	for (size_t i = 0; i < jail->n_files; i++)
		argv_add(a, jail->files[i].is_writable ? "--bind" : "--ro-bind",
			 jail->files[i].path, jail->files[i].as, NULL);
	argv_add(a, "--remount-ro", "/", "--chdir", "/", "--", NULL);
	if (jail->uid != (uid_t)-1)
		add_setpriv(a, jail);
	argv_add(a, program, NULL);
	return 0;
}

/* What forbids the namespaces of a jail, where that is known. Static text. */
static const char *why_forbidden(void)
{
	static const struct {
		const char *path, *bad, *fix;
	} settings[] = {
		{"/proc/sys/user/max_user_namespaces", "0\n",
		 "sudo sysctl -w user.max_user_namespaces=15000"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0\n",
		 "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n",
		 "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		AUTO_BUF struct buf value = BUF_INIT(64);

		if (file_read(settings[i].path, &value, NULL) == 0 &&
		    strcmp(buf_text(&value), settings[i].bad) == 0)
			return settings[i].fix;
	}
	if (geteuid() == 0)
		return "give this container the capabilities SYS_ADMIN and NET_ADMIN";
	return "allow unprivileged user namespaces, or run pyro as root";
}

int jail_try(struct pyro_error *err)
{
	const struct jail jail = {.program = "/usr/bin/true", .uid = jail_uid("doctor")};
	AUTO_ARGV struct argv argv = ARGV_INIT;

	if (jail_command(&jail, &argv, err) < 0)
		return -1;
	if (proc_check(&argv, &(struct proc_options){.deadline = deadline_in(TRY_MS)}, err) < 0) {
		(void)err_wrap(err, "the jail does not work here");
		if (err)
			err->code = PYRO_E_NO_GUEST;
		return err_hint(err, "%s", why_forbidden());
	}
	return 0;
}

size_t jail_limits(const struct jail *jail, struct proc_limit limits[JAIL_MAX_LIMITS])
{
	size_t n = 0;

	limits[n++] = (struct proc_limit){RLIMIT_CORE, 0};
	limits[n++] = (struct proc_limit){RLIMIT_MEMLOCK, 0};
	limits[n++] = (struct proc_limit){RLIMIT_NOFILE, jail->passt ? MAX_SOCKETS : MAX_FDS};
	limits[n++] = (struct proc_limit){RLIMIT_FSIZE, FILE_BYTES};
	limits[n++] = (struct proc_limit){RLIMIT_AS, jail->ram_bytes + ROOM_BYTES};
	/* The limit counts all processes of a user id, so it is only right for one of its own. */
	if (jail->uid != (uid_t)-1)
		limits[n++] = (struct proc_limit){RLIMIT_NPROC, MAX_THREADS};
	return n;
}

const char *jail_level(void)
{
	AUTO_FREE char *bwrap = proc_find("bwrap");

	if (!bwrap)
		return "none: bubblewrap is not installed";
	if (jail_uid("") != (uid_t)-1)
		return "bubblewrap + seccomp, own user id per VM";
	return "bubblewrap + seccomp in a user namespace";
}
