#include "api/life.h"

#include "api/handle.h"
#include "api/machine.h"
#include "api/remote.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "vm/disk.h"
#include "workspace/history.h"
#include "workspace/records.h"
#include "workspace/services.h"
#include "workspace/shells.h"
#include "workspace/state.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define KILLED "its supervisor was killed"
#define CHANGE_MS 30000
#define DEAD_MS 5000
#define END_MS 120000

struct pyro_vm life_new(const char *prefix, const char *environment, int64_t vcpu_count,
			int64_t mem_mib, int64_t ttl_seconds)
{
	double now = clock_wall();

	return (struct pyro_vm){
		.vm_id = state_new_id(prefix),
		.environment = mem_strdup(environment),
		.vcpu_count = vcpu_count,
		.mem_mib = mem_mib,
		.created_at = now,
		.expires_at = now + (double)ttl_seconds,
	};
}

int life_make_dir(struct pyro *p, const char *id, struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, id);

	return dir_make(dir, 0700, err);
}

static int gone(const char *id, struct pyro_error *err)
{
	bool is_workspace = state_is_workspace_id(id);

	(void)err_set(err, PYRO_E_NOT_FOUND, "there is no %s '%s'",
		      is_workspace ? "workspace" : "VM", id);
	return err_hint(err, is_workspace ? "pyro workspace list" : "pyro vm list");
}

int life_lock(struct pyro *p, const char *id, struct pyro_error *err)
{
	AUTO_FREE char *path = state_vm_file(p->state, id, "change");
	AUTO_FREE char *dir = state_vm_dir(p->state, id);
	int fd = file_lock(path, deadline_in(CHANGE_MS), err);

	return fd < 0 && !file_exists(dir) ? gone(id, err) : fd; /* deleted just now */
}

static bool is_started(const struct pyro_vm *vm)
{
	return vm->state && strcmp(vm->state, "started") == 0;
}

/* Its state is the last: whoever is killed before leaves all of this to the next one. */
static int settle_killed(struct pyro *p, const char *id, struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, id);

	if (history_interrupt(p->records, id, err) < 0 ||
	    shells_clear(p->records, dir, id, err) < 0 ||
	    services_fail(p->records, id, "the workspace's supervisor was killed", clock_wall(),
			  err) < 0)
		return -1;
	return records_fail_vm(p->records, id, KILLED, err);
}

int life_get(struct pyro *p, const char *id, struct pyro_vm *ret, struct pyro_error *err)
{
	AUTO_FREE char *alive = NULL;
	struct pyro_error why;

	if (!state_is_id(id))
		return gone(id, err);
	if (records_get_vm(p->records, id, ret, err) < 0)
		return -1;
	alive = state_vm_file(p->state, id, "alive");
	if (!is_started(ret) || file_is_locked(alive))
		return 0;
	if (settle_killed(p, id, &why) < 0) {
		if (why.code == PYRO_E_NO_SPACE) {
			/* A full disk keeps nobody from seeing and deleting what fills it. */
			free(ret->state);
			free(ret->reason);
			ret->state = mem_strdup("failed");
			ret->reason = mem_strdup(KILLED);
			return 0;
		}
		pyro_vm_done(ret);
		if (err)
			*err = why;
		return -1;
	}
	pyro_vm_done(ret);
	return records_get_vm(p->records, id, ret, err);
}

static int start_stopped(struct pyro *p, const char *op, const struct pyro_vm *vm,
			 struct pyro_error *err)
{
	AUTO_FD int alive = machine_lock(p, vm->vm_id, err);
	struct machine m;

	if (alive < 0 || machine_start(p, op, vm, alive, MACHINE_KEPT, &m, err) < 0)
		return -1;
	machine_done(&m);
	return 0;
}

int life_start(struct pyro *p, const char *op, const char *id, struct pyro_error *err)
{
	struct pyro_vm vm = {0};
	int result = life_get(p, id, &vm, err);

	if (result == 0 && !is_started(&vm))
		result = start_stopped(p, op, &vm, err);
	pyro_vm_done(&vm);
	return result;
}

/* Nobody listens: either nothing runs, or it is about to, or comes to its end at this moment. */
static int check_dead(struct pyro *p, const char *id, struct pyro_error *err)
{
	AUTO_FREE char *alive = state_vm_file(p->state, id, "alive");
	AUTO_FREE char *dir = state_vm_dir(p->state, id);
	AUTO_FD int lock = -1;
	struct pyro_error why;

	if (!file_exists(dir))
		return 0;
	lock = file_lock(alive, deadline_in(DEAD_MS), &why);
	if (lock >= 0 || !file_exists(dir))
		return 0;
	return err_set(err, PYRO_E_BUSY, "'%s' is being started or ended", id);
}

int life_end(struct pyro *p, const char *id, const char *call, struct pyro_error *err)
{
	struct pyro_error why;
	struct remote *remote = remote_connect(p, id, &why);
	int result;

	if (!remote) {
		if (why.code == PYRO_E_BAD_STATE)
			return check_dead(p, id, err);
		if (err)
			*err = why;
		return -1;
	}
	result = remote_call(remote, call, call, json_object(), deadline_in(END_MS), NULL, err);
	if (result == 0)
		result = remote_await_end(remote, deadline_in(END_MS), err);
	(void)remote_free(remote);
	return result;
}

int life_delete(struct pyro *p, const char *id, struct pyro_error *err)
{
	AUTO_FREE char *dir = state_vm_dir(p->state, id);
	struct pyro_error why;

	/* One that died by itself, or for somebody else who deletes it, is as good as destroyed. */
	if (life_end(p, id, "destroy", &why) < 0 &&
	    (why.code != PYRO_E_VM_DIED || check_dead(p, id, &why) < 0)) {
		if (err)
			*err = why;
		return -1;
	}
	(void)records_doom_vm(p->records, id, NULL); /* on a full disk, what frees it goes on */
	(void)disk_await_free(dir, NULL);            /* what is still open frees nothing */
	/* What a supervisor that was there has removed already is not missed. */
	return dir_remove(dir, err) < 0 ? -1 : records_delete_vm(p->records, id, err);
}
