/*
 * worker: the process that carries out one tools/call and tells the server what becomes of it, by
 * lines on a pipe: any number of WORKER_PROGRESS and a text, then WORKER_REPLY and the whole reply.
 *
 * SIGTERM cancels: what was begun is undone, and the process ends. That is also what happens when
 * the server dies.
 */
#ifndef MCP_WORKER_H
#define MCP_WORKER_H

#include "base/mem.h"

#include <sys/types.h>

struct op_row;
struct request;

#define WORKER_PROGRESS '+'
#define WORKER_REPLY '='
#define WORKER_LINE_MAX (8 * 1024 * 1024)

/*
 * A text of a command's output, of which hosts show the model some ten thousand characters: more
 * is cut out of the middle.
 */
#define WORKER_TEXT_MAX 10000

/* Runs in a child of the process `server`, right after fork(), with signals blocked. */
void worker_run(const struct op_row *op, const void *args, const struct request *request, int fd,
		pid_t server) NORETURN;

#endif
