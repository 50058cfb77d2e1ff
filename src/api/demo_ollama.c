/*
 * demo ollama: a language model gets a question and one tool, vm_run.
 *
 * Each round it is told everything that was said, and answers with calls of the tool or in words. A
 * valid call is executed and its result said; a wrong one is answered with what is wrong. Words
 * end it, and so does the last round. If no call was valid by then, the command that would answer
 * the question runs without the model: the demo shows the machine in any case.
 *
 * The model, and the server, may say anything. So a call is checked as strictly as anybody's, it
 * reaches nothing but a VM without network, and what it may use is little.
 */
#include "api/chat.h"
#include "api/handle.h"
#include "base/err.h"
#include "base/utf8.h"
#include "ops/schema.h"
#include "ops/values.h"

#include <stdlib.h>
#include <string.h>

#define ENVIRONMENT "debian:12"
#define BASE_URL "http://localhost:11434/v1"
#define MODEL "llama3.2:3b"
#define ROUNDS 6
#define CALLS_MAX 4 /* in one round */
#define ARGUMENTS_MAX (16 * 1024)
#define OUTPUT_MAX 4000 /* bytes of each stream that the model is told */
#define MEM_MIB_MAX 2048
#define SECONDS_MAX 60
#define TTL_SECONDS_MIN 300 /* less might end the machine under the command */

static const char instructions[] =
	"You can run commands in a disposable Linux machine with the tool vm_run. Call it, and "
	"then "
	"answer the question in one sentence from what the command printed.";
static const char question[] =
	"Which version of git is in the environment " ENVIRONMENT "? Find out with git --version.";

static const struct op_row *const tool = &ops_rows[OP_run_in_vm];

/* The tool as MCP has it, less what this demo refuses anyway. */
static json_t *describe_tool(void)
{
	json_t *schema = schema_input(tool);
	json_t *properties = json_object_get(schema, "properties");

	json_object_del(properties, "network");
	json_object_del(properties, "allow_host_compat");
	json_object_set_new(json_object_get(properties, "environment"), "enum",
			    json_pack("[s]", ENVIRONMENT));
	return json_pack("[{s:s, s:{s:s, s:s, s:o}}]", "type", "function", "function", "name",
			 tool->mcp, "description", tool->usage, "parameters", schema);
}

/* Reads and checks a call. *ret_object, the caller's, has the texts of *ret_args. */
static int read_call(const json_t *function, json_t **ret_object,
		     struct pyro_run_in_vm_args *ret_args, struct pyro_error *err)
{
	const char *name = json_string_value(json_object_get(function, "name"));
	const json_t *text = json_object_get(function, "arguments");

	if (!name || strcmp(name, tool->mcp) != 0)
		return err_set(err, PYRO_E_INVALID, "there is no tool '%.60s', only %s",
			       name ? name : "", tool->mcp);
	if (json_is_string(text) && json_string_length(text) <= ARGUMENTS_MAX)
		*ret_object = json_loads(json_string_value(text), JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(*ret_object))
		return err_set(err, PYRO_E_INVALID, "the arguments are no JSON object");
	return values_decode(tool, *ret_object, NAMING_JSON, ret_args, err);
}

static int check_call(const struct pyro_run_in_vm_args *given, struct pyro_error *err)
{
	struct pyro_run_in_vm_args a;

	if (ops_apply_defaults(OP_run_in_vm, given, &a, err) < 0)
		return -1;
	if (strcmp(a.environment, ENVIRONMENT) != 0)
		return err_set(err, PYRO_E_INVALID, "the environment must be " ENVIRONMENT);
	if (a.network || a.allow_host_compat)
		return err_set(err, PYRO_E_INVALID, "there is neither network nor host here");
	if (a.vcpu_count > 1 || a.mem_mib > MEM_MIB_MAX || a.timeout_seconds > SECONDS_MAX ||
	    a.ttl_seconds < TTL_SECONDS_MIN)
		return err_set(err, PYRO_E_INVALID,
			       "vcpu_count is at most 1, mem_mib %d, timeout_seconds %d, and "
			       "ttl_seconds at least %d",
			       MEM_MIB_MAX, SECONDS_MAX, TTL_SECONDS_MIN);
	return 0;
}

/* Its output is for the model; people see it at the end. */
static int run(struct pyro *p, const struct pyro_run_in_vm_args *args,
	       struct pyro_demo_ollama *demo, struct pyro_error *err)
{
	const struct pyro_observer observer = p->observer;
	struct pyro_run executed = {0};
	int result;

	p->observer.on_output = NULL;
	result = pyro_run_in_vm(p, args, &executed, err);
	p->observer = observer;
	if (result < 0)
		return -1;
	pyro_run_done(&demo->executed);
	demo->executed = executed;
	demo->has_executed = true;
	return 0;
}

static void cut(json_t *result, const char *name)
{
	json_t *text = json_object_get(result, name);
	const char *all = json_string_value(text);

	if (json_string_length(text) > OUTPUT_MAX)
		json_object_set_new(result, name,
				    json_sprintf("%.*s\n[cut]",
						 (int)utf8_start(all, json_string_length(text),
								 OUTPUT_MAX),
						 all));
}

static json_t *result_for_model(const struct pyro_run *executed)
{
	json_t *result = values_encode(&ops_records[REC_run], executed);

	cut(result, "stdout");
	cut(result, "stderr");
	return result;
}

/*
 * Returns 1 if the call was valid and ran, 0 if it was wrong: *ret_result is what the model is
 * told. -1 with err if the machine is the reason.
 */
static int call_tool(struct pyro *p, const json_t *function, struct pyro_demo_ollama *demo,
		     json_t **ret_result, struct pyro_error *err)
{
	struct pyro_run_in_vm_args args = {0};
	json_t *object = NULL;
	bool is_wrong = read_call(function, &object, &args, err) < 0 || check_call(&args, err) < 0;
	int result = is_wrong ? -1 : run(p, &args, demo, err);

	values_args_done(tool, &args);
	json_decref(object);
	if (result < 0 && !is_wrong)
		return -1;
	if (is_wrong)
		*ret_result = json_pack("{s:o}", "error", values_encode_error(err));
	else
		*ret_result = result_for_model(&demo->executed);
	return !is_wrong;
}

static void tell_call(struct pyro *p, const json_t *function)
{
	AUTO_FREE char *text = json_dumps(function, JSON_COMPACT | JSON_ENCODE_ANY);

	handle_phase(p, "ollama", "phase=tool_call %.300s", text ? text : "null");
}

/*
 * Adds the call to `calls`, as it may be said again: a server that reads what was said refuses
 * arguments that are no JSON. The result is said behind all calls.
 */
static int take_call(struct pyro *p, const json_t *call, struct pyro_demo_ollama *demo,
		     json_t *calls, json_t *results, struct pyro_error *err)
{
	const json_t *function = json_object_get(call, "function");
	const char *given = json_string_value(json_object_get(call, "id"));
	AUTO_FREE char *id = given ? mem_strdup(given)
				   : mem_printf("call_%lld_%zu", (long long)demo->rounds,
						json_array_size(calls));
	const char *name = json_string_value(json_object_get(function, "name"));
	const char *arguments = json_string_value(json_object_get(function, "arguments"));
	json_t *result = NULL;
	AUTO_FREE char *text = NULL;
	int valid;

	tell_call(p, function);
	valid = call_tool(p, function, demo, &result, err);
	if (valid < 0)
		return -1;
	text = json_dumps(result, JSON_COMPACT);
	json_decref(result);
	if (valid) {
		demo->tool_calls++;
		handle_phase(p, "ollama", "phase=tool_result exit_code=%lld stdout_bytes=%lld",
			     (long long)demo->executed.exit_code,
			     (long long)demo->executed.stdout_bytes);
	} else {
		demo->rejected_calls++;
		handle_phase(p, "ollama", "phase=tool_rejected reason=%s", err->message);
	}
	json_array_append_new(calls, json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", id, "type",
					       "function", "function", "name", name ? name : "none",
					       "arguments", valid ? arguments : "{}"));
	json_array_append_new(results, json_pack("{s:s, s:s, s:s}", "role", "tool", "tool_call_id",
						 id, "content", text ? text : ""));
	return 0;
}

static int take_calls(struct pyro *p, struct chat *chat, const json_t *message,
		      struct pyro_demo_ollama *demo, struct pyro_error *err)
{
	const json_t *given = json_object_get(message, "tool_calls");
	const char *content = json_string_value(json_object_get(message, "content"));
	json_t *calls = json_array(), *results = json_array();
	int result = 0;

	for (size_t i = 0; result == 0 && i < json_array_size(given) && i < CALLS_MAX; i++)
		result = take_call(p, json_array_get(given, i), demo, calls, results, err);
	chat_say(chat, json_pack("{s:s, s:s, s:o}", "role", "assistant", "content",
				 content ? content : "", "tool_calls", calls));
	json_array_extend(chat->messages, results);
	json_decref(results);
	return result;
}

/* One round. Returns 1 when the model has said its last word, 0 when it goes on, or -1. */
static int ask(struct pyro *p, struct chat *chat, struct pyro_demo_ollama *demo,
	       struct pyro_error *err)
{
	json_t *message = NULL;
	const char *content;
	int result = 1;

	demo->rounds++;
	handle_phase(p, "ollama", "phase=ask model=%s round=%lld", chat->model,
		     (long long)demo->rounds);
	if (chat_ask(p, chat, &message, err) < 0)
		return -1;
	content = json_string_value(json_object_get(message, "content"));
	if (json_array_size(json_object_get(message, "tool_calls"))) {
		result = take_calls(p, chat, message, demo, err);
	} else {
		demo->answer = content && *content ? mem_strdup(content) : NULL;
		handle_phase(p, "ollama", "phase=answer bytes=%zu", content ? strlen(content) : 0);
	}
	json_decref(message);
	return result;
}

static int converse(struct pyro *p, struct chat *chat, struct pyro_demo_ollama *demo,
		    struct pyro_error *err)
{
	static const char *const command[] = {"git", "--version", NULL};
	int result = 0;

	while (result == 0 && demo->rounds < ROUNDS)
		result = ask(p, chat, demo, err);
	if (result < 0 || demo->tool_calls)
		return result < 0 ? -1 : 0;
	demo->fallback_used = true;
	handle_phase(p, "ollama", "phase=direct reason=%s",
		     demo->rejected_calls ? "no call was valid" : "the tool was not called");
	return run(p, &(struct pyro_run_in_vm_args){.environment = ENVIRONMENT, .command = command},
		   demo, err);
}

/* What was given, else the variable, else the default. */
static const char *choose(const char *given, const char *variable, const char *def)
{
	const char *set = getenv(variable);

	return given ? given : set && *set ? set : def;
}

static int demo_ollama(struct pyro *p, const struct pyro_demo_ollama_args *given,
		       struct pyro_demo_ollama *ret, struct pyro_error *err)
{
	struct pyro_demo_ollama demo = {0};
	struct pyro_demo_ollama_args a;
	struct chat chat;
	int result;

	if (ops_apply_defaults(OP_demo_ollama, given, &a, err) < 0)
		return -1;
	chat = (struct chat){
		.base_url = choose(a.base_url, "OLLAMA_BASE_URL", BASE_URL),
		.model = choose(a.model, "OLLAMA_MODEL", MODEL),
		.is_verbose = a.verbose,
		.messages = json_pack("[{s:s, s:s}, {s:s, s:s}]", "role", "system", "content",
				      instructions, "role", "user", "content", question),
		.tools = describe_tool(),
	};
	result = converse(p, &chat, &demo, err);
	demo.base_url = mem_strdup(chat.base_url);
	demo.model = mem_strdup(chat.model);
	json_decref(chat.messages);
	json_decref(chat.tools);
	if (result < 0)
		pyro_demo_ollama_done(&demo);
	else
		*ret = demo;
	return result;
}

int pyro_demo_ollama(struct pyro *p, const struct pyro_demo_ollama_args *given,
		     struct pyro_demo_ollama *ret, struct pyro_error *err)
{
	return handle_begin(p, err) < 0 ? -1 : handle_end(p, demo_ollama(p, given, ret, err));
}
