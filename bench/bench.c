/*
 * bench: what pyro costs, each number next to its floor: the least that raw QEMU (raw.h) needs for
 * the same, measured in the same run and taken in turns with it, so that a noisy machine is unfair
 * to both. Prints JSON on stdout and a table on stderr.
 *
 *	bench PYRO [ROUNDS]
 */
#include "raw.h"

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

#define ENVIRONMENT "debian:12"
#define VCPUS 1
#define MEM_MIB 1024
#define STEP_MS 120000
#define BULK_MIB 128
#define ROUND_TRIPS 200
#define LATER_EXECS 20
#define BOOTS 5
#define MAX_ROUNDS 200

struct series {
	double values[MAX_ROUNDS];
	int n;
};

struct bench {
	const char *pyro;
	int rounds;
	struct pyro *p;
	struct loop *loop;
	char *dir;
	struct image image;
	struct vm_host host;
	struct vm_spec spec;
	struct template template;
	json_t *rows;
};

static void die(const char *what, const struct pyro_error *err)
{
	(void)fprintf(stderr, "bench: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
	exit(1);
}

static void add(struct series *s, double value)
{
	if (s->n < MAX_ROUNDS)
		s->values[s->n++] = value;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const struct series *s)
{
	double sorted[MAX_ROUNDS];

	memcpy(sorted, s->values, sizeof(sorted));
	qsort(sorted, (size_t)s->n, sizeof(*sorted), by_value);
	return s->n % 2 ? sorted[s->n / 2] : (sorted[s->n / 2 - 1] + sorted[s->n / 2]) / 2;
}

/*
 * One line of the result. floor 0: there is none. limit 0: nothing is promised, else the most it
 * may be: of the ratio where there is a floor, of the value where there is none.
 */
static void report(struct bench *b, const char *name, const char *unit, double value, double floor,
		   double limit)
{
	json_t *row = json_pack("{s:s, s:s, s:f}", "name", name, "unit", unit, "value", value);
	char floor_text[32] = "", ratio_text[32] = "", limit_text[32] = "";

	if (floor > 0) {
		(void)json_object_set_new(row, "floor", json_real(floor));
		(void)json_object_set_new(row, "ratio", json_real(value / floor));
		(void)snprintf(floor_text, sizeof(floor_text), "%.1f", floor);
		(void)snprintf(ratio_text, sizeof(ratio_text), "%.2f", value / floor);
	}
	if (limit > 0) {
		(void)json_object_set_new(row, floor > 0 ? "promised_ratio" : "promised",
					  json_real(limit));
		(void)snprintf(limit_text, sizeof(limit_text), "%g", limit);
	}
	(void)json_array_append_new(b->rows, row);
	(void)fprintf(stderr, "%-46s %10.1f %-6s %10s %7s %9s\n", name, value, unit, floor_text,
		      ratio_text, limit_text);
}

static double since_ms(int64_t begun_ns)
{
	return (double)(clock_ns() - begun_ns) / 1e6;
}

/* `pyro ARGUMENTS` from start to exit, in milliseconds. */
static double time_pyro(struct bench *b, const char *const *arguments)
{
	AUTO_ARGV struct argv argv = ARGV_INIT;
	struct pyro_error err;
	int64_t begun;

	argv_add(&argv, b->pyro, NULL);
	for (size_t i = 0; arguments[i]; i++)
		argv_add(&argv, arguments[i], NULL);
	begun = clock_ns();
	if (proc_check(&argv, &(struct proc_options){.deadline = deadline_in(STEP_MS)}, &err) < 0)
		die("pyro", &err);
	return since_ms(begun);
}

static struct raw_source source(const struct bench *b)
{
	return (struct raw_source){&b->spec, &b->template, b->dir};
}

static json_t *shell(const char *line)
{
	return json_pack("{s:s, s:i}", "shell", line, "timeout_ms", STEP_MS);
}

static json_t *argv_true(void)
{
	return json_pack("{s:[s], s:i}", "argv", "true", "timeout_ms", STEP_MS);
}

static void measure_run(struct bench *b)
{
	static const char *const arguments[] = {"run", ENVIRONMENT, "--", "/bin/true", NULL};
	struct raw_source src = source(b);
	struct series ours = {0}, floor = {0};

	(void)time_pyro(b, arguments);
	for (int i = 0; i < b->rounds; i++) {
		int64_t begun = clock_ns();
		struct raw raw = raw_restore(b->loop, &src);

		raw_call(&raw, "exec", shell("/bin/true"));
		raw_end(&raw);
		add(&floor, since_ms(begun));
		add(&ours, time_pyro(b, arguments));
	}
	report(b, "run -- true, start to exit", "ms", median(&ours), median(&floor), 1.3);
}

static void measure_boot(struct bench *b)
{
	static const struct vm_hooks none = {0};
	struct raw_source src = source(b);
	struct series ours = {0}, floor = {0};
	struct pyro_error err;

	for (int i = 0; i < BOOTS; i++) {
		int64_t begun = clock_ns();
		struct raw raw = raw_boot(b->loop, &src);
		struct vm *vm;

		add(&floor, since_ms(begun));
		raw_end(&raw);
		begun = clock_ns();
		if (file_copy(b->spec.blank_path, b->spec.disk_path, 0600, &err) < 0)
			die("copy the disk", &err);
		vm = vm_new(b->loop, &engine_qemu, &b->spec, &none);
		if (boot_cold(vm, QEMU_BOOT, NULL, &err) < 0)
			die("boot", &err);
		add(&ours, since_ms(begun));
		(void)vm_free(vm);
		(void)unlink(b->spec.disk_path);
	}
	report(b, "cold boot to agent", "ms", median(&ours), median(&floor), 0);
}

static void exec_remote(struct remote *remote, json_t *args)
{
	struct remote_output output;
	struct pyro_error err;

	capture_init(&output.out, 65536);
	capture_init(&output.err, 65536);
	if (remote_exec(remote, args, &output, NULL, &err) < 0)
		die("exec", &err);
	capture_done(&output.out);
	capture_done(&output.err);
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
		die("make a file to send", NULL);
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

	exec_remote(remote, argv_true());
	add(&n->first, since_ms(begun));
	for (int i = 0; i < LATER_EXECS; i++) {
		begun = clock_ns();
		exec_remote(remote, argv_true());
		add(&n->later, since_ms(begun));
	}
	for (int i = 0; i < ROUND_TRIPS; i++) {
		begun = clock_ns();
		if (remote_call(remote, "bench", "hello", json_pack("{s:i}", "version", 1),
				deadline_in(STEP_MS), NULL, &err) < 0)
			die("hello", &err);
		add(&n->trip, since_ms(begun));
	}
	begun = clock_ns();
	exec_remote(remote, shell(OUT_LINE));
	add(&n->out, rate(since_ms(begun)));
	pyro_set_input(b->p, bulk);
	begun = clock_ns();
	exec_remote(remote, shell(IN_LINE));
	add(&n->in, rate(since_ms(begun)));
	pyro_set_input(b->p, -1);
}

static void use_raw(struct bench *b, struct channel_numbers *n)
{
	struct raw_source src = source(b);
	struct raw raw = raw_restore(b->loop, &src);
	struct remote *remote = remote_over(b->p, raw.mux);

	use_channel(b, remote, n);
	(void)remote_free(remote);
	raw_end(&raw);
}

/*
 * Memory in KiB that a process has for itself; 0 if it cannot be read. Clean pages of a file that
 * only one process maps at the moment are counted as private by the kernel, but are page cache.
 */
static double private_kib(pid_t pid)
{
	AUTO_FREE char *path = mem_printf("/proc/%d/smaps_rollup", (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(65536);
	const char *at;
	long kib = 0;

	if (file_read(path, &text, NULL) < 0)
		return 0;
	at = strstr(buf_text(&text), "Private_Dirty:");
	return at && sscanf(at, "Private_Dirty: %ld", &kib) == 1 ? (double)kib : 0;
}

/* The process whose command line begins with `program` and holds `word`. */
static pid_t find_process(const char *program, const char *word)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (dir && !found && (entry = readdir(dir))) {
		AUTO_FREE char *path = mem_printf("/proc/%s/cmdline", entry->d_name);
		AUTO_BUF struct buf text = BUF_INIT(65536);
		int64_t pid;

		if (!parse_int(entry->d_name, 1, INT32_MAX, &pid) ||
		    file_read(path, &text, NULL) < 0 || !text.len ||
		    !strstr(buf_text(&text), program))
			continue;
		if (memmem(text.data, text.len, word, strlen(word)))
			found = (pid_t)pid;
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

static void use_pyro(struct bench *b, struct channel_numbers *n, struct series *vm_kib,
		     struct series *supervisor_kib)
{
	struct pyro_vm vm, started;
	struct pyro_vm_deleted gone;
	struct pyro_error err;
	struct remote *remote;

	if (pyro_create_vm(b->p, &(struct pyro_create_vm_args){.environment = ENVIRONMENT}, &vm,
			   &err) < 0 ||
	    pyro_start_vm(b->p, &(struct pyro_start_vm_args){.vm_id = vm.vm_id}, &started, &err) <
		    0)
		die("start a VM", &err);
	add(vm_kib, private_kib(find_process("/usr/bin/qemu-system-x86_64", "-incoming")));
	remote = remote_connect(b->p, vm.vm_id, &err);
	if (!remote)
		die("connect to the supervisor", &err);
	use_channel(b, remote, n);
	add(supervisor_kib, private_kib(find_process("pyro-supervisor", vm.vm_id)));
	(void)remote_free(remote);
	if (pyro_delete_vm(b->p, &(struct pyro_delete_vm_args){.vm_id = vm.vm_id}, &gone, &err) < 0)
		die("delete the VM", &err);
	pyro_vm_deleted_done(&gone);
	pyro_vm_done(&started);
	pyro_vm_done(&vm);
}

static void measure_channel(struct bench *b)
{
	struct channel_numbers floor = {0}, ours = {0};
	struct series vm_kib = {0}, supervisor_kib = {0};

	for (int i = 0; i < 5; i++) {
		use_raw(b, &floor);
		use_pyro(b, &ours, &vm_kib, &supervisor_kib);
	}
	report(b, "first exec of a started VM", "ms", median(&ours.first), median(&floor.first), 0);
	report(b, "later exec", "ms", median(&ours.later), median(&floor.later), 0);
	report(b, "round trip to the agent", "ms", median(&ours.trip), median(&floor.trip), 0);
	report(b, "output of a command", "MiB/s", median(&ours.out), median(&floor.out), 0);
	report(b, "input of a command", "MiB/s", median(&ours.in), median(&floor.in), 0);
	report(b, "private memory of an idle VM", "MiB", median(&vm_kib) / 1024, 0, 0);
	report(b, "private memory of a supervisor, after 256 MiB", "MiB",
	       median(&supervisor_kib) / 1024, 0, 6);
}

static void measure_small(struct bench *b)
{
	static const char *const version[] = {"--version", NULL};
	AUTO_FREE char *agent = handle_program("guest", "pyro-agent", NULL);
	struct series s = {0};
	struct stat st;

	for (int i = 0; i < b->rounds; i++)
		add(&s, time_pyro(b, version));
	report(b, "pyro --version", "ms", median(&s), 0, 10);
	if (agent && stat(agent, &st) == 0)
		report(b, "size of the agent", "MiB", (double)st.st_size / (1024 * 1024), 0, 1.5);
}

/* The spec of a fresh VM of the default shape, and the template that fits it. */
static void set_up(struct bench *b)
{
	static const struct vm_hooks none = {0};
	AUTO_FREE char *agent = handle_program("guest", "pyro-agent", NULL);
	struct template found;
	struct pyro_error err;

	if (!agent || install_open(b->p, ENVIRONMENT, agent, &b->image, &err) < 0)
		die("open " ENVIRONMENT, &err);
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
		die("examine this machine", &err);
	b->spec.accel = b->host.accel;
	b->spec.tsc_khz = b->host.tsc_khz;
	if (template_ensure(b->loop, &b->spec, TEMPLATE_ROOTED, &none, &found, &err) < 0)
		die("make a template", &err);
	/* QEMU without our help opens the memory for writing, so the floor gets a copy. */
	b->template = (struct template){
		.ram_path = mem_printf("%s/ram", b->dir),
		.state_path = mem_strdup(found.state_path),
		.disk_path = mem_strdup(found.disk_path),
	};
	if (file_copy(found.ram_path, b->template.ram_path, 0600, &err) < 0)
		die("copy the template", &err);
	template_done(&found);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/pyro-bench-XXXXXX";
	struct bench b = {.rounds = 20, .rows = json_array()};
	int64_t rounds;

	if (argc < 2 || !mkdtemp(dir))
		return 2;
	if (argc > 2 && parse_int(argv[2], 1, MAX_ROUNDS, &rounds))
		b.rounds = (int)rounds;
	b.pyro = argv[1];
	b.dir = dir;
	b.p = pyro_new();
	b.loop = b.p->loop;
	set_up(&b);
	(void)fprintf(stderr, "%-46s %10s %-6s %10s %7s %9s\n", "", "pyro", "", "floor", "ratio",
		      "promised");
	measure_run(&b);
	measure_boot(&b);
	measure_channel(&b);
	measure_small(&b);
	(void)json_dumpf(json_pack("{s:s, s:s, s:i, s:o}", "version", PYRO_VERSION, "accel",
				   vm_accel_name(b.spec.accel), "rounds", b.rounds, "rows", b.rows),
			 stdout, JSON_INDENT(2));
	(void)puts("");
	(void)dir_remove(dir, NULL);
	return 0;
}
