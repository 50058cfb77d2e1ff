#include "workspace/db.h"

#include "base/file.h"
#include "unit/workspace_sample.h"
#include "workspace/history.h"
#include "workspace/snapshots.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS 20

static int64_t number(struct records *r, const char *sql)
{
	struct pyro_error err;
	int64_t n;

	CHECK_OK(db_number(r, &err, -1, &n, sql, ""), err);
	return n;
}

TEST("records of a newer pyro are refused and not touched")
{
	AUTO_FREE char *path = mem_printf("%s/pyro.db", test_dir());
	AUTO_BUF struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct records *r = sample_open();
	struct pyro_error err;

	CHECK_OK(db_run(r, &err, "PRAGMA user_version = 99", ""), err);
	CHECK_INT(number(r, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
	(void)records_close(r);
	CHECK_OK(file_read(path, &before, &err), err);
	CHECK(!records_open(test_dir(), &err));
	CHECK_INT(err.code, PYRO_E_STATE_VERSION);
	CHECK(strstr(err.message, "99"));
	CHECK_OK(file_read(path, &after, &err), err);
	CHECK(before.len && before.len == after.len &&
	      memcmp(before.data, after.data, before.len) == 0);
}

TEST("a file that is no database is refused with its reason")
{
	AUTO_FREE char *path = mem_printf("%s/pyro.db", test_dir());
	struct pyro_error err;
	char text[4096];

	memset(text, 'x', sizeof(text));
	CHECK_OK(file_write_atomic(path, text, sizeof(text), 0600, &err), err);
	CHECK(!records_open(test_dir(), &err));
	CHECK_INT(err.code, PYRO_E_SYSTEM);
	CHECK(strstr(err.message, "not a database"));
}

TEST("deleting a machine deletes its workspace with all that belongs to it")
{
	struct records *r = sample_open();
	struct pyro_error err;
	int64_t sequence, dropped;

	sample_add(r, SAMPLE_ID, "one", (const char *const[]){"a=1", NULL}, 200);
	CHECK_OK(snapshots_add(r, SAMPLE_ID, "s", 300, &err), err);
	CHECK_OK(history_event(r, SAMPLE_ID, "export", 300, NULL, NULL, &err), err);
	CHECK_OK(history_begin(r, SAMPLE_ID, "\"ls\"", "/", "guest_vsock", 300, &sequence, &dropped,
			       &err),
		 err);
	CHECK_OK(records_delete_vm(r, SAMPLE_ID, &err), err);
	CHECK_INT(number(r, "SELECT (SELECT count(*) FROM workspace) + (SELECT count(*) FROM label)"
			    " + (SELECT count(*) FROM command) + (SELECT count(*) FROM event)"
			    " + (SELECT count(*) FROM snapshot)"),
		  0);
	CHECK_OK(records_delete_vm(r, SAMPLE_ID, &err), err);
	(void)records_close(r);
}

TEST("a transaction that fails leaves nothing behind and the records usable")
{
	struct records *r = sample_open();
	struct pyro_error err;

	CHECK_OK(db_begin(r, &err), err);
	CHECK_OK(db_run(r, &err, "INSERT INTO vm VALUES ('vm-1','e','s',NULL,1,1,1,1,0,0,'','',0)",
			""),
		 err);
	CHECK_INT(db_commit(r, -1, &err), -1);
	CHECK_INT(number(r, "SELECT count(*) FROM vm"), 0);
	sample_add(r, SAMPLE_ID, NULL, NULL, 200);
	(void)records_close(r);
}

/* Runs commands and says each one's number once it is committed, until it is killed. */
static void write_forever(int to)
{
	struct records *r = sample_open();
	struct pyro_error err;

	for (;;) {
		const struct history_result result = {"finished", 0, 1, false};
		int64_t sequence, dropped;

		if (history_begin(r, SAMPLE_ID, "\"ls\"", "/", "guest_vsock", 300, &sequence,
				  &dropped, &err) < 0 ||
		    history_end(r, SAMPLE_ID, sequence, &result, &err) < 0 ||
		    write(to, &sequence, sizeof(sequence)) != sizeof(sequence))
			_exit(1);
	}
}

/* Kills a writer after some commits, at whatever it is doing then. The last number it told. */
static int64_t kill_writer(int commits)
{
	int64_t sequence = 0;
	int pair[2], status;
	pid_t pid;

	CHECK(pipe2(pair, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0)
		write_forever(pair[1]);
	(void)close(pair[1]);
	for (int i = 0; i < commits; i++)
		CHECK(read(pair[0], &sequence, sizeof(sequence)) == sizeof(sequence));
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	while (read(pair[0], &sequence, sizeof(sequence)) == sizeof(sequence))
		;
	(void)close(pair[0]);
	return sequence;
}

TEST("whatever was committed before a kill -9 is there after it, and the records are sound")
{
	struct records *r = sample_open();

	sample_add(r, SAMPLE_ID, NULL, NULL, 200);
	(void)records_close(r); /* a connection does not survive a fork */
	for (int i = 0; i < KILLS; i++) {
		int64_t told = kill_writer(1 + i * 3), last;
		struct pyro_error err;
		int64_t finished;

		r = sample_open();
		last = number(r, "SELECT max(last_sequence) FROM workspace");
		CHECK(last == told || last == told + 1);
		CHECK_INT(number(r, "SELECT max(sequence) FROM command"), last);
		CHECK_OK(db_number(r, &err, -1, &finished,
				   "SELECT count(*) FROM command WHERE sequence <= ?1 AND "
				   "state = 'finished'",
				   "i", told),
			 err);
		CHECK(finished >= told - i); /* each kill leaves at most one that runs */
		CHECK_INT(number(r, "SELECT count(*) FROM pragma_integrity_check WHERE "
				    "integrity_check <> 'ok'"),
			  0);
		(void)records_close(r);
	}
}
