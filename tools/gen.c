/*
 * gen ROOT: writes everything that is derived from the rows in ops/ below ROOT. The files are
 * checked in, so that people can read them and see what a change does; tests/agree compares.
 *
 * gen headers ROOT DIR: writes the headers that are installed, of those of the source in ROOT.
 */
#include "gen.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "ops/schema.h"
#include "pyro.h"

#include <stdio.h>
#include <string.h>

void gen_cell(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_printf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void md_row(struct buf *out, const char *form, const struct buf *text)
{
	buf_printf(out, "| `%s` | ", form);
	gen_cell(out, buf_text(text));
	buf_puts(out, " |\n");
}

static void md_inputs(const struct command *command, struct buf *out)
{
	struct command_option options[COMMAND_OPTIONS_MAX];
	size_t n = command_options(command->op, options);

	buf_puts(out, "| argument or option | what it is |\n|---|---|\n");
	for (const struct op_input *in = command->op->inputs; in->name; in++) {
		AUTO_FREE char *form =
			mem_printf("%s%s", in->flags & REST ? "-- " : "", in->metavar);
		AUTO_BUF struct buf text = BUF_INIT(1024);

		if (command_is_option(in))
			continue;
		help_argument(in, &text);
		md_row(out, form, &text);
	}
	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *form =
			mem_printf("%s%s%s", options[i].name, options[i].metavar ? " " : "",
				   options[i].metavar ? options[i].metavar : "");
		AUTO_BUF struct buf text = BUF_INIT(1024);

		help_option(&options[i], &text);
		md_row(out, form, &text);
	}
	if (command_has_json(command))
		buf_puts(out, "| `--json` | Print one JSON object on stdout |\n");
	buf_puts(out, "| `-h`, `--help` | Show the help |\n\n");
}

static const char *kind_name(const struct rec_field *f)
{
	static const char *const names[] = {
		[KIND_STR] = "string",
		[KIND_BOOL] = "boolean",
		[KIND_INT] = "integer",
		[KIND_NUM] = "number",
		[KIND_STRV] = "strings",
		[KIND_CMD] = "string or strings",
		[KIND_MAP] = "object of strings",
		[KIND_REC] = "object",
		[KIND_LIST] = "list of objects",
	};

	return names[f->kind];
}

static void md_fields(const struct rec_row *rec, const char *prefix, struct buf *out)
{
	for (const struct rec_field *f = rec->fields; f->name; f++) {
		buf_printf(out, "| `%s%s` | %s%s | ", prefix, f->name, kind_name(f),
			   f->flags & NULLABLE && f->kind != KIND_REC ? " or null" : "");
		gen_cell(out, f->text);
		buf_puts(out, " |\n");
		if (f->of) {
			AUTO_FREE char *inner = mem_printf("%s%s%s.", prefix, f->name,
							   f->kind == KIND_LIST ? "[]" : "");

			md_fields(f->of, inner, out);
		}
	}
}

static void md_command(const struct command *command, struct buf *out)
{
	const struct op_row *op = command->op;

	buf_printf(out, "\n## pyro %s\n\n%s.\n\n    ", command->words, command->summary);
	command_usage(command, out);
	buf_puts(out, "\n\n");
	if (!op) {
		buf_printf(out, "%s\n", command->details);
		return;
	}
	buf_printf(out, "%s\n\n", op->usage);
	md_inputs(command, out);
	buf_puts(out, "Examples:\n\n");
	for (const struct op_example *e = op->examples; e->command; e++)
		buf_printf(out, "    # %s\n    %s\n", e->text, e->command);
	buf_printf(out,
		   "\nNext: %s\n\nResult: %s.\n\n| field | type | what it says |\n|---|---|---|\n",
		   op->next, op->ret->text);
	md_fields(op->ret, "", out);
	if (op->mcp)
		buf_printf(out, "\nMCP tool: `%s`. ", op->mcp);
	buf_printf(out, "%sC: `pyro_%s()`. Python: `Pyro.%s()`.\n", op->mcp ? "" : "\n", op->name,
		   op->name);
}

static void make_cli(struct buf *out)
{
	buf_puts(out,
		 "<!-- " GEN_NOTE " -->\n# The command line\n\n"
		 "Results go to stdout, everything else to stderr. Exit codes: 0 done, 2 wrong "
		 "usage, 125 pyro's own\nfailure, 128+n ended by signal n (141: nobody reads the "
		 "output); `run`, `vm exec` and `workspace exec`\n"
		 "end with the exit code of their command, 124 if it timed out, 127 if it was not "
		 "found. With `--json` stdout carries exactly "
		 "one JSON object, also for\nan error ([errors.md](errors.md)). `NO_COLOR` takes "
		 "colours away.\n");
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].words)
			md_command(&commands[i], out);
}

static void make_errors(struct buf *out)
{
	buf_puts(out, "<!-- " GEN_NOTE " -->\n# Errors\n\n"
		      "Every surface reports an error as `{code, message, hint, retryable}`. The "
		      "message says what failed,\non what and why; the hint is the next command or "
		      "change. The hints here are those of last resort:\nthe place that fails "
		      "usually knows a better one. `retryable` means that the same call can "
		      "succeed\nlater without any change.\n\n"
		      "| code | in C | retryable | hint |\n|---|---|---|---|\n");
#define ERR(code, wire, retryable, hint)                                   \
	buf_printf(out, "| `%s` | `PYRO_E_%s` | %s | %s |\n", wire, #code, \
		   (retryable) ? "yes" : "no", err_default_hint(PYRO_E_##code));
#include "ops/errors.def"
#undef ERR
}

static void make_tools(struct buf *out)
{
	json_t *tools = json_array(), *whole = json_pack("{s:o}", "tools", tools);
	AUTO_FREE char *text = NULL;

	for (int i = 0; i < OP_COUNT; i++)
		if (ops_rows[i].mcp)
			json_array_append_new(tools, schema_tool(&ops_rows[i]));
	text = json_dumps(whole, JSON_INDENT(2));
	buf_printf(out, "%s\n", text);
	json_decref(whole);
}

/* roff takes a backslash for itself, a hyphen for a typographic one, a leading dot for a macro. */
static void roff(struct buf *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		buf_puts(out, "\\&");
	for (; *text; text++)
		if (*text == '\\')
			buf_puts(out, "\\e");
		else
			buf_printf(out, *text == '-' ? "\\%c" : "%c", *text);
}

static void man_row(struct buf *out, const char *label, const char *metavar, const struct buf *text)
{
	buf_puts(out, ".TP\n.B ");
	roff(out, label);
	if (metavar)
		buf_printf(out, " \\fI%s\\fP", metavar);
	buf_puts(out, "\n");
	roff(out, buf_text(text));
	buf_puts(out, "\n");
}

static void man_inputs(const struct op_row *op, struct buf *out)
{
	struct command_option options[COMMAND_OPTIONS_MAX];
	size_t n = command_options(op, options);

	for (const struct op_input *in = op->inputs; in->name; in++) {
		AUTO_BUF struct buf text = BUF_INIT(1024);

		if (command_is_option(in))
			continue;
		help_argument(in, &text);
		man_row(out, in->metavar, NULL, &text);
	}
	for (size_t i = 0; i < n; i++) {
		AUTO_BUF struct buf text = BUF_INIT(1024);

		help_option(&options[i], &text);
		man_row(out, options[i].name, options[i].metavar, &text);
	}
}

static void man_title(const char *name, const char *summary, struct buf *out)
{
	buf_puts(out, ".\\\" " GEN_NOTE "\n.TH ");
	for (const char *c = name; *c; c++)
		buf_printf(out, "%c", *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
	buf_puts(out, " 1 \"\" \"pyro " PYRO_VERSION "\"\n.SH NAME\n");
	roff(out, name);
	buf_puts(out, " \\- ");
	roff(out, summary);
	buf_puts(out, "\n.SH SYNOPSIS\n");
}

/* The page of one command. */
static void man_command(const struct command *command, const char *name, struct buf *out)
{
	AUTO_BUF struct buf usage = BUF_INIT(1024);

	command_usage(command, &usage);
	man_title(name, command->summary, out);
	roff(out, buf_text(&usage));
	buf_puts(out, "\n.SH DESCRIPTION\n");
	roff(out, command->op ? command->op->usage : command->details);
	buf_puts(out, "\n");
	if (command->op) {
		buf_puts(out, ".SH OPTIONS\n");
		man_inputs(command->op, out);
		if (command_has_json(command))
			buf_puts(out,
				 ".TP\n.B \\-\\-json\nPrint one JSON object on standard output\n");
		buf_puts(out, ".SH EXAMPLES\n.nf\n");
		for (const struct op_example *e = command->op->examples; e->command; e++) {
			roff(out, e->command);
			buf_puts(out, "\n");
		}
		buf_puts(out, ".fi\n");
	}
	buf_puts(out, ".SH SEE ALSO\n.BR pyro (1)\n");
}

/* "pyro-workspace-create". Owned by the caller. */
static char *man_name(const struct command *command)
{
	char *name = mem_printf("pyro-%s", command->words);

	for (char *c = name; *c; c++)
		if (*c == ' ')
			*c = '-';
	return name;
}

static void make_man(struct buf *out)
{
	man_title("pyro", "disposable microVM workspaces for coding agents", out);
	buf_puts(out,
		 ".B pyro\n.I COMMAND\n[ARGUMENTS] [OPTIONS]\n"
		 ".SH DESCRIPTION\n"
		 "pyro gives a coding agent a bounded, disposable computer: a virtual machine\n"
		 "in which commands run apart from the host, and which is deleted afterwards.\n"
		 "Results go to standard output, everything else to standard error.\n"
		 "With \\fB\\-\\-json\\fP a command prints exactly one JSON object, also for "
		 "an error.\n"
		 ".SH COMMANDS\n");
	for (size_t i = 0; i < commands_count; i++) {
		AUTO_FREE char *name = commands[i].words ? man_name(&commands[i]) : NULL;

		if (!name)
			continue;
		buf_puts(out, ".TP\n.BR ");
		roff(out, name);
		buf_puts(out, " (1)\n");
		roff(out, commands[i].summary);
		buf_puts(out, ".\n");
	}
	buf_puts(out, ".SH EXIT STATUS\n"
		      "0 done, 2 wrong usage, 125 pyro\\(aqs own failure, 128+n ended by signal n\n"
		      "(141: nobody reads the output any more).\n"
		      "\\fBrun\\fP, \\fBvm exec\\fP and \\fBworkspace exec\\fP end with the exit "
		      "code of their command.\n"
		      ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nTakes colours away.\n"
		      ".TP\n.B PYRO_ACCEL\nauto, kvm or tcg: the accelerator of guests.\n"
		      ".TP\n.B PYRO_ENVIRONMENT_CACHE_DIR\nWhere environments are kept; default\n"
		      "~/.cache/pyro\\-mcp/environments.\n"
		      ".TP\n.B XDG_STATE_HOME\nWorkspaces and VMs are kept in its directory pyro; "
		      "default\n~/.local/state.\n"
		      ".TP\n.B OLLAMA_BASE_URL, OLLAMA_MODEL\nThe server and the model of\n"
		      "\\fBdemo ollama\\fP.\n");
}

static void make_bash(struct buf *out)
{
	(void)completion_script("bash", out);
}

static void make_zsh(struct buf *out)
{
	(void)completion_script("zsh", out);
}

static void make_fish(struct buf *out)
{
	(void)completion_script("fish", out);
}

static const struct {
	const char *dir, *name;
	void (*make)(struct buf *out);
} files[] = {
	{"docs/reference", "cli.md", make_cli},
	{"docs/reference", "errors.md", make_errors},
	{"docs/reference", "mcp.md", gen_mcp},
	{"docs/man", "pyro.1", make_man},
	{"completions", "pyro.bash", make_bash},
	{"completions", "_pyro", make_zsh},
	{"completions", "pyro.fish", make_fish},
	{"tests/agree/golden", "tools-list.json", make_tools},
	{"python/pyro_mcp", "_methods.py", gen_methods},
	{"python/pyro_mcp", "records.py", gen_records},
	{"python/pyro_mcp", "errors.py", gen_errors},
};

static int write_file(const char *root, const char *dir, const char *name, const struct buf *text,
		      struct pyro_error *err)
{
	AUTO_FREE char *in = mem_printf("%s/%s", root, dir);
	AUTO_FREE char *path = mem_printf("%s/%s", in, name);

	if (dir_make(in, 0755, err) < 0)
		return -1;
	return file_write_atomic(path, buf_text(text), text->len, 0644, err);
}

static int make_all(const char *root, struct pyro_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		AUTO_BUF struct buf out = BUF_INIT(HELP_MAX);

		files[i].make(&out);
		if (write_file(root, files[i].dir, files[i].name, &out, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < commands_count; i++) {
		AUTO_BUF struct buf out = BUF_INIT(HELP_MAX);
		AUTO_FREE char *name = commands[i].words ? man_name(&commands[i]) : NULL;
		AUTO_FREE char *file = mem_printf("%s.1", name ? name : "");

		if (!name)
			continue;
		man_command(&commands[i], name, &out);
		if (write_file(root, "docs/man", file, &out, err) < 0)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	bool is_headers = argc == 4 && strcmp(argv[1], "headers") == 0;
	struct pyro_error err;

	if ((is_headers ? gen_headers(argv[2], argv[3], &err)
			: make_all(argc == 2 ? argv[1] : ".", &err)) == 0)
		return 0;
	(void)fprintf(stderr, "gen: %s\n", err.message);
	return 1;
}
