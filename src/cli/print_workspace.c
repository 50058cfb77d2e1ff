#include "cli/print_workspace.h"

#include "base/buf.h"
#include "base/clock.h"
#include "cli/form.h"
#include "cli/show.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH strlen("Last activity: ")

static void line(struct buf *out, const char *label, const char *value)
{
	form_line(out, WIDTH, label, value);
}

static void time_line(struct buf *out, const char *label, double at)
{
	AUTO_BUF struct buf value = BUF_INIT(256);

	form_moment(&value, at);
	line(out, label, buf_text(&value));
}

static const char *state_colour(const char *state)
{
	if (strcmp(state, "started") == 0)
		return FORM_GREEN;
	return strcmp(state, "failed") == 0 ? FORM_RED : FORM_YELLOW;
}

static void add_labels(struct buf *out, char *const *labels)
{
	for (size_t i = 0; labels && labels[i]; i++)
		buf_printf(out, "%s%s", i ? ", " : "", labels[i]);
}

void print_content(struct buf *out, int64_t entries, int64_t bytes)
{
	form_count(out, entries, "entry", "entries");
	buf_puts(out, ", ");
	show_bytes(out, bytes);
}

/*
 * One workspace.
 */

static void seed_line(struct buf *out, const struct pyro_workspace_seed *seed)
{
	AUTO_BUF struct buf value = BUF_INIT(FORM_LINE_MAX);

	if (strcmp(seed->mode, "empty") == 0) {
		line(out, "Seed", "empty");
		return;
	}
	buf_printf(&value, "%s %s, ",
		   strcmp(seed->mode, "directory") == 0 ? "directory" : "archive",
		   seed->origin_ref ? seed->origin_ref : "");
	print_content(&value, seed->entry_count, seed->bytes_written);
	if (seed->skipped_count)
		buf_printf(&value, ", %lld skipped", (long long)seed->skipped_count);
	line(out, "Seed", buf_text(&value));
}

static void state_lines(struct buf *out, const struct pyro_workspace *ws, bool colour)
{
	AUTO_BUF struct buf value = BUF_INIT(FORM_LINE_MAX);

	form_coloured(&value, colour, state_colour(ws->state), ws->state);
	if (ws->reason) {
		buf_puts(&value, ": ");
		form_clean(&value, ws->reason);
	}
	form_labelled(out, WIDTH, "State", buf_text(&value));
	if (!ws->next_step)
		return;
	buf_reset(&value);
	form_coloured(&value, colour, FORM_BOLD, ws->next_step);
	form_labelled(out, WIDTH, "Next", buf_text(&value));
}

static void machine_lines(struct buf *out, const struct pyro_workspace *ws)
{
	AUTO_BUF struct buf value = BUF_INIT(FORM_LINE_MAX);

	buf_printf(&value, "%s, %lld vCPU, %lld MiB", ws->environment, (long long)ws->vcpu_count,
		   (long long)ws->mem_mib);
	if (ws->execution_mode)
		buf_printf(&value, ", %s", ws->execution_mode);
	if (ws->accel)
		buf_printf(&value, " (%s)", ws->accel);
	line(out, "Environment", buf_text(&value));
	line(out, "Network", ws->network_policy);
}

static void reset_line(struct buf *out, const struct pyro_workspace *ws)
{
	AUTO_BUF struct buf value = BUF_INIT(FORM_LINE_MAX);

	if (!ws->reset_count)
		return;
	buf_printf(&value, "%lld, the last ", (long long)ws->reset_count);
	if (ws->has_workspace_reset)
		buf_printf(&value, "now, to %s", ws->workspace_reset.snapshot_name);
	else
		form_relative(&value, ws->last_reset_at);
	line(out, "Resets", buf_text(&value));
}

/* "1 of 2 running" */
static void add_services(struct buf *out, const struct pyro_workspace *ws)
{
	buf_printf(out, "%lld of %lld running", (long long)ws->running_service_count,
		   (long long)ws->service_count);
}

static void secrets_line(struct buf *out, const struct pyro_workspace *ws)
{
	AUTO_BUF struct buf names = BUF_INIT(FORM_LINE_MAX);

	for (size_t i = 0; i < ws->secrets_count; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", ws->secrets[i].name);
	if (names.len)
		line(out, "Secrets", buf_text(&names));
}

static void print_one(struct buf *out, const struct pyro_workspace *ws, bool colour)
{
	AUTO_BUF struct buf labels = BUF_INIT(FORM_LINE_MAX);
	AUTO_BUF struct buf counts = BUF_INIT(256);

	line(out, "Workspace", ws->workspace_id);
	if (ws->name)
		line(out, "Name", ws->name);
	add_labels(&labels, ws->labels);
	if (labels.len)
		line(out, "Labels", buf_text(&labels));
	state_lines(out, ws, colour);
	machine_lines(out, ws);
	seed_line(out, &ws->workspace_seed);
	time_line(out, "Created", ws->created_at);
	time_line(out, "Last activity", ws->last_activity_at);
	time_line(out, "Expires", ws->expires_at);
	buf_printf(&counts, "%lld", (long long)ws->command_count);
	line(out, "Commands", buf_text(&counts));
	if (ws->service_count) {
		buf_reset(&counts);
		add_services(&counts, ws);
		line(out, "Services", buf_text(&counts));
	}
	if (ws->running_shell_count) {
		buf_reset(&counts);
		buf_printf(&counts, "%lld", (long long)ws->running_shell_count);
		line(out, "Shells", buf_text(&counts));
	}
	secrets_line(out, ws);
	reset_line(out, ws);
}

/*
 * Lists.
 */

static void relative_cell(struct form_table *table, double at)
{
	AUTO_BUF struct buf text = BUF_INIT(64);

	form_relative(&text, at);
	form_cell(table, buf_text(&text));
}

static void workspace_cells(struct form_table *table, const struct pyro_workspace *ws)
{
	AUTO_BUF struct buf labels = BUF_INIT(FORM_LINE_MAX);
	AUTO_BUF struct buf services = BUF_INIT(64);

	add_labels(&labels, ws->labels);
	form_cell(table, ws->name ? ws->name : "-");
	form_cell(table, ws->workspace_id);
	form_cell(table, ws->state)->colour = state_colour(ws->state);
	form_cell(table, ws->environment);
	if (ws->service_count)
		add_services(&services, ws);
	form_cell(table, services.len ? buf_text(&services) : "-");
	relative_cell(table, ws->last_activity_at);
	relative_cell(table, ws->expires_at);
	form_cell(table, buf_text(&labels));
}

static void print_list(struct buf *out, struct buf *note, const struct pyro_workspace_list *list,
		       const struct print_style *style)
{
	enum { ENVIRONMENT = 3, SERVICES, ACTIVE, EXPIRES, LABELS };
	static const char *const names[] = {"NAME",        "WORKSPACE ID", "STATE",
					    "ENVIRONMENT", "SERVICES",     "ACTIVE",
					    "EXPIRES",     "LABELS",       NULL};
	static const size_t least[] = {SERVICES, LABELS, ENVIRONMENT, ACTIVE};
	struct form_table table = {0};

	if (!list->workspaces_count) {
		buf_puts(note, "No workspaces. Make one: pyro workspace create debian:12 "
			       "--seed-path .\n");
		return;
	}
	form_headings(&table, names);
	for (size_t i = 0; i < list->workspaces_count; i++)
		workspace_cells(&table, &list->workspaces[i]);
	if (style->columns)
		form_table_fit(&table, style->columns, least, ARRAY_SIZE(least));
	form_table_end(&table, style->colour, out);
}

static void print_snapshots(struct buf *out, const struct pyro_snapshot_list *list, bool colour)
{
	static const char *const names[] = {"SNAPSHOT", "KIND", "CREATED", NULL};
	struct form_table table = {0};

	form_headings(&table, names);
	for (size_t i = 0; i < list->snapshots_count; i++) {
		form_cell(&table, list->snapshots[i].snapshot_name);
		form_cell(&table, list->snapshots[i].kind);
		relative_cell(&table, list->snapshots[i].created_at);
	}
	form_table_end(&table, colour, out);
}

/*
 * Commands.
 */

static void print_entry(struct buf *out, const struct pyro_workspace_command *c, bool colour)
{
	AUTO_BUF struct buf command = BUF_INIT(FORM_LINE_MAX);
	AUTO_BUF struct buf how = BUF_INIT(1024);
	bool is_good = c->exit_code == 0 || strcmp(c->state, "running") == 0;

	form_command(&command, c->command);
	buf_printf(out, "[%lld] $ ", (long long)c->sequence);
	form_coloured(out, colour, FORM_BOLD, buf_text(&command));
	buf_puts(out, "\n");
	/* Marked, so that no output looks like another command. */
	form_lines(out, "  ", c->stdout);
	form_lines(out, colour ? "\033[31m!\033[0m " : "! ", c->stderr);
	if (c->exit_code != PYRO_NONE)
		buf_printf(&how, "%s %lld", form_ending(c->state, c->timed_out),
			   (long long)c->exit_code);
	else
		buf_puts(&how, c->state);
	if (c->duration_ms != PYRO_NONE) {
		buf_puts(&how, " after ");
		form_millis(&how, (double)c->duration_ms);
	}
	buf_puts(&how, ", begun ");
	form_relative(&how, c->started_at);
	buf_printf(out, "[%lld] ", (long long)c->sequence);
	form_coloured(out, colour, is_good ? FORM_DIM : FORM_RED, buf_text(&how));
	buf_puts(out, "\n");
}

/* Of output that was asked for in parts. */
static void add_more(struct buf *note, const char *id, const struct pyro_workspace_command *c)
{
	if (c->next_offset != PYRO_NONE)
		buf_printf(note, "More: pyro workspace logs %s --sequence %lld --offset %lld\n", id,
			   (long long)c->sequence, (long long)c->next_offset);
}

static void print_logs(struct buf *out, struct buf *note, const struct pyro_workspace_logs *logs,
		       bool colour)
{
	for (size_t i = 0; i < logs->entries_count; i++) {
		buf_puts(out, i ? "\n" : "");
		print_entry(out, &logs->entries[i], colour);
		add_more(note, logs->workspace_id, &logs->entries[i]);
	}
	if (!logs->entries_count)
		buf_puts(note, "No commands since the last reset.\n");
}

static void print_cancelled(struct buf *out, const struct pyro_workspace_cancelled *c)
{
	buf_printf(out, "Command %lld %s.\n", (long long)c->sequence,
		   c->cancelled ? "was cancelled" : "had ended already");
}

bool print_workspace(const struct op_row *op, const void *record, const struct print_style *style,
		     struct buf *out, struct buf *note)
{
	const struct pyro_workspace *ws = record;
	const struct pyro_snapshot_created *created = record;
	const struct pyro_snapshot_deleted *deleted = record;
	const struct pyro_workspace_deleted *gone = record;

	switch (op->ret - ops_records) {
	case REC_workspace:
		if (style->is_id_only)
			buf_printf(out, "%s\n", ws->workspace_id);
		else
			print_one(out, ws, style->colour);
		return true;
	case REC_workspace_list:
		print_list(out, note, record, style);
		return true;
	case REC_workspace_deleted:
		buf_printf(out, "Deleted %s\n", gone->workspace_id);
		return true;
	case REC_workspace_logs:
		print_logs(out, note, record, style->colour);
		return true;
	case REC_workspace_cancelled:
		print_cancelled(out, record);
		return true;
	case REC_snapshot_created:
		buf_printf(out, "Created snapshot '%s' of %s\n", created->snapshot.snapshot_name,
			   created->workspace_id);
		return true;
	case REC_snapshot_list:
		print_snapshots(out, record, style->colour);
		return true;
	case REC_snapshot_deleted:
		buf_printf(out, "Deleted snapshot '%s' of %s\n", deleted->snapshot_name,
			   deleted->workspace_id);
		return true;
	case REC_workspace_summary:
		print_summary(out, record);
		return true;
	default:
		return print_files(op, record, style, out, note);
	}
}
