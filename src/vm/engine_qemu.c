/*
 * How a guest is started: restored from a template, which is made first if there is none; if that
 * fails, booted, once more if it hangs; and if KVM does not do at all, all of it again under TCG.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "channel/call.h"
#include "vm/boot.h"
#include "vm/jail.h"
#include "vm/network.h"
#include "vm/template.h"
#include "vm/vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define ENTROPY_BYTES 64
#define MACHINE_ID_BYTES 16
#define HOST_FULL_BYTES (1024 * 1024) /* a disk grows by 64 KiB and more at once */
#define FLUSH_MS 15000
#define THAW_MS 5000

/* n random bytes as hex. */
static char *random_hex(size_t n)
{
	unsigned char bytes[ENTROPY_BYTES];
	char *hex = mem_zalloc(2 * n + 1, 1);

	if (getrandom(bytes, n, 0) != (ssize_t)n)
		abort();
	for (size_t i = 0; i < n; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	return hex;
}

/* No two machines share random numbers, clock or name, although they share a template. */
static int give_identity(struct vm *vm, struct pyro_error *err)
{
	AUTO_FREE char *entropy = random_hex(ENTROPY_BYTES);
	AUTO_FREE char *machine_id = random_hex(MACHINE_ID_BYTES);
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return vm_call(vm, "resume",
		       json_pack("{s:s, s:I, s:s, s:s}", "entropy", entropy, "realtime_ns",
				 (json_int_t)now.tv_sec * 1000000000 + now.tv_nsec, "hostname",
				 vm->spec.vm_id, "machine_id", machine_id),
		       boot_deadline(vm), err);
}

static int mount_root(struct vm *vm, struct pyro_error *err)
{
	return vm_call(vm, "mount", NULL, boot_deadline(vm), err);
}

/* The last step of every start. */
static int enter_world(struct vm *vm, struct pyro_error *err)
{
	if (give_identity(vm, err) < 0)
		return -1;
	return vm->network ? network_configure(vm, boot_deadline(vm), err) : 0;
}

/* A new machine's disk is a copy, whole or not there; what an earlier try left of it goes. */
static int make_disk(const struct vm *vm, const char *from, struct pyro_error *err)
{
	AUTO_FREE char *temp = mem_printf("%s.new", vm->spec.disk_path);

	(void)unlink(temp);
	if (file_copy(from, temp, 0600, err) < 0)
		return -1;
	if (rename(temp, vm->spec.disk_path) < 0)
		return err_sys(err, errno, "rename '%s'", temp);
	return 0;
}

/* Whether a machine that did not come to life tells of its template, and not of its own disk. */
static bool blames_template(const struct vm *vm, const struct pyro_error *error)
{
	return vm->spec.is_fresh && error->code == PYRO_E_BOOT_FAILED && !loop_is_stopped(vm->loop);
}

static int restore_from(struct vm *vm, const struct template *t, struct pyro_error *err)
{
	struct pyro_error why;

	if (vm->spec.is_fresh && make_disk(vm, t->disk_path, err) < 0)
		return -1;
	if (boot_restored(vm, t, &why) < 0) {
		if (blames_template(vm, &why))
			template_discard(t);
		if (err)
			*err = why;
		return -1;
	}
	if (!vm->spec.is_fresh && mount_root(vm, err) < 0)
		return -1;
	return enter_world(vm, err);
}

static int restore(struct vm *vm, struct pyro_error *err)
{
	enum template_kind kind = vm->spec.is_fresh ? TEMPLATE_ROOTED : TEMPLATE_BARE;
	struct template t;
	int result;

	if (template_ensure(vm->loop, &vm->spec, kind, &vm->hooks, &t, err) < 0)
		return -1;
	result = restore_from(vm, &t, err);
	vm->has_baseline = result == 0 && kind == TEMPLATE_ROOTED;
	template_done(&t);
	return result;
}

static int boot(struct vm *vm, struct pyro_error *err)
{
	vm_phase(&vm->hooks, "boot", vm->spec.accel == VM_ACCEL_KVM ? "accel=kvm" : "accel=tcg");
	if (vm->spec.is_fresh && make_disk(vm, vm->spec.blank_path, err) < 0)
		return -1;
	if (boot_cold(vm, QEMU_BOOT, NULL, err) < 0 || mount_root(vm, err) < 0)
		return -1;
	return enter_world(vm, err);
}

static struct vm *start(struct loop *loop, const struct vm_spec *spec, const struct vm_hooks *hooks,
			struct pyro_error *err)
{
	static int (*const ways[])(struct vm *, struct pyro_error *) = {restore, boot, boot};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct vm *vm = vm_new(loop, &engine_qemu, spec, hooks);
		bool is_hopeless;

		vm->is_ending = true; /* until it is ready, its end is a failure, no event */
		if (ways[i](vm, err) == 0) {
			vm->is_ending = false;
			return vm;
		}
		log_debug("vm: way %zu: %s", i, err ? err->message : "");
		is_hopeless = vm->network && !network_is_up(vm->network);
		(void)vm_free(vm);
		if (is_hopeless || loop_is_stopped(loop) ||
		    (err && err->code == PYRO_E_MISSING_DEPENDENCY))
			return NULL;
	}
	if (spec->accel == VM_ACCEL_KVM && !spec->is_accel_demanded) {
		struct vm_spec without = *spec;

		without.accel = VM_ACCEL_TCG;
		vm_phase(hooks, "slower", "accel=tcg reason=\"no guest started under KVM\"");
		return start(loop, &without, hooks, err);
	}
	return NULL;
}

static int explain(const struct vm *vm, struct pyro_error *err)
{
	if (err->code == PYRO_E_SYSTEM && dir_free_bytes(vm->spec.dir) < HOST_FULL_BYTES)
		return err_set(err, PYRO_E_NO_SPACE,
			       "the host has no space left for the guest's disk");
	if (err->code != PYRO_E_NO_SPACE)
		return -1;
	(void)err_wrap(err, "in the guest");
	return err_hint(err, "remove files in the guest, then try again");
}

static int stop(struct vm *vm, struct pyro_error *err)
{
	struct pyro_error ignored;
	int result = vm_call(vm, "quiesce", NULL,
			     deadline_in(vm_patience_ms(vm->spec.accel, FLUSH_MS)), err);

	if (result < 0)
		(void)explain(vm, err);
	/* Whatever the guest said, QEMU closes the disk in order. */
	(void)qemu_quit(vm, &ignored);
	return result < 0 ? err_wrap(err, "flush the guest's file system") : 0;
}

/* Fails unless the disk held still until now: a guest does not stay frozen for ever. */
static int thaw(struct vm *vm, struct pyro_error *err)
{
	json_t *result = call_wait(vm->loop, vm->agent, "thaw", NULL,
				   deadline_in(vm_patience_ms(vm->spec.accel, THAW_MS)), err);
	bool is_answered = result, was_frozen = json_is_true(json_object_get(result, "was_frozen"));

	json_decref(result);
	if (is_answered && !was_frozen)
		return err_set(err, PYRO_E_TIMEOUT,
			       "the guest's disk did not hold still until its snapshot was taken");
	return is_answered ? 0 : -1;
}

static int snapshot(struct vm *vm, const char *tag, struct pyro_error *err)
{
	int result;

	if (qemu_delete_snapshot(vm, tag, err) < 0)
		return explain(vm, err);
	if (vm_call(vm, "freeze", NULL, deadline_in(vm_patience_ms(vm->spec.accel, FLUSH_MS)),
		    err) < 0) {
		/* It may have come to pass all the same, and its answer come too late. */
		(void)thaw(vm, NULL);
		return explain(vm, err);
	}
	result = qemu_snapshot(vm, tag, err);
	if (thaw(vm, result < 0 ? NULL : err) < 0 && result == 0) {
		(void)qemu_delete_snapshot(vm, tag, NULL);
		result = -1;
	}
	return result;
}

int engine_qemu_check(struct pyro_error *err)
{
	AUTO_FREE char *qemu = qemu_program(err);

	return qemu ? jail_check(err) : -1;
}

int engine_qemu_try(struct pyro_error *err)
{
	return engine_qemu_check(err) < 0 ? -1 : jail_try(err);
}

const struct engine engine_qemu = {
	.execution_mode = "guest_serial",
	.start = start,
	.stop = stop,
	.snapshot = snapshot,
	.delete_snapshot = qemu_delete_snapshot,
	.explain = explain,
};
