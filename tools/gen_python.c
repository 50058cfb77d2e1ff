/*
 * The generated part of the Python package: signatures, types and documentation. What they do is
 * in python/pyro_mcp/_pyro.py.
 *
 * A parameter is positional where it is on the command line, except for the environment of an
 * operation that has more to say; behind one with a default everything may be positional.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "gen.h"
#include "ops/ops.h"
#include "pyro.h"

#include <ctype.h>
#include <string.h>

#define COLUMNS 100
#define INDENT "        " /* inside a method */

/* unknown_environment as UnknownEnvironment, system_error as System. */
static void put_class(struct buf *out, const char *name)
{
	size_t len = strlen(name);
	const char *end = name + len;

	if (len > 6 && strcmp(end - 6, "_error") == 0)
		end -= 6;
	for (bool is_first = true; name < end; name++) {
		if (*name != '_')
			buf_printf(out, "%c", is_first ? toupper(*name) : *name);
		is_first = *name == '_';
	}
}

/* Lines, the first one behind `first`, the others behind `indent`; code is cut behind commas. */
static void put_wrapped(struct buf *out, const char *first, const char *indent, bool is_code,
			const char *text)
{
	while (*text) {
		size_t room = COLUMNS - strlen(first), len = strlen(text);

		for (size_t cut = room; len > room; cut--)
			if (text[cut] == ' ' && (!is_code || text[cut - 1] == ','))
				len = cut;
		buf_printf(out, "%s%.*s\n", first, (int)len, text);
		text += len + (text[len] == ' ');
		first = indent;
	}
}

static void put_type(struct buf *out, enum op_kind kind, const struct rec_row *of)
{
	static const char *const types[] = {
		[KIND_STR] = "str",
		[KIND_BOOL] = "bool",
		[KIND_ON] = "bool",
		[KIND_INT] = "int",
		[KIND_NUM] = "float",
		[KIND_STRV] = "list[str]",
		[KIND_CMD] = "str | list[str]",
		[KIND_MAP] = "dict[str, str]",
	};

	if (!of) {
		buf_puts(out, types[kind]);
		return;
	}
	buf_puts(out, kind == KIND_LIST ? "list[" : "");
	put_class(out, of->name);
	buf_puts(out, kind == KIND_LIST ? "]" : "");
}

static bool is_offered(const struct op_input *in)
{
	return !(in->flags & CLI_ONLY);
}

static bool is_required(const struct op_input *in)
{
	return in->flags & (REQUIRED | ASSUMED);
}

/* Whether the inputs from here on, or all, are given by name only. */
static bool is_named(const struct op_row *op, const struct op_input *in)
{
	if (in->flags & POS)
		return strcmp(in->name, "environment") == 0 && is_required(in) && in[1].name;
	for (const struct op_input *before = op->inputs; before < in; before++)
		if (before->flags & POS && !is_required(before))
			return false;
	return true;
}

static void put_parameter(struct buf *out, const struct op_input *in)
{
	bool is_number = in->kind == KIND_INT && in->def;
	bool is_switch = in->kind == KIND_BOOL || in->kind == KIND_ON;

	buf_printf(out, ", %s: ", in->name);
	if (in->flags & HOST_PATH)
		buf_puts(out, "str | PathLike[str]");
	else
		put_type(out, in->kind, in->of);
	if (is_required(in))
		return;
	if (is_switch)
		buf_printf(out, " = %s", in->kind == KIND_ON ? "True" : "False");
	else if (is_number)
		buf_printf(out, " = %s", in->def);
	else if (in->def)
		buf_printf(out, " = \"%s\"", in->def);
	else
		buf_puts(out, " | None = None");
}

static void put_documentation(struct buf *out, const struct op_row *op)
{
	AUTO_FREE char *returns = mem_printf("Returns: %s.", op->ret->text);

	buf_printf(out, INDENT "\"\"\"%s.\n\n", op->summary);
	put_wrapped(out, INDENT, INDENT, false, op->usage);
	buf_puts(out, "\n");
	for (const struct op_input *in = op->inputs; in->name; in++) {
		AUTO_FREE char *bounds = in->kind == KIND_INT
						 ? mem_printf("; %lld to %lld", (long long)in->min,
							      (long long)in->max)
						 : mem_strdup("");
		AUTO_FREE char *text = mem_printf("%s: %s%s.", in->name, in->text, bounds);

		if (is_offered(in))
			put_wrapped(out, INDENT, INDENT "    ", false, text);
	}
	put_wrapped(out, INDENT, INDENT, false, returns);
	buf_puts(out, INDENT "\"\"\"\n");
}

static void put_signature(struct buf *out, const struct op_row *op)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	bool is_named_now = false;

	buf_printf(&text, "def %s(self", op->name);
	for (const struct op_input *in = op->inputs; in->name; in++) {
		if (!is_offered(in))
			continue;
		if (!is_named_now && is_named(op, in)) {
			buf_puts(&text, ", *");
			is_named_now = true;
		}
		put_parameter(&text, in);
	}
	buf_puts(&text, ") -> ");
	put_class(&text, op->ret->name);
	buf_puts(&text, ":");
	put_wrapped(out, "    ", INDENT "    ", true, buf_text(&text));
}

static void put_method(struct buf *out, const struct op_row *op)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	const char *comma = "";

	buf_puts(out, "\n");
	put_signature(out, op);
	put_documentation(out, op);
	buf_printf(&text, "return self._call(\"%s\", {", op->name);
	for (const struct op_input *in = op->inputs; in->name; in++) {
		if (!is_offered(in))
			continue;
		buf_printf(&text, "%s\"%s\": %s", comma, in->name, in->name);
		comma = ", ";
	}
	buf_puts(&text, "})");
	put_wrapped(out, INDENT, INDENT "    ", true, buf_text(&text));
}

void gen_methods(struct buf *out)
{
	buf_puts(out, "# " GEN_NOTE "\n"
		      "# pylint: disable=redefined-builtin,too-many-lines\n"
		      "\"\"\"The operations of pyro as methods.\"\"\"\n"
		      "from __future__ import annotations\n\n"
		      "from os import PathLike\n"
		      "from typing import Any\n\n"
		      "from .records import *  # noqa: F403\n\n"
		      "VERSION = \"" PYRO_VERSION "\"\n\n\n"
		      "class Methods:\n"
		      "    \"\"\"What Pyro inherits.\"\"\"\n\n"
		      "    def _call(self, name: str, arguments: dict[str, Any]) -> Any:\n"
		      "        raise NotImplementedError\n");
	/* These two are about the process itself and its terminal. */
	for (int i = 0; i < OP_COUNT; i++)
		if (i != OP_serve_mcp && i != OP_attach_shell)
			put_method(out, &ops_rows[i]);
}

/* Whether callers make such a record, and may leave out what is NULLABLE. */
static bool is_given(const struct rec_row *rec)
{
	for (int i = 0; i < OP_COUNT; i++)
		for (const struct op_input *in = ops_rows[i].inputs; in->name; in++)
			if (in->of == rec)
				return true;
	return false;
}

static void put_record_field(struct buf *out, const struct rec_row *rec, const struct rec_field *f)
{
	bool is_nullable = f->flags & NULLABLE;
	bool may_miss = is_nullable && (f->of || is_given(rec));

	buf_printf(out, "    %s: %s", f->name, may_miss ? "NotRequired[" : "");
	put_type(out, f->kind, f->of);
	buf_printf(out, "%s%s\n", is_nullable && !f->of ? " | None" : "", may_miss ? "]" : "");
	put_wrapped(out, "    # ", "    # ", false, f->text);
}

void gen_records(struct buf *out)
{
	buf_puts(out,
		 "# " GEN_NOTE "\n"
		 "# pylint: disable=too-many-lines\n"
		 "\"\"\"What operations take and return: plain dictionaries of these types.\"\"\"\n"
		 "from __future__ import annotations\n\n"
		 "from typing import NotRequired, TypedDict\n");
	for (int i = 0; i < REC_COUNT; i++) {
		const struct rec_row *rec = &ops_records[i];

		buf_puts(out, "\n\nclass ");
		put_class(out, rec->name);
		buf_printf(out, "(TypedDict):\n    \"\"\"%s.\"\"\"\n\n", rec->text);
		for (const struct rec_field *f = rec->fields; f->name; f++)
			put_record_field(out, rec, f);
	}
}

void gen_errors(struct buf *out)
{
	buf_puts(out,
		 "# " GEN_NOTE "\n"
		 "\"\"\"How calls fail: PyroError, and a class for each code.\"\"\"\n"
		 "from __future__ import annotations\n\n\n"
		 "class PyroError(Exception):\n"
		 "    \"\"\"A call failed: what failed, on what, and why, in one line.\n\n"
		 "    code: the stable name of what kind of error it is, \"unknown_environment\".\n"
		 "    message: what str() shows, without the hint.\n"
		 "    hint: the next command or change, or \"\".\n"
		 "    retryable: whether the same call can succeed later without any change.\n"
		 "    \"\"\"\n\n"
		 "    def __init__(self, code: str, message: str, hint: str = \"\", retryable: "
		 "bool = False):\n"
		 "        super().__init__(message)\n"
		 "        self.code, self.message, self.hint, self.retryable = code, message, "
		 "hint, retryable\n\n"
		 "    def __str__(self) -> str:\n"
		 "        return f\"{self.message}\\nhint: {self.hint}\" if self.hint else "
		 "self.message\n\n"
		 "    def __reduce__(self) -> tuple[type[PyroError], tuple[str, str, str, bool]]:\n"
		 "        return type(self), (self.code, self.message, self.hint, "
		 "self.retryable)\n");
#define ERR(code, wire, retryable, hint)                                           \
	buf_puts(out, "\n\nclass ");                                               \
	put_class(out, wire);                                                      \
	buf_printf(out, "(PyroError):\n    \"\"\"The error '%s'%s.\"\"\"\n", wire, \
		   (retryable) ? ", which may go away by itself" : "");
#include "ops/errors.def"
#undef ERR
	buf_puts(out, "\n\nBY_CODE = {\n");
#define ERR(code, wire, retryable, hint)       \
	buf_printf(out, "    \"%s\": ", wire); \
	put_class(out, wire);                  \
	buf_puts(out, ",\n");
#include "ops/errors.def"
#undef ERR
	buf_puts(out, "}\n");
}
