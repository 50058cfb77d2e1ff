/*
 * The operations as tables: what ops/ops.def, ops/records.def and ops/groups.def say, as rows that
 * the surfaces walk. Nothing here is written by hand for one operation, and everything is const.
 *
 * The fields of the args and ret structures (include/pyro/ops.h) are reached through offsets: a
 * row and a pointer to the structure it describes always travel together.
 */
#ifndef OPS_OPS_H
#define OPS_OPS_H

#include "pyro/ops.h"

struct pyro;
struct pyro_error;

enum op_id {
#define OP(op, ...) OP_##op,
#include "ops/ops.def"
	OP_COUNT
};

enum rec_id {
#define REC(rec, text) REC_##rec,
#define FLD(...)
#define FLD_REC(...)
#define FLD_LIST(...)
#define END_REC(...)
#include "ops/records.def"
#undef REC
#undef FLD
#undef FLD_REC
#undef FLD_LIST
#undef END_REC
	REC_COUNT
};

enum op_kind {
	KIND_STR,
	KIND_BOOL,
	KIND_ON, /* of inputs */
	KIND_INT,
	KIND_NUM,
	KIND_STRV,
	KIND_CMD,
	KIND_MAP,
	KIND_REC,
	KIND_LIST,
};

/* The words of the .def files, which explain them. */
enum op_hint {
	READ_ONLY = 1 << 0,
	DESTRUCTIVE = 1 << 1,
	IDEMPOTENT = 1 << 2,
	OPEN_WORLD = 1 << 3,
	STREAMS = 1 << 4,
	JSON_RESULT = 1 << 5,
};

enum input_flag {
	REQUIRED = 1 << 0,
	POS = 1 << 1,
	REST = 1 << 2,
	CLI_ONLY = 1 << 3,
	ASSUMED = 1 << 4,
	OR_FILE = 1 << 5,
	HOST_PATH = 1 << 6,
};

enum field_flag {
	NULLABLE = 1 << 0,
	TIME = 1 << 1,
	BYTES = 1 << 2,
	MILLIS = 1 << 3,
	COLUMN = 1 << 4,
};

struct rec_field {
	const char *name; /* NULL ends the fields of a record */
	enum op_kind kind;
	unsigned flags;
	size_t offset;
	size_t side; /* offset of has_FIELD (KIND_REC) or FIELD_count (KIND_LIST) */
	const struct rec_row *of;
	const char *text;
};

struct rec_row {
	const char *name;
	const char *text;
	size_t size;
	const struct rec_field *fields;
};

struct op_input {
	const char *name; /* NULL ends the inputs of an operation */
	enum op_kind kind;
	unsigned flags;
	const char *metavar;
	const char *def; /* the default as text, or NULL */
	int64_t min, max;
	const char *text;
	size_t offset;
	size_t side;              /* offset of INPUT_count (KIND_LIST) */
	const struct rec_row *of; /* KIND_REC, KIND_LIST */
};

/* How the command line gives an object, or one of a list, by one text. */
struct op_option {
	const char *input; /* NULL ends the options of an operation */
	const char *form;  /* "--publish [HOST_PORT:]GUEST_PORT" */
	const char *type;  /* goes into the field "type"; NULL: there is none */
	const char *first; /* the field for what stands before the separator; NULL: none */
	char separator;
	const char *second;
	const char *text;
};

struct op_example {
	const char *command; /* NULL ends the examples of an operation */
	const char *text;
};

struct op_row {
	const char *name;
	const char *cli; /* NULL: not a command */
	const char *mcp; /* NULL: not a tool */
	const struct rec_row *ret;
	unsigned hints;
	const char *title;
	const char *summary;
	const char *usage;
	size_t args_size;
	const struct op_input *inputs;
	const struct op_option *options;
	const struct op_example *examples;
	const char *next;
};

struct op_group {
	const char *words; /* NULL ends ops_groups */
	const char *text;
};

extern const struct op_row ops_rows[OP_COUNT];
extern const struct rec_row ops_records[REC_COUNT];
extern const struct op_group ops_groups[];

/* The operation with that MCP name, or NULL. */
const struct op_row *ops_by_mcp(const char *name);
/* The input, or the field of a record, with that name, or NULL. */
const struct op_input *ops_input(const struct op_row *op, const char *name);
const struct rec_field *ops_field(const struct rec_row *rec, const char *name);

/* How a message names an input: timeout_seconds, arguments.timeout_seconds, --timeout-seconds. */
enum ops_naming {
	NAMING_FIELD,
	NAMING_JSON,
	NAMING_CLI,
};
#define OPS_LABEL_MAX 96
void ops_input_label(const struct op_input *in, enum ops_naming naming, char label[OPS_LABEL_MAX]);
/* What stands for its value on the command line: KEY=VALUE; NULL for a BOOL. */
const char *ops_metavar(const struct op_input *in);

/*
 * Copies `given` to `ret` (both the op's args structure) with every zero field replaced by its
 * default, then checks that what is required is there and that integers are in their bounds.
 * Every pyro_<op>() begins with it, so that callers in C may leave fields zero. Pointers in *ret
 * are borrowed from *given or static. `given` may be NULL: all defaults.
 */
int ops_apply_defaults(enum op_id id, const void *given, void *ret, struct pyro_error *err);

/* Calls pyro_<op>(); args and ret are its structures. (call.c: the one file that needs them all.)
 */
int ops_call(enum op_id id, struct pyro *p, const void *args, void *ret, struct pyro_error *err);

#endif
