/*
 * merge: a staged tree becomes part of the live one, all of it or nothing.
 *
 * merge_plan decides everything and changes nothing. The plan is bytes that are kept on disk while
 * merge_carry_out follows them, so that whoever finds them later can go back with merge_undo:
 * each step tells by what lies where whether it was done.
 *
 * No symbolic link is followed. What other processes change in the tree meanwhile makes a step
 * fail, or is passed over on the way back.
 */
#ifndef GUEST_MERGE_H
#define GUEST_MERGE_H

#include "base/buf.h"
#include "guest/stage.h"

struct pyro_error;

/* Directories, all on one file system; borrowed. */
struct merge_dirs {
	int live;
	int fresh; /* what was staged */
	int old;   /* empty; what is replaced and removed goes there */
};

#define MERGE_PLAN_MAX ((size_t)256 * 1024 * 1024)

struct merge_result {
	int64_t removed;  /* by whiteouts, or as a file that a directory takes the place of */
	int64_t replaced; /* files, links and the like, and directories that one takes the place of
			   */
};

/* keep_modes: a file that replaces another one is staged with that one's permission bits. */
int merge_plan(const struct merge_dirs *dirs, const struct stage *stage, bool keep_modes,
	       struct buf *plan, struct merge_result *ret, struct pyro_error *err);
int merge_carry_out(const struct merge_dirs *dirs, const struct buf *plan, struct pyro_error *err);
/* Any part of the plan may have been carried out, and any part of that undone. */
int merge_undo(const struct merge_dirs *dirs, const struct buf *plan, struct pyro_error *err);
/* After it was carried out: the modes that directories could not be moved with. */
void merge_set_modes(const struct merge_dirs *dirs, const struct buf *plan,
		     const struct stage *stage);

#endif
