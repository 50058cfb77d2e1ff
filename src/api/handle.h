/*
 * struct pyro, and what every operation needs: the state directory, the records, the loop, and
 * the observer.
 */
#ifndef API_HANDLE_H
#define API_HANDLE_H

#include "base/loop.h"
#include "base/mem.h"
#include "pyro.h"

#include <stdbool.h>
#include <sys/types.h>

struct project;
struct records;

struct pyro {
	pid_t pid; /* whose it is; in a process forked from that one it must not be used */
	struct loop *loop;
	struct loop_fd cancel; /* an eventfd; readable once pyro_cancel() was called */
	struct loop_fd resize; /* an eventfd; readable once pyro_resize() was called */
	_Atomic unsigned size; /* of the caller's terminal, cols << 16 | rows; 0: not known */
	void (*on_resize)(void *ctx); /* in an operation that follows it; from the loop */
	void *on_resize_ctx;
	struct pyro_observer observer;
	const char *phase_op; /* whose phases are told, whatever tells them; NULL: each its own */
	int input_fd;
	int depth;   /* operations under way, one inside the other */
	char *state; /* state directory, after handle_state() */
	struct records *records;
	struct project *project; /* NULL: workspaces are empty where nobody says a seed */
};

/* Whether there is a handle, and it is this process's own. What follows checks it, too. */
int handle_check(const struct pyro *p, struct pyro_error *err);

/*
 * Makes the state directory and the records ready, and removes what dead or expired VMs left
 * behind. Every operation on VMs begins with this.
 */
int handle_open(struct pyro *p, struct pyro_error *err);
/* As handle_open(), removing nothing. */
int handle_open_quietly(struct pyro *p, struct pyro_error *err);

/*
 * Every operation that can be cancelled begins and ends with these; they may nest. The end of the
 * outermost forgets a pyro_cancel() that came during it, so that the handle can go on. Returns
 * result.
 */
int handle_begin(struct pyro *p, struct pyro_error *err);
int handle_end(struct pyro *p, int result);

/* Tells the observer; fmt makes the detail, "phase=start vm_id=…". */
void handle_phase(struct pyro *p, const char *op, const char *fmt, ...) PRINTF(3, 4);

/* pyro_exec_vm() whose output reaches nobody but *ret, for operations that use a VM themselves. */
int handle_exec_quietly(struct pyro *p, const struct pyro_exec_vm_args *args, struct pyro_run *ret,
			struct pyro_error *err);

/*
 * Full path of one of pyro's own programs ("pyro-supervisor"), installed or in the folder `part`
 * of a build tree, or NULL with err. Owned by the caller.
 */
char *handle_program(const char *part, const char *name, struct pyro_error *err);

#endif
