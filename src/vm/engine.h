/*
 * engine: how a machine that runs pyro-agent comes to life, and how it ends.
 *
 * There are two: engine_qemu runs a guest under QEMU; engine_host runs the agent as an ordinary
 * process on this host, for --allow-host-compat. Above this header nobody needs to know which.
 *
 * A vm is started by straight code that runs the event loop until it is ready; loop_stop() makes
 * it unwind. From then on it is driven by calls over vm->agent. When its process ends, is_gone
 * becomes true, every call under way fails, and on_gone is called.
 */
#ifndef VM_ENGINE_H
#define VM_ENGINE_H

#include "base/capture.h"
#include "base/loop.h"
#include "vm/host.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mux;
struct network;
struct pyro_error;
struct qmp;

/* Everything an engine needs to know; the strings are borrowed while the vm lives. */
struct vm_spec {
	const char *vm_id;
	const char *dir; /* of this VM, writable, private */
	int vcpu_count;
	int mem_mib;
	enum vm_accel accel;
	bool is_accel_demanded; /* rather no guest than another accelerator */
	uint32_t tsc_khz;       /* 0: unknown */
	const char *agent_path; /* engine_host runs it; guests have it in their initrd */
	const char *cache_dir;  /* templates are kept below it */
	const char *kernel_path;
	const char *initrd_path;
	const char *root_path; /* the environment's root, read-only, shared by all */
	const char *root_id;   /* names the content of root_path; likewise the other two */
	const char *kernel_id;
	const char *initrd_id;
	const char *blank_path; /* an empty qcow2 disk */
	const char *shim_path;  /* the object that QEMU_RESTORE preloads (ram_shim.c) */
	const char *disk_path;  /* qcow2 with what differs from the root */
	const char *net_path;   /* pyro-net, for a machine with a network; else NULL */
	bool is_fresh; /* engine_qemu makes a new disk, in the place of one that is there */
};

struct vm_hooks {
	/* Something that takes a while began: "template" with "reason=…". Borrowed. */
	void (*on_phase)(void *ctx, const char *phase, const char *detail);
	/* The machine is gone, or its agent hung up, unasked. It may be told twice. */
	void (*on_gone)(void *ctx);
	/* What carries its packets is gone; whoever hears it calls network_cut_off(). */
	void (*on_network_gone)(void *ctx);
	void *ctx;
};

struct vm {
	const struct engine *engine;
	struct loop *loop;
	struct vm_spec spec;
	struct vm_hooks hooks;
	struct loop_child child; /* the outermost process of the jail, or the agent */
	struct loop_fd console;
	struct capture console_text;
	struct qmp *qmp;
	int channel_fd;
	int net_fd;              /* our end of its network device, until network_start() */
	struct network *network; /* NULL: it has none */
	struct mux *agent;
	bool has_baseline; /* its new disk came from a template: with the snapshot DISK_BASELINE */
	bool is_gone;
	bool is_ending; /* its end is no surprise */
};

struct engine {
	const char *execution_mode;
	/* Brings a machine to the point where the agent runs commands. NULL with err. */
	struct vm *(*start)(struct loop *loop, const struct vm_spec *spec,
			    const struct vm_hooks *hooks, struct pyro_error *err);
	/* Flushes the guest's file system and ends the machine in order. Free it afterwards. */
	int (*stop)(struct vm *vm, struct pyro_error *err);
	/*
	 * Keeps the disk as it is now, flushed, under a name (disk.h: disk_tag), replacing one of
	 * that name; the guest goes on. And removes one; missing is fine.
	 */
	int (*snapshot)(struct vm *vm, const char *tag, struct pyro_error *err);
	int (*delete_snapshot)(struct vm *vm, const char *tag, struct pyro_error *err);
	/*
	 * Makes an error that the guest reported one of its own disk, or of the host's, where it is
	 * about space: a guest whose writes the host refused knows only that its disk has errors.
	 * Returns -1. NULL: there is no guest.
	 */
	int (*explain)(const struct vm *vm, struct pyro_error *err);
};

extern const struct engine engine_qemu;
extern const struct engine engine_host;

/* Whether the programs that engine_qemu needs are here: PYRO_E_MISSING_DEPENDENCY. */
int engine_qemu_check(struct pyro_error *err);
/* Also whether the jail really works here, which costs some milliseconds: PYRO_E_NO_GUEST. */
int engine_qemu_try(struct pyro_error *err);

/* Kills what still runs, waits until it is gone, and frees. NULL is fine; returns NULL. */
struct vm *vm_free(struct vm *vm);
/*
 * As vm_free(), for whoever goes on without this machine's files: it is killed, but giving back its
 * memory, which takes the kernel 0.1 s for a GiB, is not waited for. The next vm_free() does so.
 */
struct vm *vm_leave(struct vm *vm);

/*
 * What a wait may take at the most: ms on hardware, several times as much under emulation and where
 * this machine is virtual itself. Every deadline around a guest comes from here.
 */
int64_t vm_patience_ms(enum vm_accel accel, int64_t ms);

#endif
