/*
 * Values: JSON to arguments, records to JSON, and the memory of both.
 */
#ifndef OPS_VALUES_H
#define OPS_VALUES_H

#include "ops/ops.h"

#include <jansson.h>

/*
 * Fills *args, the op's zeroed args structure, from a JSON object. Types are strict, null stands
 * for absent, integers must lie in their bounds, and an unknown key is an error that names the
 * nearest known one. Defaults are not applied here (ops_apply_defaults does).
 *
 * Texts in *args are borrowed from `object`, which must live as long; the rest is owned: hand
 * *args to values_args_done(), also after a failure.
 */
int values_decode(const struct op_row *op, const json_t *object, enum ops_naming naming, void *args,
		  struct pyro_error *err);
void values_args_done(const struct op_row *op, void *args);

/* A new JSON object with every field of a record, in the order of the rows. */
json_t *values_encode(const struct rec_row *rec, const void *record);
/*
 * The inverse, for what a helper program reports: fills *record from an object. What the object
 * lacks is zero, or absent; what is of another type is an error, and *record is zeroed then.
 */
int values_decode_record(const struct rec_row *rec, const json_t *object, void *record,
			 struct pyro_error *err);
/* Frees what a record owns and zeroes it. */
void values_done(const struct rec_row *rec, void *record);

/* PYRO_E_INVALID: "LABEL: expected a string, got null". */
int values_wrong_type(const char *label, const char *expected, const json_t *value,
		      struct pyro_error *err);

/* {"code", "message", "hint", "retryable"}: the one shape of an error. */
json_t *values_encode_error(const struct pyro_error *error);

#endif
