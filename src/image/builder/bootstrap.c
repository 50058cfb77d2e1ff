#include "image/builder/bootstrap.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/proc.h"
#include "image/builder/event.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define IDLE_MS (10 * 60 * 1000) /* the longest silence of a download or a package's script */
#define PROBE_MS 10000
#define LOCK_FD_IN_CHILD 3
#define NO_SPACE_BYTES (16 << 20) /* a disk with less is what made mmdebstrap fail */

struct bootstrap {
	const struct bootstrap_options *options;
	pid_t pid;
	int tar_fd;
	int log_fd;
	struct buf line;        /* of the log, not complete yet */
	struct buf first_error; /* the first line that says what went wrong */
	int64_t done;           /* packages fetched, unpacked and set up */
	int64_t total;
	bool is_ended; /* the tar stream */
};

static volatile sig_atomic_t is_cancelled;
static volatile sig_atomic_t running; /* pid of the one under way; 0: none */

/* The kill ends the pipes, so that a wait which the signal just missed ends, too. */
void bootstrap_cancel(void)
{
	is_cancelled = 1;
	if (running > 0)
		(void)kill(running, SIGKILL);
}

int bootstrap_check_cancelled(struct pyro_error *err)
{
	return is_cancelled ? err_set(err, PYRO_E_CANCELLED, "the pull was interrupted") : 0;
}

static void add_namespace(struct argv *a)
{
	argv_add(a, "unshare", NULL);
	if (geteuid() != 0)
		argv_add(a, "--map-root-user", "--map-auto", NULL);
	argv_add(a, "--mount", "--pid", "--fork", "--kill-child", NULL);
}

/* Asked first, because its failure names what to change, and mmdebstrap's would not. */
static int check_namespace(struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	struct pyro_error why;

	add_namespace(&a);
	argv_add(&a, "true", NULL);
	if (proc_check(&a, &(struct proc_options){.deadline = deadline_in(PROBE_MS)}, &why) == 0)
		return 0;
	(void)err_set(err, PYRO_E_MISSING_DEPENDENCY, "no namespace to build in: %s", why.message);
	if (geteuid() != 0)
		return err_hint(err, "install 'uidmap' and give this user a range of ids: "
				     "usermod --add-subuids 100000-165535 "
				     "--add-subgids 100000-165535 USER; or pull as root");
	return err_hint(err, "allow this container to create mount namespaces");
}

static void add_mmdebstrap(struct argv *a, const struct bootstrap_options *o)
{
	AUTO_BUF struct buf include = BUF_INIT(16384);

	for (size_t i = 0; o->packages[i]; i++)
		buf_printf(&include, "%s%s", i ? "," : "", o->packages[i]);
	argv_add(a, "mmdebstrap", "--mode=root", "--verbose", "--format=tar", NULL);
	argv_add(a, "--architectures=amd64", NULL);
	argv_addf(a, "--variant=%s", o->variant);
	argv_addf(a, "--include=%s", buf_text(&include));
	argv_add(a, o->suite, "-", NULL);
}

static pid_t spawn(const struct bootstrap_options *o, int tar_fd, int log_fd,
		   struct pyro_error *err)
{
	AUTO_ARGV struct argv a = ARGV_INIT;
	const struct proc_fd fds[] = {{tar_fd, STDOUT_FILENO},
				      {log_fd, STDERR_FILENO},
				      {o->lock_fd, LOCK_FD_IN_CHILD}};

	add_namespace(&a);
	add_mmdebstrap(&a, o);
	return proc_spawn(&a,
			  &(struct proc_options){
				  .fds = fds, .n_fds = ARRAY_SIZE(fds), .die_with_parent = true},
			  err);
}

/* What must hold before mmdebstrap is worth starting, and what it is to find in its environment. */
static int prepare(const struct bootstrap_options *o, struct pyro_error *err)
{
	AUTO_FREE char *program = proc_find("mmdebstrap");

	if (!program)
		return err_set(err, PYRO_E_MISSING_DEPENDENCY, "'mmdebstrap' is not installed");
	if (check_namespace(err) < 0 || dir_make(o->tmp_dir, 0755, err) < 0)
		return -1;
	if (setenv("TMPDIR", o->tmp_dir, 1) < 0 || setenv("LC_ALL", "C.UTF-8", 1) < 0 ||
	    setenv("DEBIAN_FRONTEND", "noninteractive", 1) < 0)
		mem_exhausted();
	return 0;
}

static int make_pipe(int *ret_r, int *ret_w, struct pyro_error *err)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	*ret_r = p[0];
	*ret_w = p[1];
	return 0;
}

struct bootstrap *bootstrap_start(const struct bootstrap_options *o, struct pyro_error *err)
{
	AUTO_FD int tar_r = -1, tar_w = -1, log_r = -1, log_w = -1;
	struct bootstrap *b;
	pid_t pid;

	if (prepare(o, err) < 0 || make_pipe(&tar_r, &tar_w, err) < 0 ||
	    make_pipe(&log_r, &log_w, err) < 0)
		return NULL;
	pid = spawn(o, tar_w, log_w, err);
	if (pid < 0)
		return NULL;
	running = pid;
	b = mem_zalloc(1, sizeof(*b));
	*b = (struct bootstrap){.options = o,
				.pid = pid,
				.tar_fd = TAKE_FD(tar_r),
				.log_fd = TAKE_FD(log_r),
				.line = BUF_INIT(4096),
				.first_error = BUF_INIT(1024)};
	return b;
}

/* --- progress --------------------------------------------------------------------------- */

/* "0 upgraded, 69 newly installed, …": each of them is fetched, unpacked and set up. */
static void count_planned(struct bootstrap *b, const char *line)
{
	const char *comma = strstr(line, ", ");
	const char *end = comma ? strstr(comma, " newly installed") : NULL;
	int64_t n;

	if (!end)
		return;
	AUTO_FREE char *number = mem_strndup(comma + 2, (size_t)(end - comma - 2));
	if (parse_int(number, 0, 100000, &n))
		b->total += n * 3;
}

static bool starts(const char *line, const char *prefix)
{
	return strncmp(line, prefix, strlen(prefix)) == 0;
}

static bool is_step(const struct bootstrap *b, const char *line)
{
	return starts(line, "Unpacking ") || starts(line, "Setting up ") ||
	       (b->total > 0 && starts(line, "Get:"));
}

static bool is_error(const char *line)
{
	return starts(line, "E: ") || starts(line, "dpkg: error") ||
	       strstr(line, "No space left on device") || strstr(line, "not enough free space");
}

static void take_line(struct bootstrap *b, const char *line)
{
	count_planned(b, line);
	if (is_step(b, line) && b->done < b->total)
		event_progress(b->options->phase, ++b->done, b->total, "steps");
	if (is_error(line) && b->first_error.len == 0)
		buf_puts(&b->first_error, starts(line, "E: ") ? line + 3 : line);
}

/* Reads what the log has; at its end log_fd is closed. */
static void take_log(struct bootstrap *b)
{
	char chunk[4096];
	ssize_t n = read(b->log_fd, chunk, sizeof(chunk));

	if (n <= 0) {
		if (n == 0 || errno != EINTR)
			fd_close(&b->log_fd);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (chunk[i] != '\n') {
			buf_append(&b->line, &chunk[i], 1);
			continue;
		}
		take_line(b, buf_text(&b->line));
		buf_reset(&b->line);
	}
}

/* --- the stream ------------------------------------------------------------------------- */

ssize_t bootstrap_read(struct bootstrap *b, void *data, size_t len, struct pyro_error *err)
{
	for (;;) {
		struct pollfd p[2] = {{b->tar_fd, POLLIN, 0}, {b->log_fd, POLLIN, 0}};
		int ready = poll(p, 2, IDLE_MS);

		if (bootstrap_check_cancelled(err) < 0)
			return -1;
		if (ready == 0)
			return err_set(err, PYRO_E_TIMEOUT, "mmdebstrap made no progress for %d s",
				       IDLE_MS / 1000);
		if (ready > 0 && p[1].revents)
			take_log(b);
		if (ready > 0 && p[0].revents) {
			ssize_t n = read(b->tar_fd, data, len);

			b->is_ended = n == 0;
			if (n >= 0 || errno != EINTR)
				return n < 0 ? err_sys(err, errno, "read from mmdebstrap") : n;
		}
	}
}

static int explain(const struct bootstrap *b, int code, struct pyro_error *err)
{
	const char *why = buf_text(&b->first_error);
	int64_t free_bytes = dir_free_bytes(b->options->tmp_dir);

	if (strstr(why, "No space left") || strstr(why, "not enough free space") ||
	    (free_bytes >= 0 && free_bytes < NO_SPACE_BYTES))
		return err_set(err, PYRO_E_NO_SPACE, "no space left in '%s'", b->options->tmp_dir);
	return err_set(err, PYRO_E_PULL_FAILED, "mmdebstrap ended with status %d%s%s", code,
		       *why ? ": " : "", why);
}

bool bootstrap_is_ended(const struct bootstrap *b)
{
	return b->is_ended;
}

/* What comes behind the end of the archive is padding, but its writer wants it read. */
static int drain(struct bootstrap *b, struct pyro_error *err)
{
	char chunk[4096];

	while (!b->is_ended)
		if (bootstrap_read(b, chunk, sizeof(chunk), err) < 0)
			return -1;
	return 0;
}

int bootstrap_finish(struct bootstrap *b, struct pyro_error *err)
{
	int64_t deadline = deadline_in(IDLE_MS);
	int status;

	if (drain(b, err) < 0)
		return -1;
	while (b->log_fd >= 0) {
		struct pollfd p = {b->log_fd, POLLIN, 0};
		int ready = poll(&p, 1, deadline_left(deadline));

		if (bootstrap_check_cancelled(err) < 0)
			return -1;
		if (ready == 0)
			return err_set(err, PYRO_E_TIMEOUT, "mmdebstrap did not end");
		if (ready > 0)
			take_log(b);
	}
	running = 0; /* what is reaped must not be killed any more */
	while (waitpid(b->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "wait for mmdebstrap");
	b->pid = 0;
	if (bootstrap_check_cancelled(err) < 0)
		return -1;
	return status == 0 ? 0 : explain(b, proc_exit_code(status), err);
}

struct bootstrap *bootstrap_free(struct bootstrap *b)
{
	if (!b)
		return NULL;
	fd_close(&b->tar_fd);
	fd_close(&b->log_fd);
	running = 0;
	/* Killing unshare kills the first process of the namespace, and the kernel all others. */
	proc_kill(b->pid);
	/* They became this program's children (it is a subreaper); then nothing writes any more. */
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	buf_done(&b->line);
	buf_done(&b->first_error);
	free(b);
	return NULL;
}
