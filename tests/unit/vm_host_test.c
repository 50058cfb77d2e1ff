#include "tests/test.h"

#include "base/clock.h"
#include "base/file.h"
#include "pyro/error.h"
#include "vm/host.h"
#include "vm/kvm_probe.h"
#include "vm/tsc.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define PLANTED_KHZ 1234567

static void need_kvm(void)
{
	if (euidaccess("/dev/kvm", R_OK | W_OK) < 0)
		test_skip("kvm", "/dev/kvm cannot be opened");
}

static char *memory_path(void)
{
	return mem_printf("%s/host.json", test_dir());
}

static void examine(struct vm_host *ret)
{
	struct pyro_error err;

	(void)unsetenv("PYRO_ACCEL");
	CHECK_OK(vm_host_examine(test_dir(), ret, &err), err);
}

static void write_memory(const char *text)
{
	AUTO_FREE char *path = memory_path();
	struct pyro_error err;

	CHECK_OK(file_write_atomic(path, text, strlen(text), 0600, &err), err);
}

/* Examines, then changes what is remembered to values that no machine has; takes `change`. */
static void plant(json_t *change)
{
	AUTO_FREE char *path = memory_path(), *text = NULL;
	struct vm_host host;
	json_t *root;

	examine(&host);
	root = json_load_file(path, 0, NULL);
	CHECK(root);
	CHECK_INT(json_object_set_new(root, "tsc_khz", json_integer(PLANTED_KHZ)), 0);
	CHECK_INT(json_object_set_new(root, "kvm_reason", json_string("planted")), 0);
	CHECK_INT(json_object_update_new(root, change), 0);
	text = json_dumps(root, 0);
	write_memory(text);
	json_decref(root);
}

static bool is_planted(void)
{
	struct vm_host host;

	examine(&host);
	return host.tsc_khz == PLANTED_KHZ || strcmp(host.kvm_reason, "planted") == 0;
}

TEST("what was measured is remembered")
{
	plant(json_object());
	CHECK(is_planted());
}

TEST("the machine is measured again after a boot, and when the memory is broken")
{
	const char *const texts[] = {"", "{", "null", "[]", "{}", "\xff\xfe", "{\"key\": 1}"};
	AUTO_FREE char *path = memory_path();

	plant(json_pack("{s:s}", "key", "1 00000000-0000-0000-0000-000000000000 6.1.0"));
	CHECK(!is_planted());
	plant(json_pack("{s:i}", "tsc_khz", -1));
	CHECK(!is_planted());
	plant(json_pack("{s:s}", "kvm_usable", "yes"));
	CHECK(!is_planted());
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_memory(texts[i]);
		CHECK(!is_planted());
	}
	plant(json_object());
	CHECK_INT(truncate(path, 100), 0);
	CHECK(!is_planted());
	plant(json_object());
	CHECK_INT(truncate(path, 1 << 20), 0);
	CHECK(!is_planted());
	plant(json_object());
	CHECK(is_planted());
}

TEST("a doubtful answer about KVM is believed for ten minutes, the frequency for the whole boot")
{
	struct vm_host host;

	plant(json_pack("{s:f}", "doubted_at", clock_wall() - 500));
	examine(&host);
	CHECK_STR(host.kvm_reason, "planted");
	plant(json_pack("{s:f}", "doubted_at", clock_wall() - 700));
	examine(&host);
	CHECK(strcmp(host.kvm_reason, "planted") != 0);
	CHECK_INT(host.tsc_khz, PLANTED_KHZ);
}

TEST("a directory that cannot be written, or none, is no error")
{
	const char *const dirs[] = {"/proc/nowhere", "/dev/null/x", NULL};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		struct pyro_error err;
		struct vm_host host;

		CHECK_OK(vm_host_examine(dirs[i], &host, &err), err);
		CHECK_INT(host.kvm_usable, host.kvm_reason[0] == '\0');
	}
}

TEST("the memory's directory is made, private to its user")
{
	AUTO_FREE char *dir = mem_printf("%s/a/b", test_dir());
	AUTO_FREE char *path = mem_printf("%s/host.json", dir);
	struct pyro_error err;
	struct vm_host host;
	struct stat st;

	CHECK_OK(vm_host_examine(dir, &host, &err), err);
	CHECK_INT(stat(dir, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0700);
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0600);
}

TEST("PYRO_ACCEL=tcg and auto choose the accelerator")
{
	struct pyro_error err;
	struct vm_host host;

	(void)setenv("PYRO_ACCEL", "tcg", 1);
	CHECK_OK(vm_host_examine(test_dir(), &host, &err), err);
	CHECK_STR(vm_accel_name(host.accel), "tcg");
	(void)setenv("PYRO_ACCEL", "auto", 1);
	CHECK_OK(vm_host_examine(test_dir(), &host, &err), err);
	CHECK_STR(vm_accel_name(host.accel), host.kvm_usable ? "kvm" : "tcg");
}

TEST("PYRO_ACCEL=kvm is refused with the reason where KVM does not work")
{
	struct pyro_error err = {0};
	struct vm_host host;
	int r;

	(void)setenv("PYRO_ACCEL", "kvm", 1);
	r = vm_host_examine(test_dir(), &host, &err);
	CHECK_INT(r, host.kvm_usable ? 0 : -1);
	if (host.kvm_usable) {
		CHECK_STR(vm_accel_name(host.accel), "kvm");
		return;
	}
	CHECK_INT(err.code, PYRO_E_NO_GUEST);
	CHECK(strstr(err.message, host.kvm_reason));
	CHECK(strstr(err.hint, "PYRO_ACCEL"));
	CHECK(host.tsc_khz == tsc_khz());
}

TEST("another PYRO_ACCEL is an error that names the values")
{
	struct pyro_error err = {0};
	struct vm_host host;

	(void)setenv("PYRO_ACCEL", "KVM", 1);
	CHECK_INT(vm_host_examine(test_dir(), &host, &err), -1);
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK(strstr(err.message, "'KVM'"));
	CHECK(strstr(err.hint, "auto, kvm or tcg"));
}

TEST("without /dev/kvm the answer is TCG")
{
	struct pyro_error err;
	struct vm_host host;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/dev", "tmpfs", 0, NULL) < 0)
		test_skip("root", "/dev cannot be covered");
	CHECK_OK(vm_host_examine(NULL, &host, &err), err);
	CHECK(!host.kvm_exists && !host.kvm_readable && !host.kvm_writable && !host.kvm_usable);
	CHECK_STR(host.kvm_reason, "no /dev/kvm");
	CHECK_INT(host.accel, VM_ACCEL_TCG);
}

TEST("/dev/kvm that this user may not open is no KVM")
{
	struct pyro_error err;
	struct vm_host host;
	struct stat st;

	need_kvm();
	if (stat("/dev/kvm", &st) < 0 || (st.st_mode & 0006) || setegid(65534) < 0 ||
	    seteuid(65534) < 0)
		test_skip("root", "no user without a right to /dev/kvm");
	CHECK_OK(vm_host_examine(NULL, &host, &err), err);
	CHECK_INT(seteuid(0), 0); /* or the leak checker may not look at this process */
	CHECK(host.kvm_exists && !host.kvm_readable && !host.kvm_writable && !host.kvm_usable);
	CHECK_STR(host.kvm_reason, "no permission to open /dev/kvm");
	CHECK_INT(host.accel, VM_ACCEL_TCG);
}

TEST("a probe guest that never ends is killed at the deadline")
{
	static const unsigned char jump_to_itself[] = {0xeb, 0xfe};
	struct kvm_probe probe;

	need_kvm();
	kvm_probe__code(jump_to_itself, sizeof(jump_to_itself), 150, &probe);
	CHECK(!probe.is_usable && !probe.is_final);
	CHECK_STR(probe.reason, "timed out after 150 ms");
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
}

TEST("a probe guest that crashes, halts or computes nonsense makes KVM unusable")
{
	static const struct {
		unsigned char code[12];
		const char *reason;
	} rows[] = {
		{{0x0f, 0x0b}, "the probe guest crashed on 'first instruction'"},        /* ud2 */
		{{0xf4}, "the probe guest stopped (KVM exit 5) on 'first instruction'"}, /* hlt */
		/* mov $2, %eax; mov $0x7079, %dx; out %eax, %dx */
		{{0xb8, 2, 0, 0, 0, 0x66, 0xba, 0x79, 0x70, 0xef}, "wrong result of 'int3'"},
	};

	need_kvm();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kvm_probe probe;

		kvm_probe__code(rows[i].code, sizeof(rows[i].code), 2000, &probe);
		CHECK(!probe.is_usable && probe.is_final);
		CHECK_STR(probe.reason, rows[i].reason);
	}
}

TEST("the counter's frequency repeats within 50 ppm and is the counter's")
{
	int64_t ns = clock_ns();
	uint64_t ticks = __rdtsc();
	double lowest = UINT32_MAX, highest = 0, coarse;

	for (int i = 0; i < 5; i++) {
		double khz = tsc_khz();

		lowest = khz < lowest ? khz : lowest;
		highest = khz > highest ? khz : highest;
	}
	if (highest == 0)
		test_skip("tsc", "the kernel does not trust the time stamp counter");
	CHECK(highest - lowest <= lowest * 50e-6);
	coarse = (double)(__rdtsc() - ticks) * 1e6 / (double)(clock_ns() - ns);
	CHECK(coarse > lowest * 0.98 &&
	      coarse < highest * 1.02); /* we may have waited in between */
}
