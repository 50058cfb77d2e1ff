/*
 * Commands with a terminal, signals, and whole trees, by the real agent on this host.
 */
#include "agent.h"

#include <signal.h>
#include <unistd.h>

static json_t *with_terminal(json_t *args)
{
	json_object_set_new(args, "pty", json_pack("{s:i,s:i}", "cols", 80, "rows", 24));
	return args;
}

static struct run *start_in_terminal(struct agent *agent, const char *shell)
{
	return start(agent, "exec", with_terminal(line(shell)));
}

static struct run *start_shell(struct agent *agent)
{
	return start(agent, "exec", with_terminal(json_pack("{s:b}", "interactive", 1)));
}

static void say(struct run *run, const char *text)
{
	mux_send(run->call, MUX_IN, text, strlen(text));
}

static void tell(struct run *run, const char *json)
{
	mux_send(run->call, MUX_JSON, json, strlen(json));
}

static void await_output(struct run *run, const char *text)
{
	int64_t deadline = deadline_in(PATIENCE_MS);

	while (!strstr(buf_text(&run->out), text) && !run->is_over && deadline_left(deadline) > 0)
		pause_ms(run->agent, 5);
	if (!strstr(buf_text(&run->out), text))
		test_fail(__FILE__, __LINE__, "no '%s' in '%s'", text, buf_text(&run->out));
}

TEST("a command in a terminal has it on all streams, with the size and type it was given")
{
	struct run *run = start_in_terminal(
		start_agent(), "tty; test -t 0 && test -t 1 && test -t 2 && stty size; echo $TERM; "
			       "stty -a | grep -o ' iutf8'; : </dev/tty && echo mine");

	finish(run);
	CHECK(strncmp(buf_text(&run->out), "/dev/pts/", 9) == 0 ||
	      strncmp(buf_text(&run->out), "not a tty", 9) == 0);
	CHECK(strstr(buf_text(&run->out), "\r\n24 80\r\nxterm-256color\r\n iutf8\r\nmine\r\n"));
	CHECK_INT(run->err.len, 0);
	CHECK_INT(number(run, "exit_code"), 0);
}

TEST("what is in the terminal when the command ends is all sent")
{
	struct agent *agent = start_agent();
	struct run *run = start_in_terminal(agent, "stty -onlcr; head -c 300000 /dev/zero; exit 4");

	finish(run);
	CHECK_INT(run->out.len, 300000);
	CHECK_INT(number(run, "exit_code"), 4);
	for (int i = 0; i < 20; i++) {
		run = start_in_terminal(agent, "printf %06000d 1");
		finish(run);
		CHECK_INT(run->out.len, 6000);
	}
}

TEST("a slow reader of a terminal misses nothing")
{
	struct agent *agent = start_agent();
	struct run *run = start_in_terminal(agent, "stty -onlcr; head -c 4000000 /dev/zero");

	run->is_stalled = true;
	await_bytes(run, 1);
	pause_ms(agent, 400);
	CHECK(run->out.len < 4000000);
	run->is_stalled = false;
	mux_consume(run->call, run->out.len);
	finish(run);
	CHECK_INT(run->out.len, 4000000);
}

TEST("a background process in a terminal holds up no result")
{
	struct run *run = start_in_terminal(start_agent(),
					    "(trap '' HUP; yes) & sleep 0.1; echo end; exit 3");

	finish(run);
	CHECK_INT(number(run, "exit_code"), 3);
}

TEST("the input of a terminal stays open, and its end is a character")
{
	struct run *run = start_in_terminal(start_agent(), "cat; echo over");

	mux_send(run->call, MUX_IN, "one\n", 4);
	mux_send(run->call, MUX_IN, NULL, 0);
	await_output(run, "one\r\none\r\n");
	run = start_in_terminal(run->agent, "cat; echo over");
	say(run, "two\n\004");
	finish(run);
	CHECK_STR(buf_text(&run->out), "two\r\ntwo\r\nover\r\n");
}

TEST("control characters of a terminal are signals")
{
	struct run *run = start_in_terminal(start_agent(), "exec cat");

	say(run, "here\n"); /* then it is cat that reads, and no shell that just starts it */
	await_output(run, "here\r\nhere\r\n");
	say(run, "\003");
	finish(run);
	CHECK_INT(number(run, "exit_code"), 130);
}

TEST("a terminal's new size is heard of and seen")
{
	struct run *run = start_in_terminal(
		start_agent(),
		"trap 'stty size; exit' WINCH; echo here; while :; do sleep 0.05; done");

	await_output(run, "here");
	tell(run, "{\"resize\":{\"cols\":0,\"rows\":50}}");
	tell(run, "{\"resize\":{\"cols\":132,\"rows\":50}}");
	finish(run);
	CHECK_STR(buf_text(&run->out), "here\r\n50 132\r\n");
}

static const char *prompt(void)
{
	return geteuid() == 0 || getenv("PYRO_TEST_SOCKET") ? " # " : " $ ";
}

TEST("an interactive shell has job control and a plain prompt, and leaves no history")
{
	struct agent *agent = start_agent();
	AUTO_FREE char *in_root = mem_printf("\n/%s", prompt());
	struct run *run = start_shell(agent);

	await_output(run, prompt());
	CHECK(*buf_text(&run->out) == '/');
	CHECK_STR(strchr(buf_text(&run->out), ' '), prompt());
	say(run, "cd /; sh -c 'echo u\"\"p; exec sleep 1000'\n");
	await_output(run, "\nup\r\n");
	say(run, "\003");
	await_output(run, in_root);
	say(run, "sleep 1000 & kill %1; echo code $((6 * 7))\n");
	await_output(run, "code 42");
	say(run, "exit 5\n");
	finish(run);
	CHECK_INT(number(run, "exit_code"), 5);
	CHECK(!strchr(buf_text(&run->out), '\033'));
	CHECK_INT(number(sh(agent, "test -e ~/.bash_history"), "exit_code"), 1);
}

TEST("a signal goes to the foreground job of a terminal and not to its shell")
{
	AUTO_FREE char *idle = mem_printf("code 137\r\n/%s", prompt());
	struct run *run = start_shell(start_agent());

	say(run, "cd /\n");
	say(run,
	    "sh -c 'trap \"echo caught; exit 9\" USR1; echo rea\"\"dy; while :; do sleep 0.05; "
	    "done'\n");
	await_output(run, "ready");
	tell(run, "{\"signal\":\"USR1\"}");
	await_output(run, "caught");
	say(run, "echo code $?; sh -c 'echo u\"\"p; exec sleep 1000'\n");
	await_output(run, "code 9\r\nup\r\n");
	tell(run, "{\"signal\":\"KILL\"}");
	await_output(run, "Killed");
	say(run, "echo code $?\n");
	await_output(run, idle); /* now it is the shell that has the terminal, and waits */
	tell(run, "{\"signal\":\"HUP\"}");
	finish(run);
	CHECK_INT(number(run, "exit_code"), 129);
}

TEST("a signal goes to every process of a tree without a terminal")
{
	struct agent *agent = start_agent();
	struct run *run = start(
		agent, "exec",
		line("trap 'echo outer; wait; exit 3' TERM; "
		     "setsid sh -c 'trap \"echo inner; exit\" TERM; echo ready; while :; do sleep "
		     "0.02; done' & while :; do sleep 0.02; done"));

	await_output(run, "ready");
	pause_ms(agent, 100);
	tell(run, "{\"signal\":\"STOP\"}"); /* none of those that may be sent */
	tell(run, "{\"signal\":\"TERM\"}");
	finish(run);
	CHECK(strstr(buf_text(&run->out), "outer\n"));
	CHECK(strstr(buf_text(&run->out), "inner\n"));
	CHECK_INT(number(run, "exit_code"), 3);
}

TEST("the signal KILL ends a tree that ignores all others")
{
	struct agent *agent = start_agent();
	struct run *run = start(agent, "exec",
				line("trap '' TERM HUP INT; echo ready; sleep 1000 & "
				     "while :; do sleep 0.05; done"));

	await_output(run, "ready");
	tell(run, "{\"signal\":\"TERM\"}");
	pause_ms(agent, 200);
	CHECK(!run->is_over);
	tell(run, "{\"signal\":\"KILL\"}");
	finish(run);
	CHECK_INT(number(run, "signal"), SIGKILL);
}

TEST("a command that is its whole tree leaves nothing behind its result")
{
	struct agent *agent = start_agent();
	struct run *run = call(agent, "exec",
			       json_pack("{s:s,s:b}", "shell",
					 "setsid sh -c 'trap \"\" TERM; echo $$; exec >&- 2>&-; "
					 ": >up; sleep 1000' & until test -e up; do sleep "
					 "0.01; done; exit 6",
					 "whole", 1));
	int pid = 0;

	CHECK_INT(number(run, "exit_code"), 6);
	CHECK(sscanf(buf_text(&run->out), "%d", &pid) == 1 && pid > 1);
	CHECK(!is_alive_in(agent, pid));
}

TEST("a call in a terminal that is cancelled ends all that is in it")
{
	struct agent *agent = start_agent();
	struct run *run = start_shell(agent);
	int pid = 0;

	say(run, "sh -c 'trap \"\" HUP TERM; echo pid $$.; sleep 1000; :'\n");
	await_output(run, ".\r\n");
	CHECK(sscanf(strstr(buf_text(&run->out), "\npid ") + 1, "pid %d", &pid) == 1);
	CHECK(is_alive_in(agent, pid));
	mux_cancel(run->call);
	for (int64_t end = deadline_in(PATIENCE_MS);
	     is_alive_in(agent, pid) && deadline_left(end) > 0;)
		pause_ms(agent, 5);
	CHECK(!is_alive_in(agent, pid));
}

TEST("50 terminals and 20 whole trees at once all answer")
{
	struct agent *agent = start_agent();
	struct run *shells[50], *services[20];

	for (int i = 0; i < 50; i++)
		shells[i] = start_shell(agent);
	for (int i = 0; i < 20; i++)
		services[i] = start(agent, "exec",
				    json_pack("{s:s,s:b}", "shell", "sleep 1000", "whole", 1));
	for (int i = 0; i < 50; i++) {
		AUTO_FREE char *command = mem_printf("echo $((%d + 1000)); exit %d\n", i, i);

		say(shells[i], command);
	}
	for (int i = 0; i < 50; i++) {
		AUTO_FREE char *want = mem_printf("\n%d\r\n", i + 1000);

		finish(shells[i]);
		CHECK_INT(number(shells[i], "exit_code"), i);
		CHECK(strstr(buf_text(&shells[i]->out), want));
	}
	for (int i = 0; i < 20; i++)
		tell(services[i], "{\"signal\":\"TERM\"}");
	for (int i = 0; i < 20; i++) {
		finish(services[i]);
		CHECK_INT(number(services[i], "signal"), SIGTERM);
	}
}
