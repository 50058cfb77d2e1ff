/*
 * The life of a supervisor, from top to bottom: wait to be told what to start, start it, serve
 * until something ends it, end it, go. Callbacks only note what was asked (clients.c); the work is
 * done here, as straight code that keeps the loop running while it waits.
 */
#include "supervisor/supervisor.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/redact.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "supervisor/services.h"
#include "supervisor/shells.h"
#include "vm/disk.h"
#include "vm/network.h"
#include "workspace/output.h"
#include "workspace/records.h"
#include "workspace/services.h"
#include "workspace/snapshots.h"
#include "workspace/state.h"
#include "workspace/workspaces.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_CALL_MS 10000
#define TTL_LOOK_S 15
#define LINK_MS 10000
#define MAX_FILES 4096

void supervisor_end(struct supervisor *s, enum ending ending, enum pyro_code code,
		    const char *message)
{
	if (s->is_finishing)
		return;
	if (ending == ENDING_FAILED && s->owner)
		ending = ENDING_DESTROY; /* the owner is told, and nobody else will ask */
	if (s->ending == ENDING_NONE || ending == ENDING_DESTROY) {
		log_debug("supervisor: ending %d", ending);
		s->ending = ending;
	}
	if (s->reason.code == PYRO_OK)
		(void)err_set(&s->reason, code, "%s", message);
	redact_error(s->patterns, &s->reason);
	s->is_ending = s->has_work = true;
	s->is_asked_to_start = true; /* nobody will ask any more */
	loop_stop(s->loop);
}

static void signal_came(struct loop_fd *src, uint32_t events)
{
	struct signalfd_siginfo info;
	struct supervisor *s = src->ctx;

	(void)events;
	if (read(src->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		supervisor_end(s, s->owner ? ENDING_DESTROY : ENDING_STOP, PYRO_E_VM_DIED,
			       "the VM's supervisor was told to end");
}

/*
 * Seconds until the end. It may have been put off since the start, but only ever before it came, so
 * it is enough to look at the records then.
 */
static double time_left(struct supervisor *s)
{
	double left = json_number_value(json_object_get(s->spec, "expires_at")) - clock_wall();
	struct records *records = left <= 0 ? supervisor_records(s, NULL) : NULL;
	struct pyro_vm vm;

	if (!records || records_get_vm(records, s->vm_id, &vm, NULL) < 0)
		return left;
	json_object_set_new(s->spec, "expires_at", json_real(vm.expires_at));
	left = vm.expires_at - clock_wall();
	pyro_vm_done(&vm);
	return left;
}

/* Whoever hears of it can make the next one in time. */
static void end_of_life(struct supervisor *s)
{
	bool is_workspace = strncmp(s->vm_id, "ws-", 3) == 0;
	bool is_first = s->reason.code == PYRO_OK;

	supervisor_end(s, ENDING_DESTROY, PYRO_E_TIMEOUT,
		       is_workspace
			       ? "the workspace was removed: its time to live, ttl_seconds, is over"
			       : "the VM was removed: its time to live, ttl_seconds, is over");
	if (is_workspace && is_first)
		(void)err_hint(&s->reason,
			       "pyro workspace create --ttl-seconds 3600 makes one that stays an "
			       "hour; pyro workspace update WORKSPACE_ID --ttl-seconds 3600 keeps "
			       "one that is there");
}

/*
 * The end is a point on the wall clock. Timers stand still while the machine sleeps and know
 * nothing of clocks that are set, so it is looked at now and then.
 */
static void look_at_clock(struct loop_timer *timer)
{
	struct supervisor *s = timer->ctx;
	double left = time_left(s);

	if (left <= 0)
		end_of_life(s);
	else
		loop_set_timer(s->loop, timer,
			       deadline_in(left < TTL_LOOK_S ? (int64_t)(left * 1000) + 1
							     : TTL_LOOK_S * 1000));
}

static void machine_gone(void *ctx)
{
	supervisor_end(ctx, ENDING_FAILED, PYRO_E_VM_DIED, SUPERVISOR_VM_DIED);
}

static void network_gone(void *ctx)
{
	struct supervisor *s = ctx;

	s->has_lost_network = s->has_work = true;
}

static void tell_phase(void *ctx, const char *phase, const char *detail)
{
	struct supervisor *s = ctx;
	struct mux_call *call = s->start_call ? s->start_call : s->task.call;

	if (call)
		call_send(call, json_pack("{s:s, s:s, s:s}", "event", "phase", "phase", phase,
					  "detail", detail));
}

static const char *text_of(const struct supervisor *s, const char *key)
{
	return json_string_value(json_object_get(s->spec, key));
}

static long long number_of(const struct supervisor *s, const char *key)
{
	return json_integer_value(json_object_get(s->spec, key));
}

/* The other end of this is libpyro of the same user: what is wrong here is a bug, not an attack. */
static struct vm_spec spec_of(const struct supervisor *s)
{
	const char *accel = text_of(s, "accel");

	return (struct vm_spec){
		.vm_id = s->vm_id,
		.dir = s->dir,
		.vcpu_count = (int)number_of(s, "vcpu_count"),
		.mem_mib = (int)number_of(s, "mem_mib"),
		.accel = accel && strcmp(accel, "kvm") == 0 ? VM_ACCEL_KVM : VM_ACCEL_TCG,
		.is_accel_demanded = json_is_true(json_object_get(s->spec, "is_accel_demanded")),
		.tsc_khz = (uint32_t)number_of(s, "tsc_khz"),
		.agent_path = text_of(s, "agent_path"),
		.cache_dir = text_of(s, "cache_dir"),
		.shim_path = text_of(s, "shim_path"),
		.net_path = text_of(s, "net_path"),
		.blank_path = text_of(s, "blank_path"),
		.kernel_path = text_of(s, "kernel_path"),
		.initrd_path = text_of(s, "initrd_path"),
		.root_path = text_of(s, "root_path"),
		.root_id = text_of(s, "root_id"),
		.kernel_id = text_of(s, "kernel_id"),
		.initrd_id = text_of(s, "initrd_id"),
		.disk_path = text_of(s, "disk_path"),
	};
}

/*
 * Errors that mean that no guest runs here, not that this one had bad luck: another guest that
 * takes all processors for itself must not make a command run on the host.
 */
static bool is_no_guest(const struct pyro_error *error)
{
	return error->code == PYRO_E_MISSING_DEPENDENCY || error->code == PYRO_E_NO_GUEST;
}

static int start_guest(struct supervisor *s, struct vm_spec *spec, const struct vm_hooks *hooks,
		       struct pyro_error *err)
{
	struct vm *vm;

	spec->is_fresh = s->is_renewing || !file_exists(spec->disk_path);
	if (!spec->is_fresh && disk_settle(s->vm_id, s->dir, err) < 0)
		return -1;
	vm = engine_qemu.start(s->loop, spec, hooks, err);
	if (!vm)
		return -1;
	if (supervisor_place_secrets(s, vm, err) < 0) {
		(void)vm_free(vm);
		return -1;
	}
	s->vm = vm;
	return 0;
}

/* A host's own files and processes are no place for secrets. */
static int refuse_host(const struct supervisor *s, struct pyro_error *err)
{
	if (!s->secrets.n)
		return 0;
	(void)err_set(err, PYRO_E_REFUSED, "a workspace with secrets does not run on the host");
	return err_hint(err, "pyro doctor says why no guest can run");
}

static int start_vm(struct supervisor *s, struct pyro_error *err)
{
	const struct vm_hooks hooks = {.on_phase = tell_phase,
				       .on_gone = machine_gone,
				       .on_network_gone = network_gone,
				       .ctx = s};
	bool is_host = json_is_true(json_object_get(s->spec, "host_compat"));
	bool may_be_host = json_is_true(json_object_get(s->spec, "allow_host_compat"));
	struct vm_spec spec = spec_of(s);
	struct pyro_error why;

	s->ttl.on_time = look_at_clock;
	s->ttl.ctx = s;
	look_at_clock(&s->ttl);
	if (!is_host && start_guest(s, &spec, &hooks, &why) == 0)
		return 0;
	if (!is_host && !(may_be_host && is_no_guest(&why))) {
		*err = why;
		return -1;
	}
	if (!is_host)
		tell_phase(s, "fallback", why.message);
	if (refuse_host(s, err) < 0)
		return -1;
	s->vm = engine_host.start(s->loop, &spec, &hooks, err);
	return s->vm ? 0 : -1;
}

static const char *execution_mode(const struct supervisor *s)
{
	return s->vm->engine->execution_mode;
}

/* NULL without a guest. */
static const char *accel(const struct supervisor *s)
{
	return s->vm->engine == &engine_qemu ? vm_accel_name(s->vm->spec.accel) : NULL;
}

static void answer_start(struct supervisor *s, const struct pyro_error *error)
{
	if (s->start_call && error)
		mux_fail(s->start_call, error);
	else if (s->start_call)
		call_answer(s->start_call,
			    json_pack("{s:s, s:s?, s:b}", "execution_mode", execution_mode(s),
				      "accel", accel(s), "has_baseline", s->vm->has_baseline));
}

/* Ends the machine as `ending` says; *err is what could not be done in order. */
static int end_machine(struct supervisor *s, struct pyro_error *err)
{
	int result = 0;

	s->is_finishing = true;
	loop_resume(s->loop);
	if (s->ending == ENDING_STOP && s->vm && !s->vm->is_gone) {
		services_quit(s);
		result = s->vm->engine->stop(s->vm, err);
	}
	s->vm = vm_free(s->vm);
	return result;
}

struct records *supervisor_records(struct supervisor *s, struct pyro_error *err)
{
	if (!s->records)
		s->records = records_open(s->state_dir, err);
	return s->records;
}

/* What is left of the VM: everything or nothing on disk, and what the records say of it. */
static int settle_records(struct supervisor *s, struct pyro_error *err)
{
	struct records *records = supervisor_records(s, err);

	if (!records)
		return -1;
	if (s->ending == ENDING_DESTROY)
		return records_delete_vm(records, s->vm_id, err);
	if (s->ending == ENDING_FAILED)
		return records_set_vm_state(records, s->vm_id, "failed", s->reason.message, NULL,
					    NULL, err);
	if (!s->has_run) /* whoever wanted to start it is gone: it is what it was, and why it was */
		return 0;
	return records_set_vm_state(records, s->vm_id, "stopped", NULL, NULL, NULL, err);
}

static void answer_end(struct supervisor *s, const struct pyro_error *error)
{
	if (s->end_call && error)
		mux_fail(s->end_call, error);
	else if (s->end_call)
		call_answer(s->end_call, json_object());
}

static int remove_all(struct supervisor *s, struct pyro_error *err)
{
	struct records *records = supervisor_records(s, NULL);

	if (records)
		(void)records_doom_vm(records, s->vm_id, NULL);
	return dir_remove(s->dir, err);
}

static void finish(struct supervisor *s)
{
	struct pyro_error error;
	int result = end_machine(s, &error);

	shells_drop(s, &s->reason);
	services_drop(s);
	if (s->ending == ENDING_DESTROY && remove_all(s, &error) < 0)
		result = -1;
	if (settle_records(s, &error) < 0)
		result = -1;
	if (result < 0)
		redact_error(s->patterns, &error);
	answer_end(s, result < 0 ? &error : NULL);
	/* Before anybody hears that this is the end: the next start must find the lock free. */
	(void)close(SUPERVISOR_LOCK_FD);
	clients_close(s);
	s->records = records_close(s->records);
}

/* The VM of somebody who owns it has a record that says so from the beginning. */
static int record_start(struct supervisor *s, struct pyro_error *err)
{
	struct records *records;

	s->has_run = true;
	if (s->owner)
		return 0;
	records = supervisor_records(s, err);
	return records ? records_set_vm_state(records, s->vm_id, "started", NULL, execution_mode(s),
					      accel(s), err)
		       : -1;
}

/* A workspace's history begins anew with its disk; a VM has none. */
static int record_reset(struct supervisor *s, struct pyro_error *err)
{
	struct records *records = supervisor_records(s, err);

	if (!records || workspaces_reset(records, s->vm_id, clock_wall(), err) < 0)
		return -1;
	output_remove_all(s->dir);
	services_remove_all_logs(s->dir);
	return 0;
}

/*
 * A workspace that began empty has the baseline of its template, which a note in its directory
 * says. With no snapshots beside it, a new disk is the same as one that was reverted, and quicker.
 */
static int can_renew(struct supervisor *s, bool *ret, struct pyro_error *err)
{
	AUTO_FREE char *note = state_vm_file(s->state_dir, s->vm_id, STATE_EMPTY_BASELINE);
	struct records *records = supervisor_records(s, err);
	int64_t snapshots;

	if (!records || snapshots_count(records, s->vm_id, &snapshots, err) < 0)
		return -1;
	*ret = strcmp(s->task.name, DISK_BASELINE) == 0 && !snapshots && file_exists(note);
	return 0;
}

static int replace_machine(struct supervisor *s, const char *tag, struct pyro_error *err)
{
	/* The files come first: their history must not be lost while they are still there. */
	if (s->is_renewing && (start_vm(s, err) < 0 || record_reset(s, err) < 0))
		return -1;
	if (!s->is_renewing && (disk_revert(s->vm_id, s->dir, tag, err) < 0 ||
				record_reset(s, err) < 0 || start_vm(s, err) < 0))
		return -1;
	/* No template was to be had, so the new disk has no baseline yet. */
	if (s->is_renewing && !s->vm->has_baseline && s->vm->engine->snapshot(s->vm, tag, err) < 0)
		return -1;
	return record_start(s, err);
}

/*
 * A new machine on the disk as it was. What runs in the old one hears that it was reset; clients,
 * the time to live and this process go on.
 */
static int reset(struct supervisor *s, const char *tag, struct pyro_error *err)
{
	int result;

	if (can_renew(s, &s->is_renewing, err) < 0)
		return -1;
	s->is_resetting = true;
	(void)err_set(&s->reason, PYRO_E_CANCELLED, "the workspace was reset meanwhile");
	s->vm = s->is_renewing ? vm_leave(s->vm) : vm_free(s->vm);
	shells_drop(s, &s->reason);
	services_drop(s);
	s->reason.code = PYRO_OK;
	s->is_resetting = false;
	result = replace_machine(s, tag, err);
	s->is_renewing = false;
	return result;
}

static int do_task(struct supervisor *s, struct pyro_error *err)
{
	AUTO_FREE char *tag = disk_tag(s->task.name);
	struct vm *vm = s->vm;

	if (!vm)
		return err_set(err, PYRO_E_BAD_STATE, "'%s' is not running", s->vm_id);
	switch (s->task.kind) {
	case TASK_SNAPSHOT:
		return vm->engine->snapshot(vm, tag, err);
	case TASK_DELETE_SNAPSHOT:
		return vm->engine->delete_snapshot(vm, tag, err);
	default:
		return reset(s, tag, err);
	}
}

static void answer_task(struct supervisor *s, const struct pyro_error *error)
{
	struct mux_call *call = TAKE_PTR(s->task.call);

	free(s->task.name);
	s->task = (struct task){0};
	if (call && error)
		mux_fail(call, error);
	else if (call)
		call_answer(call, json_object());
}

/* Serves until the end, doing what clients ask that takes more than one step. */
static void work(struct supervisor *s)
{
	struct pyro_error error;

	while (!s->is_ending) {
		(void)loop_until(s->loop, &s->has_work, DEADLINE_NONE, "something to do", NULL);
		if (s->is_ending)
			return;
		s->has_work = false;
		if (s->has_lost_network && s->vm)
			network_cut_off(s->vm, deadline_in(LINK_MS));
		s->has_lost_network = false;
		if (s->task.kind == TASK_NONE)
			continue;
		if (do_task(s, &error) == 0) {
			answer_task(s, NULL);
			continue;
		}
		redact_error(s->patterns, &error);
		answer_task(s, s->is_ending ? &s->reason : &error);
		if (!s->vm) /* a reset that failed half-way */
			supervisor_end(s, ENDING_FAILED, error.code, error.message);
	}
}

static void serve(struct supervisor *s)
{
	struct pyro_error error;

	if (loop_until(s->loop, &s->is_asked_to_start, deadline_in(FIRST_CALL_MS), "a first call",
		       NULL) < 0 ||
	    s->is_ending) {
		supervisor_end(s, ENDING_STOP, PYRO_E_TIMEOUT, "nobody asked to start");
	} else if (supervisor_load_secrets(s, &error) < 0 || clients_listen(s, &error) < 0 ||
		   start_vm(s, &error) < 0 || record_start(s, &error) < 0) {
		if (!s->is_ending)
			s->reason = error;
		redact_error(s->patterns, &s->reason);
		answer_start(s, &s->reason);
		supervisor_end(s, ENDING_FAILED, error.code, error.message);
	} else {
		answer_start(s, NULL);
		work(s);
	}
	finish(s);
}

/* Our signals arrive through the loop; those of a terminal are not ours. */
static int take_signals(struct supervisor *s, struct pyro_error *err)
{
	sigset_t set;
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_sys(err, errno, "receive signals");
	s->signals.on_ready = signal_came;
	s->signals.ctx = s;
	return loop_add_fd(s->loop, &s->signals, fd, EPOLLIN, err);
}

/*
 * Room for every descriptor that the limits on clients, commands, shells, services and their ports
 * add up to. One short of it, and a listener would be told for ever of somebody it cannot let in.
 */
static void take_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < MAX_FILES) {
		files.rlim_cur = files.rlim_max < MAX_FILES ? files.rlim_max : MAX_FILES;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

int main(int argc, char **argv)
{
	struct supervisor s = {.sock = -1};
	struct pyro_error err;

	if (argc != 3 || !state_is_id(argv[2]) || fcntl(SUPERVISOR_CLIENT_FD, F_GETFD) < 0) {
		(void)fprintf(stderr, "pyro-supervisor is started by pyro, not by hand\n");
		return 2;
	}
	/* A child of init from the start: hosts of chat agents kill their descendants. */
	if (fork() != 0)
		_exit(0);
	(void)umask(077);
	take_descriptors();
	(void)!chdir("/"); /* the caller's directory is not ours to keep busy */
	(void)fcntl(SUPERVISOR_CLIENT_FD, F_SETFD, FD_CLOEXEC);
	(void)fcntl(SUPERVISOR_LOCK_FD, F_SETFD, FD_CLOEXEC);
	(void)prctl(PR_SET_NAME, "pyro-supervisor");
	/* What a jail leaves behind when its first process is killed becomes ours to wait for. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	s.state_dir = argv[1];
	s.vm_id = argv[2];
	s.dir = state_vm_dir(s.state_dir, s.vm_id);
	s.loop = loop_new();
	if (!s.loop || take_signals(&s, &err) < 0)
		return 125;
	clients_add(&s, SUPERVISOR_CLIENT_FD);
	serve(&s);
	supervisor_drop_secrets(&s);
	json_decref(s.spec);
	fd_close(&s.signals.fd);
	(void)loop_free(s.loop);
	free(s.dir);
	return 0;
}
