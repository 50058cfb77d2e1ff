#include "mcp/words.h"

#include "base/buf.h"
#include "base/parse.h"
#include "mcp/tool.h"
#include "ops/ops.h"

#include <jansson.h>
#include <string.h>

#define TEXT_MAX (64 * 1024)

/* The operation whose words the text begins with, and what follows them. */
static const struct op_row *match_command(const char *text, const char **ret_rest)
{
	const struct op_row *best = NULL;
	size_t best_len = 0;

	for (int i = 0; i < OP_COUNT; i++) {
		const char *words = ops_rows[i].cli;
		size_t len = words ? strlen(words) : 0;

		if (len > best_len && strncmp(text, words, len) == 0 &&
		    (text[len] == ' ' || !text[len])) {
			best = &ops_rows[i];
			best_len = len;
		}
	}
	*ret_rest = text + best_len;
	return best;
}

/* The next word, without punctuation behind it; "" if there is none. Owned by the caller. */
static char *take_word(const char **rest)
{
	const char *word = *rest + strspn(*rest, " ");
	size_t len = strcspn(word, " ");

	while (len && strchr(",.;:", word[len - 1]))
		len--;
	*rest = word + len;
	return mem_strndup(word, len);
}

static void add_argument(json_t *arguments, const struct op_input *in, const char *word)
{
	int64_t n;

	if (in->kind == KIND_INT && parse_int(word, INT64_MIN, INT64_MAX, &n))
		json_object_set_new(arguments, in->name, json_integer(n));
	else
		json_object_set_new(arguments, in->name, json_string(word));
}

/* `WORKSPACE_ID 3 --offset 4096` as {"workspace_id": …, "sequence": 3, "offset": 4096}. */
static char *take_arguments(const struct op_row *op, const char **rest)
{
	json_t *arguments = json_object();
	char *text;

	for (const struct op_input *in = op->inputs; in->name; in++) {
		const char *before = *rest;
		AUTO_FREE char *word = NULL;

		if (!(in->flags & POS) || !(in->flags & REQUIRED))
			continue;
		word = take_word(rest);
		if (*word)
			add_argument(arguments, in, word);
		else
			*rest = before;
	}
	for (const struct op_input *in = op->inputs; in->name; in++) {
		char label[OPS_LABEL_MAX];
		const char *after = *rest;
		AUTO_FREE char *option = take_word(&after);
		AUTO_FREE char *word = NULL;

		ops_input_label(in, NAMING_CLI, label);
		if (in->kind == KIND_BOOL || strcmp(option, label) != 0)
			continue;
		*rest = after;
		word = take_word(rest);
		add_argument(arguments, in, word);
	}
	text = json_dumps(arguments, 0);
	json_decref(arguments);
	return text;
}

char *words_for_tools(const struct profile *profile, const char *text)
{
	static const char command[] = "pyro ";
	AUTO_BUF struct buf out = BUF_INIT(TEXT_MAX);
	const char *at;

	while ((at = strstr(text, command))) {
		const char *rest;
		const struct op_row *op = match_command(at + strlen(command), &rest);
		const struct op_row *tool = op ? tool_for(profile, op) : NULL;

		buf_append(&out, text, (size_t)(at - text));
		if (tool && (at == text || strchr(" ('", at[-1]))) {
			AUTO_FREE char *arguments = take_arguments(op, &rest);
			bool has_any = strcmp(arguments, "{}") != 0;

			buf_puts(&out, tool->mcp);
			if (has_any)
				buf_printf(&out, " %s", arguments);
			text = rest;
		} else {
			buf_puts(&out, command);
			text = at + strlen(command);
		}
	}
	buf_puts(&out, text);
	return buf_take(&out);
}
