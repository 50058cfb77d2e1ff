#include "vm/host.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "vm/engine.h"
#include "vm/kvm_probe.h"
#include "vm/tsc.h"

#include <cpuid.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#define KVM_DEVICE "/dev/kvm"
#define FORMAT 1 /* also grows when the probe learns to look at more */
#define MEMORY_BYTES_MAX 4096
#define DOUBT_SECONDS 600
#define CPUID_1_ECX_HYPERVISOR (1u << 31)
#define CPUID_HYPERVISOR 0x40000000

const char *vm_accel_name(enum vm_accel accel)
{
	return accel == VM_ACCEL_KVM ? "kvm" : "tcg";
}

int vm_host_slowness(void)
{
	unsigned a, name[3], c, d;

	if (!__get_cpuid(1, &a, &name[0], &c, &d) || !(c & CPUID_1_ECX_HYPERVISOR))
		return 1;
	__cpuid(CPUID_HYPERVISOR, a, name[0], name[1], name[2]);
	return memcmp(name, "TCGTCGTCGTCG", sizeof(name)) == 0 ? 16 : 4;
}

/* What the remembered answer depends on, as one text. Owned by the caller. */
static char *make_key(const struct vm_host *host)
{
	AUTO_BUF struct buf boot_id = BUF_INIT(64);
	struct utsname kernel;
	struct stat st = {0};

	(void)file_read("/proc/sys/kernel/random/boot_id", &boot_id, NULL);
	(void)uname(&kernel);
	(void)stat(KVM_DEVICE, &st);
	return mem_printf("%d %.36s %s %u:%u %o %u:%u %lld.%09ld %u %d%d", FORMAT,
			  buf_text(&boot_id), kernel.release, major(st.st_rdev), minor(st.st_rdev),
			  st.st_mode, st.st_uid, st.st_gid, (long long)st.st_mtim.tv_sec,
			  st.st_mtim.tv_nsec, geteuid(), host->kvm_readable, host->kvm_writable);
}

/* Takes what is remembered under this key. False if there is nothing, or nothing sound. */
static bool recall(const char *path, const char *key, struct vm_host *host, bool *ret_is_doubtful)
{
	AUTO_BUF struct buf text = BUF_INIT(MEMORY_BYTES_MAX);
	const char *old_key, *reason;
	json_int_t khz;
	double doubted_at;
	int usable;
	json_t *root;
	bool ok;

	if (file_read(path, &text, NULL) < 0)
		return false;
	root = json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
	ok = json_unpack(root, "{s:s, s:b, s:s, s:I, s:F}", "key", &old_key, "kvm_usable", &usable,
			 "kvm_reason", &reason, "tsc_khz", &khz, "doubted_at", &doubted_at) == 0 &&
	     strcmp(old_key, key) == 0 && khz >= 0 && khz <= UINT32_MAX;
	if (ok) {
		double age = clock_wall() - doubted_at;

		host->kvm_usable = usable;
		host->tsc_khz = (uint32_t)khz;
		(void)snprintf(host->kvm_reason, sizeof(host->kvm_reason), "%s", reason);
		*ret_is_doubtful = doubted_at > 0 && (age < 0 || age > DOUBT_SECONDS);
	}
	json_decref(root);
	return ok;
}

static void remember(const char *dir, const char *path, const char *key, const struct vm_host *host,
		     bool is_final)
{
	json_t *root =
		json_pack("{s:s, s:b, s:s, s:I, s:f}", "key", key, "kvm_usable", host->kvm_usable,
			  "kvm_reason", host->kvm_reason, "tsc_khz", (json_int_t)host->tsc_khz,
			  "doubted_at", is_final ? 0.0 : clock_wall());
	AUTO_FREE char *text = json_dumps(root, JSON_INDENT(2));
	struct pyro_error err;

	json_decref(root);
	if (!text || dir_make(dir, 0700, &err) < 0 ||
	    file_write_atomic(path, text, strlen(text), 0600, &err) < 0)
		log_debug("host: not remembered: %s", text ? err.message : "no text");
}

static void measure(struct vm_host *host, const char *cache_dir)
{
	AUTO_FREE char *key = make_key(host);
	AUTO_FREE char *path = cache_dir ? mem_printf("%s/host.json", cache_dir) : NULL;
	struct kvm_probe probe;
	bool is_doubtful = false;
	bool is_known = path && recall(path, key, host, &is_doubtful);

	if (is_known && !is_doubtful)
		return;
	kvm_probe((int)vm_patience_ms(VM_ACCEL_KVM, KVM_PROBE_TIMEOUT_MS), &probe);
	host->kvm_usable = probe.is_usable;
	memcpy(host->kvm_reason, probe.reason, sizeof(host->kvm_reason));
	if (!is_known)
		host->tsc_khz = tsc_khz();
	if (path)
		remember(cache_dir, path, key, host, probe.is_final);
}

static int apply_override(struct vm_host *host, struct pyro_error *err)
{
	const char *wish = getenv("PYRO_ACCEL");

	if (!wish || !*wish || strcmp(wish, "auto") == 0)
		return 0;
	host->is_demanded = true;
	if (strcmp(wish, "tcg") == 0) {
		host->accel = VM_ACCEL_TCG;
		return 0;
	}
	if (strcmp(wish, "kvm") != 0) {
		(void)err_set(err, PYRO_E_INVALID, "PYRO_ACCEL is '%s'", wish);
		return err_hint(err, "set PYRO_ACCEL to auto, kvm or tcg");
	}
	if (host->kvm_usable)
		return 0;
	(void)err_set(err, PYRO_E_NO_GUEST, "PYRO_ACCEL is 'kvm', which does not work here: %s",
		      host->kvm_reason);
	return err_hint(err, "set PYRO_ACCEL to auto or tcg; pyro doctor says more");
}

int vm_host_examine(const char *cache_dir, struct vm_host *ret, struct pyro_error *err)
{
	*ret = (struct vm_host){
		.kvm_exists = file_exists(KVM_DEVICE),
		.kvm_readable = euidaccess(KVM_DEVICE, R_OK) == 0,
		.kvm_writable = euidaccess(KVM_DEVICE, W_OK) == 0,
	};
	measure(ret, cache_dir);
	ret->accel = ret->kvm_usable ? VM_ACCEL_KVM : VM_ACCEL_TCG;
	return apply_override(ret, err);
}
