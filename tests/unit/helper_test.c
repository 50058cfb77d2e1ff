#include "api/helper.h"

#include "api/handle.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "pyro/error.h"
#include "tests/test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_MAX (1024 * 1024)
#define DEADLINE_MS 100000

struct seen {
	int count;
	int64_t done;
	int64_t total;
};

static void note_progress(void *ctx, const char *what, int64_t done, int64_t total,
			  const char *unit)
{
	struct seen *seen = ctx;

	CHECK_STR(what, "seed");
	CHECK_STR(unit, "bytes");
	seen->count++;
	seen->done = done;
	seen->total = total;
}

static struct pyro *handle(void)
{
	struct pyro *p = pyro_new();

	CHECK(p);
	return p;
}

/* A helper that is a shell script; it reports on descriptor 3, if at all. */
static struct helper *start(struct pyro *p, const char *script, int report_as)
{
	struct pyro_error err;
	struct helper *h = helper_start(p,
					&(struct helper_options){
						.program = "/bin/sh",
						.args = (const char *const[]){"-c", script, NULL},
						.report_as = report_as,
						.report_max = REPORT_MAX,
						.what = "seed",
					},
					&err);

	if (!h)
		test_fail(__FILE__, __LINE__, "%s", err.message);
	return h;
}

/* Runs a script to its end. */
static int finish(const char *script, json_t **ret, struct pyro_error *err)
{
	struct pyro *p = handle();
	struct helper *h = start(p, script, 3);
	int result = helper_finish(h, deadline_in(DEADLINE_MS), ret, err);

	(void)helper_free(h);
	pyro_free(p);
	return result;
}

TEST("a helper's last line is its result, with or without its end of line")
{
	static const char *const scripts[] = {
		"echo '{\"result\":{\"n\":7}}' >&3",
		"printf '{\"result\":{\"n\":7}}' >&3",
		"echo '{\"result\":{\"n\":1}}' >&3; echo x >&3; echo '{\"result\":{\"n\":7}}' >&3",
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		struct pyro_error err;
		json_t *result;

		CHECK_OK(finish(scripts[i], &result, &err), err);
		CHECK_INT(json_integer_value(json_object_get(result, "n")), 7);
		json_decref(result);
	}
}

TEST("a helper's error is the caller's, whatever its exit status")
{
	struct pyro_error err;

	CHECK(finish("echo '{\"error\":{\"code\":\"not_found\",\"message\":\"no a\"}}' >&3", NULL,
		     &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	CHECK_STR(err.message, "no a");
}

TEST("a helper that ends without a good result is an error that has its status")
{
	static const char *const scripts[] = {
		"exit 3",
		"echo nonsense >&3; exit 3",
		"echo '{\"result\":7}' >&3; exit 3",
		"echo '[]' >&3; exit 3",
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		struct pyro_error err;

		CHECK(finish(scripts[i], NULL, &err) < 0);
		CHECK(strstr(err.message, "'/bin/sh' ended with status 3"));
	}
}

TEST("a result may fill the limit of a report and not be longer")
{
	const int frame = (int)strlen("{\"result\":{\"text\":\"\"}}\n");

	for (int over = 0; over <= 2; over += 2) {
		AUTO_FREE char *script =
			mem_printf("printf '{\"result\":{\"text\":\"%%0%dd\"}}\\n' 0 >&3",
				   REPORT_MAX - frame + over);
		struct pyro_error err;
		json_t *result = NULL;

		CHECK_INT(finish(script, &result, &err), over ? -1 : 0);
		CHECK_INT(json_string_length(json_object_get(result, "text")),
			  over ? 0 : REPORT_MAX - frame);
		json_decref(result);
	}
}

TEST("a helper's progress reaches the observer")
{
	struct pyro *p = handle();
	struct seen seen = {0};
	struct pyro_error err;
	struct helper *h;

	p->observer = (struct pyro_observer){.ctx = &seen, .on_progress = note_progress};
	h = start(p,
		  "echo '{\"bytes\":1,\"total_bytes\":9}' >&3; echo '{\"done\":5,\"total\":9}' >&3;"
		  "echo '{\"result\":{}}' >&3",
		  3);
	CHECK_OK(helper_finish(h, deadline_in(DEADLINE_MS), NULL, &err), err);
	CHECK_INT(seen.count, 2);
	CHECK(seen.done == 5 && seen.total == 9);
	(void)helper_free(h);
	pyro_free(p);
}

TEST("of a helper without a report the exit status is all")
{
	struct pyro *p = handle();
	struct helper *good = start(p, "exit 0", -1), *bad = start(p, "exit 1", -1);
	struct pyro_error err;

	CHECK_OK(helper_finish(good, deadline_in(DEADLINE_MS), NULL, &err), err);
	CHECK(helper_finish(bad, deadline_in(DEADLINE_MS), NULL, &err) < 0);
	(void)helper_free(good);
	(void)helper_free(bad);
	pyro_free(p);
}

TEST("a helper that hangs is given up at the deadline and ended, also if it ignores SIGTERM")
{
	static const char *const scripts[] = {
		"echo $$ >&3; exec sleep 1000",
		"trap '' TERM; echo $$ >&3; while :; do sleep 1000; done",
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		struct pyro *p = handle();
		struct helper *h = start(p, scripts[i], 3);
		struct pyro_error err;

		CHECK(helper_finish(h, deadline_in(300), NULL, &err) < 0);
		CHECK_INT(err.code, PYRO_E_TIMEOUT);
		(void)helper_free(h);
		CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
		pyro_free(p);
	}
}

/* In a process of its own, which ends without a word once the helper runs. */
static void start_and_vanish(const char *pid_path)
{
	AUTO_FREE char *script = mem_printf("echo $$ >%s.new && mv %s.new %s && sleep 1000",
					    pid_path, pid_path, pid_path);
	struct helper_options options = {
		.program = "/bin/sh",
		.args = (const char *const[]){"-c", script, NULL},
		.report_as = -1,
		.report_max = REPORT_MAX,
		.die_with_parent = true,
	};
	int64_t deadline = deadline_in(DEADLINE_MS);

	if (!helper_start(pyro_new(), &options, NULL))
		_exit(1);
	while (!file_exists(pid_path) && deadline_left(deadline))
		(void)poll(NULL, 0, 5);
	(void)raise(SIGKILL);
}

TEST("a helper that reads under our lock does not outlive us")
{
	AUTO_FREE char *path = mem_printf("%s/pid", test_dir());
	AUTO_BUF struct buf text = BUF_INIT(64);
	int64_t deadline = deadline_in(DEADLINE_MS), helper;
	struct pyro_error err;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		start_and_vanish(path);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK_OK(file_read(path, &text, &err), err);
	text.data[text.len - 1] = '\0';
	CHECK(parse_int(text.data, 2, INT32_MAX, &helper));
	while (kill((pid_t)helper, 0) == 0 && deadline_left(deadline))
		(void)poll(NULL, 0, 5);
	CHECK(kill((pid_t)helper, 0) < 0);
}
