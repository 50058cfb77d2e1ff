/*
 * shells: the calls of clients on the shells of a workspace (supervisor.h has them).
 */
#ifndef SUPERVISOR_SHELLS_H
#define SUPERVISOR_SHELLS_H

#include <stdbool.h>

struct mux_call;
struct pyro_error;
struct shell;
struct supervisor;

/* Takes the call if its name is one of these. */
bool shells_call(struct supervisor *s, struct mux_call *call, const char *name);
/* The machine is gone, and all shells with it: whoever waits is told why. */
void shells_drop(struct supervisor *s, const struct pyro_error *why);

/* For shell.c: it runs, it printed, it has ended. */
void shells_changed(struct shell *shell);
/* It takes input again. */
void shells_drained(struct shell *shell);
/* Everybody who waits for it is told why there is nothing to wait for. */
void shells_failed(struct shell *shell, const struct pyro_error *why);
/* It is going: everybody who waits for it is told how it ended. */
void shells_dismiss(struct shell *shell);

#endif
