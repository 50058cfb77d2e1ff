#include "api/egress.h"

#include "api/handle.h"
#include "api/machine.h"
#include "api/remote.h"
#include "base/err.h"
#include "vm/network.h"

#include <string.h>

#define PROBE_SECONDS 30

int egress_check(bool network, struct pyro_error *err)
{
	AUTO_FREE char *program = NULL;

	if (!network)
		return 0;
	program = handle_program("net", "pyro-net", err);
	return program ? network_check(err) : -1;
}

/* An environment without apt, or without bash, still has a resolver to try. */
static const char probe[] =
	"mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |"
	" sed -n 's|.*http[s]*://\\([^/: ]*\\).*|\\1|p' | head -n 1)\n"
	"mirror=${mirror:-deb.debian.org}\n"
	"getent ahosts \"$mirror\" >/dev/null ||"
	" { echo \"its name cannot be looked up: $mirror\"; exit 1; }\n"
	"command -v bash >/dev/null || exit 0\n"
	"why=$(timeout 20 bash -c \": 3<>/dev/tcp/$mirror/80\" 2>&1) ||"
	" { why=${why##*: }; echo \"$mirror port 80: ${why:-no answer within 20 s}\"; exit 1; }\n";

static int judge(const struct pyro_run *run, struct pyro_error *err)
{
	if (run->exit_code == 0)
		return 0;
	(void)err_set(err, PYRO_E_TIMEOUT,
		      "the guest could not reach the host of its packages: %.*s",
		      (int)strcspn(run->stdout, "\n"), run->stdout);
	return err_hint(err, "check this host's own network and name resolution");
}

int egress_probe(struct pyro *p, const struct pyro_vm *vm, struct pyro_error *err)
{
	static const char *const command[] = {probe, NULL};
	struct machine m = {
		.remote = remote_connect(p, vm->vm_id, err),
		.execution_mode = mem_strdup(vm->execution_mode),
		.accel = mem_strdup(vm->accel),
	};
	struct pyro_run run = {0};
	int result = m.remote ? machine_exec(&m, command, PROBE_SECONDS, &run, err) : -1;

	if (result == 0)
		result = judge(&run, err);
	pyro_run_done(&run);
	machine_done(&m);
	return result;
}
