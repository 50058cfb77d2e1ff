/*
 * transfer: trees between the host and a workspace, as tar streams. On the host's side a helper
 * (pyro-tar) reads or writes them; in the guest the agent's calls put and pack do.
 */
#ifndef API_TRANSFER_H
#define API_TRANSFER_H

#include "pyro.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct helper;
struct remote;
struct transfer;

struct transfer_tally {
	int64_t entries;
	int64_t bytes; /* of the content of files */
};

/*
 * What a workspace is filled with: an absolute path in *ret_path, owned by the caller, and whether
 * it is a directory. `name` is the argument, for messages.
 */
int transfer_check_source(const char *name, const char *path, char **ret_path,
			  bool *ret_is_directory, struct pyro_error *err);

/*
 * Begins to pack a directory or archive, while the caller prepares where it goes. `what` names the
 * progress for people. NULL with err.
 */
struct transfer *transfer_pack(struct pyro *p, const char *path, const char *what,
			       struct pyro_error *err);
/*
 * The same of a project's directory (pyro-tar's project.h), from which what cannot be read is
 * skipped: the files listed on names_fd, borrowed, or all of it for -1. `hint`, static, goes with
 * the errors of packing.
 */
struct transfer *transfer_pack_project(struct pyro *p, const char *dir, int names_fd,
				       const char *hint, struct pyro_error *err);
/* What was skipped, after transfer_put(); *ret_names, some of them, is the caller's. */
void transfer_skipped(const struct transfer *t, int64_t *ret_count, char ***ret_names);
/* Puts it into the guest's directory, all or nothing. */
int transfer_put(struct transfer *t, struct remote *r, const char *dest, struct transfer_tally *ret,
		 struct pyro_error *err);
/* NULL is fine; returns NULL. */
struct transfer *transfer_free(struct transfer *t);

/* Passes what `call` of the agent ("pack", with args, taken) streams on to a descriptor. */
int transfer_pass_out(struct pyro *p, struct remote *r, json_t *args, int names_fd, int out_fd,
		      json_t **ret, struct pyro_error *err);
/* Ends what is written to a helper, and closes it; a process forked meanwhile may hold it, too. */
void transfer_end(int *fd);
/* After transfer_pass_out() failed: the helper's own error says more than that its pipe broke. */
void transfer_explain(struct helper *helper, struct pyro_error *err);

/* Copies what is at the path in the guest to output_path on the host, which must not exist. */
int transfer_export(struct pyro *p, struct remote *r, const char *relative, const char *output_path,
		    struct transfer_tally *ret, char **ret_type, struct pyro_error *err);

/*
 * An anonymous file with a tar stream of one regular file, for the agent's call put. -1 with err.
 */
int transfer_one_file(const char *relative, const void *data, size_t len, struct pyro_error *err);

/* An anonymous file with the data in it, at its beginning. -1 with err. */
int transfer_memory(const void *data, size_t len, struct pyro_error *err);

#endif
