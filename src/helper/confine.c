#include "helper/confine.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/proc.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Everything that the first version of Landlock knows. */
#define ALL_ACCESS ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/* Sanitizers map terabytes, and open files to tell what they found. */
#ifdef SANITIZED
#define MAY_FORBID false
#else
#define MAY_FORBID true
#endif

#define WORK_ACCESS                                                    \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR | \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* Descriptors at once, where files are made. */
#define WORK_FILES 64

static int allow(int rules, int dir, uint64_t access, struct pyro_error *err)
{
	const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = dir};

	if (dir < 0 ||
	    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
		return 0;
	return err_sys(err, errno, "allow the output");
}

static int forbid_files(const struct confine_limits *limits, struct pyro_error *err)
{
	const struct landlock_ruleset_attr all = {.handled_access_fs = ALL_ACCESS};
	AUTO_FD int rules =
		(int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all.handled_access_fs), 0);

	if (rules < 0)
		return 0;
	if (allow(rules, limits->link_dir, LANDLOCK_ACCESS_FS_MAKE_REG, err) < 0 ||
	    allow(rules, limits->work_dir, WORK_ACCESS, err) < 0)
		return -1;
	if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return err_sys(err, errno, "forbid files");
	return 0;
}

static int set_limits(const struct confine_limits *given, struct pyro_error *err)
{
	const struct proc_limit limits[] = {
		{RLIMIT_CPU, given->cpu_seconds},
		{RLIMIT_CORE, 0},
		{RLIMIT_AS, given->memory_bytes},
		{RLIMIT_NOFILE, given->work_dir < 0 ? 0 : WORK_FILES},
		{RLIMIT_NPROC, 0},
	};
	size_t n = MAY_FORBID ? ARRAY_SIZE(limits) : 2;

	for (size_t i = 0; i < n; i++) {
		const struct rlimit both = {limits[i].value, limits[i].value};

		if (setrlimit((__rlimit_resource_t)limits[i].resource, &both) < 0)
			return err_sys(err, errno, "limit this process");
	}
	return 0;
}

int confine(const struct confine_limits *limits, struct pyro_error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "give up privileges");
	if (MAY_FORBID && forbid_files(limits, err) < 0)
		return -1;
	return set_limits(limits, err);
}
