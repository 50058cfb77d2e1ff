/*
 * The real agent as a process on this host, driven over a socket by the real mux.
 */
#include "agent.h"
#include "base/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __has_feature /* clang's way to tell; gcc defines the other */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

static bool is_alive(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static pid_t read_pid(const char *name)
{
	AUTO_FREE char *path = mem_printf("%s/%s", test_dir(), name);
	int64_t deadline = deadline_in(PATIENCE_MS), pid = 0;

	while (deadline_left(deadline) > 0) {
		AUTO_BUF struct buf text = BUF_INIT(64);

		if (file_read(path, &text, NULL) == 0 && text.len > 1 &&
		    text.data[text.len - 1] == '\n') {
			text.data[text.len - 1] = '\0';
			CHECK(parse_int(text.data, 2, INT32_MAX, &pid));
			return (pid_t)pid;
		}
		(void)usleep(2000);
	}
	test_fail(__FILE__, __LINE__, "no process wrote '%s'", path);
}

static void check_ends(pid_t pid)
{
	int64_t deadline = deadline_in(PATIENCE_MS);

	while (is_alive(pid) && deadline_left(deadline) > 0)
		(void)usleep(2000);
	CHECK(!is_alive(pid));
}

static int64_t memory_mib(pid_t pid, const char *field)
{
	AUTO_FREE char *path = mem_printf("/proc/%d/status", (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	int64_t kib = 0;
	char *at;

	CHECK_INT(file_read(path, &text, NULL), 0);
	at = strstr(text.data, field);
	CHECK(at);
	at += strlen(field) + strspn(at + strlen(field), ": \t");
	at[strcspn(at, " ")] = '\0';
	CHECK(parse_int(at, 0, INT64_MAX, &kib));
	return kib / 1024;
}

/* Three processes that are hard to find: in a session of their own, orphaned, and a pipeline. */
#define HIDE                                                                              \
	"setsid sh -c '(sleep 1000 & echo $! >orphan; sh -c \"echo \\$\\$ >inner; sleep " \
	"1000\") & echo $! >session; exit 0'; "

static void check_hidden_end(void)
{
	check_ends(read_pid("orphan"));
	check_ends(read_pid("inner"));
	check_ends(read_pid("session"));
}

static void await_hidden(void)
{
	CHECK(is_alive(read_pid("orphan")));
	CHECK(is_alive(read_pid("inner")));
	CHECK(is_alive(read_pid("session")));
}

TEST("hello tells version, stage and mode")
{
	struct run *run = call(start_agent(), "hello", json_pack("{s:i}", "version", 1));

	CHECK_INT(number(run, "version"), 1);
	CHECK_STR(json_string_value(json_object_get(run->result, "stage")), "ready");
	CHECK_STR(json_string_value(json_object_get(run->result, "mode")), "host");
	CHECK_STR(json_string_value(json_object_get(run->result, "agent")), "0.1.0");
}

TEST("hello refuses another version")
{
	struct run *run = call(start_agent(), "hello", json_pack("{s:i}", "version", 2));

	CHECK_STR(code_of(run), "protocol_error");
	CHECK_STR(message_of(run), "version 2 is spoken there, but 1 here");
}

TEST("a call that does not exist is an error, and the next call works")
{
	struct agent *agent = start_agent();

	CHECK_STR(code_of(call(agent, "nonsense", json_object())), "not_found");
	CHECK_INT(number(sh(agent, "true"), "exit_code"), 0);
}

TEST("bad arguments are errors, and the next call works")
{
	static const char *const bad[][2] = {
		{"hello", "{}"},
		{"hello", "{'version':'1'}"},
		{"hello", "{'version':1,'more':1}"},
		{"hello", "[1]"},
		{"hello", "1"},
		{"exec", "{}"},
		{"exec", "{'argv':[]}"},
		{"exec", "{'argv':['x',1]}"},
		{"exec", "{'argv':'x'}"},
		{"exec", "{'argv':['x'],'shell':'x'}"},
		{"exec", "{'shell':1}"},
		{"exec", "{'shell':'true','cwd':1}"},
		{"exec", "{'shell':'true','env':[]}"},
		{"exec", "{'shell':'true','env':{'A':1}}"},
		{"exec", "{'shell':'true','env':{'A=B':'1'}}"},
		{"exec", "{'shell':'true','env':{'':'1'}}"},
		{"exec", "{'shell':'true','stdin':1}"},
		{"exec", "{'shell':'true','timeout_ms':-1}"},
		{"exec", "{'shell':'true','timeout_ms':1.5}"},
		{"exec", "{'shell':'true','timeout_ms':99999999999}"},
		{"exec", "{'shell':'true','unknown':1}"},
		{"exec", "{'interactive':true}"},
		{"exec", "{'interactive':true,'shell':'x','pty':{'cols':1,'rows':1}}"},
		{"exec", "{'interactive':false,'pty':{'cols':1,'rows':1}}"},
		{"exec", "{'shell':'true','pty':{'cols':1}}"},
		{"exec", "{'shell':'true','pty':{'cols':0,'rows':1}}"},
		{"exec", "{'shell':'true','pty':{'cols':1,'rows':1001}}"},
		{"exec", "{'shell':'true','whole':1}"},
		{"exec", "{'shell':'true','tell_pid':'x'}"},
		{"connect", "{'port':0}"},
		{"connect", "{'port':65536}"},
		{"probe", "{'type':'file','timeout_ms':1}"},
		{"probe", "{'type':'file','path':'','timeout_ms':1}"},
		{"probe", "{'type':'file','path':'a','timeout_ms':0}"},
		{"probe", "{'type':'file','address':'a:1','timeout_ms':1}"},
		{"probe", "{'type':'tcp','path':'a','address':'a:1','timeout_ms':1}"},
		{"probe", "{'type':'command','path':'a','timeout_ms':1}"},
		{"probe", "{'type':'tcp','address':'localhost','timeout_ms':1}"},
		{"probe", "{'type':'tcp','address':'localhost:0','timeout_ms':1}"},
		{"probe", "{'type':'tcp','address':':80','timeout_ms':1}"},
		{"probe", "{'type':'tcp','address':'::1:80','timeout_ms':1}"},
		{"probe", "{'type':'tcp','address':'[::1:80','timeout_ms':1}"},
		{"probe", "{'type':'tcp','address':'[::1]80','timeout_ms':1}"},
		{"probe", "{'type':'http','url':'https://localhost/','timeout_ms':1}"},
		{"probe", "{'type':'http','url':'http://u@localhost/','timeout_ms':1}"},
		{"probe", "{'type':'http','url':'http://localhost/a\\r\\nX:','timeout_ms':1}"},
		{"put", "{}"},
		{"put", "{'path':'','keep_modes':1}"},
		{"pack", "{'path':1}"},
		{"scan", "{'path':''}"},
		{"read", "{'path':'f','max_bytes':-1}"},
		{"read", "{'path':'f','offset':-1,'max_bytes':1}"},
		{"quiesce", "{'x':1}"},
	};
	struct agent *agent = start_agent();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO_FREE char *text = mem_strdup(bad[i][1]);
		struct run *run;

		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		run = call(agent, bad[i][0], json_loads(text, JSON_DECODE_ANY, NULL));
		if (strcmp(code_of(run), "invalid_argument") != 0)
			test_fail(__FILE__, __LINE__, "%s %s was not refused", bad[i][0],
				  bad[i][1]);
	}
	CHECK_INT(number(sh(agent, "true"), "exit_code"), 0);
}

TEST("a host refuses what only a guest can do")
{
	struct agent *agent = start_agent();

	CHECK_STR(code_of(call(agent, "mount", json_object())), "bad_state");
	CHECK_STR(code_of(call(agent, "resume", json_object())), "bad_state");
}

TEST("exec returns the exit code, both outputs apart, and a duration")
{
	struct run *run = sh(start_agent(), "echo out; echo err >&2; sleep 0.05; exit 7");

	CHECK_INT(number(run, "exit_code"), 7);
	CHECK(json_is_null(json_object_get(run->result, "signal")));
	CHECK(json_is_false(json_object_get(run->result, "timed_out")));
	CHECK(number(run, "duration_ms") >= 50);
	CHECK_STR(buf_text(&run->out), "out\n");
	CHECK_STR(buf_text(&run->err), "err\n");
}

TEST("exec keeps the boundaries of an argument vector")
{
	struct run *run = call(start_agent(), "exec",
			       json_pack("{s:[s,s,s,s,s]}", "argv", "printf", "<%s>", "a  b", "",
					 "$HOME;'\""));

	CHECK_STR(buf_text(&run->out), "<a  b><><$HOME;'\">");
}

TEST("exec of a command that does not exist is 127, and says so as a shell would")
{
	struct agent *agent = start_agent();
	struct run *run = call(agent, "exec", json_pack("{s:[s]}", "argv", "no-such-command"));

	CHECK_INT(number(run, "exit_code"), 127);
	CHECK_STR(buf_text(&run->err), "pyro: 'no-such-command': command not found\n");
	run = call(agent, "exec", json_pack("{s:[s]}", "argv", "/no/such/file"));
	CHECK_INT(number(run, "exit_code"), 127);
	CHECK_STR(buf_text(&run->err), "pyro: '/no/such/file': No such file or directory\n");
}

TEST("exec of what is not executable is 126")
{
	struct run *run = call(start_agent(), "exec", json_pack("{s:[s]}", "argv", "/etc/passwd"));

	CHECK_INT(number(run, "exit_code"), 126);
	CHECK_STR(buf_text(&run->err), "pyro: '/etc/passwd': Permission denied\n");
}

TEST("exec returns 128+n when a signal n killed the command")
{
	struct run *run = sh(start_agent(), "kill -TERM $$");

	CHECK_INT(number(run, "exit_code"), 143);
	CHECK_INT(number(run, "signal"), SIGTERM);
}

TEST("commands have default signals whatever the agent does with its own")
{
	struct run *run = sh(start_agent(), "grep -E 'Sig(Blk|Ign)' /proc/self/status");

	CHECK_STR(buf_text(&run->out), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST("commands get three descriptors and no more")
{
	struct run *run =
		call(start_agent(), "exec", json_pack("{s:[s,s]}", "argv", "ls", "/proc/self/fd"));

	CHECK_STR(buf_text(&run->out), "0\n1\n2\n3\n"); /* 3 is the directory that ls reads */
}

TEST("the environment has what was given, and a terminal that is dumb")
{
	struct run *run = call(start_agent(), "exec",
			       json_pack("{s:s,s:{s:s,s:s}}", "shell", "echo $A $TERM; echo $PATH",
					 "env", "A", "1", "PATH", "/bin"));

	CHECK_STR(buf_text(&run->out), "1 dumb\n/bin\n");
}

TEST("the working directory is the one given, else the agent's")
{
	struct agent *agent = start_agent();
	struct run *run =
		call(agent, "exec", json_pack("{s:s,s:s}", "shell", "pwd", "cwd", "/usr"));

	CHECK_STR(buf_text(&run->out), "/usr\n");
	run = call(agent, "exec", json_pack("{s:s,s:n}", "shell", "pwd", "cwd"));
	CHECK(strncmp(buf_text(&run->out), test_dir(), strlen(test_dir())) == 0);
	run = call(agent, "exec", json_pack("{s:s,s:s}", "shell", "pwd", "cwd", "/nowhere"));
	CHECK_STR(code_of(run), "not_found");
	CHECK_STR(message_of(run), "working directory '/nowhere': No such file or directory");
}

TEST("without stdin a command reads nothing")
{
	struct run *run = sh(start_agent(), "wc -c");

	CHECK_STR(buf_text(&run->out), "0\n");
}

TEST("64 MiB go through cat unchanged")
{
	size_t len = 64 * MIB;
	AUTO_FREE char *data = mem_resize(NULL, len, 1);
	struct agent *agent = start_agent();
	struct run *run;

	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 2654435761U >> 11);
	run = start_with(agent, "exec", json_pack("{s:[s],s:b}", "argv", "cat", "stdin", 1), data,
			 len);
	finish(run);
	CHECK_INT(number(run, "exit_code"), 0);
	CHECK_INT(run->out.len, len);
	CHECK(memcmp(run->out.data, data, len) == 0);
	CHECK(IS_SANITIZED || memory_mib(agent->pid, "VmHWM") < 24);
}

TEST("a command that does not read its input does not hold up the call")
{
	size_t len = 16 * MIB;
	AUTO_FREE char *data = mem_zalloc(len, 1);
	struct run *run = start_with(start_agent(), "exec",
				     json_pack("{s:s,s:b}", "shell", "exec <&-; sleep 0.2; exit 3",
					       "stdin", 1),
				     data, len);

	finish(run);
	CHECK_INT(number(run, "exit_code"), 3);
}

TEST("a gigabyte of output does not grow the agent")
{
	int64_t len = IS_SANITIZED ? 128 * MIB : 1024 * MIB;
	AUTO_FREE char *command = mem_printf("head -c %lld /dev/zero", (long long)len);
	struct agent *agent = start_agent();
	struct run *run = start(agent, "exec", line(command));

	run->out.max = 1;
	finish(run);
	CHECK_INT(run->out_bytes, len);
	CHECK(IS_SANITIZED || memory_mib(agent->pid, "VmHWM") < 16);
}

TEST("a client that reads nothing stalls the command, not the agent")
{
	struct agent *agent = start_agent();
	struct run *run = start(agent, "exec", line("cat /dev/zero"));

	run->is_stalled = true;
	await_bytes(run, 1);
	pause_ms(agent, 500);
	CHECK(run->out_bytes < 8 * MIB);
	CHECK(IS_SANITIZED || memory_mib(agent->pid, "VmRSS") < 16);
	CHECK_INT(number(sh(agent, "true"), "exit_code"), 0);
	mux_cancel(run->call);
}

TEST("invalid UTF-8 passes unchanged")
{
	struct run *run = sh(start_agent(), "printf '\\377\\000\\200x'");

	CHECK_INT(run->out.len, 4);
	CHECK(memcmp(run->out.data, "\377\000\200x", 4) == 0);
}

TEST("output is there while the command still runs")
{
	struct agent *agent = start_agent();
	struct run *run =
		start(agent, "exec",
		      json_pack("{s:s,s:b}", "shell", "echo early; read x; echo $x", "stdin", 1));
	int64_t deadline = deadline_in(PATIENCE_MS);

	while (!run->out.len && deadline_left(deadline) > 0)
		pause_ms(agent, 5);
	CHECK_STR(buf_text(&run->out), "early\n");
	mux_send(run->call, MUX_IN, "late\n", 5);
	finish(run);
	CHECK_STR(buf_text(&run->out), "early\nlate\n");
}

TEST("the pid of the first process is told before its output")
{
	struct agent *agent = start_agent();
	struct run *run = start(agent, "exec",
				json_pack("{s:s,s:b,s:b}", "shell", "echo $$; read x", "tell_pid",
					  1, "stdin", 1));
	int64_t deadline = deadline_in(PATIENCE_MS), pid;

	while (!run->out.len && deadline_left(deadline) > 0)
		pause_ms(agent, 5);
	CHECK_STR(json_string_value(json_object_get(run->result, "event")), "started");
	pid = number(run, "pid");
	CHECK_INT(atoi(buf_text(&run->out)), pid);
	finish(run);
	CHECK(!json_object_get(run->result, "pid"));
}

TEST("a command that closed its outputs and lives on keeps the exec running")
{
	struct run *run = sh(start_agent(), "exec >&- 2>&-; sleep 0.3; exit 5");

	CHECK_INT(number(run, "exit_code"), 5);
	CHECK(number(run, "duration_ms") >= 300);
}

TEST("a background process holds up no result, lives on, and ends with quiesce")
{
	struct agent *agent = start_agent();
	struct run *run = sh(agent, HIDE "echo done");

	CHECK_INT(number(run, "exit_code"), 0);
	CHECK_STR(buf_text(&run->out), "done\n");
	await_hidden();
	CHECK_STR(code_of(call(agent, "quiesce", json_object())), "");
	check_hidden_end();
}

TEST("a background process that goes on writing holds up no result")
{
	struct agent *agent = start_agent();
	struct run *run = sh(agent, "yes & echo $! >yes; sleep 0.1");

	CHECK_INT(number(run, "exit_code"), 0);
	check_ends(read_pid("yes")); /* by SIGPIPE */
}

TEST("a timeout kills the whole tree and returns 124 with the output so far")
{
	struct run *run = call(start_agent(), "exec",
			       json_pack("{s:s,s:i}", "shell", HIDE "echo begun; sleep 1000",
					 "timeout_ms", 2000));

	CHECK_INT(number(run, "exit_code"), 124);
	CHECK(json_is_true(json_object_get(run->result, "timed_out")));
	CHECK(number(run, "duration_ms") >= 2000);
	CHECK_STR(buf_text(&run->out), "begun\n");
	check_hidden_end();
}

TEST("a timeout also ends a command that ignores signals")
{
	struct run *run = call(start_agent(), "exec",
			       json_pack("{s:s,s:i}", "shell",
					 "trap '' TERM INT HUP; while :; do sleep 0.1; done",
					 "timeout_ms", 300));

	CHECK_INT(number(run, "exit_code"), 124);
}

TEST("a kill ends the whole tree and the result follows")
{
	struct agent *agent = start_agent();
	struct run *run = start(agent, "exec", line(HIDE "sleep 1000"));

	pause_ms(agent, 300);
	await_hidden();
	mux_send(run->call, MUX_JSON, "{\"kill\":true}", 13);
	finish(run);
	CHECK_INT(number(run, "exit_code"), 137);
	CHECK_INT(number(run, "signal"), SIGKILL);
	check_hidden_end();
}

TEST("a cancelled call kills the whole tree, and other calls go on")
{
	struct agent *agent = start_agent();
	struct run *run = start(agent, "exec", line(HIDE "sleep 1000"));
	struct run *other = start(agent, "exec", line("sleep 0.5; echo fine"));

	pause_ms(agent, 300);
	await_hidden();
	mux_cancel(run->call);
	finish(other);
	CHECK_STR(buf_text(&other->out), "fine\n");
	check_hidden_end();
}

/* Ends the connection, and returns the agent's wait status. */
static int disconnect(struct agent *agent, int signal)
{
	int status = -1;

	if (signal)
		(void)kill(agent->pid, signal);
	agent->mux = mux_free(agent->mux);
	(void)close_range(3, ~0U, 0);
	for (int64_t end = deadline_in(PATIENCE_MS); deadline_left(end) > 0;) {
		if (waitpid(agent->pid, &status, WNOHANG) == agent->pid)
			return status;
		(void)usleep(2000);
	}
	test_fail(__FILE__, __LINE__, "the agent did not end");
}

TEST("a disconnect kills every tree, also those in the background, and ends the agent")
{
	struct agent *agent = start_agent();

	(void)sh(agent, HIDE "true");
	await_hidden();
	(void)start(agent, "exec", line("echo $$ >main; sleep 1000"));
	pause_ms(agent, 200);
	CHECK(is_alive(read_pid("main")));
	CHECK_INT(disconnect(agent, 0), 0);
	check_hidden_end();
	check_ends(read_pid("main"));
}

TEST("when the agent is killed its trees end too")
{
	struct agent *agent = start_agent();

	(void)start(agent, "exec", line(HIDE "sleep 1000"));
	pause_ms(agent, 300);
	await_hidden();
	(void)disconnect(agent, SIGKILL);
	check_hidden_end();
}

TEST("50 commands at once all answer with their own output")
{
	struct agent *agent = start_agent();
	struct run *runs[50];

	for (int i = 0; i < 50; i++) {
		AUTO_FREE char *command = mem_printf("sleep 0.2; echo %d; exit %d", i, i);

		runs[i] = start(agent, "exec", line(command));
	}
	for (int i = 0; i < 50; i++) {
		AUTO_FREE char *want = mem_printf("%d\n", i);

		finish(runs[i]);
		CHECK_INT(number(runs[i], "exit_code"), i);
		CHECK_STR(buf_text(&runs[i]->out), want);
	}
}

static int count_fds(pid_t pid)
{
	AUTO_FREE char *path = mem_printf("/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	int n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

TEST("commands leave neither descriptors nor processes in the agent")
{
	struct agent *agent = start_agent();
	AUTO_FREE char *children =
		mem_printf("/proc/%d/task/%d/children", (int)agent->pid, (int)agent->pid);
	int64_t deadline = deadline_in(PATIENCE_MS);
	bool is_as_before = false;
	int before;

	(void)sh(agent, "true");
	before = count_fds(agent->pid);
	for (int i = 0; i < 40; i++)
		(void)sh(agent, "(true &) ; true");
	while (!is_as_before) {
		AUTO_BUF struct buf left = BUF_INIT(4096);

		CHECK(deadline_left(deadline) > 0);
		pause_ms(agent, 10);
		CHECK_INT(file_read(children, &left, NULL), 0);
		is_as_before = !left.len && count_fds(agent->pid) == before;
	}
}
