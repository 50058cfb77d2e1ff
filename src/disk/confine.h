/*
 * confine: from then on this process can only read and write what it has open. Its memory and time
 * are limited.
 */
#ifndef DISK_CONFINE_H
#define DISK_CONFINE_H

struct pyro_error;

/* link_dir: the one directory in which a file may still be given a name, or -1. */
int confine(int link_dir, struct pyro_error *err);

#endif
