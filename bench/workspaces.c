/*
 * What workspaces cost. Where a floor is a thing that takes seconds (a tree of 10,000 files, 1 GiB
 * written), few rounds are made; pyro and its floor still take turns.
 */
#include "bench.h"

#include "api/handle.h"
#include "api/remote.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"
#include "channel/mux.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIG_ROUNDS 3
#define DIFF_ROUNDS 5
#define TREE_DIRS 100
#define TREE_FILES 100 /* in each */
#define FILE_BYTES 10000
#define CROWD 20
#define NAME "bench"

/* Workspaces are called through the program, as people do. */
static double create(struct bench *b)
{
	return BENCH_PYRO(b, "workspace", "create", BENCH_ENVIRONMENT, "--name", NAME);
}

static double run_true(struct bench *b)
{
	return BENCH_PYRO(b, "workspace", "exec", NAME, "--", "true");
}

static void run_line(struct bench *b, const char *line)
{
	(void)BENCH_PYRO(b, "workspace", "exec", NAME, "--timeout-seconds", "240", "--", line);
}

static double reset(struct bench *b)
{
	return BENCH_PYRO(b, "workspace", "reset", NAME);
}

static double snapshot(struct bench *b)
{
	return BENCH_PYRO(b, "workspace", "snapshot", "create", NAME, "bench");
}

static void discard(struct bench *b)
{
	(void)BENCH_PYRO(b, "workspace", "delete", NAME);
}

/* The floor is that of `run`: a machine restored, one command, and its end. */
struct small_numbers {
	struct series create, first, reset, snapshot, kib, floor;
};

static void use_small(struct bench *b, struct small_numbers *n)
{
	struct raw_source src = bench_source(b);
	int64_t begun = clock_ns();
	struct raw raw = raw_restore(b->loop, &src);
	AUTO_FREE char *id = NULL;
	double create_ms;

	raw_call(&raw, "exec", bench_true());
	raw_end(&raw);
	series_add(&n->floor, elapsed_ms(begun));
	create_ms = create(b);
	series_add(&n->create, create_ms);
	series_add(&n->first, create_ms + run_true(b));
	id = bench_workspace_id(b, NAME);
	series_add(&n->kib, bench_tree_kib(bench_supervisor(id)));
	series_add(&n->reset, reset(b));
	run_line(b, "sync");
	series_add(&n->snapshot, snapshot(b));
	discard(b);
}

/* 1 GiB that the baseline does not have. A reset gives its place on the host back. */
static void use_big(struct bench *b, struct small_numbers *n)
{
	series_add(&n->create, create(b));
	run_line(b, "dd if=/dev/zero of=big bs=1M count=1024 conv=fsync");
	series_add(&n->snapshot, snapshot(b));
	(void)BENCH_PYRO(b, "workspace", "snapshot", "delete", NAME, "bench");
	series_add(&n->reset, reset(b));
	discard(b);
}

/* A command in a workspace next to the same over the channel of a machine that is up as well. */
static double later_exec_ms(struct bench *b)
{
	struct raw_source src = bench_source(b);
	struct raw raw = raw_restore(b->loop, &src);
	struct series ours = {0}, floor = {0};

	(void)create(b);
	(void)run_true(b);
	raw_call(&raw, "exec", bench_true());
	for (int i = 0; i < b->rounds; i++) {
		int64_t begun = clock_ns();

		raw_call(&raw, "exec", bench_true());
		series_add(&floor, elapsed_ms(begun));
		series_add(&ours, run_true(b));
	}
	discard(b);
	raw_end(&raw);
	return series_median(&ours) - series_median(&floor);
}

static void measure_small(struct bench *b)
{
	struct small_numbers n = {0}, big = {0};
	double create_ms;

	(void)create(b);
	discard(b);
	for (int i = 0; i < b->rounds; i++)
		use_small(b, &n);
	for (int i = 0; i < bench_times(b, BIG_ROUNDS); i++)
		use_big(b, &big);
	create_ms = series_median(&n.create);
	bench_report(b, "workspace create, start to exit", "ms", create_ms, series_median(&n.floor),
		     0);
	bench_report(b, "workspace create and first exec", "ms", series_median(&n.first),
		     series_median(&n.floor), 1.3);
	bench_report(b, "later workspace exec, beyond the channel's", "ms", later_exec_ms(b), 0, 5);
	bench_report(b, "workspace reset, next to its create", "ms", series_median(&n.reset),
		     create_ms, 1.2);
	bench_report(b, "reset with 1 GiB written, next to its create", "ms",
		     series_median(&big.reset), series_median(&big.create), 1.2);
	bench_report(b, "snapshot create", "ms", series_median(&n.snapshot), 0, 150);
	bench_report(b, "snapshot create with 1 GiB written", "ms", series_median(&big.snapshot), 0,
		     150);
	bench_report(b, "private memory of an idle workspace", "MiB", series_median(&n.kib) / 1024,
		     0, 0);
}

/* Lines of text with numbers that do not compress well, the same in every run. */
static void fill(struct buf *text, uint32_t *state)
{
	buf_reset(text);
	while (text->len < FILE_BYTES) {
		*state = *state * 1664525 + 1013904223;
		buf_printf(text, "%08x%s", *state, *state % 5 ? " " : "\n");
	}
	text->len = FILE_BYTES;
}

/* Returns its path; owned by the caller. */
static char *make_tree(const struct bench *b)
{
	AUTO_BUF struct buf text = BUF_INIT(2 * FILE_BYTES);
	char *root = mem_printf("%s/tree", b->dir);
	struct pyro_error err;
	uint32_t state = 1;

	for (int i = 0; i < TREE_DIRS; i++) {
		AUTO_FREE char *dir = mem_printf("%s/d%02d", root, i);

		if ((i == 0 && mkdir(root, 0755) < 0) || mkdir(dir, 0755) < 0)
			bench_die("make a tree", NULL);
		for (int k = 0; k < TREE_FILES; k++) {
			AUTO_FREE char *path = mem_printf("%s/f%02d", dir, k);
			AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

			fill(&text, &state);
			if (fd < 0 || file_write_all(fd, text.data, text.len, &err) < 0)
				bench_die("make a tree", NULL);
		}
	}
	return root;
}

/* A program of the host at the other end of fd, which is its standard input and output. */
static pid_t start_on(int fd, const struct argv *argv)
{
	const struct proc_fd fds[] = {{fd, STDIN_FILENO}, {fd, STDOUT_FILENO}};
	struct pyro_error err;
	pid_t pid = proc_spawn(argv, &(struct proc_options){.fds = fds, .n_fds = 2}, &err);

	if (pid < 0)
		bench_die("tar", &err);
	return pid;
}

static void await_success(pid_t pid, const char *what)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || proc_exit_code(status) != 0)
		bench_die(what, NULL);
}

static int pass_on(void *ctx, int stream, const void *data, size_t len, struct pyro_error *err)
{
	return stream == 1 ? file_write_all(*(int *)ctx, data, len, err) : 0;
}

/* `tar HOST` on the host, one of whose ends is that of `line` in the guest. */
static double pipe_tar(struct bench *b, struct raw *raw, const char *line, bool is_in,
		       const struct argv *host)
{
	struct remote *remote = remote_over(b->p, raw->mux);
	json_t *args = bench_shell(line), *result;
	int64_t begun = clock_ns();
	struct pyro_error err;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		bench_die("socketpair", NULL);
	pid = start_on(pair[1], host);
	(void)close(pair[1]);
	(void)json_object_set_new(args, "stdin", json_boolean(is_in));
	if (remote_stream(remote, "exec", args,
			  &(struct remote_io){.in_fd = is_in ? pair[0] : -1,
					      .on_output = pass_on,
					      .ctx = &pair[0]},
			  deadline_in(BENCH_STEP_MS), &result, &err) < 0)
		bench_die(line, &err);
	if (json_integer_value(json_object_get(result, "exit_code")) != 0)
		bench_die(line, NULL);
	json_decref(result);
	(void)close(pair[0]);
	await_success(pid, "tar");
	(void)remote_free(remote);
	return elapsed_ms(begun);
}

struct tree_numbers {
	struct series in, out, floor_in, floor_out;
};

/* The floor leaves what it wrote in the guest's memory; a seed is on its disk at the end. */
static void tree_floor(struct bench *b, const char *tree, const char *out, struct tree_numbers *n)
{
	AUTO_ARGV struct argv pack = ARGV_INIT, unpack = ARGV_INIT;
	struct raw_source src = bench_source(b);
	int64_t begun = clock_ns();
	struct raw raw = raw_restore(b->loop, &src);

	argv_add(&pack, "tar", "-C", tree, "-c", ".", NULL);
	argv_add(&unpack, "tar", "-C", out, "-x", NULL);
	(void)pipe_tar(b, &raw, "mkdir /root/tree; tar -C /root/tree -x", true, &pack);
	series_add(&n->floor_in, elapsed_ms(begun));
	if (mkdir(out, 0755) < 0)
		bench_die("mkdir", NULL);
	series_add(&n->floor_out, pipe_tar(b, &raw, "tar -C /root/tree -c .", false, &unpack));
	raw_end(&raw);
	(void)dir_remove(out, NULL);
}

static void measure_tree(struct bench *b, const char *tree)
{
	AUTO_FREE char *out = mem_printf("%s/out", b->dir);
	struct tree_numbers n = {0};

	for (int i = 0; i < bench_times(b, BIG_ROUNDS); i++) {
		tree_floor(b, tree, out, &n);
		series_add(&n.in, BENCH_PYRO(b, "workspace", "create", "--seed-path", tree,
					     "--name", NAME));
		series_add(&n.out,
			   BENCH_PYRO(b, "workspace", "export", NAME, ".", "--output", out));
		discard(b);
		(void)dir_remove(out, NULL);
	}
	bench_report(b, "workspace create with 10,000 files, 100 MB", "ms", series_median(&n.in),
		     series_median(&n.floor_in), 1.5);
	bench_report(b, "export of the same", "ms", series_median(&n.out),
		     series_median(&n.floor_out), 1.5);
}

#define GIT "export GIT_DIR=/root/git GIT_WORK_TREE=/workspace; "

/* Git compares with what it was told by `git add`, in the guest of the workspace itself. */
static void measure_diff(struct bench *b, const char *tree)
{
	struct series ours = {0}, floor = {0};
	AUTO_FREE char *id = NULL;
	struct remote *remote;
	struct pyro_error err;

	(void)BENCH_PYRO(b, "workspace", "create", "--seed-path", tree, "--name", NAME);
	run_line(b, GIT "git init -q && git config core.compression 0 && git add -A &&"
			" git -c user.name=b -c user.email=b@localhost commit -qm seed");
	run_line(b, "for i in 0 1 2 3 4 5 6 7 8 9; do echo changed >>d0$i/f$i$i; done");
	id = bench_workspace_id(b, NAME);
	remote = remote_connect(b->p, id, &err);
	if (!remote)
		bench_die("connect to the supervisor", &err);
	for (int i = 0; i < bench_times(b, DIFF_ROUNDS); i++) {
		int64_t begun = clock_ns();

		bench_exec(remote, bench_shell(GIT "git status; git diff"));
		series_add(&floor, elapsed_ms(begun));
		series_add(&ours, BENCH_PYRO(b, "workspace", "diff", NAME));
	}
	(void)remote_free(remote);
	discard(b);
	bench_report(b, "diff of 10,000 files, 10 changed", "ms", series_median(&ours),
		     series_median(&floor), 2);
}

static void measure_crowd(struct bench *b)
{
	static const char line[] = "\"$0\" workspace create --name \"$1\" &&"
				   " \"$0\" workspace exec \"$1\" -- 'echo hello >file' &&"
				   " \"$0\" workspace diff \"$1\" &&"
				   " \"$0\" workspace delete \"$1\"";
	int64_t begun = clock_ns();
	pid_t pids[CROWD];

	for (int i = 0; i < CROWD; i++) {
		AUTO_ARGV struct argv argv = ARGV_INIT;
		struct pyro_error err;

		argv_add(&argv, "sh", "-c", line, b->pyro, NULL);
		argv_addf(&argv, "crowd-%d", i);
		pids[i] = proc_spawn(&argv, &(struct proc_options){.die_with_parent = true}, &err);
		if (pids[i] < 0)
			bench_die("sh", &err);
	}
	for (int i = 0; i < CROWD; i++)
		await_success(pids[i], "a workspace of many");
	bench_report(b, "20 workspaces at once: create, exec, diff, delete", "ms",
		     elapsed_ms(begun), 0, 0);
}

void workspaces_measure(struct bench *b)
{
	AUTO_FREE char *tree = make_tree(b);

	measure_small(b);
	measure_tree(b, tree);
	measure_diff(b, tree);
	measure_crowd(b);
}
