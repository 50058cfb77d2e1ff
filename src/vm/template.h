/*
 * template: a machine that was booted once and saved, to be restored any number of times.
 *
 * Its memory is a file that every restored machine maps privately; the rest of its state is small.
 * There are two kinds. A rooted template has the environment's root mounted and its programs in
 * the page cache, and comes with the disk as it was at that moment, of which every machine gets a
 * copy: the fastest way to a new machine. In that disk is a snapshot of it, DISK_BASELINE. A
 * bare one waits before anything is mounted: right for a disk that has a life of its own.
 *
 * A template fits only the very same QEMU, firmware, kernel, agent, arguments and clock, and is
 * named by a digest of all of these, so one that does not fit is never found. They are kept in
 * <cache_dir>/templates/<name>/{ram,state,disk}, the most recently used few.
 */
#ifndef VM_TEMPLATE_H
#define VM_TEMPLATE_H

#include "vm/engine.h"

enum template_kind {
	TEMPLATE_ROOTED,
	TEMPLATE_BARE,
};

struct template
{
	char *dir;
	char *ram_path;
	char *state_path;
	char *disk_path; /* of a rooted one */
};

/*
 * Finds the template for a spec, or makes it: boots a machine, which takes seconds, under a lock,
 * so that it happens once. Told as the phase "template". The caller calls template_done().
 */
int template_ensure(struct loop *loop, const struct vm_spec *spec, enum template_kind kind,
		    const struct vm_hooks *hooks, struct template *ret, struct pyro_error *err);
void template_done(struct template *t);
/* Removes those that nobody used for a week, and remains of builds. Returns the bytes freed. */
int64_t template_prune(const char *cache_dir);

/* Removes one that turned out to be of no use. */
void template_discard(const struct template *t);

#endif
