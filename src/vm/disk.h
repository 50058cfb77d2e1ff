/*
 * disk: the snapshots of a machine that no engine uses now, found in its directory.
 *
 * A guest's are inside its qcow2 disk and are changed by qemu-img, in a jail of its own because a
 * QEMU that was taken over may have written the file. qcow2 orders its writes so that a kill leaves
 * the old state or the new one, and at worst some clusters that nobody refers to; but not those of
 * a revert, which must be put in order afterwards. Those of host_compat are copies of the
 * workspace's tree, put in place by renames.
 */
#ifndef VM_DISK_H
#define VM_DISK_H

struct pyro_error;

/* The state that a template's disk was saved in, and that a workspace is reset to by default. */
#define DISK_BASELINE "baseline"

/* The snapshot's name in the file: never one that qemu-img could take for an id. Owned. */
char *disk_tag(const char *snapshot_name);
/* A machine's disk, and for host_compat the copy that a snapshot is. Owned. */
char *disk_path(const char *dir);
char *disk_copy_path(const char *dir, const char *tag);

/*
 * A machine whose supervisor was killed dies with it, but has its disk a moment longer: waits until
 * no QEMU has it locked, a few seconds at the most; then PYRO_E_BUSY. No disk is free, too.
 */
int disk_await_free(const char *dir, struct pyro_error *err);
/*
 * To be called before an engine gets the disk; the other calls do so themselves. Waits as
 * disk_await_free(), then mends what a revert that was killed has left.
 */
int disk_settle(const char *vm_id, const char *dir, struct pyro_error *err);

/* The content becomes what it was. */
int disk_revert(const char *vm_id, const char *dir, const char *tag, struct pyro_error *err);
/* One of that name is replaced. The file system in it must be flushed. */
int disk_snapshot(const char *vm_id, const char *dir, const char *tag, struct pyro_error *err);
/* Missing is fine. */
int disk_delete_snapshot(const char *vm_id, const char *dir, const char *tag,
			 struct pyro_error *err);

#endif
