#include "mcp/protocol.h"

#include "base/err.h"
#include "base/utf8.h"
#include "mcp/setup.h"
#include "mcp/tool.h"
#include "mcp/words.h"
#include "ops/profile.h"
#include "ops/values.h"
#include "pyro.h"

#include <string.h>

#define MODERN_VERSION "2026-07-28"
#define META "io.modelcontextprotocol/"
#define LIST_TTL_MS 300000

/* The latest first: it is the answer to a version that we do not know. */
static const char *const legacy_versions[] = {"2025-11-25", "2025-06-18", "2025-03-26",
					      "2024-11-05"};

static json_t *meta_of(const struct request *request)
{
	return json_object_get(request->params, "_meta");
}

static json_t *error_with(json_t *id, enum protocol_code code, const char *message, json_t *data)
{
	return json_pack("{s:s, s:O, s:{s:i, s:s, s:o*}}", "jsonrpc", "2.0", "id",
			 id ? id : json_null(), "error", "code", (int)code, "message", message,
			 "data", data);
}

json_t *protocol_error(json_t *id, enum protocol_code code, const char *message)
{
	return error_with(id, code, message, NULL);
}

static json_t *server_info(void)
{
	return json_pack("{s:s, s:s, s:s}", "name", "pyro", "title", "pyro", "version",
			 PYRO_VERSION);
}

json_t *protocol_result(const struct request *request, json_t *result)
{
	if (request->is_modern) {
		json_t *meta = json_object_get(result, "_meta");

		if (!meta) {
			meta = json_object();
			json_object_set_new(result, "_meta", meta);
		}
		json_object_set_new(meta, META "serverInfo", server_info());
		json_object_set_new(result, "resultType", json_string("complete"));
	}
	return json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", request->id, "result", result);
}

static bool claims_modern(const struct request *request)
{
	const json_t *meta = meta_of(request);

	return strcmp(request->method, "server/discover") == 0 ||
	       strcmp(request->method, "subscriptions/listen") == 0 ||
	       json_object_get(meta, META "protocolVersion") ||
	       json_object_get(meta, META "clientCapabilities") ||
	       json_object_get(meta, META "clientInfo");
}

/* NULL, or what is wrong with the claim. */
static json_t *check_modern(const struct request *request)
{
	const json_t *meta = meta_of(request);
	const char *version = json_string_value(json_object_get(meta, META "protocolVersion"));

	if (!version || !json_is_object(json_object_get(meta, META "clientCapabilities")))
		return protocol_error(request->id, PROTOCOL_PARAMS,
				      "params._meta lacks " META "protocolVersion or " META
				      "clientCapabilities");
	if (strcmp(version, MODERN_VERSION) == 0)
		return NULL;
	return error_with(request->id, PROTOCOL_VERSION, "unsupported protocol version",
			  json_pack("{s:[s], s:s}", "supported", MODERN_VERSION, "requested",
				    version));
}

json_t *protocol_read(const json_t *message, struct request *ret)
{
	json_t *id = json_object_get(message, "id");
	const char *method = json_string_value(json_object_get(message, "method"));
	const char *version = json_string_value(json_object_get(message, "jsonrpc"));
	json_t *params = json_object_get(message, "params");

	*ret = (struct request){0};
	if (!method && (json_object_get(message, "result") || json_object_get(message, "error")))
		return NULL; /* an answer: perhaps of roots */
	if (id && !json_is_string(id) && !json_is_integer(id))
		return protocol_error(NULL, PROTOCOL_REQUEST,
				      "id: expected a string or an integer");
	if (!method || !version || strcmp(version, "2.0") != 0)
		return protocol_error(id, PROTOCOL_REQUEST, "not a JSON-RPC 2.0 message");
	if (params && !json_is_object(params))
		return id ? protocol_error(id, PROTOCOL_PARAMS, "params: expected an object")
			  : NULL;
	*ret = (struct request){.id = id, .method = method, .params = params};
	ret->is_modern = claims_modern(ret);
	return id && ret->is_modern ? check_modern(ret) : NULL;
}

static json_t *with_instructions(json_t *result, const struct setup *setup)
{
	AUTO_FREE char *text =
		mem_printf("%s%s", setup->profile->instructions, setup_network(setup));

	json_object_set_new(result, "instructions", json_string(text));
	return result;
}

static json_t *initialize(const struct setup *setup, const struct request *request)
{
	json_t *version = json_object_get(request->params, "protocolVersion");
	const char *agreed = legacy_versions[0];

	if (!json_is_string(version))
		return protocol_error(request->id, PROTOCOL_PARAMS,
				      "params.protocolVersion: expected a string");
	for (size_t i = 0; i < ARRAY_SIZE(legacy_versions); i++)
		if (strcmp(json_string_value(version), legacy_versions[i]) == 0)
			agreed = legacy_versions[i];
	return protocol_result(request, with_instructions(json_pack("{s:s, s:{s:{}}, s:o}",
								    "protocolVersion", agreed,
								    "capabilities", "tools",
								    "serverInfo", server_info()),
							  setup));
}

static json_t *ping(const struct setup *setup, const struct request *request)
{
	(void)setup;
	return protocol_result(request, json_object());
}

/*
 * How long a modern client may keep a list, for this user: the list names the project. Legacy ones
 * do not ask.
 */
static json_t *cacheable(const struct request *request, json_t *result)
{
	if (request->is_modern) {
		json_object_set_new(result, "ttlMs", json_integer(LIST_TTL_MS));
		json_object_set_new(result, "cacheScope", json_string("private"));
	}
	return protocol_result(request, result);
}

static json_t *discover(const struct setup *setup, const struct request *request)
{
	json_t *result = json_pack("{s:[s], s:{s:{}}}", "supportedVersions", MODERN_VERSION,
				   "capabilities", "tools");

	return cacheable(request, with_instructions(result, setup));
}

static json_t *list_tools(const struct setup *setup, const struct request *request)
{
	json_t *cursor = json_object_get(request->params, "cursor");

	if (cursor && !json_is_null(cursor))
		return protocol_error(request->id, PROTOCOL_PARAMS,
				      "params.cursor: the list has one page");
	return cacheable(request, json_pack("{s:o}", "tools", tool_list(setup)));
}

json_t *protocol_answer(const struct setup *setup, const struct request *request)
{
	static const struct {
		const char *name;
		bool is_legacy, is_modern;
		json_t *(*answer)(const struct setup *, const struct request *);
	} methods[] = {
		{"initialize", true, false, initialize},
		{"ping", true, false, ping},
		{"server/discover", false, true, discover},
		{"tools/list", true, true, list_tools},
	};
	AUTO_FREE char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(methods[i].name, request->method) == 0 &&
		    (request->is_modern ? methods[i].is_modern : methods[i].is_legacy))
			return methods[i].answer(setup, request);
	text = mem_printf("there is no method '%.100s'", request->method);
	utf8_clean_line(text);
	return protocol_error(request->id, PROTOCOL_METHOD, text);
}

json_t *protocol_outcome(const struct request *request, json_t *structured)
{
	/* Some hosts show the model only the text, others only the structure. */
	AUTO_FREE char *text = json_dumps(structured, JSON_COMPACT);

	return protocol_result(request, json_pack("{s:[{s:s, s:s}], s:o, s:b}", "content", "type",
						  "text", "text", text, "structuredContent",
						  structured, "isError", 0));
}

json_t *protocol_failure(const struct setup *setup, const struct request *request,
			 const struct pyro_error *error)
{
	AUTO_FREE char *hint = words_for_tools(setup->profile, error->hint);
	AUTO_FREE char *text = *hint ? mem_printf("%s\nhint: %s", error->message, hint)
				     : mem_strdup(error->message);
	json_t *whole = values_encode_error(error);

	if (*hint)
		json_object_set_new(whole, "hint", json_string(hint));
	/*
	 * No structuredContent: clients hold it against the tool's output schema and replace our
	 * text by their own. Programs find the whole error in _meta.
	 */
	return protocol_result(request, json_pack("{s:[{s:s, s:s}], s:b, s:{s:o}}", "content",
						  "type", "text", "text", text, "isError", 1,
						  "_meta", "pyro/error", whole));
}

json_t *protocol_token(const struct request *request)
{
	json_t *token = json_object_get(meta_of(request), "progressToken");

	return json_is_string(token) || json_is_integer(token) ? token : NULL;
}

json_t *protocol_progress(const struct request *request, json_int_t progress, const char *message)
{
	return json_pack("{s:s, s:s, s:{s:O, s:I, s:s}}", "jsonrpc", "2.0", "method",
			 "notifications/progress", "params", "progressToken",
			 protocol_token(request), "progress", progress, "message", message);
}
