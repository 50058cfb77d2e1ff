/*
 * bench: what pyro costs, each number next to its floor: the least that raw QEMU (raw.h) needs for
 * the same, measured in the same run and taken in turns with it, so that a noisy machine is unfair
 * to both. Prints JSON on stdout and a table on stderr.
 *
 *	bench PYRO [ROUNDS [PART]]	PART: run, boot, channel, small, workspaces, sessions, mcp
 */
#include "bench.h"

#include "api/handle.h"
#include "api/install.h"
#include "api/remote.h"
#include "base/buf.h"
#include "base/capture.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/proc.h"
#include "channel/mux.h"
#include "image/image.h"
#include "vm/boot.h"
#include "vm/vm.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define VCPUS 1
#define MEM_MIB 1024
#define BULK_MIB 128
#define ROUND_TRIPS 200
#define LATER_EXECS 20
#define BOOTS 5
#define CONNECTIONS 5

static void measure_run(struct bench *b)
{
	static const char *const arguments[] = {"run", BENCH_ENVIRONMENT, "--", "/bin/true", NULL};
	struct raw_source src = bench_source(b);
	struct series ours = {0}, floor = {0};

	(void)bench_pyro(b, arguments);
	for (int i = 0; i < b->rounds; i++) {
		int64_t begun = clock_ns();
		struct raw raw = raw_restore(b->loop, &src);

		raw_call(&raw, "exec", bench_shell("/bin/true"));
		raw_end(&raw);
		series_add(&floor, elapsed_ms(begun));
		series_add(&ours, bench_pyro(b, arguments));
	}
	bench_report(b, "run -- true, start to exit", "ms", series_median(&ours),
		     series_median(&floor), 1.3);
}

static void measure_boot(struct bench *b)
{
	static const struct vm_hooks none = {0};
	struct raw_source src = bench_source(b);
	struct series ours = {0}, floor = {0};
	struct pyro_error err;

	for (int i = 0; i < bench_times(b, BOOTS); i++) {
		int64_t begun = clock_ns();
		struct raw raw = raw_boot(b->loop, &src);
		struct vm *vm;

		series_add(&floor, elapsed_ms(begun));
		raw_end(&raw);
		begun = clock_ns();
		if (file_copy(b->spec.blank_path, b->spec.disk_path, 0600, &err) < 0)
			bench_die("copy the disk", &err);
		vm = vm_new(b->loop, &engine_qemu, &b->spec, &none);
		if (boot_cold(vm, QEMU_BOOT, NULL, &err) < 0)
			bench_die("boot", &err);
		series_add(&ours, elapsed_ms(begun));
		(void)vm_free(vm);
		(void)unlink(b->spec.disk_path);
	}
	bench_report(b, "cold boot to agent", "ms", series_median(&ours), series_median(&floor), 0);
}

/* MiB per second of BULK_MIB that took ms. */
static double rate(double ms)
{
	return BULK_MIB / (ms / 1000);
}

static int open_bulk(const struct bench *b)
{
	AUTO_FREE char *path = mem_printf("%s/bulk", b->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)BULK_MIB << 20) < 0)
		bench_die("make a file to send", NULL);
	return fd;
}

#define OUT_LINE "head -c 134217728 /dev/zero"
#define IN_LINE "cat >/dev/null"

/* The same things over a channel of our own, and through a supervisor. */
struct channel_numbers {
	struct series first, later, trip, out, in;
};

static void use_channel(struct bench *b, struct remote *remote, struct channel_numbers *n)
{
	AUTO_FD int bulk = open_bulk(b);
	struct pyro_error err;
	int64_t begun = clock_ns();

	bench_exec(remote, bench_true());
	series_add(&n->first, elapsed_ms(begun));
	for (int i = 0; i < bench_times(b, LATER_EXECS); i++) {
		begun = clock_ns();
		bench_exec(remote, bench_true());
		series_add(&n->later, elapsed_ms(begun));
	}
	for (int i = 0; i < bench_times(b, ROUND_TRIPS); i++) {
		begun = clock_ns();
		if (remote_call(remote, "bench", "hello", json_pack("{s:i}", "version", 1),
				deadline_in(BENCH_STEP_MS), NULL, &err) < 0)
			bench_die("hello", &err);
		series_add(&n->trip, elapsed_ms(begun));
	}
	begun = clock_ns();
	bench_exec(remote, bench_shell(OUT_LINE));
	series_add(&n->out, rate(elapsed_ms(begun)));
	pyro_set_input(b->p, bulk);
	begun = clock_ns();
	bench_exec(remote, bench_shell(IN_LINE));
	series_add(&n->in, rate(elapsed_ms(begun)));
	pyro_set_input(b->p, -1);
}

static void use_raw(struct bench *b, struct channel_numbers *n)
{
	struct raw_source src = bench_source(b);
	struct raw raw = raw_restore(b->loop, &src);
	struct remote *remote = remote_over(b->p, raw.mux);

	use_channel(b, remote, n);
	(void)remote_free(remote);
	raw_end(&raw);
}

static void use_pyro(struct bench *b, struct channel_numbers *n, struct series *vm_kib,
		     struct series *supervisor_kib)
{
	struct pyro_vm vm, started;
	struct pyro_vm_deleted gone;
	struct pyro_error err;
	struct remote *remote;
	pid_t supervisor;

	if (pyro_create_vm(b->p, &(struct pyro_create_vm_args){.environment = BENCH_ENVIRONMENT},
			   &vm, &err) < 0 ||
	    pyro_start_vm(b->p, &(struct pyro_start_vm_args){.vm_id = vm.vm_id}, &started, &err) <
		    0)
		bench_die("start a VM", &err);
	supervisor = bench_supervisor(vm.vm_id);
	series_add(vm_kib, bench_tree_kib(supervisor) - bench_private_kib(supervisor));
	remote = remote_connect(b->p, vm.vm_id, &err);
	if (!remote)
		bench_die("connect to the supervisor", &err);
	use_channel(b, remote, n);
	series_add(supervisor_kib, bench_private_kib(supervisor));
	(void)remote_free(remote);
	if (pyro_delete_vm(b->p, &(struct pyro_delete_vm_args){.vm_id = vm.vm_id}, &gone, &err) < 0)
		bench_die("delete the VM", &err);
	pyro_vm_deleted_done(&gone);
	pyro_vm_done(&started);
	pyro_vm_done(&vm);
}

static void measure_channel(struct bench *b)
{
	struct channel_numbers floor = {0}, ours = {0};
	struct series vm_kib = {0}, supervisor_kib = {0};

	for (int i = 0; i < bench_times(b, CONNECTIONS); i++) {
		use_raw(b, &floor);
		use_pyro(b, &ours, &vm_kib, &supervisor_kib);
	}
	bench_report(b, "first exec of a started VM", "ms", series_median(&ours.first),
		     series_median(&floor.first), 0);
	bench_report(b, "later exec", "ms", series_median(&ours.later), series_median(&floor.later),
		     0);
	bench_report(b, "round trip to the agent", "ms", series_median(&ours.trip),
		     series_median(&floor.trip), 0);
	bench_report(b, "output of a command", "MiB/s", series_median(&ours.out),
		     series_median(&floor.out), 0);
	bench_report(b, "input of a command", "MiB/s", series_median(&ours.in),
		     series_median(&floor.in), 0);
	bench_report(b, "private memory of an idle VM", "MiB", series_median(&vm_kib) / 1024, 0, 0);
	bench_report(b, "private memory of a supervisor, after 256 MiB", "MiB",
		     series_median(&supervisor_kib) / 1024, 0, 6);
}

static void measure_small(struct bench *b)
{
	static const char *const version[] = {"--version", NULL};
	AUTO_FREE char *agent = handle_program("guest", "pyro-agent", NULL);
	struct series s = {0};
	struct stat st;

	for (int i = 0; i < b->rounds; i++)
		series_add(&s, bench_pyro(b, version));
	bench_report(b, "pyro --version", "ms", series_median(&s), 0, 10);
	if (agent && stat(agent, &st) == 0)
		bench_report(b, "size of the agent", "MiB", (double)st.st_size / (1024 * 1024), 0,
			     1.5);
}

/* The spec of a fresh VM of the default shape, and the template that fits it. */
static void set_up(struct bench *b)
{
	static const struct vm_hooks none = {0};
	AUTO_FREE char *agent = handle_program("guest", "pyro-agent", NULL);
	struct template found;
	struct pyro_error err;

	if (!agent || install_open(b->p, BENCH_ENVIRONMENT, agent, &b->image, &err) < 0)
		bench_die("open " BENCH_ENVIRONMENT, &err);
	b->spec = (struct vm_spec){
		.vm_id = "vm-0000000000000000",
		.dir = b->dir,
		.vcpu_count = VCPUS,
		.mem_mib = MEM_MIB,
		.cache_dir = install_cache_dir(&err),
		.kernel_path = b->image.kernel_path,
		.initrd_path = b->image.initrd_path,
		.root_path = b->image.root_path,
		.root_id = b->image.root_digest,
		.kernel_id = b->image.kernel_digest,
		.initrd_id = b->image.initrd_digest,
		.blank_path = b->image.blank_path,
		.shim_path = handle_program("vm", "pyro-ram-shim.so", &err),
		.disk_path = mem_printf("%s/disk.qcow2", b->dir),
		.is_fresh = true,
	};
	if (!b->spec.cache_dir || vm_host_examine(b->spec.cache_dir, &b->host, &err) < 0)
		bench_die("examine this machine", &err);
	b->spec.accel = b->host.accel;
	b->spec.tsc_khz = b->host.tsc_khz;
	if (template_ensure(b->loop, &b->spec, TEMPLATE_ROOTED, &none, &found, &err) < 0)
		bench_die("make a template", &err);
	/*
	 * QEMU without our help opens the memory for writing, so the floor gets a copy. All three
	 * belong together, and another pyro may discard the template.
	 */
	b->template = (struct template){
		.ram_path = mem_printf("%s/ram", b->dir),
		.state_path = mem_printf("%s/state", b->dir),
		.disk_path = mem_printf("%s/blank", b->dir),
	};
	if (file_copy(found.ram_path, b->template.ram_path, 0600, &err) < 0 ||
	    file_copy(found.state_path, b->template.state_path, 0600, &err) < 0 ||
	    file_copy(found.disk_path, b->template.disk_path, 0600, &err) < 0)
		bench_die("copy the template", &err);
	template_done(&found);
}

static const struct {
	const char *name;
	void (*measure)(struct bench *b);
} parts[] = {
	{"run", measure_run},
	{"boot", measure_boot},
	{"channel", measure_channel},
	{"small", measure_small},
	{"workspaces", workspaces_measure},
	{"sessions", sessions_measure},
	{"mcp", mcp_measure},
};

int main(int argc, char **argv)
{
	char dir[] = "/tmp/pyro-bench-XXXXXX";
	struct bench b = {.rounds = BENCH_ROUNDS, .rows = json_array()};
	int64_t rounds;

	if (argc < 2 || !mkdtemp(dir))
		return 2;
	if (argc > 2 && parse_int(argv[2], 1, BENCH_MAX_ROUNDS, &rounds))
		b.rounds = (int)rounds;
	b.only_ratios = getenv("PYRO_TEST_OUTER") != NULL;
	b.pyro = argv[1];
	b.dir = dir;
	b.p = pyro_new();
	b.loop = b.p->loop;
	set_up(&b);
	(void)fprintf(stderr, "%-50s %10s %-6s %10s %7s %9s\n", "", "pyro", "", "floor", "ratio",
		      "promised");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (argc < 4 || strcmp(argv[3], parts[i].name) == 0)
			parts[i].measure(&b);
	(void)json_dumpf(json_pack("{s:s, s:s, s:i, s:o}", "version", PYRO_VERSION, "accel",
				   vm_accel_name(b.spec.accel), "rounds", b.rounds, "rows", b.rows),
			 stdout, JSON_INDENT(2));
	(void)puts("");
	(void)dir_remove(dir, NULL);
	return 0;
}
