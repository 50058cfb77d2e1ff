#include "cli/print_host.h"

#include "base/buf.h"
#include "cli/form.h"

#include <string.h>

#define WIDTH 12
#define NAME_WIDTH 13

static const char *status_colour(const char *status)
{
	if (strcmp(status, "ok") == 0)
		return FORM_GREEN;
	return strcmp(status, "drifted") == 0 ? FORM_RED : FORM_YELLOW;
}

static void line(struct buf *out, const char *label, const char *value)
{
	if (value)
		form_line(out, WIDTH, label, value);
}

static void words_line(struct buf *out, const char *label, char *const *words)
{
	AUTO_BUF struct buf value = BUF_INIT(FORM_LINE_MAX);

	if (!words || !words[0])
		return;
	form_command(&value, words);
	form_labelled(out, WIDTH, label, buf_text(&value));
}

static void list_lines(struct buf *out, const char *label, char *const *list)
{
	for (; list && *list; list++)
		line(out, label, *list);
}

static void print_status(struct buf *out, const struct pyro_host_status *h, bool colour)
{
	AUTO_BUF struct buf repair = BUF_INIT(FORM_LINE_MAX);

	buf_printf(out, "%-*s", NAME_WIDTH, h->host);
	form_coloured(out, colour, status_colour(h->status), h->status);
	buf_puts(out, "\n");
	line(out, "  details", h->details);
	words_line(out, "  runs", h->configured_command);
	line(out, "  scope", h->scope);
	line(out, "  file", h->config_path);
	if (h->repair_command) {
		form_clean(&repair, h->repair_command);
		buf_printf(out, "%-*s", WIDTH, "  repair:");
		form_coloured(out, colour, FORM_BOLD, buf_text(&repair));
		buf_puts(out, "\n");
	}
}

static void print_change(struct buf *out, const struct pyro_host_change *c, bool colour)
{
	buf_printf(out, "%s ", c->host);
	form_coloured(out, colour, status_colour(c->status), c->action);
	buf_puts(out, "\n");
	words_line(out, "Runs", c->command);
	list_lines(out, "With", c->environment);
	if (c->changed)
		words_line(out, "Ran before", c->previous_command);
	line(out, "Scope", c->scope);
	line(out, "File", c->config_path);
	line(out, "Kept", c->backup_path);
	line(out, "Warning", c->warning);
	line(out, "Next", c->next_step);
}

static void print_config(struct buf *out, struct buf *note, const struct pyro_host_config *c)
{
	if (!c->output_path) {
		buf_puts(out, c->config);
		buf_printf(note, "next: %s\n", c->next_step);
		return;
	}
	buf_printf(out, "%s %s\n", c->output_path, c->changed ? "written" : "is right already");
	line(out, "Kept", c->backup_path);
	line(out, "Next", c->next_step);
}

bool print_host(const struct op_row *op, const void *record, const struct print_style *style,
		struct buf *out, struct buf *note)
{
	const struct pyro_host_list *list = record;

	if (op->ret == &ops_records[REC_host_list])
		for (size_t i = 0; i < list->hosts_count; i++)
			print_status(out, &list->hosts[i], style->colour);
	else if (op->ret == &ops_records[REC_host_change])
		print_change(out, record, style->colour);
	else if (op->ret == &ops_records[REC_host_config])
		print_config(out, note, record);
	else
		return false;
	return true;
}
