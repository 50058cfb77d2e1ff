/*
 * pyro-agent: PID 1 of a guest, or, with --host, an ordinary process that does the same on a host.
 * It answers the calls of one client at a time; when the client goes, everything it started goes.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/parse.h"
#include "channel/mux.h"
#include "guest/boot.h"
#include "guest/calls.h"
#include "guest/connect.h"
#include "guest/exec.h"
#include "guest/freeze.h"
#include "guest/put.h"
#include "guest/root.h"
#include "guest/tree.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KILL_MS 20000
#define EXIT_USAGE 2

static void say(const char *what, const struct pyro_error *err)
{
	(void)fprintf(stderr, "pyro-agent: %s: %s\n", what, err->message);
}

static void on_down(struct mux *mux, const struct pyro_error *error)
{
	bool *is_down = mux_ctx(mux);

	(void)error;
	*is_down = true;
}

/* Answers a client until it is gone, and ends what it left running. */
static int serve(struct loop *loop, int fd, struct pyro_error *err)
{
	static const struct mux_ops ops = {.on_call = calls_on_call, .on_down = on_down};
	bool is_down = false;
	struct mux *mux = mux_new(loop, fd, fd, MUX_SERVER, &ops, &is_down, err);

	if (!mux)
		return -1;
	(void)loop_until(loop, &is_down, DEADLINE_NONE, "the client", NULL);
	(void)mux_free(mux);
	return calls_end(deadline_in(KILL_MS), err);
}

static void on_port(struct loop_fd *src, uint32_t events)
{
	bool *has_client = src->ctx;

	*has_client = (events & (EPOLLIN | EPOLLHUP)) == EPOLLIN;
}

/*
 * Until a client's first byte. Nothing is sent before it, so a machine that waits here can be saved
 * and restored under any number of other clients. A port without a client reports a hang-up all the
 * time; edge-triggered, it is heard once.
 */
static int await_client(struct loop *loop, int fd, struct pyro_error *err)
{
	bool has_client = false;
	struct loop_fd port = {.on_ready = on_port, .ctx = &has_client};

	if (loop_add_fd(loop, &port, fd, EPOLLIN | EPOLLET, err) < 0)
		return -1;
	(void)loop_until(loop, &has_client, DEADLINE_NONE, "a client", NULL);
	loop_remove_fd(loop, &port);
	return 0;
}

/*
 * One client after the other, for ever. The port is closed in between: that throws away what the
 * last client left in it, and shows the host that the agent is ready for the next.
 */
static int run_guest(struct loop *loop, struct pyro_error *err)
{
	if (boot_early(err) < 0 || tree_init(loop, true, err) < 0)
		return -1;
	exec_init(&(struct exec_config){.loop = loop, .command.is_guest = true});
	connect_init(loop);
	freeze_init(loop);
	root_init("");
	calls_init(true);
	for (;;) {
		AUTO_FD int fd = boot_open_port(err);

		if (fd < 0 || await_client(loop, fd, err) < 0)
			return -1;
		if (serve(loop, fd, err) < 0)
			say("client gone", err);
	}
}

/*
 * Signals that our parent ignores would stay ignored in commands: also the two that are glibc's
 * own, which its posix_spawn() leaves ignored and its signal() does not change. See
 * rt_sigaction(2).
 */
static void heed_signals(void)
{
	const struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} by_default = {0};

	for (int sig = 1; sig < NSIG; sig++)
		(void)syscall(SYS_rt_sigaction, sig, &by_default, NULL, sizeof(by_default.mask));
}

static int run_host(struct loop *loop, int fd, const char *dir, struct pyro_error *err)
{
	struct rlimit files;

	heed_signals();
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	root_init(dir);
	if (tree_init(loop, false, err) < 0)
		return -1;
	put_prepare();
	exec_init(&(struct exec_config){.loop = loop, .command.dir = dir});
	connect_init(loop);
	calls_init(false);
	return serve(loop, fd, err);
}

static int usage(void)
{
	(void)fputs("usage: pyro-agent --host --channel-fd FD --dir DIR\n"
		    "Without --host it is a guest's PID 1 and nothing else.\n",
		    stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"host", no_argument, NULL, 'h'},
		{"channel-fd", required_argument, NULL, 'c'},
		{"dir", required_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	bool is_guest = getpid() == 1, is_host = false;
	const char *dir = NULL;
	int64_t fd = -1;
	struct pyro_error err;
	struct loop *loop;
	int c;

	while (!is_guest && (c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'h')
			is_host = true;
		else if (c == 'd')
			dir = optarg;
		else if (c != 'c' || !parse_int(optarg, 3, 1 << 20, &fd))
			return usage();
	}
	if (!is_guest && (!is_host || fd < 0 || !dir || optind < argc))
		return usage();
	loop = loop_new();
	if (!loop || (is_guest ? run_guest(loop, &err) : run_host(loop, (int)fd, dir, &err)) < 0) {
		say("stopped", &err);
		return 1;
	}
	(void)loop_free(loop);
	return 0;
}
