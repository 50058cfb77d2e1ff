/*
 * shell: one terminal session. Its exec at the agent, its record, and the ring of what it printed.
 *
 * Output is taken from the agent at once, whether anybody reads it or not. Clients wait for what
 * becomes of it as `visits` (shells.c).
 */
#ifndef SUPERVISOR_SHELL_H
#define SUPERVISOR_SHELL_H

#include "base/loop.h"
#include "base/redact.h"
#include "workspace/shells.h"

#include <jansson.h>

struct mux_call;
struct ring;
struct supervisor;
struct visit;

struct shell {
	struct supervisor *s;
	struct shell *next;
	struct pyro_shell record;
	struct mux_call *agent; /* NULL once its exec is over */
	struct ring *ring;      /* NULL until the shell runs */
	struct visit *visits;   /* who waits for it */
	struct redactor redactor;
	struct loop_timer pause; /* while the redactor holds something back */
	struct loop_timer timer; /* of its closing */
	int64_t output_ms;       /* when it printed last, on clock_ms() */
	bool is_ended;
	bool is_closing;
};

/*
 * Asks the agent for a shell: {"cwd", "cols", "rows", "secret_env"}. It becomes one of s->shells,
 * but is not on record before it runs. NULL with err.
 */
struct shell *shell_new(struct supervisor *s, const json_t *args, struct pyro_error *err);
/* Kills what runs, removes its output, tells nobody. The record stays. */
void shell_free(struct shell *shell);

/* The record as JSON, the caller's. */
json_t *shell_to_json(const struct shell *shell);
/* PYRO_E_BAD_STATE if it has ended. */
int shell_check_running(const struct shell *shell, struct pyro_error *err);
/* HUP, INT, TERM or KILL to what runs in the foreground. */
int shell_signal(struct shell *shell, const char *name, struct pyro_error *err);
/* {"cols", "rows"} */
int shell_resize(struct shell *shell, const json_t *size, struct pyro_error *err);
/* Ends it, kindly at first, then removes all of it. Visits hear of it. */
void shell_close(struct shell *shell);

#endif
