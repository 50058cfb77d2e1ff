/*
 * pyro-mcp, which `pyro mcp serve` becomes: tools for a chat host over standard input and output.
 *
 * Nothing happens before the first tools/call: hosts start servers just to look at them.
 */
#include "base/err.h"
#include "base/proc.h"
#include "mcp/profile.h"
#include "mcp/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define EXIT_OWN 125

static void help(void)
{
	printf("Usage: pyro mcp serve [OPTIONS]\n\n"
	       "Serve the tools to a chat host over standard input and output, by the Model "
	       "Context "
	       "Protocol.\nIt is started by the host and ends with it.\n\n"
	       "Options:\n"
	       "  --profile PROFILE  Which tools (default: " PROFILE_DEFAULT ")\n"
	       "  -h, --help         Show this help\n\n"
	       "Profiles:\n");
	for (const struct profile *p = profiles; p->name; p++)
		printf("  %-17s  %s%s\n", p->name, p->text,
		       p->tools[0] == OP_COUNT ? " (not in this version)" : "");
}

static int fail(const struct pyro_error *err, int code)
{
	fprintf(stderr, "pyro: %s\n", err->message);
	if (err->hint[0])
		fprintf(stderr, "hint: %s\n", err->hint);
	return code;
}

/*
 * The value of `option` if *words is it, as `--option VALUE` (then *words moves on) or
 * `--option=VALUE`; "" if it is missing, NULL if *words is something else.
 */
static const char *value_of(const char *option, char ***words)
{
	size_t len = strlen(option);
	const char *word = **words;

	if (strncmp(word, option, len) != 0 || (word[len] && word[len] != '='))
		return NULL;
	if (word[len])
		return word + len + 1;
	if (!(*words)[1])
		return "";
	return *++*words;
}

/* The profile that the words ask for; NULL with err. */
static const struct profile *parse(char **words, struct pyro_error *err)
{
	const char *name = PROFILE_DEFAULT;

	for (; *words; words++) {
		if (value_of("--mode", &words)) {
			(void)err_set(err, PYRO_E_USAGE,
				      "modes are for workspaces, which this version does not have");
			profile_hint(err);
			return NULL;
		}
		name = value_of("--profile", &words);
		if (!name || !*name) {
			if (name)
				(void)err_set(err, PYRO_E_USAGE, "--profile: its value is missing");
			else
				(void)err_set(err, PYRO_E_USAGE, "there is no option '%s'", *words);
			(void)err_hint(err, "pyro mcp serve --help");
			return NULL;
		}
	}
	return profile_find(name, err);
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
	const struct profile *profile;
	AUTO_FD int in_fd = -1, out_fd = -1;
	struct pyro_error err;
	int number;

	open_standard_streams();
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			help();
			return 0;
		}
	profile = parse(argc ? argv + 1 : argv, &err);
	if (!profile)
		return fail(&err, EXIT_USAGE);
	block_signals();
	(void)proc_hide_memory(NULL); /* secrets come through it */
	if (take_streams(&in_fd, &out_fd, &err) < 0)
		return fail(&err, EXIT_OWN);
	number = server_run(profile, in_fd, out_fd);
	return number ? 128 + number : 0;
}
