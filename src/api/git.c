#include "api/git.h"

#include "api/handle.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define GONE_MS 5000
#define LOOK_MS 5

struct git {
	struct pyro *p;
	struct loop_child child;
	struct loop_fd errors;
	struct buf *text;
	int wait_status;
	bool is_over;
};

/* Of git's variables only those that say how this user connects and what this user configured. */
static bool is_passed_on(const char *variable)
{
	static const char *const ours[] = {"LC_ALL=", "LANGUAGE=", "SSH_ASKPASS",
					   "GCM_INTERACTIVE="};
	static const char *const kept[] = {"GIT_CONFIG_", "GIT_SSH",   "GIT_SSL_",
					   "GIT_HTTP_",   "GIT_PROXY", "GIT_EXEC_PATH="};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strncmp(variable, ours[i], strlen(ours[i])) == 0)
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (strncmp(variable, kept[i], strlen(kept[i])) == 0)
			return true;
	return strncmp(variable, "GIT_", 4) != 0;
}

static void make_env(struct argv *env, const char *protocols)
{
	for (char **variable = environ; *variable; variable++)
		if (is_passed_on(*variable))
			argv_add(env, *variable, NULL);
	argv_add(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0",
		 "GIT_ASKPASS=", "SSH_ASKPASS_REQUIRE=never", "GCM_INTERACTIVE=never",
		 "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1",
		 "GIT_TEMPLATE_DIR=", "GIT_LFS_SKIP_SMUDGE=1", NULL);
	argv_addf(env, "GIT_ALLOW_PROTOCOL=%s", protocols);
}

static void make_words(struct argv *words, const char *const *given)
{
	static const char *const config[] = {"core.fsmonitor=false", "core.hooksPath=/dev/null",
					     "gc.auto=0", "maintenance.auto=false"};

	argv_add(words, "git", "--no-pager", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(config); i++)
		argv_add(words, "-c", config[i], NULL);
	for (; *given; given++)
		argv_add(words, *given, NULL);
}

static void read_errors(struct git *g)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(g->errors.fd, chunk, sizeof(chunk))) > 0)
		buf_append_last(g->text, chunk, (size_t)n);
	if (n == 0)
		loop_remove_fd(g->p->loop, &g->errors);
}

static void errors_ready(struct loop_fd *src, uint32_t events)
{
	(void)events;
	read_errors(src->ctx);
}

static void exited(struct loop_child *child, int wait_status)
{
	struct git *g = child->ctx;

	g->wait_status = wait_status;
	g->is_over = true;
}

static int start(struct git *g, const struct git_call *call, int errors, struct pyro_error *err)
{
	AUTO_ARGV struct argv env = ARGV_INIT, words = ARGV_INIT;
	const struct proc_limit limit = {RLIMIT_FSIZE, (rlim_t)call->out_max};
	const struct proc_fd fds[] = {{errors, STDERR_FILENO}, {call->out_fd, STDOUT_FILENO}};
	pid_t pid;

	make_env(&env, call->protocols);
	make_words(&words, call->words);
	pid = proc_spawn(&words,
			 &(struct proc_options){.env = env.v,
						.cwd = call->cwd,
						.fds = fds,
						.n_fds = call->out_fd < 0 ? 1 : 2,
						.limits = &limit,
						.n_limits = call->out_fd < 0 ? 0 : 1,
						.new_session = true,
						.is_jail = true},
			 err);
	if (pid < 0 && err && err->code == PYRO_E_MISSING_DEPENDENCY)
		return err_hint(err, "apt install git");
	if (pid < 0 || loop_add_child(g->p->loop, &g->child, pid, err) == 0)
		return pid < 0 ? -1 : 0;
	(void)kill(-pid, SIGKILL);
	proc_kill(pid);
	return -1;
}

/* All of its group: what git started may still make files where the caller is about to remove some.
 */
static void end_group(struct git *g)
{
	pid_t pid = g->child.pid;
	int64_t deadline = deadline_in(GONE_MS);

	loop_remove_child(g->p->loop, &g->child);
	(void)kill(-pid, SIGKILL);
	proc_kill(pid);
	while (kill(-pid, 0) == 0 && deadline_left(deadline))
		(void)poll(NULL, 0, LOOK_MS);
}

static int run(struct git *g, const struct git_call *call, struct pyro_error *err)
{
	AUTO_FD int theirs = -1;
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, errno, "create a pipe");
	theirs = pair[1];
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	if (loop_add_fd(g->p->loop, &g->errors, pair[0], EPOLLIN, err) < 0) {
		fd_close(&pair[0]);
		return -1;
	}
	if (start(g, call, theirs, err) < 0)
		return -1;
	fd_close(&theirs);
	if (loop_until(g->p->loop, &g->is_over, call->deadline, "git", err) < 0) {
		end_group(g);
		return -1;
	}
	read_errors(g);
	if (proc_exit_code(g->wait_status) == 128 + SIGXFSZ)
		return err_set(err, PYRO_E_LIMIT, "git prints more than %lld MiB",
			       (long long)(call->out_max >> 20));
	return proc_exit_code(g->wait_status);
}

int git_run(struct pyro *p, const struct git_call *call, struct pyro_error *err)
{
	struct git g = {.p = p, .text = call->errors};
	int result;

	buf_reset(call->errors);
	g.errors = (struct loop_fd){.fd = -1, .on_ready = errors_ready, .ctx = &g};
	g.child = (struct loop_child){.on_exit = exited, .ctx = &g};
	g.child.pidfd.fd = -1;
	result = run(&g, call, err);
	loop_remove_child(p->loop, &g.child);
	loop_remove_fd(p->loop, &g.errors);
	fd_close(&g.errors.fd);
	return result;
}

/* The first line that says "fatal:"; what follows is advice. Else the last that says anything. */
char *git_reason(const struct buf *errors)
{
	const char *text = buf_text(errors), *found = strstr(text, "fatal: ");
	size_t len = strlen(text);

	if (found)
		return mem_strndup(found + 7, strcspn(found + 7, "\n"));
	while (len && strchr("\n ", text[len - 1]))
		len--;
	for (found = text + len; found > text && found[-1] != '\n'; found--)
		;
	return len ? mem_strndup(found, (size_t)(text + len - found))
		   : mem_strdup("no reason given");
}
