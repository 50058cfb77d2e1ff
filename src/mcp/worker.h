/*
 * worker: the process that carries out one tools/call and tells the server what becomes of it, by
 * lines on a pipe: any number of WORKER_PROGRESS and a text, then WORKER_REPLY and the whole reply.
 *
 * WORKER_CANCEL cancels: what was begun is undone, and the process ends. SIGTERM, also sent when
 * the server dies, and SIGINT and SIGHUP, which hosts send to whole groups, do the same, but leave
 * a command that runs in a workspace alone.
 */
#ifndef MCP_WORKER_H
#define MCP_WORKER_H

#include "base/mem.h"

#include <signal.h>
#include <sys/types.h>

struct call;

#define WORKER_PROGRESS '+'
#define WORKER_REPLY '='
#define WORKER_LINE_MAX (8 * 1024 * 1024)
#define WORKER_CANCEL SIGUSR1

/* Runs in a child of the process `server`, right after fork(), with signals blocked. */
void worker_run(const struct call *call, int fd, pid_t server) NORETURN;

#endif
