#include "tests/test.h"

#include "base/clock.h"
#include "base/file.h"
#include "pyro/error.h"
#include "vm/network.h"
#include "vm/vm.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Stands where the jail's program is looked for: many words, and the last of them count. */
static const char jail[] = "#!/bin/sh\n"
			   "i=0\n"
			   "while [ $i -lt 100 ]; do\n"
			   "	echo 'something that does not matter' >&2\n"
			   "	i=$((i + 1))\n"
			   "done\n"
			   "echo 'the reason' >&2\n";

static void install(const char *name, const char *text)
{
	AUTO_FREE char *path = mem_printf("%s/%s", test_dir(), name);
	struct pyro_error err;

	CHECK_OK(file_write_atomic(path, text, strlen(text), 0755, &err), err);
}

TEST("why a network did not start is told, however much was said before")
{
	const struct vm_spec spec = {.vm_id = "v", .dir = test_dir(), .net_path = "/bin/true"};
	const struct vm_hooks hooks = {0};
	struct loop *loop = loop_new();
	struct vm *vm = vm_new(loop, &engine_qemu, &spec, &hooks);
	struct pyro_error err;
	siginfo_t info;
	size_t len;

	install("bwrap", jail);
	install("passt", "#!/bin/sh\n");
	CHECK_INT(setenv("PATH", test_dir(), 1), 0);
	vm->is_ending = true;
	vm->net_fd = dup(STDERR_FILENO);
	CHECK_OK(network_start(vm, &err), err);
	/* Its end and its words are seen at once. */
	CHECK_INT(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
	CHECK_INT(network_configure(vm, deadline_in(10000), &err), -1);
	len = strlen(err.message);
	CHECK(len > 10 && strncmp(err.message + len - 11, "the reason", 10) == 0);
	(void)vm_free(vm);
	(void)loop_free(loop);
}
