/*
 * identity: what must differ between two machines that were restored from one template.
 */
#ifndef GUEST_IDENTITY_H
#define GUEST_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

struct pyro_error;

#define IDENTITY_ENTROPY_MIN 32
#define IDENTITY_ENTROPY_MAX 512

/* Credits the bytes to the kernel's generator and makes it reseed from them at once. */
int identity_seed(const unsigned char *entropy, size_t len, struct pyro_error *err);
int identity_set_clock(int64_t realtime_ns, struct pyro_error *err);
int identity_set_hostname(const char *name, struct pyro_error *err);
/*
 * 32 lower-case hex digits become the content of /etc/machine-id; a file that the root file system
 * has there is covered, not changed. The root must be writable.
 */
int identity_set_machine_id(const char *hex, struct pyro_error *err);

#endif
