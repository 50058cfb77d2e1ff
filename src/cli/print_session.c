/*
 * print_session: shells and services, for people.
 */
#include "cli/print_session.h"

#include "base/buf.h"
#include "cli/form.h"

#include <string.h>

#define WIDTH strlen("Workspace: ")

static void line(struct buf *out, const char *label, const char *value)
{
	form_line(out, WIDTH, label, value);
}

static void time_line(struct buf *out, const char *label, double at)
{
	AUTO_BUF struct buf value = BUF_INIT(256);

	if (at == (double)PYRO_NONE)
		return;
	form_moment(&value, at);
	line(out, label, buf_text(&value));
}

static const char *state_colour(const char *state)
{
	if (strcmp(state, "running") == 0)
		return FORM_GREEN;
	return strcmp(state, "failed") == 0 ? FORM_RED : FORM_YELLOW;
}

/* "exited with 1: it ended by itself" */
static void state_line(struct buf *out, const char *state, int64_t exit_code, const char *reason,
		       bool colour)
{
	AUTO_BUF struct buf value = BUF_INIT(FORM_LINE_MAX);

	form_coloured(&value, colour, state_colour(state), state);
	if (exit_code != PYRO_NONE)
		buf_printf(&value, " with %lld", (long long)exit_code);
	if (reason) {
		buf_puts(&value, ": ");
		form_clean(&value, reason);
	}
	form_labelled(out, WIDTH, "State", buf_text(&value));
}

static void exit_cell(struct form_table *table, int64_t exit_code)
{
	AUTO_FREE char *text =
		exit_code == PYRO_NONE ? mem_strdup("-") : mem_printf("%lld", (long long)exit_code);

	form_cell(table, text)->is_right = true;
}

static void since_cell(struct form_table *table, double at)
{
	AUTO_BUF struct buf text = BUF_INIT(64);

	form_relative(&text, at);
	form_cell(table, buf_text(&text));
}

/* Text of the guest: as it is for a pipe or file, and harmless lines for a terminal. */
static void guest_text(struct buf *out, const char *text, bool is_terminal)
{
	if (is_terminal)
		form_lines(out, "", text);
	else
		buf_puts(out, text);
}

/* What is said behind text that may have no last newline. */
static void begin_line(struct buf *note, const char *text)
{
	if (*text && text[strlen(text) - 1] != '\n')
		buf_puts(note, "\n");
}

/*
 * Shells.
 */

static void print_shell(struct buf *out, const struct pyro_shell *shell, bool colour)
{
	AUTO_FREE char *size =
		mem_printf("%lld x %lld", (long long)shell->cols, (long long)shell->rows);

	line(out, "Shell", shell->shell_id);
	line(out, "Workspace", shell->workspace_id);
	state_line(out, shell->state, shell->exit_code, NULL, colour);
	line(out, "Terminal", size);
	line(out, "Directory", shell->cwd);
	time_line(out, "Started", shell->started_at);
	time_line(out, "Ended", shell->ended_at);
}

static void print_shells(struct buf *out, struct buf *note, const struct pyro_shell_list *list,
			 bool colour)
{
	static const char *const names[] = {"SHELL",     "STATE",   "EXIT", "TERMINAL",
					    "DIRECTORY", "STARTED", NULL};
	struct form_table table = {0};

	if (!list->count) {
		buf_printf(note, "No shells. Open one: pyro workspace shell open %s\n",
			   list->workspace_id);
		return;
	}
	form_headings(&table, names);
	for (size_t i = 0; i < list->shells_count; i++) {
		const struct pyro_shell *s = &list->shells[i];
		AUTO_FREE char *size =
			mem_printf("%lldx%lld", (long long)s->cols, (long long)s->rows);

		form_cell(&table, s->shell_id);
		form_cell(&table, s->state)->colour = state_colour(s->state);
		exit_cell(&table, s->exit_code);
		form_cell(&table, size);
		form_cell(&table, s->cwd);
		since_cell(&table, s->started_at);
	}
	form_table_end(&table, colour, out);
}

/* The output by itself, and what is said about it apart. */
static void print_read(struct buf *out, struct buf *note, const struct pyro_shell_read *read,
		       bool is_terminal)
{
	guest_text(out, read->output, is_terminal);
	if (!is_terminal)
		begin_line(note, read->output);
	if (read->skipped_bytes)
		buf_printf(note, "[%lld bytes before this are kept no longer]\n",
			   (long long)read->skipped_bytes);
	buf_printf(note, "[%s is %s; %s: --cursor %lld]\n", read->shell_id, read->state,
		   read->truncated ? "there is more" : "what follows",
		   (long long)read->next_cursor);
}

/*
 * Services.
 */

static void readiness_line(struct buf *out, const struct pyro_service *service)
{
	const struct pyro_readiness *r = &service->readiness;
	AUTO_BUF struct buf value = BUF_INIT(FORM_LINE_MAX);

	if (!service->has_readiness)
		return;
	buf_printf(&value, "%s ", r->type);
	if (r->command)
		form_command(&value, r->command);
	else
		buf_puts(&value, r->path ? r->path : r->address ? r->address : r->url);
	if (service->ready_at != (double)PYRO_NONE) {
		buf_puts(&value, ", after ");
		form_millis(&value, (service->ready_at - service->started_at) * 1000);
	} else {
		buf_puts(&value, service->ended_at == (double)PYRO_NONE ? ", not yet" : ", never");
	}
	line(out, "Ready", buf_text(&value));
}

static void add_ports(struct buf *out, const struct pyro_service *service)
{
	for (size_t i = 0; i < service->published_ports_count; i++) {
		const struct pyro_published_port *port = &service->published_ports[i];

		buf_printf(out, "%s%s:%lld -> %lld", i ? ", " : "", port->host,
			   (long long)port->host_port, (long long)port->guest_port);
	}
}

static void print_service(struct buf *out, const struct pyro_service *service, bool colour)
{
	AUTO_BUF struct buf command = BUF_INIT(FORM_LINE_MAX);
	AUTO_BUF struct buf ports = BUF_INIT(FORM_LINE_MAX);
	AUTO_FREE char *pid = mem_printf("%lld", (long long)service->pid);

	form_command(&command, service->command);
	add_ports(&ports, service);
	line(out, "Service", service->service_name);
	line(out, "Workspace", service->workspace_id);
	state_line(out, service->state, service->exit_code, service->stop_reason, colour);
	line(out, "Command", buf_text(&command));
	line(out, "Directory", service->cwd);
	if (service->pid != PYRO_NONE)
		line(out, "Process", pid);
	time_line(out, "Started", service->started_at);
	readiness_line(out, service);
	if (ports.len)
		line(out, "Ports", buf_text(&ports));
	time_line(out, "Ended", service->ended_at);
}

static void print_services(struct buf *out, struct buf *note, const struct pyro_service_list *list,
			   bool colour)
{
	static const char *const names[] = {"SERVICE", "STATE",   "EXIT", "PORTS",
					    "STARTED", "COMMAND", NULL};
	struct form_table table = {0};

	if (!list->count) {
		buf_printf(note,
			   "No services. Start one: pyro workspace service start %s NAME -- "
			   "COMMAND\n",
			   list->workspace_id);
		return;
	}
	form_headings(&table, names);
	for (size_t i = 0; i < list->services_count; i++) {
		const struct pyro_service *s = &list->services[i];
		AUTO_BUF struct buf ports = BUF_INIT(FORM_LINE_MAX);
		AUTO_BUF struct buf command = BUF_INIT(FORM_LINE_MAX);

		add_ports(&ports, s);
		form_command(&command, s->command);
		form_cell(&table, s->service_name);
		form_cell(&table, s->state)->colour = state_colour(s->state);
		exit_cell(&table, s->exit_code);
		form_cell(&table, ports.len ? buf_text(&ports) : "-");
		since_cell(&table, s->started_at);
		form_cell(&table, buf_text(&command));
	}
	form_table_end(&table, colour, out);
}

/* Each stream goes to our own of the same kind. */
static void print_logs(struct buf *out, struct buf *note, const struct pyro_service_logs *logs,
		       bool is_terminal)
{
	guest_text(out, logs->stdout, is_terminal);
	guest_text(note, logs->stderr, is_terminal);
	if (is_terminal && !*logs->stdout && !*logs->stderr)
		buf_printf(note, "[%s is %s and printed nothing]\n", logs->service_name,
			   logs->state);
	if (logs->truncated && !is_terminal)
		begin_line(note, *logs->stderr ? logs->stderr : logs->stdout);
	if (logs->truncated)
		buf_printf(note, "[earlier lines %s]\n",
			   logs->tail_lines == PYRO_NONE ? "are kept no longer"
							 : "are left out; all that is kept: --all");
}

bool print_session(const struct op_row *op, const void *record, const struct print_style *style,
		   struct buf *out, struct buf *note)
{
	const struct pyro_shell *shell = record;
	const struct pyro_shell_written *written = record;

	switch (op->ret - ops_records) {
	case REC_shell:
		if (style->is_id_only)
			buf_printf(out, "%s\n", shell->shell_id);
		else if (op != &ops_rows[OP_attach_shell])
			print_shell(out, shell, style->colour);
		return true;
	case REC_shell_list:
		print_shells(out, note, record, style->colour);
		return true;
	case REC_shell_read:
		print_read(out, note, record, style->is_terminal);
		return true;
	case REC_shell_written:
		buf_printf(note, "[%lld byte%s typed into %s]\n", (long long)written->input_bytes,
			   written->input_bytes == 1 ? "" : "s", written->shell_id);
		return true;
	case REC_service:
		print_service(out, record, style->colour);
		return true;
	case REC_service_list:
		print_services(out, note, record, style->colour);
		return true;
	case REC_service_logs:
		print_logs(out, note, record, style->is_terminal);
		return true;
	default:
		return false;
	}
}
