#include "api/reap.h"

#include "api/handle.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "workspace/records.h"
#include "workspace/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define REAP_MS 30000
#define REAP_LOOK_MS 5

static int open_vms(struct pyro *p, struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, "");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "open '%s'", dir) : fd;
}

int reap_hold_off(struct pyro *p, struct pyro_error *err)
{
	AUTO_FD int fd = open_vms(p, err);
	int64_t deadline = deadline_in(REAP_MS);

	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_SH | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, errno, "lock the state directory");
		if (deadline_left(deadline) == 0)
			return err_set(err, PYRO_E_BUSY, "the state directory is being cleaned up");
		(void)poll(NULL, 0, REAP_LOOK_MS);
	}
	return TAKE_FD(fd);
}

static bool is_alive(struct pyro *p, const char *vm_id)
{
	AUTO_FREE char *path = state_vm_file(p->state, vm_id, "alive");

	return file_is_locked(path);
}

static int remove_vm(struct pyro *p, const char *vm_id, struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, vm_id);

	if (dir_remove(dir, err) < 0)
		return -1;
	return records_delete_vm(p->records, vm_id, err);
}

static void add_id(char ***ids, const char *id)
{
	size_t n;

	if (!ids)
		return;
	n = strv_len((const char *const *)*ids);
	*ids = mem_resize(*ids, n + 2, sizeof(**ids));
	(*ids)[n] = mem_strdup(id);
	(*ids)[n + 1] = NULL;
}

static int reap_records(struct pyro *p, char ***ids, struct pyro_error *err)
{
	AUTO_STRV char **doomed = NULL;
	int result = 0;

	if (records_list_doomed(p->records, clock_wall(), &doomed, err) < 0)
		return -1;
	for (size_t i = 0; doomed[i]; i++) {
		if (is_alive(p, doomed[i]))
			continue; /* its supervisor will see to it */
		if (remove_vm(p, doomed[i], err) < 0)
			result = -1; /* the others go all the same */
		else
			add_id(ids, doomed[i]);
	}
	return result;
}

/* Records without a directory: whoever deleted them was killed on the way. */
static int reap_lost(struct pyro *p, struct pyro_error *err)
{
	AUTO_STRV char **all = NULL;

	if (records_list_ids(p->records, &all, err) < 0)
		return -1;
	for (size_t i = 0; all[i]; i++) {
		AUTO_FREE char *dir = state_vm_dir(p->state, all[i]);

		if (!file_exists(dir) && records_delete_vm(p->records, all[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Without a record, that is; one that cannot be read is no reason to remove anything. */
static int remove_orphan(struct pyro *p, const char *vm_id, struct pyro_error *err)
{
	struct pyro_error why;
	struct pyro_vm vm;

	if (records_get_vm(p->records, vm_id, &vm, &why) == 0) {
		pyro_vm_done(&vm);
		return 0;
	}
	if (why.code == PYRO_E_NOT_FOUND)
		return remove_vm(p, vm_id, err);
	if (err)
		*err = why;
	return -1;
}

/* Directories without a record. vms_fd is locked: nobody is making one now. */
static int reap_orphans(struct pyro *p, int vms_fd, struct pyro_error *err)
{
	AUTO_FD int fd = openat(vms_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int result = 0;

	if (!dir)
		return err_sys(err, errno, "read the state directory");
	(void)TAKE_FD(fd);
	while (result == 0 && (entry = readdir(dir)))
		if (state_is_id(entry->d_name) && !is_alive(p, entry->d_name))
			result = remove_orphan(p, entry->d_name, err);
	(void)closedir(dir);
	return result;
}

int reap_dead(struct pyro *p, char ***ret_ids, struct pyro_error *err)
{
	AUTO_FD int vms_fd = open_vms(p, err);

	if (ret_ids)
		*ret_ids = mem_zalloc(1, sizeof(**ret_ids));
	if (vms_fd < 0)
		return -1;
	if (flock(vms_fd, LOCK_EX | LOCK_NB) < 0)
		return 0; /* somebody makes a VM, or reaps, at this moment */
	if (reap_records(p, ret_ids, err) < 0 || reap_lost(p, err) < 0)
		return -1;
	return reap_orphans(p, vms_fd, err);
}
