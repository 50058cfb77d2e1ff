/*
 * keeper: on a host, the small process between the agent and a command. It adopts every orphan of
 * its tree, tells the first process's wait status, passes signals on to the tree, and on SIGTERM,
 * or when the agent dies, kills the whole tree and ends when nothing of it is left.
 */
#ifndef GUEST_KEEPER_H
#define GUEST_KEEPER_H

#include <signal.h>
#include <sys/types.h>

#define KEEPER_FORWARD SIGRTMIN /* by sigqueue, with the number of the signal to pass on */

/*
 * Runs in a child that `agent` just forked, and never returns. run(arg) runs in the tree's first
 * process; its pid, at once, and its wait status, an int, are written to status_fd: the status when
 * it ends, or, once the tree is being killed, when all of the tree is gone.
 */
void keeper_main(int (*run)(const void *arg), const void *arg, int status_fd, pid_t agent)
	__attribute__((noreturn));

/* In a tree's first process: a session of its own, default signals, then run(arg), then exit. */
void keeper_run_first(int (*run)(const void *arg), const void *arg) __attribute__((noreturn));

#endif
