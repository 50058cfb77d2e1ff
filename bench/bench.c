#include "bench.h"

#include "api/handle.h"
#include "api/remote.h"
#include "base/buf.h"
#include "base/capture.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/proc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_die(const char *what, const struct pyro_error *err)
{
	(void)fprintf(stderr, "bench: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
	exit(1);
}

int bench_times(const struct bench *b, int n)
{
	int times = n * b->rounds / BENCH_ROUNDS;

	return times < 1 ? 1 : times > n ? n : times;
}

void series_add(struct series *s, double value)
{
	if (s->n < BENCH_MAX_ROUNDS)
		s->values[s->n++] = value;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double series_median(const struct series *s)
{
	double sorted[BENCH_MAX_ROUNDS];

	memcpy(sorted, s->values, sizeof(sorted));
	qsort(sorted, (size_t)s->n, sizeof(*sorted), by_value);
	return s->n % 2 ? sorted[s->n / 2] : (sorted[s->n / 2 - 1] + sorted[s->n / 2]) / 2;
}

static void report(struct bench *b, const char *name, const char *unit, double value, double floor,
		   double limit, bool is_ratio)
{
	json_t *row = json_pack("{s:s, s:s, s:f}", "name", name, "unit", unit, "value", value);
	char floor_text[32] = "", ratio_text[32] = "", limit_text[32] = "";

	if (b->only_ratios && !is_ratio)
		limit = 0;
	if (floor > 0) {
		(void)json_object_set_new(row, "floor", json_real(floor));
		(void)json_object_set_new(row, "ratio", json_real(value / floor));
		(void)snprintf(floor_text, sizeof(floor_text), "%.1f", floor);
		(void)snprintf(ratio_text, sizeof(ratio_text), "%.2f", value / floor);
	}
	if (limit > 0) {
		(void)json_object_set_new(row, is_ratio ? "promised_ratio" : "promised",
					  json_real(limit));
		(void)snprintf(limit_text, sizeof(limit_text), "%.4g%s", limit,
			       floor > 0 && !is_ratio ? unit : "");
	}
	(void)json_array_append_new(b->rows, row);
	(void)fprintf(stderr, "%-50s %10.1f %-6s %10s %7s %9s%s\n", name, value, unit, floor_text,
		      ratio_text, limit_text,
		      limit > 0 && value / (is_ratio ? floor : 1) > limit ? " BROKEN" : "");
}

void bench_report(struct bench *b, const char *name, const char *unit, double value, double floor,
		  double limit)
{
	report(b, name, unit, value, floor, limit, floor > 0);
}

void bench_report_within(struct bench *b, const char *name, const char *unit, double value,
			 double floor, double limit)
{
	report(b, name, unit, value, floor, limit, false);
}

double elapsed_ms(int64_t begun_ns)
{
	return (double)(clock_ns() - begun_ns) / 1e6;
}

double bench_pyro(struct bench *b, const char *const *arguments)
{
	AUTO_ARGV struct argv argv = ARGV_INIT;
	struct pyro_error err;
	int64_t begun;

	argv_add(&argv, b->pyro, NULL);
	for (size_t i = 0; arguments[i]; i++)
		argv_add(&argv, arguments[i], NULL);
	begun = clock_ns();
	if (proc_check(&argv, &(struct proc_options){.deadline = deadline_in(BENCH_STEP_MS)},
		       &err) < 0)
		bench_die("pyro", &err);
	return elapsed_ms(begun);
}

struct raw_source bench_source(const struct bench *b)
{
	return (struct raw_source){&b->spec, &b->template, b->dir};
}

json_t *bench_shell(const char *line)
{
	return json_pack("{s:s, s:i}", "shell", line, "timeout_ms", BENCH_STEP_MS);
}

json_t *bench_true(void)
{
	return json_pack("{s:[s], s:i}", "argv", "true", "timeout_ms", BENCH_STEP_MS);
}

void bench_exec(struct remote *remote, json_t *args)
{
	struct remote_output output;
	struct pyro_error err;

	capture_init(&output.out, 65536);
	capture_init(&output.err, 65536);
	if (remote_exec(remote, args, &output, NULL, &err) < 0)
		bench_die("exec", &err);
	capture_done(&output.out);
	capture_done(&output.err);
}

double bench_private_kib(pid_t pid)
{
	AUTO_FREE char *path = mem_printf("/proc/%d/smaps_rollup", (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(65536);
	const char *at;
	long kib = 0;

	if (file_read(path, &text, NULL) < 0)
		return 0;
	at = strstr(buf_text(&text), "Private_Dirty:");
	return at && sscanf(at, "Private_Dirty: %ld", &kib) == 1 ? (double)kib : 0;
}

double bench_tree_kib(pid_t pid)
{
	AUTO_FREE char *path = mem_printf("/proc/%d/task/%d/children", (int)pid, (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(65536);
	double kib = bench_private_kib(pid);
	char *rest;

	if (file_read(path, &text, NULL) < 0)
		return kib;
	rest = text.len ? text.data : NULL;
	for (char *word; rest && (word = strsep(&rest, " "));) {
		int64_t child;

		if (parse_int(word, 1, INT32_MAX, &child))
			kib += bench_tree_kib((pid_t)child);
	}
	return kib;
}

pid_t bench_supervisor(const char *vm_id)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (dir && !found && (entry = readdir(dir))) {
		AUTO_FREE char *path = mem_printf("/proc/%s/cmdline", entry->d_name);
		AUTO_BUF struct buf text = BUF_INIT(65536);
		int64_t pid;

		if (!parse_int(entry->d_name, 1, INT32_MAX, &pid) ||
		    file_read(path, &text, NULL) < 0 || !text.len ||
		    !strstr(buf_text(&text), "pyro-supervisor"))
			continue;
		if (memmem(text.data, text.len, vm_id, strlen(vm_id)))
			found = (pid_t)pid;
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

char *bench_workspace_id(struct bench *b, const char *name)
{
	struct pyro_workspace ws;
	struct pyro_error err;
	char *id;

	if (pyro_status_workspace(b->p, &(struct pyro_status_workspace_args){.workspace_id = name},
				  &ws, &err) < 0)
		bench_die("status", &err);
	id = mem_strdup(ws.workspace_id);
	pyro_workspace_done(&ws);
	return id;
}
