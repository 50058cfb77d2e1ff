#include "mcp/roots.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"

#include <string.h>

#define ID "pyro-roots"
#define ANSWER_MS 10000 /* hosts answer at once; this is for a machine under great load */
#define ROOTS_MAX 32
#define SCHEME "file://"

void roots_done(struct roots *r)
{
	strv_free(r->paths);
	*r = (struct roots){0};
}

void roots_offer(struct roots *r, const json_t *params)
{
	const json_t *capabilities = json_object_get(params, "capabilities");

	roots_forget(r);
	r->are_offered = json_is_object(json_object_get(capabilities, "roots"));
}

/* An answer that is on its way is awaited still, or calls would wait for it forever. */
void roots_forget(struct roots *r)
{
	strv_free(r->paths);
	r->paths = NULL;
	r->are_known = false;
}

bool roots_are_missing(const struct roots *r)
{
	return r->are_offered && !r->are_known;
}

json_t *roots_ask(struct roots *r)
{
	if (r->deadline)
		return NULL;
	r->deadline = deadline_in(ANSWER_MS);
	return json_pack("{s:s, s:s, s:s}", "jsonrpc", "2.0", "id", ID, "method", "roots/list");
}

/* file:///home/user/a%20b as a path, or NULL. Owned by the caller. */
static char *path_of(const char *uri)
{
	if (!uri || strncmp(uri, SCHEME "/", strlen(SCHEME "/")) != 0)
		return NULL;
	return parse_percent(uri + strlen(SCHEME));
}

bool roots_take(struct roots *r, const json_t *message)
{
	const json_t *list = json_object_get(json_object_get(message, "result"), "roots");
	const char *id = json_string_value(json_object_get(message, "id"));
	size_t n = 0;

	if (!r->deadline || !id || strcmp(id, ID) != 0)
		return false;
	strv_free(r->paths);
	r->paths = mem_zalloc(ROOTS_MAX + 1, sizeof(*r->paths));
	for (size_t i = 0; i < json_array_size(list) && n < ROOTS_MAX; i++) {
		const json_t *root = json_array_get(list, i);

		r->paths[n] = path_of(json_string_value(json_object_get(root, "uri")));
		n += r->paths[n] != NULL;
	}
	r->are_known = true;
	r->deadline = 0;
	return true;
}

int64_t roots_mind_time(struct roots *r)
{
	if (r->deadline && deadline_left(r->deadline) == 0) {
		r->deadline = 0;
		r->are_known = true; /* there are none */
	}
	return r->deadline ? r->deadline : DEADLINE_NONE;
}
