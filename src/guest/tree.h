/*
 * tree: a process with everything it ever starts, so that all of it can be ended.
 *
 * In a guest each tree is a cgroup below one parent group that bounds processes and memory for all
 * trees together, so that neither a fork bomb nor a memory eater can take the agent along. On a
 * host each tree has a keeper, a small process that adopts every orphan of the tree (a child
 * subreaper) and finds its descendants in /proc when they are to be killed; when the agent dies,
 * its keepers kill their trees.
 *
 * The agent reaps every child of its own here, on SIGCHLD; nothing else in it calls wait.
 *
 * Ownership: tree_start hands out a tree; the starter gives it back with tree_release, after which
 * what still runs lives on, unwatched, until tree_kill_all.
 */
#ifndef GUEST_TREE_H
#define GUEST_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct pyro_error;
struct tree;

struct tree_ops {
	/* The first process of the tree ended; called once, from the loop. */
	void (*on_exit)(struct tree *tree, int wait_status);
	/* After tree_end: nothing of the tree lives any more; called once, from the loop. */
	void (*on_empty)(struct tree *tree);
};

/* Prepares reaping, and in a guest the parent group; needs /sys/fs/cgroup there. Once. */
int tree_init(struct loop *loop, bool is_guest, struct pyro_error *err);

/*
 * Starts a process that runs run(arg), which returns its exit status and may exec. It leads a
 * session of its own and has the default signal dispositions; descriptors are as here.
 */
struct tree *tree_start(int (*run)(const void *arg), const void *arg, const struct tree_ops *ops,
			void *ctx, struct pyro_error *err);
void *tree_ctx(const struct tree *tree);
/* Of the first process, which may be long gone. */
pid_t tree_first_pid(const struct tree *tree);
/* SIGKILL to all of it, without waiting. */
void tree_kill(struct tree *tree);
/* The same; true if nothing of it lives now (zombies do not), else on_empty follows. */
bool tree_end(struct tree *tree);
/* Sends a signal to every process of it. */
void tree_signal(struct tree *tree, int number);
void tree_release(struct tree *tree);

/*
 * Kills every tree, released or not, and waits until all are gone; in a guest that is every process
 * but the agent. PYRO_E_TIMEOUT if some live on at the deadline. on_exit is called as usual.
 */
int tree_kill_all(int64_t deadline, struct pyro_error *err);

#endif
