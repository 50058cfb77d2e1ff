/*
 * put: a tar stream becomes part of the workspace, all of it or nothing.
 *
 * It is unpacked beside the workspace (stage), merged by a plan that is on disk meanwhile (merge),
 * and done the moment the plan is gone. One put is under way at a time. Whoever finds a plan whose
 * put does not live any more goes back by it: the agent when it begins, and after each put that was
 * killed; the next put.
 */
#ifndef GUEST_PUT_H
#define GUEST_PUT_H

#include <jansson.h>
#include <stdbool.h>

struct pyro_error;

struct put_args {
	const char *path;
	bool keep_modes;
	bool flush; /* all or nothing also if the machine is killed; and all, once it is done */
};

/* In a process of its own (exec_function): the stream is standard input. arg: struct put_args. */
json_t *put_run(const void *arg, struct pyro_error *err);

/*
 * When the agent begins: makes the workspace if there is none, and recovers. A guest may have made
 * either impossible; then the calls that need it say so.
 */
void put_prepare(void);
/* Undoes what a put that died has left, waiting for one that is about to die. */
int put_recover(struct pyro_error *err);

#endif
