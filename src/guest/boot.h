/*
 * boot: from the first instruction of PID 1 to a root file system.
 *
 * Everything that does not depend on the disk is done early, before a template is taken: proc,
 * sysfs, devtmpfs with pts and shm, a tmpfs for /run, cgroups, the modules, the loopback device.
 * What is left for boot_mount_root is the disk itself and moving those mounts over.
 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include <stdbool.h>

struct pyro_error;

/* Mounts, standard descriptors, the modules that /modules/order lists, and so on. */
int boot_early(struct pyro_error *err);

/*
 * Opens the virtio-serial port named "pyro.agent", waiting some seconds for it to appear.
 * Non-blocking, close-on-exec; owned by the caller.
 */
int boot_open_port(struct pyro_error *err);

/* /dev/vda becomes the root, with a workspace in which no put is half done. */
int boot_mount_root(struct pyro_error *err);

/* The root is flushed and becomes read-only: from here on the disk is whole. */
int boot_flush_root(struct pyro_error *err);

#endif
