/* A summary as Markdown. Names and commands are foreign text and stand in code spans. */
#include "base/buf.h"
#include "cli/form.h"
#include "cli/print_workspace.h"

#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 100

/* The longest row of backticks: a code span needs a longer one around it (CommonMark, 6.1). */
static size_t longest_ticks(const char *text)
{
	size_t longest = 0;

	for (; *text; text++) {
		size_t n = strspn(text, "`");

		longest = n > longest ? n : longest;
		text += n ? n - 1 : 0;
	}
	return longest;
}

/* At a character's end. */
static void cut(char *text, size_t max)
{
	if (strlen(text) <= max)
		return;
	while (max && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	text[max] = '\0';
}

/* A pipe would end a table's cell even inside of code (GitHub Flavored Markdown, 4.10). */
static void code(struct buf *out, const char *text, bool is_in_table)
{
	AUTO_BUF struct buf clean = BUF_INIT(FORM_LINE_MAX);
	AUTO_FREE char *shown = NULL;
	size_t ticks;
	bool is_cut;

	form_clean(&clean, text);
	shown = mem_strdup(buf_text(&clean));
	is_cut = is_in_table && strlen(shown) > COMMAND_MAX;
	if (is_in_table)
		cut(shown, COMMAND_MAX);
	ticks = longest_ticks(shown);
	for (size_t i = 0; i <= ticks; i++)
		buf_puts(out, "`");
	buf_puts(out, ticks ? " " : "");
	for (const char *c = shown; *c; c++) {
		buf_puts(out, is_in_table && *c == '|' ? "\\" : "");
		buf_append(out, c, 1);
	}
	buf_puts(out, is_cut ? "…" : "");
	buf_puts(out, ticks ? " " : "");
	for (size_t i = 0; i <= ticks; i++)
		buf_puts(out, "`");
}

static void add_commands(struct buf *out, const struct pyro_summary_commands *commands)
{
	buf_printf(out, "\n## Commands: %lld, %lld failed\n", (long long)commands->total,
		   (long long)commands->failed);
	if (commands->last_count)
		buf_puts(out, "\n| # | command | result | time |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < commands->last_count; i++) {
		const struct pyro_summary_command *c = &commands->last[i];
		AUTO_BUF struct buf command = BUF_INIT(FORM_LINE_MAX);

		form_command(&command, c->command);
		buf_printf(out, "| %lld | ", (long long)c->sequence);
		code(out, buf_text(&command), true);
		if (c->exit_code != PYRO_NONE)
			buf_printf(out, " | %s %lld | ", form_ending(c->state, c->timed_out),
				   (long long)c->exit_code);
		else
			buf_printf(out, " | %s | ", c->state);
		if (c->duration_ms != PYRO_NONE)
			form_millis(out, (double)c->duration_ms);
		buf_puts(out, " |\n");
	}
}

static void add_changes(struct buf *out, const struct pyro_summary_changes *changes)
{
	const struct pyro_diff_summary *s = &changes->summary;

	if (!changes->available) {
		buf_printf(out, "\n## Changes: unknown\n\n%s\n",
			   changes->reason ? changes->reason : "");
		return;
	}
	buf_printf(out, "\n## Changes: %lld\n\n", (long long)s->total);
	if (!changes->changed)
		buf_puts(out, "None.\n");
	for (size_t i = 0; i < changes->entries_count; i++) {
		const struct pyro_diff_entry *e = &changes->entries[i];

		buf_printf(out, "- %s ", e->status);
		if (e->old_path) {
			code(out, e->old_path, false);
			buf_puts(out, " to ");
		}
		code(out, e->path, false);
		buf_puts(out, "\n");
	}
	if (s->total > (int64_t)changes->entries_count)
		buf_printf(out, "- and %lld more\n",
			   (long long)s->total - (long long)changes->entries_count);
}

static void add_events(struct buf *out, const char *title, const struct pyro_review_event *events,
		       size_t n)
{
	if (!n)
		return;
	buf_printf(out, "\n## %s: %zu\n\n", title, n);
	for (size_t i = 0; i < n; i++) {
		AUTO_FREE char *kind = mem_strdup(events[i].kind);

		for (char *c = kind; (c = strchr(c, '_')); *c = ' ')
			;
		buf_printf(out, "- %s", kind);
		if (events[i].path) {
			buf_puts(out, " ");
			code(out, events[i].path, false);
		}
		if (events[i].detail) {
			buf_puts(out, ": ");
			code(out, events[i].detail, false);
		}
		buf_puts(out, "\n");
	}
}

static void add_services(struct buf *out, const struct pyro_workspace_summary *s)
{
	const struct pyro_summary_services *services = &s->services;

	if (services->current_count)
		buf_printf(out, "\n## Services: %zu\n\n", services->current_count);
	for (size_t i = 0; i < services->current_count; i++) {
		buf_puts(out, "- ");
		code(out, services->current[i].service_name, false);
		buf_printf(out, " %s\n", services->current[i].state);
	}
	add_events(out, "What happened to services", services->events, services->events_count);
	if (s->shells_count)
		buf_printf(out, "\n## Shells: %zu open\n", s->shells_count);
}

void print_summary(struct buf *out, const struct pyro_workspace_summary *s)
{
	buf_printf(out, "# Workspace %s\n\n%s, %s, since ", s->name ? s->name : s->workspace_id,
		   s->environment, s->state);
	form_time(out, s->session.started_at);
	buf_puts(out, "\n\n");
	form_clean(out, s->outcome);
	buf_puts(out, "\n");
	add_commands(out, &s->commands);
	add_changes(out, &s->changes);
	add_events(out, "Edits from outside", s->edits, s->edits_count);
	add_services(out, s);
	add_events(out, "Exports", s->artifacts.exports, s->artifacts.exports_count);
	add_events(out, "Snapshots", s->snapshots.events, s->snapshots.events_count);
}
