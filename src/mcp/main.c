/*
 * pyro-mcp, which `pyro mcp serve` becomes, with what it was told as one JSON text: tools for a
 * chat host over standard input and output.
 *
 * Nothing happens before the first tools/call: hosts start servers just to look at them.
 */
#include "base/err.h"
#include "base/proc.h"
#include "mcp/server.h"
#include "mcp/setup.h"
#include "ops/values.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define EXIT_OWN 125

static int fail(const struct pyro_error *err, int code)
{
	fprintf(stderr, "pyro: %s\n", err->message);
	if (err->hint[0])
		fprintf(stderr, "hint: %s\n", err->hint);
	return code;
}

/* What `pyro mcp serve` was told, as JSON; NULL with err. */
static json_t *parse(const char *text, struct pyro_serve_mcp_args *ret, struct pyro_error *err)
{
	const struct op_row *op = &ops_rows[OP_serve_mcp];
	json_t *object = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (!json_is_object(object)) {
		(void)err_set(err, PYRO_E_USAGE, "this program is for pyro to start");
		(void)err_hint(err, "pyro mcp serve");
	} else if (values_decode(op, object, NAMING_CLI, ret, err) == 0) {
		return object;
	}
	json_decref(object);
	return NULL;
}

/* A closed standard stream would be the number of the next file that is opened. */
static void open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", O_RDWR | O_CLOEXEC); /* takes the lowest number */
}

/*
 * Moves the host's streams away: a stray write to standard output goes to standard error, and no
 * child gets hold of them.
 */
static int take_streams(int *ret_in, int *ret_out, struct pyro_error *err)
{
	AUTO_FD int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
	AUTO_FD int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	AUTO_FD int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (none < 0 || in < 0 || out < 0 || dup2(none, STDIN_FILENO) < 0 ||
	    dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return err_sys(err, errno, "set up the standard streams");
	*ret_in = TAKE_FD(in);
	*ret_out = TAKE_FD(out);
	return 0;
}

static void block_signals(void)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write() */
}

int main(int argc, char **argv)
{
	struct pyro_serve_mcp_args args = {0};
	struct setup setup = {0};
	AUTO_FD int in_fd = -1, out_fd = -1;
	struct pyro_error err;
	json_t *given;
	int number;

	open_standard_streams();
	given = parse(argc == 2 ? argv[1] : NULL, &args, &err);
	if (!given || setup_init(&setup, &args, &err) < 0)
		return fail(&err, EXIT_USAGE);
	if (isatty(STDIN_FILENO))
		(void)fputs("pyro: waiting for a chat host on standard input; Ctrl-D ends this\n"
			    "hint: pyro host connect claude-code lets the host start it\n",
			    stderr);
	block_signals();
	(void)proc_hide_memory(NULL); /* secrets come through it */
	if (take_streams(&in_fd, &out_fd, &err) < 0)
		return fail(&err, EXIT_OWN);
	number = server_run(&setup, in_fd, out_fd);
	json_decref(given);
	return number ? 128 + number : 0;
}
