/*
 * disk: the snapshots inside a VM's qcow2 disk while no machine uses it, by qemu-img in a jail of
 * its own, because a QEMU that was taken over may have written the file.
 *
 * Each call is all or nothing: qcow2 orders its writes so that a kill leaves the old state or the
 * new one, and at worst some clusters that nobody refers to. Names are those of disk_tag().
 */
#ifndef VM_DISK_H
#define VM_DISK_H

struct pyro_error;

/* The state that a template's disk was saved in, and that a workspace is reset to by default. */
#define DISK_BASELINE "baseline"

/* The snapshot's name in the file: never one that qemu-img could take for an id. Owned. */
char *disk_tag(const char *snapshot_name);

/* The disk's content becomes what it was. */
int disk_revert(const char *vm_id, const char *disk_path, const char *tag, struct pyro_error *err);
/* One of that name is replaced. The file system in it must be flushed. */
int disk_snapshot(const char *vm_id, const char *disk_path, const char *tag,
		  struct pyro_error *err);
/* Missing is fine. */
int disk_delete_snapshot(const char *vm_id, const char *disk_path, const char *tag,
			 struct pyro_error *err);

#endif
