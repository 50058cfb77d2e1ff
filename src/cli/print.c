#include "cli/print.h"

#include "base/buf.h"
#include "cli/form.h"
#include "cli/print_host.h"
#include "cli/print_session.h"
#include "cli/print_workspace.h"
#include "cli/show.h"
#include "ops/values.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCTOR_WIDTH 20
#define PREPARED_WIDTH 10
#define LIST_LINE_MAX 60

void print_json(const struct rec_row *rec, const void *record, struct buf *out)
{
	json_t *object = values_encode(rec, record);
	/* Times are seconds since the epoch: fifteen digits are microseconds. */
	AUTO_FREE char *text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(15));

	json_decref(object);
	buf_printf(out, "%s\n", text ? text : "{}");
}

/* "Install dir" from install_dir, "VM ID" from vm_id; without the unit that the value shows. */
static void label_of(const char *name, unsigned flags, char *label, size_t size)
{
	static const char *const words[][2] = {{"vm", "VM"},   {"id", "ID"},     {"ip", "IP"},
					       {"kvm", "KVM"}, {"vcpu", "vCPU"}, {"mib", "MiB"}};
	size_t used = 0;

	label[0] = '\0';
	while (*name && used < size) {
		size_t len = strcspn(name, "_");
		bool is_unit = (flags & MILLIS && strcmp(name, "ms") == 0) ||
			       (flags & BYTES && strcmp(name, "bytes") == 0);
		const char *word = name;

		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (strlen(words[i][0]) == len && strncmp(words[i][0], name, len) == 0)
				word = words[i][1];
		if (!is_unit) {
			(void)snprintf(label + used, size - used, "%s%.*s", used ? " " : "",
				       (int)len, word);
			if (!used && word == name)
				label[0] = (char)toupper((unsigned char)label[0]);
			used = strlen(label);
		}
		name += len + (name[len] == '_');
	}
}

static void number(struct buf *out, const struct rec_field *f, double value)
{
	if (f->flags & TIME)
		form_time(out, value);
	else if (f->flags & BYTES)
		show_bytes(out, (int64_t)value);
	else if (f->flags & MILLIS)
		form_millis(out, value);
	else
		buf_printf(out, "%.15g", value);
}

/* On one line where it is short, else one to a line. */
static void texts(struct buf *out, char *const *v, size_t indent)
{
	size_t total = 0;

	for (size_t i = 0; v && v[i]; i++)
		total += strlen(v[i]) + 2;
	if (!total)
		buf_puts(out, "none");
	for (size_t i = 0; v && v[i]; i++) {
		if (i && total > LIST_LINE_MAX)
			buf_printf(out, "\n%*s", (int)indent, "");
		else if (i)
			buf_puts(out, ", ");
		buf_puts(out, v[i]);
	}
}

/* False, and nothing appended, for a value that is absent. */
static bool scalar(struct buf *out, const struct rec_field *f, const char *record, size_t indent)
{
	const void *at = record + f->offset;
	const char *text;

	switch (f->kind) {
	case KIND_STR:
		text = *(const char *const *)at;
		if (!text)
			return false;
		buf_puts(out, text);
		return true;
	case KIND_BOOL:
		buf_puts(out, *(const bool *)at ? "yes" : "no");
		return true;
	case KIND_INT:
		if (*(const int64_t *)at == PYRO_NONE)
			return false;
		number(out, f, (double)*(const int64_t *)at);
		return true;
	case KIND_NUM:
		if (*(const double *)at == (double)PYRO_NONE)
			return false;
		number(out, f, *(const double *)at);
		return true;
	case KIND_STRV:
	case KIND_CMD:
		texts(out, *(char *const *const *)at, indent);
		return true;
	default:
		return false;
	}
}

/* Where the values of a record's fields begin. */
static size_t width_of(const struct rec_row *rec)
{
	size_t width = 0;

	for (const struct rec_field *f = rec->fields; f->name; f++) {
		char label[64];

		label_of(f->name, f->flags, label, sizeof(label));
		if (strlen(label) + 2 > width)
			width = strlen(label) + 2;
	}
	return width;
}

static void field_line(struct buf *out, size_t width, const struct rec_field *f, const char *record)
{
	AUTO_BUF struct buf value = BUF_INIT(PRINT_MAX);
	char label[64];

	if (!scalar(&value, f, record, width))
		return;
	label_of(f->name, f->flags, label, sizeof(label));
	form_labelled(out, width, label, buf_text(&value));
}

static void item_cells(struct form_table *table, const struct rec_field *list, const char *item)
{
	for (const struct rec_field *f = list->of->fields; f->name; f++) {
		AUTO_BUF struct buf cell = BUF_INIT(4096);
		char label[64];

		if (!(f->flags & COLUMN))
			continue;
		label_of(f->name, f->flags, label, sizeof(label));
		if (item && !scalar(&cell, f, item, 0))
			buf_puts(&cell, "-");
		form_cell(table, item ? buf_text(&cell) : label);
	}
}

/* The COLUMN fields of every record of a list. */
static void table(struct buf *out, const struct rec_field *list, const char *record)
{
	const char *items = *(const char *const *)(record + list->offset);
	size_t count = *(const size_t *)(record + list->side);
	struct form_table table = {0};

	if (!count) {
		buf_puts(out, "None.\n");
		return;
	}
	for (const struct rec_field *f = list->of->fields; f->name; f++)
		table.columns += (f->flags & COLUMN) != 0;
	item_cells(&table, list, NULL);
	for (size_t i = 0; i < count; i++)
		item_cells(&table, list, items + i * list->of->size);
	form_table_end(&table, false, out);
}

/* Any record: its fields, then those of nested records; a list is a table and nothing else. */
static void block(struct buf *out, const struct rec_row *rec, const char *record)
{
	for (const struct rec_field *f = rec->fields; f->name; f++)
		if (f->kind == KIND_LIST) {
			table(out, f, record);
			return;
		}
	for (const struct rec_field *f = rec->fields; f->name; f++) {
		if (f->kind != KIND_REC)
			field_line(out, width_of(rec), f, record);
		else if (!(f->flags & NULLABLE) || *(const bool *)(record + f->side))
			block(out, f->of, record + f->offset);
	}
}

/* A terminal sees columns; programs, one space between what they read. */
static void print_catalog(struct buf *out, const struct pyro_environment_list *list,
			  const struct print_style *style)
{
	size_t width = 0;

	for (size_t i = 0; style->is_terminal && i < list->environments_count; i++)
		if (strlen(list->environments[i].name) > width)
			width = strlen(list->environments[i].name);
	buf_printf(out, "Catalog version: %s\n", list->catalog_version);
	for (size_t i = 0; i < list->environments_count; i++) {
		const struct pyro_environment *e = &list->environments[i];

		buf_printf(out, "%-*s [", (int)width, e->name);
		form_coloured(out, style->colour, e->installed ? FORM_GREEN : FORM_YELLOW,
			      e->installed ? "installed" : "not installed");
		buf_printf(out, "]%*s %s\n",
			   style->is_terminal && e->installed ? (int)strlen("not ") : 0, "",
			   e->description);
	}
}

static void print_environment(struct buf *out, const struct pyro_environment *e, bool is_pulled)
{
	/* The order in which people look for them, not that of the record. */
	static const char *const order[] = {
		"installed", "reason",   "cache_dir",  "default_packages", "install_dir",
		"source",    "platform", "disk_bytes", "description",
	};
	const struct rec_row *rec = &ops_records[REC_environment];
	AUTO_FREE char *distribution =
		*e->distribution ? mem_printf("%s %s", e->distribution, e->distribution_version)
				 : mem_strdup("unknown");
	size_t width = strlen("Default packages: ");

	if (is_pulled)
		buf_printf(out, "Pulled: %s\n", e->name);
	else
		form_labelled(out, width, "Environment", e->name);
	form_labelled(out, width, "Version", e->version);
	form_labelled(out, width, "Distribution", distribution);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		for (const struct rec_field *f = rec->fields; f->name; f++)
			if (strcmp(f->name, order[i]) == 0)
				field_line(out, width, f, (const char *)e);
}

static void verdict(struct buf *out, const char *label, bool is_good, const char *why, bool colour)
{
	AUTO_BUF struct buf value = BUF_INIT(4096);

	form_coloured(&value, colour, is_good ? FORM_GREEN : FORM_RED, is_good ? "PASS" : "FAIL");
	if (why)
		buf_printf(&value, " (%s)", why);
	form_labelled(out, DOCTOR_WIDTH, label, buf_text(&value));
}

static void print_kvm(struct buf *out, const struct pyro_kvm_status *kvm)
{
	AUTO_BUF struct buf value = BUF_INIT(4096);

	buf_printf(&value, "exists=%s readable=%s writable=%s usable=%s",
		   kvm->exists ? "yes" : "no", kvm->readable ? "yes" : "no",
		   kvm->writable ? "yes" : "no", kvm->usable ? "yes" : "no");
	if (kvm->reason)
		buf_printf(&value, " (%s)", kvm->reason);
	form_labelled(out, DOCTOR_WIDTH, "KVM", buf_text(&value));
}

static void print_daily_loop(struct buf *out, const struct pyro_daily_loop *loop, bool colour)
{
	bool is_warm = strcmp(loop->status, "WARM") == 0;
	AUTO_BUF struct buf value = BUF_INIT(4096);

	form_coloured(&value, colour, is_warm ? FORM_GREEN : FORM_YELLOW, loop->status);
	buf_printf(&value, " %s", loop->environment);
	if (loop->prepared_at != (double)PYRO_NONE) {
		buf_puts(&value, ", proved ");
		form_time(&value, loop->prepared_at);
	}
	if (loop->reason)
		buf_printf(&value, " (%s)", loop->reason);
	form_labelled(out, DOCTOR_WIDTH, "Daily loop", buf_text(&value));
	if (!is_warm) {
		AUTO_FREE char *fix = mem_printf("pyro prepare %s", loop->environment);

		form_labelled(out, DOCTOR_WIDTH, "  run", fix);
	}
}

static void print_issues(struct buf *out, const struct pyro_doctor *d, bool colour)
{
	for (size_t i = 0; i < d->issues_count; i++) {
		buf_puts(out, "\n");
		form_coloured(out, colour, FORM_RED, "FAIL");
		buf_printf(out, " %s: %s\n", d->issues[i].check, d->issues[i].message);
		buf_puts(out, "  fix: ");
		form_coloured(out, colour, FORM_BOLD, d->issues[i].fix);
		buf_puts(out, "\n");
	}
}

static void print_doctor(struct buf *out, const struct pyro_doctor *d, bool colour)
{
	AUTO_BUF struct buf installed = BUF_INIT(64 * 1024);
	AUTO_FREE char *network =
		d->capabilities.guest_network
			? mem_strdup("yes")
			: mem_printf("no (%s)", d->networking.available ? "no guest can run"
									: d->networking.reason);

	texts(&installed, d->catalog.installed, DOCTOR_WIDTH);
	form_labelled(out, DOCTOR_WIDTH, "Platform", d->platform);
	verdict(out, "Runtime", d->runtime_ok, NULL, colour);
	print_kvm(out, &d->kvm);
	form_labelled(out, DOCTOR_WIDTH, "Accelerator", d->accel);
	form_labelled(out, DOCTOR_WIDTH, "Jail", d->jail);
	verdict(out, "VM boot", d->capabilities.vm_boot, NULL, colour);
	verdict(out, "Guest exec", d->capabilities.guest_exec, NULL, colour);
	form_labelled(out, DOCTOR_WIDTH, "Guest network", network);
	form_labelled(out, DOCTOR_WIDTH, "Catalog version", d->catalog.version);
	form_labelled(out, DOCTOR_WIDTH, "Environment cache", d->catalog.cache_dir);
	form_labelled(out, DOCTOR_WIDTH, "Installed",
		      d->catalog.installed && *d->catalog.installed
			      ? buf_text(&installed)
			      : "none (pyro env pull debian:12)");
	form_labelled(out, DOCTOR_WIDTH, "Project source",
		      d->project_source ? d->project_source : "none");
	if (d->has_daily_loop)
		print_daily_loop(out, &d->daily_loop, colour);
	print_issues(out, d, colour);
}

static void print_prepared(struct buf *out, struct buf *note, const struct pyro_prepared *p)
{
	buf_printf(out, "%s %s (%s%s)", p->executed ? "Proved" : "Still proved:", p->environment,
		   p->accel, p->network_prepared ? ", network too" : "");
	if (p->executed) {
		buf_puts(out, " in ");
		form_millis(out, (double)p->duration_ms);
	} else {
		buf_puts(out, ", since ");
		form_time(out, p->prepared_at);
	}
	buf_puts(out, "\n");
	for (size_t i = 0; i < p->steps_count; i++) {
		AUTO_BUF struct buf took = BUF_INIT(64);

		form_millis(&took, (double)p->steps[i].duration_ms);
		buf_puts(out, "  ");
		form_labelled(out, PREPARED_WIDTH, p->steps[i].name, buf_text(&took));
	}
	buf_printf(note,
		   "Next: %s, or pyro workspace create %s. Later, pyro doctor --environment %s "
		   "tells whether it still holds.\n",
		   p->next_step, p->environment, p->environment);
}

static void print_ollama(struct buf *out, const struct pyro_demo_ollama *demo)
{
	const struct pyro_run *run = &demo->executed;

	if (demo->answer)
		form_lines(out, "", demo->answer);
	form_lines(out, "> ", run->stdout);
	buf_puts(out, "[summary] model=");
	form_clean(out, demo->model);
	buf_printf(out,
		   " rounds=%lld tool_calls=%lld rejected_calls=%lld fallback_used=%s "
		   "execution_mode=%s exit_code=%lld\n",
		   (long long)demo->rounds, (long long)demo->tool_calls,
		   (long long)demo->rejected_calls, demo->fallback_used ? "true" : "false",
		   run->execution_mode, (long long)run->exit_code);
}

static bool is_clean(const struct pyro_pruned *pruned)
{
	return !pruned->count && !pruned->freed_bytes;
}

void print_result(const struct op_row *op, const void *record, const struct print_style *style,
		  struct buf *out, struct buf *note)
{
	if (op->hints & JSON_RESULT)
		print_json(op->ret, record, out);
	else if (op == &ops_rows[OP_list_environments])
		print_catalog(out, record, style);
	else if (op->ret == &ops_records[REC_environment])
		print_environment(out, record, op == &ops_rows[OP_pull_environment]);
	else if (op == &ops_rows[OP_doctor])
		print_doctor(out, record, style->colour);
	else if (op == &ops_rows[OP_demo_ollama])
		print_ollama(out, record);
	else if (op == &ops_rows[OP_prune_environments] && is_clean(record))
		buf_puts(out, "Nothing to prune.\n");
	else if (op == &ops_rows[OP_list_vms] && !((const struct pyro_vm_list *)record)->vms_count)
		buf_puts(note, "No VMs. Run a command in one: pyro run debian:12 -- COMMAND\n");
	else if (op == &ops_rows[OP_prepare])
		print_prepared(out, note, record);
	else if (op->ret != &ops_records[REC_run] && op->ret != &ops_records[REC_workspace_exec] &&
		 !print_workspace(op, record, style, out, note) &&
		 !print_session(op, record, style, out, note) &&
		 !print_host(op, record, style, out, note))
		block(out, op->ret, record); /* and those that ran were shown as it happened */
}
