/*
 * The operations as C structures and functions, from the rows in ops/records.def and ops/ops.def.
 *
 * For an operation `run_in_vm` there is `struct pyro_run_in_vm_args`, whose fields left zero mean
 * their defaults, the record it returns, `struct pyro_run`, and
 *
 *	int pyro_run_in_vm(struct pyro *, const struct pyro_run_in_vm_args *, struct pyro_run *ret,
 *			   struct pyro_error *err);
 *
 * Arguments are borrowed for the call. *ret is written on success only and is then the caller's:
 * hand it to pyro_run_done(), or its like for the record's name, when done with it.
 */
#ifndef PYRO_OPS_H
#define PYRO_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pyro;
struct pyro_error;

/* A NULLABLE integer or number that is absent. */
#define PYRO_NONE INT64_MIN

/* Of a boolean that is true unless said otherwise. */
enum pyro_switch {
	PYRO_ON,
	PYRO_OFF,
};

/* begin rows: an installed header has what they expand to, and what they say */
#define PYRO_IN_STR(f) const char *f;
#define PYRO_IN_BOOL(f) bool f;
#define PYRO_IN_INT(f) int64_t f;
#define PYRO_IN_ON(f) enum pyro_switch f;
#define PYRO_IN_CMD(f) const char *const *f;  /* NULL-terminated; one element: a shell's line */
#define PYRO_IN_STRV(f) const char *const *f; /* NULL-terminated */
#define PYRO_IN_MAP(f) const char *const *f;  /* NULL-terminated, "KEY=VALUE" each */

#define PYRO_FLD_STR(f) char *f;
#define PYRO_FLD_BOOL(f) bool f;
#define PYRO_FLD_INT(f) int64_t f;
#define PYRO_FLD_NUM(f) double f;
#define PYRO_FLD_STRV(f) char **f; /* NULL-terminated */
#define PYRO_FLD_CMD(f) char **f;  /* NULL-terminated; one element: a shell's line */
#define PYRO_FLD_MAP(f) char **f;  /* NULL-terminated, "KEY=VALUE" each */

/* clang-format off */
#define REC(rec, text) struct pyro_##rec {
#define FLD(rec, field, kind, flags, text) PYRO_FLD_##kind(field)
#define FLD_REC(rec, field, of, flags, text) bool has_##field; struct pyro_##of field;
#define FLD_LIST(rec, field, of, text) struct pyro_##of *field; size_t field##_count;
#define END_REC(rec) }; void pyro_##rec##_done(struct pyro_##rec *ret);
#include "ops/records.def"
#undef REC
#undef FLD
#undef FLD_REC
#undef FLD_LIST
#undef END_REC

#define OP(op, cli, mcp, rec, hints, title, summary, usage)                                        \
	struct pyro_##op##_args;                                                                   \
	int pyro_##op(struct pyro *p, const struct pyro_##op##_args *args,                         \
		      struct pyro_##rec *ret, struct pyro_error *err);                             \
	struct pyro_##op##_args {
#define IN(op, field, kind, flags, metavar, def, min, max, text) PYRO_IN_##kind(field)
#define IN_REC(op, field, rec, flags, text) const struct pyro_##rec *field;
#define IN_LIST(op, field, rec, flags, text) const struct pyro_##rec *field; size_t field##_count;
#define END(op) };
#include "ops/ops.def"
/* clang-format on */
/* end rows */

#ifdef __cplusplus
}
#endif

#endif
