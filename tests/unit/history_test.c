#include "workspace/history.h"

#include "unit/workspace_sample.h"

#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 4
#define EACH 50

static int64_t begin(struct records *r, int64_t *ret_dropped)
{
	struct pyro_error err;
	int64_t sequence = 0;

	CHECK_OK(history_begin(r, SAMPLE_ID, "[\"ls\", \"-l a\"]", "/workspace", "guest_vsock", 300,
			       &sequence, ret_dropped, &err),
		 err);
	return sequence;
}

static void end(struct records *r, int64_t sequence, int64_t exit_code)
{
	const struct history_result result = {"finished", exit_code, 12, false};
	struct pyro_error err;

	CHECK_OK(history_end(r, SAMPLE_ID, sequence, &result, &err), err);
}

static size_t commands(struct records *r, struct pyro_workspace_command **ret)
{
	struct pyro_error err;
	size_t n;

	CHECK_OK(history_commands(r, SAMPLE_ID, ret, &n, &err), err);
	return n;
}

static void free_commands(struct pyro_workspace_command *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pyro_workspace_command_done(&list[i]);
	free(list);
}

static struct records *open_with_workspace(void)
{
	struct records *r = sample_open();

	sample_add(r, SAMPLE_ID, NULL, NULL, 200);
	return r;
}

TEST("a command is in the history from its start, and with its outcome after its end")
{
	struct records *r = open_with_workspace();
	struct pyro_workspace_command *list;
	int64_t dropped;

	CHECK_INT(begin(r, &dropped), 1);
	CHECK_INT(begin(r, &dropped), 2);
	CHECK_INT(dropped, 0);
	end(r, 1, 7);
	CHECK_INT(commands(r, &list), 2);
	CHECK_STR(list[0].state, "finished");
	CHECK_INT(list[0].exit_code, 7);
	CHECK_INT(list[0].duration_ms, 12);
	CHECK_STR(list[0].command[1], "-l a");
	CHECK(!list[0].command[2]);
	CHECK_STR(list[1].state, "running");
	CHECK_INT(list[1].exit_code, PYRO_NONE);
	free_commands(list, 2);
	(void)records_close(r);
}

TEST("one command is found by its number, and none by another one")
{
	struct records *r = open_with_workspace();
	struct pyro_workspace_command c;
	struct pyro_error err;
	int64_t dropped;

	(void)begin(r, &dropped);
	CHECK_INT(begin(r, &dropped), 2);
	end(r, 2, 3);
	CHECK_OK(history_command(r, SAMPLE_ID, 2, &c, &err), err);
	CHECK(c.sequence == 2 && c.exit_code == 3 && c.next_offset == PYRO_NONE);
	pyro_workspace_command_done(&c);
	CHECK(history_command(r, SAMPLE_ID, 3, &c, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	CHECK(strstr(err.hint, "pyro workspace logs"));
	(void)records_close(r);
}

TEST("a command that runs when its machine ends is interrupted, others keep their outcome")
{
	struct records *r = open_with_workspace();
	struct pyro_workspace_command *list;
	struct pyro_error err;
	int64_t dropped;

	end(r, begin(r, &dropped), 0);
	(void)begin(r, &dropped);
	CHECK_OK(history_interrupt(r, SAMPLE_ID, &err), err);
	CHECK_INT(commands(r, &list), 2);
	CHECK_STR(list[0].state, "finished");
	CHECK_STR(list[1].state, "interrupted");
	free_commands(list, 2);
	(void)records_close(r);
}

TEST("a command of a workspace that is gone is not found")
{
	struct records *r = open_with_workspace();
	struct pyro_error err;
	int64_t sequence, dropped;

	CHECK(history_begin(r, "ws-00000000000000bb", "\"ls\"", "/", "guest_vsock", 300, &sequence,
			    &dropped, &err) < 0);
	CHECK_INT(err.code, PYRO_E_NOT_FOUND);
	CHECK(history_event(r, "ws-00000000000000bb", "export", 300, NULL, NULL, &err) < 0);
	(void)records_close(r);
}

TEST("the last 1,000 commands are kept, but one that runs is never dropped")
{
	struct records *r = open_with_workspace();
	struct pyro_workspace_command *list;
	int64_t dropped = 0;
	size_t n;

	(void)begin(r, &dropped);
	for (int i = 2; i <= HISTORY_MAX + 1; i++)
		end(r, begin(r, &dropped), 0);
	CHECK_INT(dropped, 0);
	end(r, begin(r, &dropped), 0);
	CHECK_INT(dropped, 2);
	n = commands(r, &list);
	CHECK_INT(n, HISTORY_MAX + 1);
	CHECK_INT(list[0].sequence, 1);
	CHECK_INT(list[1].sequence, 3);
	free_commands(list, n);
	end(r, 1, 0);
	(void)begin(r, &dropped);
	CHECK_INT(dropped, 3);
	n = commands(r, &list);
	CHECK_INT(n, HISTORY_MAX);
	CHECK_INT(list[0].sequence, 4);
	free_commands(list, n);
	(void)records_close(r);
}

TEST("the last 1,000 events are kept, oldest first")
{
	struct records *r = open_with_workspace();
	struct pyro_review_event *list;
	struct pyro_error err;
	size_t n;

	for (int i = 0; i < HISTORY_MAX + 3; i++)
		CHECK_OK(history_event(r, SAMPLE_ID, "file_write", i, "a", NULL, &err), err);
	CHECK_OK(history_events(r, SAMPLE_ID, &list, &n, &err), err);
	CHECK_INT(n, HISTORY_MAX);
	CHECK_INT(list[0].at, 3);
	CHECK_INT(list[n - 1].at, HISTORY_MAX + 2);
	CHECK_STR(list[0].path, "a");
	CHECK(!list[0].detail);
	for (size_t i = 0; i < n; i++)
		pyro_review_event_done(&list[i]);
	free(list);
	(void)records_close(r);
}

TEST("a reset clears commands and events, and numbers are not used again")
{
	struct records *r = open_with_workspace();
	struct pyro_review_event *events;
	struct pyro_workspace ws;
	struct pyro_error err;
	int64_t dropped;
	size_t n;

	end(r, begin(r, &dropped), 0);
	CHECK_OK(history_event(r, SAMPLE_ID, "export", 300, NULL, NULL, &err), err);
	CHECK_OK(workspaces_reset(r, SAMPLE_ID, 400, &err), err);
	CHECK_OK(history_events(r, SAMPLE_ID, &events, &n, &err), err);
	CHECK_INT(n, 0);
	CHECK_OK(workspaces_get(r, SAMPLE_ID, &ws, &err), err);
	CHECK_INT(ws.command_count, 0);
	CHECK_INT(ws.reset_count, 1);
	CHECK_INT(ws.last_reset_at, 400);
	pyro_workspace_done(&ws);
	CHECK_INT(begin(r, &dropped), 2);
	(void)records_close(r);
}

TEST("processes that run commands at once get numbers of their own and lose none")
{
	struct records *r = open_with_workspace();
	struct pyro_workspace_command *list;
	int status;
	size_t n;

	(void)records_close(r); /* a connection does not survive a fork */
	for (int i = 0; i < PROCESSES; i++) {
		if (fork() == 0) {
			int64_t dropped;

			r = sample_open();
			for (int k = 0; k < EACH; k++)
				end(r, begin(r, &dropped), 0);
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++)
		CHECK(wait(&status) > 0 && status == 0);
	r = sample_open();
	n = commands(r, &list);
	CHECK_INT(n, PROCESSES * EACH);
	for (size_t i = 0; i < n; i++) {
		CHECK_INT(list[i].sequence, i + 1);
		CHECK_STR(list[i].state, "finished");
	}
	free_commands(list, n);
	(void)records_close(r);
}
