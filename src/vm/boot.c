#include "vm/boot.h"

#include "base/clock.h"
#include "base/err.h"
#include "vm/network.h"
#include "vm/template.h"
#include "vm/vm.h"

#include <stdlib.h>
#include <string.h>

#define BOOT_MS 8000

int64_t boot_deadline(const struct vm *vm)
{
	return deadline_in(vm_patience_ms(vm->spec.accel, BOOT_MS));
}

/* The guest's last line on its console tells more than that it did not answer. */
static int explain(struct vm *vm, struct pyro_error *err)
{
	AUTO_FREE char *text = NULL;
	size_t end, start;

	qemu_read_console(vm);
	text = capture_text(&vm->console_text);
	end = strlen(text);
	while (end && strchr("\r\n ", text[end - 1]))
		end--;
	for (start = end; start && text[start - 1] != '\n';)
		start--;
	if (err && err->code != PYRO_E_CANCELLED && err->code != PYRO_E_MISSING_DEPENDENCY) {
		struct pyro_error why = *err;

		(void)err_set(err, PYRO_E_BOOT_FAILED, "the guest did not start: %s%s%.*s",
			      why.message, end > start ? "; its console says: " : "",
			      (int)(end - start), text + start);
	}
	return -1;
}

/* What carries the guest's packets starts while the machine does. */
static int start_network(struct vm *vm, struct pyro_error *err)
{
	return vm->spec.net_path ? network_start(vm, err) : 0;
}

int boot_cold(struct vm *vm, enum qemu_purpose purpose, const char *ram_path,
	      struct pyro_error *err)
{
	if (qemu_launch(vm, purpose, ram_path, err) < 0 ||
	    (purpose != QEMU_SAVE && start_network(vm, err) < 0) || qemu_run(vm, err) < 0 ||
	    vm_greet(vm, boot_deadline(vm), err) < 0)
		return explain(vm, err);
	return 0;
}

int boot_restored(struct vm *vm, const struct template *t, struct pyro_error *err)
{
	if (qemu_launch(vm, QEMU_RESTORE, t->ram_path, err) < 0 || start_network(vm, err) < 0 ||
	    qemu_restore(vm, t->state_path, err) < 0 || qemu_run(vm, err) < 0 ||
	    vm_greet(vm, boot_deadline(vm), err) < 0)
		return explain(vm, err);
	return 0;
}
