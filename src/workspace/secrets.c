#include "workspace/secrets.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/utf8.h"
#include "workspace/db.h"
#include "workspace/records.h"
#include "workspace/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD "pyro-secrets 1\n"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define FILE_MAX (SECRETS_TOTAL_MAX + SECRETS_MAX * (SECRETS_NAME_MAX + 2) + sizeof(HEAD))

/* A buffer of its whole size from the beginning, so that growing leaves no copies behind. */
static void reserve(struct buf *b)
{
	(void)buf_room(b, b->max);
}

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_done(b);
}

#define AUTO_WIPED __attribute__((cleanup(wipe)))

int secrets_check_name(const char *what, const char *name, struct pyro_error *err)
{
	size_t len = strlen(name);

	if (len >= 1 && len <= SECRETS_NAME_MAX && strchr(LETTERS, *name) &&
	    strspn(name, LETTERS "0123456789") == len)
		return 0;
	(void)err_set(err, PYRO_E_INVALID, "%s '%.80s' is not a good one", what, name);
	return err_hint(err, "1 to %d letters, digits and underscores, the first no digit",
			SECRETS_NAME_MAX);
}

static int check_value(const char *name, const char *value, size_t len, struct pyro_error *err)
{
	if (len < 1)
		return err_set(err, PYRO_E_INVALID, "secret '%s' is empty", name);
	if (len > SECRETS_VALUE_MAX)
		return err_set(err, PYRO_E_LIMIT, "secret '%s' is longer than %zu bytes", name,
			       SECRETS_VALUE_MAX);
	if (memchr(value, '\0', len) || !utf8_is_valid(value, len))
		return err_set(err, PYRO_E_INVALID, "secret '%s' is no UTF-8 text without NUL",
			       name);
	return 0;
}

static int check_room(const struct secrets *s, const char *name, size_t len, struct pyro_error *err)
{
	size_t total = len;

	if (secrets_find(s, name))
		return err_set(err, PYRO_E_INVALID, "secret '%s' is given twice", name);
	if (s->n == SECRETS_MAX)
		return err_set(err, PYRO_E_LIMIT, "there are more than %d secrets", SECRETS_MAX);
	for (char *const *value = s->values; value && *value; value++)
		total += strlen(*value);
	return total <= SECRETS_TOTAL_MAX
		       ? 0
		       : err_set(err, PYRO_E_LIMIT,
				 "the secrets are longer than %zu bytes together",
				 SECRETS_TOTAL_MAX);
}

static int add(struct secrets *s, const char *name, const char *value, size_t len,
	       struct pyro_error *err)
{
	if (secrets_check_name("secret name", name, err) < 0 ||
	    check_value(name, value, len, err) < 0 || check_room(s, name, len, err) < 0)
		return -1;
	s->names = mem_resize(s->names, s->n + 2, sizeof(*s->names));
	s->values = mem_resize(s->values, s->n + 2, sizeof(*s->values));
	s->names[s->n] = mem_strdup(name);
	s->values[s->n++] = mem_strndup(value, len);
	s->names[s->n] = s->values[s->n] = NULL;
	return 0;
}

static int add_file(struct secrets *s, const char *name, const char *path, struct pyro_error *err)
{
	AUTO_WIPED struct buf value = BUF_INIT(SECRETS_VALUE_MAX);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, PYRO_E_INVALID, "secret '%s': open '%s': %s", name, path,
			       strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, PYRO_E_INVALID, "secret '%s': '%s' is no regular file", name,
			       path);
	reserve(&value);
	if (file_read_fd(fd, path, &value, err) < 0)
		return err_wrap(err, "secret '%s'", name);
	return add(s, name, buf_text(&value), value.len, err);
}

int secrets_add(struct secrets *s, const struct pyro_secret_source *source, struct pyro_error *err)
{
	if (!source->value != !source->file_path)
		return source->value
			       ? add(s, source->name, source->value, strlen(source->value), err)
			       : add_file(s, source->name, source->file_path, err);
	(void)err_set(err, PYRO_E_INVALID, "secret '%.80s' has %s", source->name,
		      source->value ? "a value and a file_path, too" : "no value");
	return err_hint(err, "give a value or a file_path");
}

const char *secrets_find(const struct secrets *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->names[i], name) == 0)
			return s->values[i];
	return NULL;
}

void secrets_done(struct secrets *s)
{
	for (size_t i = 0; i < s->n; i++)
		explicit_bzero(s->values[i], strlen(s->values[i]));
	strv_free(s->names);
	strv_free(s->values);
	*s = (struct secrets){0};
}

/*
 * The file.
 */

int secrets_save(const struct secrets *s, const char *dir, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/" STATE_SECRETS, dir);
	AUTO_WIPED struct buf data = BUF_INIT(FILE_MAX);

	reserve(&data);
	buf_puts(&data, HEAD);
	for (size_t i = 0; i < s->n; i++) {
		buf_puts(&data, s->names[i]);
		buf_puts(&data, "=");
		buf_append(&data, s->values[i], strlen(s->values[i]) + 1);
	}
	return file_write_atomic(path, data.data, data.len, 0600, err);
}

static int parse(const char *path, const struct buf *data, struct secrets *ret,
		 struct pyro_error *err)
{
	const char *at = buf_text(data), *end = at + data->len;

	if (strncmp(at, HEAD, strlen(HEAD)) != 0)
		return err_set(err, PYRO_E_STATE_VERSION, "'%s' is of another version", path);
	/* A NUL is behind the last byte, too. */
	for (at += strlen(HEAD); at < end; at += strlen(at) + 1) {
		AUTO_FREE char *name = mem_strndup(at, strcspn(at, "="));
		const char *value = at + strlen(name);

		if (add(ret, name, value + (*value == '='), strlen(value + (*value == '=')), err) <
		    0)
			return err_wrap(err, "'%s'", path);
	}
	return 0;
}

int secrets_load(const char *dir, struct secrets *ret, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/" STATE_SECRETS, dir);
	AUTO_WIPED struct buf data = BUF_INIT(FILE_MAX);
	struct secrets s = {0};

	if (!file_exists(path)) {
		*ret = s;
		return 0;
	}
	reserve(&data);
	if (file_read(path, &data, err) == 0 && parse(path, &data, &s, err) == 0) {
		*ret = s;
		return 0;
	}
	secrets_done(&s);
	return -1;
}

/*
 * The records.
 */

int secrets_record(struct records *r, const char *id, const struct pyro_workspace_secret *secrets,
		   size_t count, struct pyro_error *err)
{
	for (size_t i = 0; i < count; i++)
		if (db_run(r, err, "INSERT INTO secret VALUES (?1, ?2, ?3)", "ttt", id,
			   secrets[i].name, secrets[i].source_kind) < 0)
			return -1;
	return 0;
}

int secrets_list(struct records *r, const char *id, struct pyro_workspace_secret **ret,
		 size_t *ret_count, struct pyro_error *err)
{
	sqlite3_stmt *stmt =
		db_query(r, err,
			 "SELECT name, source_kind FROM secret WHERE workspace_id = ?1 "
			 "ORDER BY name",
			 "t", id);
	struct pyro_workspace_secret *list = NULL;
	size_t count = 0;
	int row = -1;

	while (stmt && (row = db_step(r, stmt, err)) == 1) {
		list = mem_resize(list, count + 1, sizeof(*list));
		list[count].name = db_text(stmt, 0);
		list[count++].source_kind = db_text(stmt, 1);
	}
	db_end(stmt);
	*ret = list;
	*ret_count = count;
	return row;
}
