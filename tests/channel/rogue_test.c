/*
 * A guest that was taken over, behind a real supervisor and a real command line: nothing it says
 * is believed beyond its own machine. It stands in as the agent of a host (rogue_agent.c), so no
 * machine is needed.
 */
#include "test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/proc.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_MS 120000

/* A libexec folder with the real supervisor and the lying agent. */
static void make_libexec(void)
{
	AUTO_FREE char *agent = mem_printf("%s/pyro-agent", test_dir());
	AUTO_FREE char *supervisor = mem_printf("%s/pyro-supervisor", test_dir());

	CHECK(symlink(TEST_ROGUE, agent) == 0 && symlink(TEST_SUPERVISOR, supervisor) == 0);
	(void)setenv("PYRO_LIBEXEC_DIR", test_dir(), 1);
	(void)setenv("PATH", test_dir(), 1); /* no QEMU: the host it is */
}

struct outcome {
	int code;
	json_t *object;  /* stdout */
	json_t *error;   /* in it */
	struct buf text; /* stderr */
};

static void outcome_done(struct outcome *o)
{
	json_decref(o->object);
	buf_done(&o->text);
}

#define AUTO_OUTCOME __attribute__((cleanup(outcome_done)))

static struct outcome run_with(const char *lie, const char *timeout)
{
	AUTO_BUF struct buf out = BUF_INIT(1 << 20);
	AUTO_ARGV struct argv argv = ARGV_INIT;
	struct outcome o = {.text = BUF_INIT(1 << 20)};
	struct pyro_error err;

	make_libexec();
	(void)setenv("ROGUE", lie, 1);
	argv_add(&argv, TEST_PYRO, "run", "--json", "--allow-host-compat", "--timeout-seconds",
		 timeout, "debian:12", "--", "true", NULL);
	o.code = proc_run(&argv,
			  &(struct proc_options){
				  .deadline = deadline_in(RUN_MS), .out = &out, .errout = &o.text},
			  &err);
	CHECK_OK(o.code, err);
	o.object = json_loads(buf_text(&out), 0, NULL);
	if (!o.object)
		test_fail(__FILE__, __LINE__, "no JSON: %s / %s", buf_text(&out),
			  buf_text(&o.text));
	o.error = json_object_get(o.object, "error");
	return o;
}

static const char *member(const struct outcome *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o->error, key));

	return text ? text : "";
}

static void expect_protocol_error(const char *lie)
{
	AUTO_OUTCOME struct outcome o = run_with(lie, "20");

	CHECK_INT(o.code, 125);
	CHECK_STR(member(&o, "code"), "protocol_error");
}

TEST("a guest that answers with an event tells no phase, and the call fails")
{
	AUTO_OUTCOME struct outcome o = run_with("event", "20");

	CHECK_STR(member(&o, "code"), "protocol_error");
	CHECK(!strchr(buf_text(&o.text), '\033'));
}

TEST("an exit code out of range is no exit code")
{
	expect_protocol_error("range");
}

TEST("an exit code of another type is no exit code")
{
	expect_protocol_error("type");
}

TEST("a list is no result")
{
	expect_protocol_error("list");
}

TEST("no result is no success")
{
	expect_protocol_error("nothing");
}

TEST("the first answer of a guest that answers often is all that is taken")
{
	AUTO_OUTCOME struct outcome o = run_with("twice", "20");

	CHECK(o.code == 125 || o.code == 0);
	CHECK(o.code == 0 || strcmp(member(&o, "code"), "protocol_error") == 0);
}

TEST("an error of a guest has our hint, and no escape sequences")
{
	AUTO_OUTCOME struct outcome o = run_with("hint", "20");

	CHECK_STR(member(&o, "code"), "busy");
	CHECK(!strstr(member(&o, "hint"), "curl"));
	CHECK(!strchr(member(&o, "message"), '\033'));
}

TEST("a guest that never answers is answered for when its time is up")
{
	AUTO_OUTCOME struct outcome o = run_with("never", "1");

	CHECK_INT(o.code, 124);
	CHECK(!o.error);
}

/* Reads no faster than that the rogue always has more; the number of seconds until the end. */
static int64_t read_slowly(int fd)
{
	static char chunk[64 * 1024];
	int64_t begun = clock_ms();

	while (read(fd, chunk, sizeof(chunk)) > 0 && clock_ms() - begun < RUN_MS)
		(void)poll(NULL, 0, 10);
	return (clock_ms() - begun) / 1000;
}

TEST("a guest that prints without end is answered for when its time is up")
{
	AUTO_ARGV struct argv argv = ARGV_INIT;
	AUTO_FD int out = -1;
	struct pyro_error err;
	int pair[2], status;
	pid_t pid;

	make_libexec();
	(void)setenv("ROGUE", "endless", 1);
	argv_add(&argv, TEST_PYRO, "run", "--allow-host-compat", "--timeout-seconds", "1",
		 "debian:12", "--", "true", NULL);
	CHECK(pipe2(pair, O_CLOEXEC) == 0);
	out = pair[0];
	pid = proc_spawn(&argv,
			 &(struct proc_options){
				 .fds = (const struct proc_fd[]){{pair[1], STDOUT_FILENO}},
				 .n_fds = 1,
			 },
			 &err);
	CHECK_OK(pid, err);
	CHECK(close(pair[1]) == 0);
	CHECK(read_slowly(out) < RUN_MS / 1000);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(proc_exit_code(status), 124);
}
