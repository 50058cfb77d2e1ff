/*
 * freeze: the root's file system held still while the host takes a snapshot of the disk. It ends
 * with freeze_thaw, and by itself after a while: a machine never stays frozen.
 */
#ifndef GUEST_FREEZE_H
#define GUEST_FREEZE_H

#include <jansson.h>
#include <stdbool.h>

struct loop;
struct pyro_error;

#define FREEZE_MAX_MS 20000

void freeze_init(struct loop *loop);
/* In a process of its own (exec_function), since it waits for the disk: flushes, then freezes. */
json_t *freeze_run(const void *arg, struct pyro_error *err);
/* That process ended, however: the time until the thaw begins. If nobody waits, it thaws now. */
void freeze_limit(bool is_wanted);
/* Whether it was frozen until now; if not, nothing changes. */
bool freeze_thaw(void);

#endif
