#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/mem.h"
#include "tests/test.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop *loop; /* each test runs in a process of its own */
static struct pyro_error err;
static bool is_done;
static char trace[64];

static void note(const char *what)
{
	size_t used = strlen(trace);

	CHECK(used + strlen(what) < sizeof(trace));
	memcpy(trace + used, what, strlen(what) + 1);
}

static int run_until_done(int64_t ms)
{
	return loop_until(loop, &is_done, deadline_in(ms), "the test", &err);
}

static void on_time_note(struct loop_timer *timer)
{
	note(timer->ctx);
	if (strcmp(timer->ctx, "!") == 0)
		is_done = true;
}

TEST("timers fire in the order of their times, equal ones in the order they were set")
{
	struct loop_timer a = {.on_time = on_time_note, .ctx = (char[]){"a"}};
	struct loop_timer b = {.on_time = on_time_note, .ctx = (char[]){"b"}};
	struct loop_timer c = {.on_time = on_time_note, .ctx = (char[]){"c"}};
	struct loop_timer end = {.on_time = on_time_note, .ctx = (char[]){"!"}};
	int64_t now = clock_ms();

	loop = loop_new();
	loop_set_timer(loop, &end, now + 30);
	loop_set_timer(loop, &b, now + 20);
	loop_set_timer(loop, &a, now + 10);
	loop_set_timer(loop, &c, now + 20);
	CHECK_OK(run_until_done(100000), err);
	CHECK_STR(trace, "abc!");
	CHECK(clock_ms() - now >= 30);
	loop_free(loop);
}

TEST("a timer that is cleared or set anew does not fire at its old time")
{
	struct loop_timer a = {.on_time = on_time_note, .ctx = (char[]){"a"}};
	struct loop_timer b = {.on_time = on_time_note, .ctx = (char[]){"b"}};
	struct loop_timer end = {.on_time = on_time_note, .ctx = (char[]){"!"}};
	int64_t now = clock_ms();

	loop = loop_new();
	loop_set_timer(loop, &a, now + 5);
	loop_set_timer(loop, &b, now + 5);
	loop_set_timer(loop, &end, now + 20);
	loop_clear_timer(loop, &a);
	loop_clear_timer(loop, &a);
	loop_set_timer(loop, &b, now + 3600000);
	CHECK_OK(run_until_done(100000), err);
	CHECK_STR(trace, "!");
	loop_clear_timer(loop, &b);
	loop_free(loop);
}

static struct loop_timer victim_timer = {.on_time = on_time_note, .ctx = (char[]){"v"}};

static void on_time_clear(struct loop_timer *timer)
{
	(void)timer;
	loop_clear_timer(loop, &victim_timer);
}

TEST("a timer may clear another one that is due in the same round")
{
	struct loop_timer killer = {.on_time = on_time_clear};
	struct loop_timer end = {.on_time = on_time_note, .ctx = (char[]){"!"}};
	int64_t now = clock_ms();

	loop = loop_new();
	loop_set_timer(loop, &killer, now - 3);
	loop_set_timer(loop, &victim_timer, now - 2);
	loop_set_timer(loop, &end, now - 1);
	CHECK_OK(run_until_done(100000), err);
	CHECK_STR(trace, "!");
	loop_free(loop);
}

static void on_time_again(struct loop_timer *timer)
{
	loop_set_timer(loop, timer, 0);
}

static void on_ready_done(struct loop_fd *src, uint32_t events)
{
	(void)src;
	(void)events;
	is_done = true;
}

TEST("a timer that sets itself for a time in the past does not starve descriptors")
{
	struct loop_timer busy = {.on_time = on_time_again};
	struct loop_fd src = {.on_ready = on_ready_done};
	int p[2];

	test_deadline(100);
	loop = loop_new();
	CHECK(pipe(p) == 0 && write(p[1], "x", 1) == 1);
	CHECK_OK(loop_add_fd(loop, &src, p[0], EPOLLIN, &err), err);
	loop_set_timer(loop, &busy, 0);
	CHECK_OK(run_until_done(100000), err);
	loop_clear_timer(loop, &busy);
	loop_remove_fd(loop, &src);
	loop_free(loop);
}

static struct loop_fd pair[2];

/* The first that is called removes both. */
static void on_ready_remove_both(struct loop_fd *src, uint32_t events)
{
	(void)src;
	(void)events;
	note("r");
	loop_remove_fd(loop, &pair[0]);
	loop_remove_fd(loop, &pair[1]);
}

TEST("a source that was removed in a callback is not called, even if it was ready too")
{
	struct loop_timer end = {.on_time = on_time_note, .ctx = (char[]){"!"}};
	int p[2][2];

	loop = loop_new();
	for (int i = 0; i < 2; i++) {
		CHECK(pipe(p[i]) == 0 && write(p[i][1], "x", 1) == 1);
		pair[i].on_ready = on_ready_remove_both;
		CHECK_OK(loop_add_fd(loop, &pair[i], p[i][0], EPOLLIN, &err), err);
	}
	loop_set_timer(loop, &end, clock_ms() + 300); /* when the pipes have long been seen */
	CHECK_OK(run_until_done(100000), err);
	CHECK_STR(trace, "r!");
	loop_free(loop);
}

/* Waits inside its callback until the other source was served. */
static bool is_inner_done;

static void on_ready_wait(struct loop_fd *src, uint32_t events)
{
	(void)events;
	note("(");
	loop_remove_fd(loop, src);
	CHECK_OK(loop_until(loop, &is_inner_done, deadline_in(100000), "the inner wait", &err),
		 err);
	note(")");
	is_done = true;
}

static void on_ready_inner(struct loop_fd *src, uint32_t events)
{
	(void)events;
	note("i");
	loop_remove_fd(loop, src);
	is_inner_done = true;
}

TEST("a wait inside a callback serves what the outer round still had in hand, once")
{
	int p[2][2];

	loop = loop_new();
	pair[0].on_ready = on_ready_wait;
	pair[1].on_ready = on_ready_inner;
	for (int i = 0; i < 2; i++) {
		CHECK(pipe(p[i]) == 0 && write(p[i][1], "x", 1) == 1);
		CHECK_OK(loop_add_fd(loop, &pair[i], p[i][0], EPOLLIN, &err), err);
	}
	CHECK_OK(run_until_done(100000), err);
	CHECK_STR(trace, "(i)");
	loop_free(loop);
}

static void on_time_wait(struct loop_timer *timer)
{
	bool never = false;

	(void)timer;
	note("(");
	CHECK(loop_until(loop, &never, deadline_in(200), "nothing", &err) < 0);
	note(")");
	is_done = true;
}

TEST("timers go on inside a wait that a timer began")
{
	struct loop_timer outer = {.on_time = on_time_wait};
	struct loop_timer inner = {.on_time = on_time_note, .ctx = (char[]){"i"}};

	loop = loop_new();
	loop_set_timer(loop, &outer, clock_ms());
	loop_set_timer(loop, &inner, clock_ms() + 5);
	CHECK_OK(run_until_done(100000), err);
	CHECK_STR(trace, "(i)");
	loop_free(loop);
}

static void on_exit_free(struct loop_child *child, int status)
{
	*(int *)child->ctx = status;
	is_done = true;
	free(child);
}

TEST("a child's end is told once, with its status, and the child is reaped")
{
	struct loop_child *child = mem_zalloc(1, sizeof(*child));
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(9);
	loop = loop_new();
	child->on_exit = on_exit_free; /* frees the source: nothing may touch it afterwards */
	child->ctx = &status;
	CHECK_OK(loop_add_child(loop, child, pid, &err), err);
	CHECK_OK(run_until_done(100000), err);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
	CHECK(kill(pid, 0) < 0);
	loop_free(loop);
}

TEST("a child's end is told once though another process holds its pidfd, and no other child is "
     "reaped")
{
	struct loop_child *child = mem_zalloc(1, sizeof(*child));
	int status = -1, other_status;
	pid_t pid = fork(), holder, other;

	if (pid == 0)
		_exit(9);
	loop = loop_new();
	child->on_exit = on_exit_free;
	child->ctx = &status;
	CHECK_OK(loop_add_child(loop, child, pid, &err), err);
	holder = fork();
	if (holder == 0)
		for (;;)
			(void)pause();
	CHECK_OK(run_until_done(100000), err);
	other = fork();
	if (other == 0)
		_exit(3);
	is_done = false;
	CHECK(run_until_done(100) < 0);
	CHECK_INT(waitpid(other, &other_status, 0), other);
	CHECK_INT(WEXITSTATUS(other_status), 3);
	CHECK_INT(kill(holder, SIGKILL), 0);
	CHECK_INT(waitpid(holder, NULL, 0), holder);
	loop_free(loop);
}

TEST("a child that is no longer watched is left alone")
{
	struct loop_child child = {.on_exit = on_exit_free};
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	loop = loop_new();
	CHECK_OK(loop_add_child(loop, &child, pid, &err), err);
	loop_remove_child(loop, &child);
	loop_remove_child(loop, &child);
	CHECK(run_until_done(50) < 0);
	CHECK(waitpid(pid, NULL, 0) == pid);
	loop_free(loop);
}

TEST("loop_until ends at its deadline and names the wait")
{
	int64_t began = clock_ms();

	loop = loop_new();
	CHECK(run_until_done(30) < 0);
	CHECK_INT(err.code, PYRO_E_TIMEOUT);
	CHECK(strstr(err.message, "the test"));
	CHECK(clock_ms() - began >= 30);
	loop_free(loop);
}

TEST("what has come by the deadline is in time, though this process stood still until then")
{
	struct loop_fd src = {.on_ready = on_ready_done};
	int p[2];

	CHECK_INT(pipe(p), 0);
	loop = loop_new();
	CHECK_OK(loop_add_fd(loop, &src, p[0], EPOLLIN, &err), err);
	CHECK(run_until_done(0) < 0);
	CHECK_INT(write(p[1], "x", 1), 1);
	CHECK_OK(run_until_done(0), err);
	loop_remove_fd(loop, &src);
	loop_free(loop);
}

TEST("loop_until does not wait for what is already there")
{
	loop = loop_new();
	is_done = true;
	loop_stop(loop);
	CHECK_OK(loop_until(loop, &is_done, deadline_in(0), "it", &err), err);
	loop_free(loop);
}

static void on_time_stop(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void on_time_unwind(struct loop_timer *timer)
{
	bool never = false;

	(void)timer;
	CHECK(loop_until(loop, &never, DEADLINE_NONE, "the inner wait", &err) < 0);
	CHECK_INT(err.code, PYRO_E_CANCELLED);
	note("inner ");
}

TEST("loop_stop unwinds every wait under way, and loop_resume allows new ones")
{
	struct loop_timer outer = {.on_time = on_time_unwind};
	struct loop_timer stop = {.on_time = on_time_stop};

	test_deadline(100);
	loop = loop_new();
	loop_set_timer(loop, &outer, clock_ms());
	loop_set_timer(loop, &stop, clock_ms() + 10);
	CHECK(loop_until(loop, &is_done, DEADLINE_NONE, "the outer wait", &err) < 0);
	CHECK_INT(err.code, PYRO_E_CANCELLED);
	CHECK_STR(trace, "inner ");
	CHECK(loop_is_stopped(loop));
	loop_resume(loop);
	CHECK(run_until_done(10) < 0);
	CHECK_INT(err.code, PYRO_E_TIMEOUT);
	loop_free(loop);
}

TEST("loop_set_events switches what is waited for, on and off")
{
	struct loop_fd src = {.on_ready = on_ready_done};
	int p[2];

	loop = loop_new();
	CHECK(pipe(p) == 0 && write(p[1], "x", 1) == 1);
	CHECK_OK(loop_add_fd(loop, &src, p[0], 0, &err), err);
	CHECK(run_until_done(30) < 0);
	loop_set_events(loop, &src, EPOLLIN);
	CHECK_OK(run_until_done(100000), err);
	loop_remove_fd(loop, &src);
	loop_free(loop);
}
