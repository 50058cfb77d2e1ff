/*
 * pyro-image: builds environments. A program of its own, because the libraries that it needs would
 * cost every other call their loading time.
 *
 *	pyro-image build NAME CACHE_DIR
 *
 * Events go to standard output (event.h), nothing else does. Ends with 0 when the environment is
 * installed, and leaves nothing half-made behind, whatever happens.
 */
#include "base/err.h"
#include "image/builder/bootstrap.h"
#include "image/builder/build.h"
#include "image/builder/event.h"
#include "image/catalog.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static void on_signal(int sig)
{
	(void)sig;
	bootstrap_cancel();
}

static void set_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
	const struct catalog_entry *entry;
	struct pyro_error err;

	if (argc != 4 || strcmp(argv[1], "build") != 0) {
		(void)fputs("usage: pyro-image build NAME CACHE_DIR\n", stderr);
		return 2;
	}
	set_signals();
	/* What mmdebstrap leaves when it is killed is waited for here. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	entry = catalog_find(argv[2], &err);
	if (entry && build_environment(argv[3], entry, &err) == 0)
		return 0;
	event_error(&err);
	return 1;
}
