/*
 * confine: from then on this process can only read and write what it has open, and what is below
 * one directory if it needs that. What it may use of memory and time is limited, and it can start
 * no program.
 */
#ifndef HELPER_CONFINE_H
#define HELPER_CONFINE_H

#include <sys/resource.h>

struct pyro_error;

struct confine_limits {
	rlim_t memory_bytes;
	rlim_t cpu_seconds;
	int link_dir; /* the one directory in which a file may still be given a name, or -1 */
	int work_dir; /* the one below which everything may be made and written, or -1 */
};

/* A kernel without Landlock leaves it at the limits. */
int confine(const struct confine_limits *limits, struct pyro_error *err);

#endif
