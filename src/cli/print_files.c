#include "base/buf.h"
#include "cli/form.h"
#include "cli/print_workspace.h"
#include "cli/show.h"

#include <string.h>

/*
 * Lists.
 */

static const char *type_letter(const char *artifact_type)
{
	if (strcmp(artifact_type, "directory") == 0)
		return "d";
	if (strcmp(artifact_type, "symlink") == 0)
		return "l";
	return strcmp(artifact_type, "file") == 0 ? "-" : "?";
}

static void file_cells(struct form_table *table, const struct pyro_file_entry *e, const char *name)
{
	bool is_dir = strcmp(e->artifact_type, "directory") == 0;
	AUTO_FREE char *shown =
		mem_printf("%s%s%s%s", name, is_dir ? "/" : "", e->link_target ? " -> " : "",
			   e->link_target ? e->link_target : "");
	AUTO_BUF struct buf size = BUF_INIT(64);

	if (strcmp(e->artifact_type, "file") == 0)
		show_bytes(&size, e->size_bytes);
	form_cell(table, type_letter(e->artifact_type));
	form_cell(table, buf_text(&size))->is_right = true;
	form_cell(table, shown)->colour = is_dir ? FORM_CYAN : NULL;
}

/* Names as in the directory that was listed. */
static void print_list(struct buf *out, struct buf *note, const struct pyro_file_list *list,
		       bool colour)
{
	struct form_table table = {.columns = 3};
	size_t base = strcmp(list->path, "/") == 0 ? 0 : strlen(list->path);
	bool is_dir = strcmp(list->artifact_type, "directory") == 0;

	for (size_t i = 0; i < list->entries_count; i++) {
		const struct pyro_file_entry *e = &list->entries[i];
		bool is_below =
			is_dir && strncmp(e->path, list->path, base) == 0 && e->path[base] == '/';

		file_cells(&table, e, is_below ? e->path + base + 1 : e->path);
	}
	form_table_end(&table, colour, out);
	if (!list->entries_count)
		buf_printf(note, "%s is empty.\n", list->path);
}

/*
 * Changes.
 */

/* "3 changed: 1 added, 2 modified" */
static void add_changes(struct buf *out, const struct pyro_diff_summary *s)
{
	const struct {
		const char *word;
		int64_t n;
	} parts[] = {{"added", s->added},
		     {"modified", s->modified},
		     {"deleted", s->deleted},
		     {"of another type", s->type_changed},
		     {"renamed", s->renamed}};
	const char *separator = ": ";

	buf_printf(out, "%lld changed", (long long)s->total);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!parts[i].n)
			continue;
		buf_printf(out, "%s%lld %s", separator, (long long)parts[i].n, parts[i].word);
		separator = ", ";
	}
}

static const char *status_mark(const char *status)
{
	static const char *const marks[][2] = {
		{"added", "+"}, {"deleted", "-"}, {"renamed", ">"}, {"type_changed", "t"}};

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (strcmp(status, marks[i][0]) == 0)
			return marks[i][1];
	return "~";
}

static void add_entry(struct buf *out, const struct pyro_diff_entry *e)
{
	buf_printf(out, "%s ", status_mark(e->status));
	if (e->old_path) {
		form_clean(out, e->old_path);
		buf_puts(out, " -> ");
	}
	form_clean(out, e->path);
	buf_puts(out, strcmp(e->artifact_type, "directory") == 0 ? "/\n" : "\n");
}

enum patch_part { PATCH_HEADER, PATCH_HUNK, PATCH_BINARY };

/* *part: where the line before was. In a hunk "--- x" is a removed "-- x". */
static const char *patch_colour(const char *line, enum patch_part *part)
{
	if (strncmp(line, "diff --git ", strlen("diff --git ")) == 0)
		*part = PATCH_HEADER;
	else if (*part == PATCH_HEADER && strncmp(line, "@@ ", strlen("@@ ")) == 0)
		*part = PATCH_HUNK;
	else if (strncmp(line, "GIT binary patch", strlen("GIT binary patch")) == 0)
		*part = PATCH_BINARY;
	if (*part != PATCH_HUNK)
		return *part == PATCH_HEADER ? FORM_BOLD : NULL;
	if (*line == '@')
		return FORM_CYAN;
	if (*line == '+')
		return FORM_GREEN;
	return *line == '-' ? "\033[31m" : NULL;
}

/* For a terminal: as git shows it, and without what could move the cursor. */
static void add_patch(struct buf *out, const char *patch, bool colour)
{
	enum patch_part part = PATCH_HEADER;

	while (*patch) {
		size_t len = strcspn(patch, "\n");
		const char *sequence = patch_colour(patch, &part);

		buf_puts(out, colour && sequence ? sequence : "");
		form_tabbed(out, patch, len);
		buf_puts(out, colour && sequence ? FORM_PLAIN "\n" : "\n");
		patch += len + (patch[len] == '\n');
	}
}

/* Devices, pipes and sockets: no patch can hold them. */
static void add_special(struct buf *note, const struct pyro_workspace_diff *diff)
{
	for (size_t i = 0; i < diff->entries_count; i++) {
		if (strcmp(diff->entries[i].artifact_type, "other") != 0)
			continue;
		buf_puts(note, "Not in the patch, a device, pipe or socket: ");
		form_clean(note, diff->entries[i].path);
		buf_puts(note, "\n");
	}
}

static void print_diff(struct buf *out, struct buf *note, const struct pyro_workspace_diff *diff,
		       const struct print_style *style)
{
	if (diff->patch && style->is_terminal)
		add_patch(out, diff->patch, style->colour);
	else if (diff->patch)
		buf_puts(out, diff->patch);
	else
		for (size_t i = 0; i < diff->entries_count; i++)
			add_entry(out, &diff->entries[i]);
	if (diff->patch_omitted) { /* may name a file of the guest */
		buf_puts(note, "There is no patch: ");
		form_clean(note, diff->patch_omitted);
		buf_puts(note, "\n");
	}
	if (!diff->changed) {
		buf_puts(note, "No changes.\n");
		return;
	}
	add_changes(note, &diff->summary);
	buf_puts(note, "\n");
	if (diff->patch)
		add_special(note, diff);
}

static void print_applied(struct buf *out, const struct pyro_patch_applied *patch)
{
	for (size_t i = 0; i < patch->entries_count; i++) {
		buf_printf(out, "%s ", status_mark(patch->entries[i].status));
		form_clean(out, patch->entries[i].path);
		buf_puts(out, "\n");
	}
	if (!patch->changed)
		buf_puts(out, "The patch changes nothing.\n");
}

/*
 * One file, and what is said in one line.
 */

/* "2 bytes" of what was read as a whole, else "bytes 10 to 19 of 42" */
static void add_range(struct buf *out, const struct pyro_file_read *file)
{
	int64_t end = file->truncated ? file->next_offset : file->size_bytes;

	if (!file->offset && !file->truncated)
		show_bytes(out, end);
	else if (end <= file->offset)
		buf_printf(out, "nothing at byte %lld of %lld", (long long)file->offset,
			   (long long)file->size_bytes);
	else
		buf_printf(out, "bytes %lld to %lld of %lld", (long long)file->offset,
			   (long long)end - 1, (long long)file->size_bytes);
}

/* Other bytes than text went out as they came, or are not for a terminal. */
static void print_file(struct buf *out, struct buf *note, const struct pyro_file_read *file,
		       const struct print_style *style)
{
	if (!style->is_content_out && file->content_is_binary)
		buf_puts(note, "It is not text. Its bytes: --content-only, with output to a file "
			       "or a pipe.\n");
	else if (!style->is_content_out)
		form_lines(out, "", file->content);
	if (style->is_content_only)
		return;
	buf_printf(note, "[%s: ", file->path);
	add_range(note, file);
	if (file->truncated)
		buf_printf(note, "; more: --offset %lld", (long long)file->next_offset);
	buf_puts(note, "]\n");
}

static void print_synced(struct buf *out, const struct pyro_workspace_synced *synced)
{
	buf_puts(out, "Imported ");
	form_clean(out, synced->source_path);
	buf_printf(out, " into %s: ", synced->destination);
	print_content(out, synced->entry_count, synced->bytes_written);
	buf_puts(out, "\n");
}

static void print_export(struct buf *out, const struct pyro_workspace_export *export)
{
	buf_puts(out, "Exported ");
	form_clean(out, export->workspace_path);
	buf_puts(out, " to ");
	form_clean(out, export->output_path);
	buf_printf(out, ": %s, ", export->artifact_type);
	print_content(out, export->entry_count, export->bytes_written);
	buf_puts(out, "\n");
}

static void print_disk_export(struct buf *out, const struct pyro_disk_export *disk)
{
	buf_puts(out, "Exported the disk to ");
	form_clean(out, disk->output_path);
	buf_printf(out, ": %s, ", disk->disk_format);
	show_bytes(out, disk->size_bytes);
	buf_puts(out, ", of which ");
	show_bytes(out, disk->bytes_written);
	buf_puts(out, " are written\n");
}

static void print_written(struct buf *out, const struct pyro_file_written *file)
{
	buf_puts(out, "Wrote ");
	show_bytes(out, file->bytes_written);
	buf_puts(out, " to ");
	form_clean(out, file->path);
	buf_puts(out, "\n");
}

bool print_files(const struct op_row *op, const void *record, const struct print_style *style,
		 struct buf *out, struct buf *note)
{
	switch (op->ret - ops_records) {
	case REC_workspace_synced:
		print_synced(out, record);
		return true;
	case REC_file_list:
		print_list(out, note, record, style->colour);
		return true;
	case REC_file_read:
		print_file(out, note, record, style);
		return true;
	case REC_file_written:
		print_written(out, record);
		return true;
	case REC_patch_applied:
		print_applied(out, record);
		return true;
	case REC_workspace_diff:
		print_diff(out, note, record, style);
		return true;
	case REC_workspace_export:
		print_export(out, record);
		return true;
	case REC_disk_export:
		print_disk_export(out, record);
		return true;
	default:
		return false;
	}
}
