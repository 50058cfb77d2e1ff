/*
 * The real agent as a process on this host, driven over a socket by the real mux. Its directory is
 * test_dir(). Everything here fails the test where it cannot do what it says.
 */
#ifndef TESTS_CHANNEL_AGENT_H
#define TESTS_CHANNEL_AGENT_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "channel/mux.h"
#include "pyro/error.h"
#include "tests/test.h"

#include <jansson.h>

#define PATIENCE_MS 100000
#define MIB (1024LL * 1024)

struct agent {
	struct loop *loop;
	struct mux *mux;
	pid_t pid;
	bool is_down;
};

/* A call under way, then its outcome. */
struct run {
	struct run *earlier; /* all runs of a test stay, and go with its process */
	struct agent *agent;
	struct mux_call *call;
	json_t *result;
	struct buf out;
	struct buf err;
	int64_t out_bytes; /* also those that `out` had no room for */
	const char *input; /* still to be sent */
	size_t input_len;
	bool is_stalled; /* takes output and never gives the window back */
	bool is_over;
	struct pyro_error error; /* of a call that broke off */
};

/* Where PYRO_TEST_SOCKET names a supervisor's socket: its guest's agent instead. */
struct agent *start_agent(void);
/* The same in another directory. */
struct agent *start_agent_in(const char *dir);
/* Sends the input, or, without one, leaves our direction open. */
struct run *start_with(struct agent *agent, const char *name, json_t *args, const char *input,
		       size_t len);
struct run *start(struct agent *agent, const char *name, json_t *args);
/* Waits for the end of the call, which answered. */
void finish(struct run *run);
struct run *call(struct agent *agent, const char *name, json_t *args);
struct run *call_with(struct agent *agent, const char *name, json_t *args, const char *input,
		      size_t len);
/* Whether the agent sees such a process. */
bool is_alive_in(struct agent *agent, long long pid);
/* The arguments of a shell line, and its run. */
json_t *line(const char *shell);
struct run *sh(struct agent *agent, const char *shell);
long long number(const struct run *run, const char *field);
/* The code of the error that the call was answered with; "" if it was none. */
const char *code_of(const struct run *run);
const char *message_of(const struct run *run);
void pause_ms(struct agent *agent, int64_t ms);
/* Until at least n bytes of output have come. */
void await_bytes(const struct run *run, int64_t n);

#endif
