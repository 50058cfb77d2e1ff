#include "base/file.h"
#include "tests/unit/workspace_sample.h"
#include "workspace/secrets.h"

#include <sys/stat.h>

static int add(struct secrets *s, const char *name, const char *value, struct pyro_error *err)
{
	char names[100], values[100];

	(void)snprintf(names, sizeof(names), "%s", name);
	(void)snprintf(values, sizeof(values), "%s", value);
	return secrets_add(s, &(struct pyro_secret_source){.name = names, .value = values}, err);
}

static int add_file(struct secrets *s, const char *data, size_t len, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/original", test_dir());
	char name[] = "FILE";

	CHECK_OK(file_write_atomic(path, data, len, 0600, err), *err);
	return secrets_add(s, &(struct pyro_secret_source){.name = name, .file_path = path}, err);
}

TEST("secrets: what is saved is loaded, and only its owner can read it")
{
	AUTO_FREE char *path = mem_printf("%s/secrets", test_dir());
	struct secrets s = {0}, again;
	struct pyro_error err;
	struct stat st;

	CHECK_OK(add(&s, "TOKEN", "a=b=c", &err), err);
	CHECK_OK(add_file(&s, "two\nlines\n", 10, &err), err);
	CHECK_OK(secrets_save(&s, test_dir(), &err), err);
	secrets_done(&s);
	CHECK_INT(s.n, 0);
	CHECK(stat(path, &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	CHECK_OK(secrets_load(test_dir(), &again, &err), err);
	CHECK_INT(again.n, 2);
	CHECK_STR(secrets_find(&again, "TOKEN"), "a=b=c");
	CHECK_STR(secrets_find(&again, "FILE"), "two\nlines\n");
	CHECK(!secrets_find(&again, "OTHER"));
	CHECK(!again.values[2] && !again.names[2]);
	secrets_done(&again);
}

TEST("secrets: without a file there are none, and a broken one is an error")
{
	AUTO_FREE char *path = mem_printf("%s/secrets", test_dir());
	struct secrets s;
	struct pyro_error err;

	CHECK_OK(secrets_load(test_dir(), &s, &err), err);
	CHECK_INT(s.n, 0);
	CHECK_OK(file_write_atomic(path, "A=hush", 6, 0600, &err), err);
	CHECK(secrets_load(test_dir(), &s, &err) < 0);
	CHECK_INT(err.code, PYRO_E_STATE_VERSION);
	CHECK_OK(file_write_atomic(path, "pyro-secrets 1\nA hush", 21, 0600, &err), err);
	CHECK(secrets_load(test_dir(), &s, &err) < 0);
}

TEST("secrets: names are those of variables, each given once")
{
	static const char *const bad[] = {"", "1A", "A-B", "A B", "a/b", "..", "A=B", "\xc3\xa9"};
	struct secrets s = {0};
	struct pyro_error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(add(&s, bad[i], "hush", &err) < 0);
		CHECK_INT(err.code, PYRO_E_INVALID);
		CHECK(!strstr(err.message, "hush"));
	}
	CHECK_OK(add(&s, "_a1", "hush", &err), err);
	CHECK(add(&s, "_a1", "hush", &err) < 0);
	CHECK_STR(err.message, "secret '_a1' is given twice");
	secrets_done(&s);
}

TEST("secrets: a value is text of a bounded length")
{
	AUTO_FREE char *large = mem_zalloc(SECRETS_VALUE_MAX + 2, 1);
	struct secrets s = {0};
	struct pyro_error err;
	char name[8];

	CHECK(add(&s, "A", "", &err) < 0);
	CHECK(add(&s, "A", "\xff", &err) < 0);
	CHECK(add_file(&s, "a\0b", 3, &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	memset(large, 'x', SECRETS_VALUE_MAX + 1);
	CHECK(add_file(&s, large, SECRETS_VALUE_MAX + 1, &err) < 0);
	CHECK_INT(err.code, PYRO_E_LIMIT);
	large[SECRETS_VALUE_MAX] = '\0';
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "A%d", i);
		CHECK_INT(secrets_add(&s,
				      &(struct pyro_secret_source){.name = name, .value = large},
				      &err),
			  i < 4 ? 0 : -1);
	}
	CHECK_INT(err.code, PYRO_E_LIMIT);
	secrets_done(&s);
	for (int i = 0; i <= SECRETS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "A%d", i);
		CHECK_INT(add(&s, name, "x", &err), i < SECRETS_MAX ? 0 : -1);
	}
	secrets_done(&s);
}

TEST("secrets: a source is a value or a regular file")
{
	char name[] = "A", value[] = "hush", dir[] = "/", none[] = "/nowhere/at/all";
	struct pyro_secret_source both = {.name = name, .value = value, .file_path = dir};
	struct secrets s = {0};
	struct pyro_error err;

	CHECK(secrets_add(&s, &both, &err) < 0);
	CHECK(!strstr(err.message, "hush"));
	CHECK(secrets_add(&s, &(struct pyro_secret_source){.name = name}, &err) < 0);
	CHECK_STR(err.message, "secret 'A' has no value");
	CHECK(secrets_add(&s, &(struct pyro_secret_source){.name = name, .file_path = dir}, &err) <
	      0);
	CHECK_STR(err.message, "secret 'A': '/' is no regular file");
	CHECK(secrets_add(&s, &(struct pyro_secret_source){.name = name, .file_path = none}, &err) <
	      0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK_INT(s.n, 0);
}

TEST("secrets: a workspace's record names them, and they go with it")
{
	struct pyro_workspace_secret secrets[] = {{mem_strdup("B"), mem_strdup("file")},
						  {mem_strdup("A"), mem_strdup("literal")}};
	struct records *r = sample_open();
	struct pyro_workspace ws = {0};
	struct pyro_workspace_secret *none;
	struct pyro_error err;
	size_t count;

	sample_add(r, SAMPLE_ID, "one", NULL, 100);
	CHECK_OK(secrets_record(r, SAMPLE_ID, secrets, 2, &err), err);
	CHECK_OK(workspaces_get(r, "one", &ws, &err), err);
	CHECK_INT(ws.secrets_count, 2);
	CHECK_STR(ws.secrets[0].name, "A");
	CHECK_STR(ws.secrets[0].source_kind, "literal");
	CHECK_STR(ws.secrets[1].name, "B");
	pyro_workspace_done(&ws);
	CHECK_OK(records_delete_vm(r, SAMPLE_ID, &err), err);
	CHECK_OK(secrets_list(r, SAMPLE_ID, &none, &count, &err), err);
	CHECK_INT(count, 0);
	for (size_t i = 0; i < 2; i++) {
		free(secrets[i].name);
		free(secrets[i].source_kind);
	}
	(void)records_close(r);
}
