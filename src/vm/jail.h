/*
 * jail: what QEMU is confined to. A guest that breaks out of its machine finds itself here.
 *
 * bubblewrap gives it namespaces of its own (process ids, IPC, host name, cgroups, an empty
 * network, mounts) and a file tree that holds the libraries of /usr/lib, read-only, and under /vm
 * the files of this machine and nothing else; all capabilities are dropped, and QEMU's own seccomp
 * sandbox comes on top (qemu.c). Started by root, every machine runs under a user id of its own;
 * started by an ordinary user, it runs in a user namespace. Limits on memory, processes, file
 * descriptors, file size and core dumps hold for all of it.
 *
 * The jail dies with the process that started it.
 */
#ifndef VM_JAIL_H
#define VM_JAIL_H

#include "base/proc.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pyro_error;

/* One file that the jail holds. */
struct jail_file {
	const char *path; /* on the host */
	const char *as;   /* in the jail, below /vm */
	bool is_writable;
};

struct jail {
	const char *program; /* absolute path; in the jail it is in /usr/bin */
	const struct jail_file *files;
	size_t n_files;
	uid_t uid;       /* its own user and group id, or (uid_t)-1 to stay who we are */
	const char *kvm; /* what is /dev/kvm in the jail (jail_kvm()), or NULL */
	/* NULL: an empty network. Else the host's, and this passt in /usr/bin, with what it needs.
	 */
	const char *passt;
	const char
		*preload; /* a shared object for LD_PRELOAD, as it is named in the jail, or NULL */
	uint64_t ram_bytes;
};

#define JAIL_MAX_LIMITS 8

/* Who a VM is in its jail: a user id of its own if we are root, else (uid_t)-1. */
uid_t jail_uid(const char *vm_id);

/*
 * The device that uid may use as /dev/kvm, owned by the caller. Where the host's is not for
 * everybody, a user id of its own gets a node of its own, made in dir; only where devices are
 * forbidden there, it gets the group of the host's.
 */
char *jail_kvm(const char *dir, uid_t uid, struct pyro_error *err);

/* Whether the programs it needs are here: PYRO_E_MISSING_DEPENDENCY. */
int jail_check(struct pyro_error *err);

/* Whether a program really runs in it here: namespaces can be forbidden. */
int jail_try(struct pyro_error *err);

/* Starts argv with everything that comes before the program's own arguments, program included. */
int jail_command(const struct jail *jail, struct argv *argv, struct pyro_error *err);

/* The limits to start it with; returns how many. */
size_t jail_limits(const struct jail *jail, struct proc_limit limits[JAIL_MAX_LIMITS]);

/* One line for people: how QEMU is confined on this machine, or why it cannot be. */
const char *jail_level(void);

#endif
