#include "vm/disk.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/proc.h"
#include "vm/jail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISK_MS 60000 /* milliseconds are enough; this is for a machine under great load */
#define MEMORY_BYTES (64 << 20)

char *disk_tag(const char *snapshot_name)
{
	return mem_printf("pyro.%s", snapshot_name);
}

static char *find_qemu_img(struct pyro_error *err)
{
	AUTO_FREE char *found = proc_find("qemu-img");
	char *real = found ? realpath(found, NULL) : NULL;

	if (!real) {
		(void)err_set(err, PYRO_E_MISSING_DEPENDENCY, "'qemu-img' is not installed");
		(void)err_hint(err, "apt install qemu-utils");
	}
	return real;
}

/* qemu-img snapshot ACTION TAG on the disk. */
static int change(const char *vm_id, const char *disk_path, const char *action, const char *tag,
		  struct pyro_error *err)
{
	AUTO_FREE char *program = find_qemu_img(err);
	const struct jail_file file = {disk_path, "/vm/disk", true};
	const struct jail jail = {
		.program = program,
		.files = &file,
		.n_files = 1,
		.uid = jail_uid(vm_id),
		.ram_bytes = MEMORY_BYTES,
	};
	AUTO_ARGV struct argv argv = ARGV_INIT;
	AUTO_BUF struct buf errout = BUF_INIT(16 * 1024);
	struct proc_limit limits[JAIL_MAX_LIMITS];

	if (!program || jail_command(&jail, &argv, err) < 0)
		return -1;
	if (jail.uid != (uid_t)-1 && chown(disk_path, jail.uid, jail.uid) < 0)
		return err_sys(err, errno, "give '%s' to the jail", disk_path);
	argv_add(&argv, "snapshot", "-q", action, tag, "--image-opts",
		 "driver=qcow2,file.driver=file,file.filename=/vm/disk", NULL);
	return proc_check(&argv,
			  &(struct proc_options){
				  .limits = limits,
				  .n_limits = jail_limits(&jail, limits),
				  .die_with_parent = true,
				  .new_session = true,
				  .deadline = deadline_in(DISK_MS),
				  .errout = &errout,
			  },
			  err);
}

int disk_revert(const char *vm_id, const char *disk_path, const char *tag, struct pyro_error *err)
{
	return change(vm_id, disk_path, "-a", tag, err) < 0
		       ? err_wrap(err, "bring the disk back to a snapshot")
		       : 0;
}

int disk_snapshot(const char *vm_id, const char *disk_path, const char *tag, struct pyro_error *err)
{
	(void)disk_delete_snapshot(vm_id, disk_path, tag, NULL);
	return change(vm_id, disk_path, "-c", tag, err) < 0 ? err_wrap(err, "make a snapshot") : 0;
}

int disk_delete_snapshot(const char *vm_id, const char *disk_path, const char *tag,
			 struct pyro_error *err)
{
	struct pyro_error why;

	if (change(vm_id, disk_path, "-d", tag, &why) == 0 || strstr(why.message, "not found"))
		return 0;
	if (err)
		*err = why;
	return err_wrap(err, "delete a snapshot");
}
