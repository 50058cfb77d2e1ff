/*
 * Configuration of chat hosts, which others write and pyro edits, and what a host's command says of
 * it. First byte: 0 JSON with comments, 1 TOML, 2 what `claude mcp get` prints.
 */
#include "api/host.h"
#include "api/jsonc.h"
#include "api/toml.h"
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"mcp", "pyro", NULL};

/* What is left of `text` when some of it is taken away, is `kept`. */
static bool contains(const char *text, const char *kept)
{
	for (; *text; text++)
		kept += *text == *kept && *kept;
	return !*kept;
}

/* Nothing but `old` and `new` in their place differs: the rest is the same byte for byte. */
static void check_around(const char *before, const char *after, const char *old, const char *new)
{
	size_t common = 0, n = strlen(before), m = strlen(after);

	assert(n + strlen(new) == m + strlen(old));
	while (before[common] && before[common] == after[common])
		common++;
	while (n > common && m > common && before[n - 1] == after[m - 1]) {
		n--;
		m--;
	}
	assert(n - common <= strlen(old) && m - common <= strlen(new));
}

/* --- JSON with comments --- */

/* The same change of what was read. */
static json_t *set_in(const json_t *root, const char *const *path, json_t *value)
{
	json_t *copy = json_is_object(root) ? json_copy((json_t *)(uintptr_t)root) : json_object();

	if (path[1])
		value = set_in(json_object_get(root, *path), path + 1, value);
	else
		json_incref(value);
	(void)json_object_set_new(copy, *path, value);
	return copy;
}

static char *set_json(const char *text, const json_t *root, json_t *value)
{
	struct pyro_error err;
	char *edited = jsonc_set(text, names, value, &err);
	json_t *want, *got;

	assert(edited);
	want = set_in(root, names, value);
	got = jsonc_load(edited, &err);
	assert(got && json_equal(got, want));
	json_decref(want);
	json_decref(got);
	return edited;
}

static void check_edits(const char *text, const json_t *root)
{
	const json_t *inner = json_object_get(root, names[0]);
	json_t *one = json_string("one"), *three = json_string("a \"three\"");
	json_t *entry = json_pack("{s:[s, s], s:b}", "command", "pyro", "mcp", "enabled", 1);
	AUTO_FREE char *first = set_json(text, root, one), *second = set_json(first, root, three);
	AUTO_FREE char *back = set_json(second, root, one);

	if (!inner || (json_is_object(inner) && !json_object_get(inner, names[1])))
		assert(contains(first, text));
	check_around(first, second, "\"one\"", "\"a \\\"three\\\"\"");
	assert(strcmp(first, back) == 0);
	free(set_json(first, root, entry));
	json_decref(one);
	json_decref(three);
	json_decref(entry);
}

static void try_jsonc(const char *text)
{
	struct pyro_error err;
	json_t *root = jsonc_load(text, &err), *value = json_true();

	if (!root)
		assert(err.code == PYRO_E_INVALID && !jsonc_set(text, names, value, &err));
	else if (json_is_object(root))
		check_edits(text, root);
	else
		assert(!jsonc_set(text, names, value, &err) && err.code == PYRO_E_INVALID);
	json_decref(root);
}

/* --- TOML --- */

static void try_toml(const char *text)
{
	AUTO_FREE char *first = NULL, *second = NULL, *back = NULL;
	struct pyro_error err;

	if (!toml_has_table(text, names)) {
		assert(!toml_set(text, names, "command", "1", &err) && err.code == PYRO_E_INVALID);
		return;
	}
	first = toml_set(text, names, "command", "\"one\"", &err);
	assert(first && toml_has_table(first, names));
	if (!strstr(text, "command"))
		assert(contains(first, text));
	second = toml_set(first, names, "command", "[ 'a', \"#\" ]", &err);
	assert(second && toml_has_table(second, names));
	check_around(first, second, "\"one\"", "[ 'a', \"#\" ]");
	back = toml_set(second, names, "command", "\"one\"", &err);
	assert(back && strcmp(back, first) == 0);
}

static void try_claude(const char *text)
{
	struct host_entry entry = {0};

	if (host_claude_parse(text, &entry))
		assert(entry.is_found && entry.scope);
	host_entry_done(&entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static void (*const tries[])(const char *) = {try_jsonc, try_toml, try_claude};
	AUTO_FREE char *text = NULL;

	if (size < 1)
		return 0;
	text = mem_strndup((const char *)bytes + 1, size - 1);
	tries[bytes[0] % ARRAY_SIZE(tries)](text);
	return 0;
}
