/*
 * pyro-patch: makes patches and applies them.
 *
 *	pyro-patch diff     3: old side, 4: new side, tar streams; the old one is read first
 *	                    and may be empty. With --redact, 5: values, a NUL behind each, that
 *	                    are taken out of both.
 *	                    1: the report: what differs, as pyro.h's workspace_diff has it
 *	pyro-patch names    0: a patch. 1: the names of all files that it may be about, each with a
 *	                    NUL behind it. 3: the report: {}
 *	pyro-patch apply    3: a patch, 4: a tar stream of those of the names that exist.
 *	                    1: a tar stream of what the patch changes, with a whiteout (character
 *	                    device 0:0) for what goes away; nothing if there is an error.
 *	                    5: the report, as pyro.h's patch_applied
 *
 * Reports are of the form in helper/report.h. Ends with 0 or 1.
 *
 * A guest made the files and anybody the patch, so they are read by a process that needs nothing
 * but the descriptors it was given, and may open nothing else.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "helper/confine.h"
#include "helper/report.h"
#include "patch/apply.h"
#include "patch/diff.h"
#include "patch/parse.h"
#include "patch/side.h"

#include <errno.h>
#include <git2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_BYTES ((rlim_t)1536 << 20)
#define CPU_SECONDS 120
#define VALUES_MAX ((size_t)512 * 1024) /* secrets of a workspace are fewer, and shorter */
#define VALUES_COUNT 64

/*
 * diff.
 */

struct summary {
	int total;
	int by_status[5];
	int text_patched;
	int non_text;
};

static const char *const statuses[] = {"added", "modified", "deleted", "type_changed", "renamed"};

static json_t *text_json(const char *bytes)
{
	AUTO_FREE char *text = utf8_repair(bytes, strlen(bytes), NULL);

	return json_string(text);
}

static void count_change(const struct diff_change *change, struct summary *s)
{
	s->total++;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		s->by_status[i] += strcmp(diff_status(change), statuses[i]) == 0;
	if (diff_is_text(change))
		s->text_patched++;
	else
		s->non_text++;
}

static json_t *entry_json(const struct diff_change *change)
{
	static const char *const types[] = {"file", "symlink", "directory"};
	const struct side_file *file = change->new_file ? change->new_file : change->old_file;
	const char *status = diff_status(change);
	bool is_renamed = strcmp(status, "renamed") == 0;

	return json_pack("{s:o, s:s, s:s, s:o, s:b}", "path", text_json(diff_path(change)),
			 "status", status, "artifact_type", types[file->type], "old_path",
			 is_renamed ? text_json(change->old_file->path) : json_null(), "is_text",
			 (int)diff_is_text(change));
}

static json_t *summary_json(const struct summary *s)
{
	json_t *json = json_object();

	json_object_set_new(json, "total", json_integer(s->total));
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		json_object_set_new(json, statuses[i], json_integer(s->by_status[i]));
	json_object_set_new(json, "text_patched", json_integer(s->text_patched));
	json_object_set_new(json, "non_text", json_integer(s->non_text));
	return json;
}

static void add_patch(json_t *result, const struct diff *diff)
{
	struct buf patch = BUF_INIT(DIFF_PATCH_MAX);
	const char *missing = diff_print(diff, &patch);
	AUTO_FREE char *why = NULL;

	if (missing)
		why = mem_printf("the changed files hold more than %zu MiB, or one of them more "
				 "than %zu MiB ('%s'): export them instead",
				 SIDE_TOTAL_MAX >> 20, SIDE_FILE_MAX >> 20, missing);
	else if (patch.is_full)
		why = mem_printf("the patch would be larger than %zu MiB: export the files instead",
				 DIFF_PATCH_MAX >> 20);
	json_object_set_new(result, "patch",
			    why ? json_null() : json_stringn(buf_text(&patch), patch.len));
	json_object_set_new(result, "patch_omitted", why ? text_json(why) : json_null());
	buf_done(&patch);
}

static json_t *diff_json(const struct diff *diff)
{
	json_t *entries = json_array(), *result;
	struct summary summary = {0};

	for (size_t i = 0; i < diff->n; i++) {
		count_change(&diff->v[i], &summary);
		json_array_append_new(entries, entry_json(&diff->v[i]));
	}
	result = json_pack("{s:b, s:o, s:o}", "changed", diff->n != 0, "summary",
			   summary_json(&summary), "entries", entries);
	add_patch(result, diff);
	return result;
}

/* Values that end with a NUL each. NULL with err. */
static struct redact_patterns *read_patterns(int fd, struct pyro_error *err)
{
	AUTO_BUF struct buf data = BUF_INIT(VALUES_MAX);
	const char *values[VALUES_COUNT + 1] = {NULL};
	size_t n = 0;

	if (file_read_fd(fd, "the values", &data, err) < 0)
		return NULL;
	for (const char *at = buf_text(&data); at < data.data + data.len && n < VALUES_COUNT;
	     at += strlen(at) + 1)
		values[n++] = at;
	return redact_patterns_new(values);
}

static json_t *run_diff(bool is_redacted, struct pyro_error *err)
{
	struct redact_patterns *patterns = is_redacted ? read_patterns(5, err) : NULL;
	struct side old_side = {0}, new_side = {0};
	struct diff diff = {0};
	json_t *result = NULL;

	if (is_redacted && !patterns)
		return NULL;
	if (side_read(&old_side, 3, true, "the old side", err) == 0 &&
	    side_read(&new_side, 4, false, "the new side", err) == 0) {
		diff_compare(&old_side, &new_side, &diff);
		if (patterns) {
			side_redact(&old_side, patterns);
			side_redact(&new_side, patterns);
		}
		result = diff_json(&diff);
	}
	diff_done(&diff);
	side_done(&old_side);
	side_done(&new_side);
	(void)redact_patterns_free(patterns);
	return result;
}

/*
 * names and apply.
 */

static int read_patch(int fd, struct buf *text, struct parse_patch *ret, struct pyro_error *err)
{
	char block[16 * 1024];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		buf_append(text, block, (size_t)n);
	if (n < 0)
		return err_sys(err, errno, "read the patch");
	if (text->is_full || text->len > PARSE_PATCH_MAX)
		return err_set(err, PYRO_E_LIMIT, "the patch is larger than %zu MiB",
			       PARSE_PATCH_MAX >> 20);
	if (text->len && text->data[text->len - 1] != '\n')
		buf_puts(text, "\n");
	return parse_patch(buf_text(text), text->len, ret, err);
}

static json_t *run_names(const struct parse_patch *patch, struct pyro_error *err)
{
	apply_names(patch, stdout);
	if (fflush(stdout) == 0)
		return json_object();
	(void)err_sys(err, errno, "write the names");
	return NULL;
}

static json_t *applied_json(const struct apply *apply)
{
	static const char *const words[] = {"added", "modified", "deleted", "renamed"};
	json_t *entries = json_array(), *summary = json_object();
	int counts[ARRAY_SIZE(words)] = {0}, total = 0;

	for (size_t i = 0; i < apply->n; i++) {
		const struct apply_file *file = &apply->files[i];

		if (file->is_replaced)
			continue;
		total++;
		counts[file->status]++;
		json_array_append_new(entries,
				      json_pack("{s:o, s:s}", "path", text_json(file->path),
						"status", words[file->status]));
	}
	json_object_set_new(summary, "total", json_integer(total));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		json_object_set_new(summary, words[i], json_integer(counts[i]));
	return json_pack("{s:b, s:o, s:o}", "changed", total != 0, "summary", summary, "entries",
			 entries);
}

static json_t *run_apply(const struct parse_patch *patch, struct pyro_error *err)
{
	struct side side = {0};
	struct apply apply = {0};
	json_t *result = NULL;

	if (side_read(&side, 4, false, "the files", err) == 0 &&
	    apply_patch(patch, &side, &apply, err) == 0 &&
	    apply_write(&apply, STDOUT_FILENO, err) == 0)
		result = applied_json(&apply);
	apply_done(&apply);
	side_done(&side);
	return result;
}

static json_t *run_patch(bool is_apply, struct pyro_error *err)
{
	AUTO_BUF struct buf text = BUF_INIT(PARSE_PATCH_MAX + 2);
	struct parse_patch patch = {0};
	json_t *result = NULL;

	if (read_patch(is_apply ? 3 : STDIN_FILENO, &text, &patch, err) == 0)
		result = is_apply ? run_apply(&patch, err) : run_names(&patch, err);
	parse_done(&patch);
	return result;
}

int main(int argc, char **argv)
{
	bool is_redacted = argc == 3 && strcmp(argv[2], "--redact") == 0;
	const char *command = argc == 2 || is_redacted ? argv[1] : "";
	bool is_diff = strcmp(command, "diff") == 0, is_apply = strcmp(command, "apply") == 0;
	struct pyro_error err = {0};
	json_t *result = NULL;

	if ((is_redacted && !is_diff) || (!is_diff && !is_apply && strcmp(command, "names") != 0)) {
		(void)fputs("usage: pyro-patch diff [--redact]|names|apply\n", stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (git_libgit2_init() < 0)
		(void)err_set(&err, PYRO_E_SYSTEM, "start libgit2: %s", git_error_last()->message);
	else if (confine(&(struct confine_limits){MEMORY_BYTES, CPU_SECONDS, -1, -1}, &err) == 0)
		result = is_diff ? run_diff(is_redacted, &err) : run_patch(is_apply, &err);
	utf8_clean_line(err.message);
	return report_end(is_diff ? STDOUT_FILENO : is_apply ? 5 : 3, result, &err);
}
