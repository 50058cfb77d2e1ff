/*
 * The installed headers are those in include/, except that what stands between "begin rows" and
 * "end rows" there is written out, with what the rows say as comments.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "gen.h"
#include "ops/ops.h"
#include "pyro/error.h"

#include <string.h>

#define HEADER_MAX (1024 * 1024)
#define BEGIN "begin rows"
#define END "/* end rows */"
#define COLUMNS 96

/* A comment of that indentation, its text in lines. */
static void put_comment(struct buf *out, const char *indent, const char *text)
{
	size_t room = COLUMNS - 8 * strlen(indent) - strlen("/*  */");

	if (strlen(text) <= room) {
		buf_printf(out, "%s/* %s */\n", indent, text);
		return;
	}
	buf_printf(out, "%s/*\n", indent);
	while (*text) {
		size_t len = strlen(text);

		for (size_t cut = room; len > room; cut--)
			if (text[cut] == ' ')
				len = cut;
		buf_printf(out, "%s * %.*s\n", indent, (int)len, text);
		text += len + (text[len] == ' ');
	}
	buf_printf(out, "%s */\n", indent);
}

static void put_codes(struct buf *out)
{
#define ERR(code, wire, retryable, hint) \
	buf_printf(out, "\tPYRO_E_%s, /* %s%s */\n", #code, wire, (retryable) ? ", retryable" : "");
#include "ops/errors.def"
#undef ERR
}

static void put_field(struct buf *out, const struct rec_field *f)
{
	static const char *const types[] = {
		[KIND_STR] = "char *",  [KIND_BOOL] = "bool ",   [KIND_INT] = "int64_t ",
		[KIND_NUM] = "double ", [KIND_STRV] = "char **", [KIND_CMD] = "char **",
		[KIND_MAP] = "char **",
	};
	static const char *const notes[KIND_LIST + 1] = {
		[KIND_STRV] = "; NULL-terminated",
		[KIND_CMD] = "; NULL-terminated, one element: a shell's line",
		[KIND_MAP] = "; NULL-terminated, \"KEY=VALUE\" each",
	};
	AUTO_FREE char *text = mem_printf("%s%s%s", f->text, notes[f->kind] ? notes[f->kind] : "",
					  !(f->flags & NULLABLE) || f->of ? ""
					  : f->kind == KIND_STR           ? "; may be NULL"
									  : "; may be PYRO_NONE");

	put_comment(out, "\t", text);
	if (!f->of)
		buf_printf(out, "\t%s%s;\n", types[f->kind], f->name);
	else if (f->kind == KIND_REC)
		buf_printf(out, "\tbool has_%s;\n\tstruct pyro_%s %s;\n", f->name, f->of->name,
			   f->name);
	else
		buf_printf(out, "\tstruct pyro_%s *%s;\n\tsize_t %s_count;\n", f->of->name, f->name,
			   f->name);
}

static void put_input(struct buf *out, const struct op_input *in)
{
	static const char *const types[] = {
		[KIND_STR] = "const char *",
		[KIND_BOOL] = "bool ",
		[KIND_INT] = "int64_t ",
		[KIND_ON] = "enum pyro_switch ",
		[KIND_CMD] = "const char *const *",
		[KIND_STRV] = "const char *const *",
		[KIND_MAP] = "const char *const *",
	};
	AUTO_BUF struct buf text = BUF_INIT(1024);

	buf_puts(&text, in->text);
	if (in->kind == KIND_INT)
		buf_printf(&text, "; %lld to %lld", (long long)in->min, (long long)in->max);
	if (in->def)
		buf_printf(&text, "; default %s", in->def);
	else if (in->flags & REQUIRED)
		buf_puts(&text, "; required");
	if (in->kind == KIND_STRV || in->kind == KIND_CMD)
		buf_puts(&text, "; NULL-terminated");
	if (in->kind == KIND_MAP)
		buf_puts(&text, "; NULL-terminated, \"KEY=VALUE\" each");
	put_comment(out, "\t", buf_text(&text));
	if (in->of)
		buf_printf(out, "\tconst struct pyro_%s *%s;\n", in->of->name, in->name);
	else
		buf_printf(out, "\t%s%s;\n", types[in->kind], in->name);
	if (in->kind == KIND_LIST)
		buf_printf(out, "\tsize_t %s_count;\n", in->name);
}

static void put_op(struct buf *out, const struct op_row *op)
{
	AUTO_FREE char *text = mem_printf("%s. %s", op->summary, op->usage);

	buf_puts(out, "\n");
	put_comment(out, "", text);
	buf_printf(out,
		   "struct pyro_%s_args;\n"
		   "int pyro_%s(struct pyro *p, const struct pyro_%s_args *args,\n"
		   "\t\tstruct pyro_%s *ret, struct pyro_error *err);\n"
		   "struct pyro_%s_args {\n",
		   op->name, op->name, op->name, op->ret->name, op->name);
	for (const struct op_input *in = op->inputs; in->name; in++)
		put_input(out, in);
	buf_puts(out, "};\n");
}

static void put_rows(struct buf *out)
{
	for (int i = 0; i < REC_COUNT; i++) {
		const struct rec_row *rec = &ops_records[i];

		buf_puts(out, i ? "\n" : "");
		put_comment(out, "", rec->text);
		buf_printf(out, "struct pyro_%s {\n", rec->name);
		for (const struct rec_field *f = rec->fields; f->name; f++)
			put_field(out, f);
		buf_printf(out, "};\nvoid pyro_%s_done(struct pyro_%s *ret);\n", rec->name,
			   rec->name);
	}
	for (int i = 0; i < OP_COUNT; i++)
		put_op(out, &ops_rows[i]);
}

static int make(const char *root, const char *dir, const char *name, void (*put)(struct buf *),
		struct pyro_error *err)
{
	AUTO_FREE char *from = mem_printf("%s/include/pyro/%s", root, name);
	AUTO_FREE char *to = mem_printf("%s/%s", dir, name);
	AUTO_BUF struct buf in = BUF_INIT(HEADER_MAX), out = BUF_INIT(HEADER_MAX);
	const char *begin, *end;

	if (file_read(from, &in, err) < 0)
		return -1;
	begin = strstr(buf_text(&in), BEGIN);
	end = begin ? strstr(begin, END) : NULL;
	if (!end)
		return err_set(err, PYRO_E_INVALID, "'%s' has no rows", from);
	while (*begin != '\n') /* back to where the line begins */
		begin--;
	buf_append(&out, in.data, (size_t)(begin + 1 - buf_text(&in)));
	put(&out);
	buf_puts(&out, end + strlen(END) + 1);
	return file_write_atomic(to, buf_text(&out), out.len, 0644, err);
}

int gen_headers(const char *root, const char *dir, struct pyro_error *err)
{
	if (make(root, dir, "ops.h", put_rows, err) < 0)
		return -1;
	return make(root, dir, "error.h", put_codes, err);
}
