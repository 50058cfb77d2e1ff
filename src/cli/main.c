/* pyro, the command line: find the command, parse its words, call the operation, print. */
#include "base/buf.h"
#include "base/err.h"
#include "base/proc.h"
#include "cli/args.h"
#include "cli/attach.h"
#include "cli/builtin.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "cli/exit.h"
#include "cli/help.h"
#include "cli/print.h"
#include "cli/show.h"
#include "ops/values.h"
#include "pyro.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* For the signal handler: the handle whose call it cancels, and the signal it saw. */
static struct pyro *volatile handle;
static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught = number;
	if (handle)
		pyro_cancel(handle);
}

/* The first signal cancels and lets pyro clean up; a second one of the same kind kills. */
static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct sigaction old;

		/* nohup and background jobs of a shell leave signals ignored: keep it so. */
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(numbers[i], &action, NULL);
	}
}

/* A pipe, socket or file is the guest command's input; a terminal or /dev/null is not. */
static void pass_input(struct pyro *p, const struct op_row *op)
{
	struct stat st;

	if (command_rest(op) && op->hints & STREAMS && fstat(STDIN_FILENO, &st) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		pyro_set_input(p, STDIN_FILENO);
}

/* As `timeout` has it for one that still runs; none of its own for one whose machine ended. */
static int exec_code(const struct pyro_workspace_exec *exec)
{
	if (strcmp(exec->state, "running") == 0)
		return EXIT_WAIT_OVER;
	return exec->exit_code == PYRO_NONE ? EXIT_OWN : (int)exec->exit_code;
}

/* Of a command that ran: its own. 1 where a chat host has drifted, or a model's command failed. */
static int code_of(const struct op_row *op, const void *record)
{
	if (op->ret == &ops_records[REC_run])
		return (int)((const struct pyro_run *)record)->exit_code;
	if (op->ret == &ops_records[REC_workspace_exec])
		return exec_code(record);
	if (op == &ops_rows[OP_attach_shell] &&
	    ((const struct pyro_shell *)record)->exit_code != PYRO_NONE)
		return (int)((const struct pyro_shell *)record)->exit_code;
	if (op->ret == &ops_records[REC_demo_ollama])
		return ((const struct pyro_demo_ollama *)record)->executed.exit_code != 0;
	if (op->ret == &ops_records[REC_host_list])
		return !((const struct pyro_host_list *)record)->ok;
	return 0;
}

/* The options that are about printing. */
static struct print_style style_of(const struct op_row *op, const void *args, bool as_json)
{
	struct print_style style = {
		.is_terminal = isatty(STDOUT_FILENO),
		.colour = show_has_colour(STDOUT_FILENO),
	};

	style.columns = style.is_terminal ? show_columns(STDOUT_FILENO) : 0;

	if (op == &ops_rows[OP_create_workspace])
		style.is_id_only = ((const struct pyro_create_workspace_args *)args)->id_only;
	if (op == &ops_rows[OP_open_shell])
		style.is_id_only = ((const struct pyro_open_shell_args *)args)->id_only;
	if (op == &ops_rows[OP_read_workspace_file])
		style.is_content_only =
			((const struct pyro_read_workspace_file_args *)args)->content_only;
	if (op == &ops_rows[OP_read_workspace_disk])
		style.is_content_only =
			((const struct pyro_read_workspace_disk_args *)args)->content_only;
	/* Whoever is no terminal gets every byte as it is. */
	style.is_content_out =
		op->ret == &ops_records[REC_file_read] && !as_json && !style.is_terminal;
	return style;
}

/* What was made is there, though its name was lost. */
static int unwritten(const struct op_row *op, const void *record, int errnum)
{
	const char *id;
	struct pyro_error err;

	if (op != &ops_rows[OP_create_workspace] || errnum == EPIPE)
		return exit_unwritten(errnum);
	id = ((const struct pyro_workspace *)record)->workspace_id;
	(void)err_sys(&err, errnum, "workspace '%s' was created; write to standard output", id);
	(void)err_hint(&err, "pyro workspace delete %s", id);
	return exit_error(&err, /* as_json= */ false);
}

static int print(const struct op_row *op, const void *record, const struct print_style *style,
		 bool as_json)
{
	AUTO_BUF struct buf out = BUF_INIT(PRINT_MAX);
	AUTO_BUF struct buf note = BUF_INIT(64 * 1024);
	int errnum;

	if (as_json)
		print_json(op->ret, record, &out);
	else
		print_result(op, record, style, &out, &note);
	if (out.is_full) {
		struct pyro_error err;

		(void)err_set(&err, PYRO_E_LIMIT, "the result is too long to print");
		return exit_error(&err, as_json);
	}
	errnum = exit_write(STDOUT_FILENO, buf_text(&out), out.len);
	(void)exit_write(STDERR_FILENO, buf_text(&note), note.len);
	return errnum ? unwritten(op, record, errnum) : code_of(op, record);
}

static int fail(const struct show *show, const struct pyro_error *err, bool as_json)
{
	int code;

	if (show->out_errnum)
		return exit_unwritten(show->out_errnum);
	code = exit_error(err, as_json);
	return err->code == PYRO_E_CANCELLED && caught ? 128 + caught : code;
}

static int call(struct pyro *p, const struct op_row *op, const void *args, bool as_json)
{
	enum op_id id = (enum op_id)(op - ops_rows);
	const struct print_style style = style_of(op, args, as_json);
	AUTO_FREE void *record = mem_zalloc(1, op->ret->size);
	bool is_attach = op == &ops_rows[OP_attach_shell];
	struct show show;
	struct pyro_error err;
	int code;

	/* The content of a file comes the same way as the output of a command. */
	show_init(&show, p,
		  as_json || (op->ret == &ops_records[REC_file_read] && !style.is_content_out),
		  &caught);
	pass_input(p, op);
	if (is_attach && attach_begin(p, &err) < 0)
		return exit_error(&err, as_json);
	code = ops_call(id, p, args, record, &err);
	if (is_attach)
		attach_end(code < 0 ? NULL : record);
	if (code < 0 || !style.is_content_only)
		show_begin_line(&show);
	if (code < 0)
		return fail(&show, &err, as_json);
	if (op->ret == &ops_records[REC_run])
		show_run(&show, op->cli, record);
	if (op->ret == &ops_records[REC_workspace_exec])
		show_exec(&show,
			  op == &ops_rows[OP_wait_workspace_exec] ? "workspace-wait"
								  : "workspace-exec",
			  record);
	code = show.out_errnum ? exit_unwritten(show.out_errnum)
			       : print(op, record, &style, as_json);
	values_done(op->ret, record);
	return code;
}

/* With a handle, and signals that cancel what it does. */
static int call_with_handle(const struct op_row *op, const void *args, bool as_json)
{
	struct pyro *p = pyro_new();
	struct pyro_error err;
	int code;

	if (!p) {
		(void)err_sys(&err, errno, "make a handle");
		return exit_error(&err, as_json);
	}
	handle = p;
	catch_signals();
	code = call(p, op, args, as_json);
	handle = NULL;
	pyro_free(p);
	return code;
}

static int run_op(const struct command *command, char **argv)
{
	const struct op_row *op = command->op;
	bool as_json = args_has(argv, "--json");
	AUTO_FREE void *args = mem_zalloc(1, op->args_size + 1); /* there may be none */
	struct pyro_error err;
	json_t *object = args_parse(command, argv, &err);
	int code;

	args_hide(argv);
	if (!object)
		return exit_error(&err, as_json);
	if (json_object_get(object, "secrets"))
		(void)proc_hide_memory(NULL);
	if (values_decode(op, object, NAMING_CLI, args, &err) == 0) {
		code = call_with_handle(op, args, as_json);
	} else {
		if (!err.hint[0])
			args_hint(command, &err);
		code = exit_error(&err, as_json);
	}
	values_args_done(op, args);
	json_decref(object);
	return code;
}

static int run(char **argv)
{
	size_t words;
	const struct command *command = command_match(argv, &words);

	if (argv[0] && strcmp(argv[0], "--version") == 0)
		return builtin_version(argv + 1);
	if (argv[0] && strcmp(argv[0], "__complete") == 0)
		return complete_words(argv + 1);
	if (!command)
		return builtin_help(argv);
	if (args_has(argv, "--help") || args_has(argv, "-h"))
		return builtin_help(argv);
	return command->run ? command->run(argv + words) : run_op(command, argv + words);
}

/*
 * A closed standard stream would be the number of the next file that is opened. What is written to
 * a stdout that was closed still fails: a result that is lost is no success.
 */
static void open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0) /* what is opened takes the lowest number */
			(void)!open("/dev/null",
				    (fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	open_standard_streams();
	(void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write() */
	(void)signal(SIGCHLD, SIG_DFL); /* inherited as ignored, it would lose how children end */
	return run(argc ? argv + 1 : argv);
}
