/*
 * What tools/gen makes, each into a file below the root.
 */
#ifndef GEN_H
#define GEN_H

struct buf;
struct pyro_error;

#define GEN_NOTE "made by make gen from the rows in ops/; do not edit"

/* python/pyro_mcp: a method for each operation, a type for each record, a class for each error. */
void gen_methods(struct buf *out);
void gen_records(struct buf *out);
void gen_errors(struct buf *out);

/* docs/reference/mcp.md */
void gen_mcp(struct buf *out);
/* Text of a table's cell in Markdown. */
void gen_cell(struct buf *out, const char *text);

/*
 * The headers include/pyro/{ops,error}.h as they are installed, in dir: the rows expanded and
 * documented. root is where the source is.
 */
int gen_headers(const char *root, const char *dir, struct pyro_error *err);

#endif
