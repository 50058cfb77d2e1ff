/*
 * raw: the floor. A guest restored or booted by QEMU alone, with the arguments that pyro gives it,
 * but without pyro: no jail, no supervisor, no records, no checks that the least would not need.
 */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include "vm/engine.h"
#include "vm/template.h"

#include <jansson.h>

struct raw {
	struct loop *loop;
	pid_t pid;
	int qmp_fd;
	int channel_fd;
	int console_fd;
	struct mux *mux;
	char *disk;
};

/* What both ways start from; borrowed. */
struct raw_source {
	const struct vm_spec *spec;
	const struct template *template; /* of this spec; the memory file is a copy we may open */
	const char *dir;                 /* scratch, for disks */
};

/* QEMU up, machine restored, agent told who it is: ready for a command. Ends the bench on failure.
 */
struct raw raw_restore(struct loop *loop, const struct raw_source *src);
/* QEMU up, kernel booted, agent answers. */
struct raw raw_boot(struct loop *loop, const struct raw_source *src);
/* A call to the agent; the result is dropped. */
void raw_call(struct raw *raw, const char *name, json_t *args);
void raw_end(struct raw *raw);

#endif
