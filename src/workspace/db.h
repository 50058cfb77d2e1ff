/*
 * db: the SQLite database behind the records, for the modules of this folder only.
 *
 * Statements are one call each; a format says what the arguments are: t text (NULL: null), i
 * int64_t, d double.
 */
#ifndef WORKSPACE_DB_H
#define WORKSPACE_DB_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdint.h>

struct pyro_error;
struct records;

/* Runs a statement that returns no rows. */
int db_run(struct records *r, struct pyro_error *err, const char *sql, const char *format, ...);
/* How many rows the last statement changed. */
int db_changes(struct records *r);
/* A statement with its arguments, to be stepped by db_step() and ended by db_end(); NULL with err.
 */
sqlite3_stmt *db_query(struct records *r, struct pyro_error *err, const char *sql,
		       const char *format, ...);
/* 1: a row is there; 0: no more; -1 with err. */
int db_step(struct records *r, sqlite3_stmt *stmt, struct pyro_error *err);
void db_end(sqlite3_stmt *stmt);
/* One integer, or `none` if there is no row. */
int db_number(struct records *r, struct pyro_error *err, int64_t none, int64_t *ret,
	      const char *sql, const char *format, ...);
/* A column's text, owned by the caller; NULL for null. */
char *db_text(sqlite3_stmt *stmt, int column);
/* A command, which is one text for a shell or a list, as words: NULL-terminated, the caller's. */
char **db_json_words(const json_t *command);
/* The same of a column with its JSON. */
char **db_words(sqlite3_stmt *stmt, int column);
/* A column's number, PYRO_NONE for null. */
int64_t db_int(sqlite3_stmt *stmt, int column);
double db_real(sqlite3_stmt *stmt, int column);

/*
 * A write transaction: what other processes do waits until its end. db_commit() with result < 0
 * rolls back; it returns result, or -1 with err when committing fails.
 */
int db_begin(struct records *r, struct pyro_error *err);
int db_commit(struct records *r, int result, struct pyro_error *err);

#endif
