#include "api/serve.h"

#include "api/handle.h"
#include "api/workspace.h"
#include "base/err.h"
#include "base/proc.h"
#include "image/image.h"
#include "ops/profile.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An input of the operation: its text, or whether it is set. */
static const char *text_of(const struct op_row *op, const void *args, const char *name)
{
	const char *text;

	memcpy(&text, (const char *)args + ops_input(op, name)->offset, sizeof(text));
	return text;
}

static bool is_set(const struct op_row *op, const void *args, const char *name)
{
	return *((const char *)args + ops_input(op, name)->offset);
}

/* Where workspaces get their files from can be said once. */
static int check_source(const struct op_row *op, const void *args, struct pyro_error *err)
{
	bool has_path = text_of(op, args, "project_path");
	bool has_url = text_of(op, args, "repo_url");

	if (has_path + has_url + is_set(op, args, "no_project_source") > 1) {
		(void)err_set(err, PYRO_E_USAGE,
			      "--project-path, --repo-url and --no-project-source exclude each "
			      "other");
		return err_hint(err, "give one of them, or none inside a Git checkout");
	}
	if (!has_url && text_of(op, args, "repo_ref")) {
		(void)err_set(err, PYRO_E_USAGE,
			      "--repo-ref says what of --repo-url is meant, "
			      "which is missing");
		return err_hint(err, "add --repo-url URL");
	}
	return 0;
}

int serve_check(const struct op_row *op, const void *args, struct pyro_error *err)
{
	const char *environment = text_of(op, args, "environment");
	const char *policy = text_of(op, args, "network_policy");

	if (!profile_find(text_of(op, args, "profile"), text_of(op, args, "mode"), err) ||
	    (environment && image_check_name(environment, err) < 0))
		return -1;
	if (policy && !workspace_is_policy(policy)) {
		(void)err_set(err, PYRO_E_USAGE, "there is no network policy '%s'", policy);
		return err_hint(err, "one of: off, egress, egress+published-ports");
	}
	return check_source(op, args, err);
}

/* The host starts the server from another directory. */
static char *absolute(const char *path, struct pyro_error *err)
{
	char *real = realpath(path, NULL);

	if (!real) {
		(void)err_sys(err, errno, "find '%s'", path);
		(void)err_hint(err, "--project-path names a directory that exists");
	}
	return real;
}

char **serve_words(const struct op_row *op, const void *args, struct pyro_error *err)
{
	struct argv words = ARGV_INIT;

	argv_add(&words, "mcp", "serve", NULL);
	for (const struct op_input *in = ops_rows[OP_serve_mcp].inputs; in->name; in++) {
		bool is_flag = in->kind == KIND_BOOL;
		const char *text = is_flag ? NULL : text_of(op, args, in->name);
		AUTO_FREE char *path = NULL;
		char label[OPS_LABEL_MAX];

		if (is_flag ? !is_set(op, args, in->name) : !text)
			continue;
		if (in->flags & HOST_PATH && !(path = absolute(text, err))) {
			argv_done(&words);
			return NULL;
		}
		ops_input_label(in, NAMING_CLI, label);
		argv_add(&words, label, path ? path : text, NULL);
	}
	return words.v;
}

/* What the program pyro-mcp takes: the inputs as one JSON text. */
static char *as_json(const void *args)
{
	const struct op_row *serve = &ops_rows[OP_serve_mcp];
	json_t *object = json_object();
	char *text;

	for (const struct op_input *in = serve->inputs; in->name; in++) {
		if (in->kind == KIND_BOOL)
			json_object_set_new(object, in->name,
					    json_boolean(is_set(serve, args, in->name)));
		else if (text_of(serve, args, in->name))
			json_object_set_new(object, in->name,
					    json_string(text_of(serve, args, in->name)));
	}
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

int pyro_serve_mcp(struct pyro *p, const struct pyro_serve_mcp_args *given, struct pyro_server *ret,
		   struct pyro_error *err)
{
	AUTO_FREE char *program = handle_program("mcp", "pyro-mcp", err);
	AUTO_FREE char *json = NULL;
	struct pyro_serve_mcp_args a;

	(void)p;
	(void)ret;
	if (!program || ops_apply_defaults(OP_serve_mcp, given, &a, err) < 0 ||
	    serve_check(&ops_rows[OP_serve_mcp], &a, err) < 0)
		return -1;
	json = as_json(&a);
	(void)execv(program, (char *[]){program, json, NULL});
	return err_sys(err, errno, "start '%s'", program);
}
