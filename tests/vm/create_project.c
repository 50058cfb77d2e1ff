/*
 * A chat host's part: makes a workspace of a project through pyro.h, and prints its record.
 *
 *	create_project [here] [path=PATH] [url=URL] [ref=REF] [root=PATH]… [describe]
 *
 * With `describe` only what would be taken. One line of JSON, {"error": …} if it failed; phases
 * on standard error.
 */
#include "ops/values.h"
#include "pyro.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOTS_MAX 16

struct wish {
	struct pyro_project project;
	const char *roots[ROOTS_MAX + 1];
	int n_roots;
	bool is_description;
};

static const char *value(const char *word, const char *key)
{
	size_t len = strlen(key);

	return strncmp(word, key, len) == 0 ? word + len : NULL;
}

static void take(struct wish *wish, const char *word)
{
	if (strcmp(word, "here") == 0)
		wish->project.here = true;
	else if (strcmp(word, "describe") == 0)
		wish->is_description = true;
	else if (value(word, "path="))
		wish->project.path = value(word, "path=");
	else if (value(word, "url="))
		wish->project.repo_url = value(word, "url=");
	else if (value(word, "ref="))
		wish->project.repo_ref = value(word, "ref=");
	else if (value(word, "root=") && wish->n_roots < ROOTS_MAX)
		wish->roots[wish->n_roots++] = value(word, "root=");
}

static void tell_phase(void *ctx, const char *op, const char *detail)
{
	(void)ctx;
	(void)fprintf(stderr, "%s %s\n", op, detail);
}

static struct pyro *the_handle;

static void interrupted(int number)
{
	(void)number;
	pyro_cancel(the_handle);
}

static json_t *describe(struct pyro *p, struct pyro_error *err)
{
	char *text = NULL;
	json_t *result;

	if (pyro_describe_project(p, &text, err) < 0)
		return json_pack("{s:o}", "error", values_encode_error(err));
	result = text ? json_string(text) : json_null();
	free(text);
	return result;
}

static json_t *create(struct pyro *p, struct pyro_error *err)
{
	const struct pyro_create_workspace_args args = {.environment = "debian:12"};
	struct pyro_workspace ws;
	json_t *result;

	if (pyro_create_workspace(p, &args, &ws, err) < 0)
		return json_pack("{s:o}", "error", values_encode_error(err));
	result = values_encode(&ops_records[REC_workspace], &ws);
	pyro_workspace_done(&ws);
	return result;
}

int main(int argc, char **argv)
{
	struct pyro *p = the_handle = pyro_new();
	const struct sigaction action = {.sa_handler = interrupted};
	struct wish wish = {0};
	struct pyro_error err;
	json_t *result;

	for (int i = 1; i < argc; i++)
		take(&wish, argv[i]);
	wish.project.roots = wish.roots;
	if (!p || sigaction(SIGINT, &action, NULL) < 0)
		return 125;
	pyro_observe(p, &(struct pyro_observer){.on_phase = tell_phase});
	pyro_set_project(p, &wish.project);
	result = wish.is_description ? describe(p, &err) : create(p, &err);
	pyro_free(p);
	(void)json_dumpf(result, stdout, JSON_ENCODE_ANY);
	json_decref(result);
	return 0;
}
