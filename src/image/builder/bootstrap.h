/*
 * bootstrap: runs mmdebstrap and hands out the tar stream of the root file system it makes.
 *
 * mmdebstrap fetches from the distribution's archive and checks its signatures. It runs as root of
 * its own mount and process namespaces (and user namespace, for an ordinary user), so that its
 * mounts and processes end with it, however it ends; its working files are below tmp_dir.
 */
#ifndef BUILDER_BOOTSTRAP_H
#define BUILDER_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct bootstrap;
struct pyro_error;

struct bootstrap_options {
	const char *suite;
	const char *variant;
	const char *const *packages; /* NULL-terminated */
	const char *tmp_dir;
	const char *phase; /* what progress is reported as */
	int lock_fd;       /* kept open by everything that writes below tmp_dir */
};

/* NULL with err. The options are borrowed until bootstrap_free(). */
struct bootstrap *bootstrap_start(const struct bootstrap_options *options, struct pyro_error *err);
/* The next bytes of the tar stream, 0 at its end, -1 with err. Reports progress while it waits. */
ssize_t bootstrap_read(struct bootstrap *b, void *data, size_t len, struct pyro_error *err);
/* Whether the stream was read to its end, which may have come too early. */
bool bootstrap_is_ended(const struct bootstrap *b);
/* Reads what is left of the stream; whether all went well. */
int bootstrap_finish(struct bootstrap *b, struct pyro_error *err);
/* Ends everything that still runs. NULL is fine. */
struct bootstrap *bootstrap_free(struct bootstrap *b);

/* PYRO_E_CANCELLED once bootstrap_cancel() was called. */
int bootstrap_check_cancelled(struct pyro_error *err);
/* Async-signal-safe: makes the bootstrap under way, and any later one, fail as cancelled. */
void bootstrap_cancel(void);

#endif
