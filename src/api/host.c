/*
 * The operations on chat hosts: what should be registered, what is, whether that is the same, and
 * how it becomes so.
 */
#include "api/host.h"

#include "api/handle.h"
#include "api/serve.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/proc.h"
#include "base/utf8.h"
#include "ops/ops.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX (64 * 1024)

static const struct host *const hosts[] = {&host_claude, &host_codex, &host_opencode};

static const struct host *find(const char *name, struct pyro_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		if (strcmp(hosts[i]->name, name) == 0)
			return hosts[i];
	(void)err_set(err, PYRO_E_INVALID, "there is no chat host '%s'", name);
	(void)err_hint(err, "hosts are claude-code, codex and opencode");
	return NULL;
}

/* As a person would type it: words in quotes where a shell would take them apart. */
static void put_words(struct buf *out, char *const *words)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789%+,-./:=@_";

	for (size_t i = 0; words[i]; i++) {
		const char *word = words[i];

		buf_puts(out, i ? " " : "");
		if (*word && !word[strspn(word, plain)]) {
			buf_puts(out, word);
			continue;
		}
		buf_puts(out, "'");
		for (; *word; word++)
			buf_printf(out, *word == '\'' ? "'\\''" : "%c", *word);
		buf_puts(out, "'");
	}
}

static char *words_text(char *const *words)
{
	AUTO_BUF struct buf out = BUF_INIT(TEXT_MAX);

	put_words(&out, words);
	return mem_strdup(buf_text(&out));
}

/* The program pyro: this one, or, in a program that uses libpyro, the installed one. */
static char *own_program(struct pyro_error *err)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	AUTO_FREE char *installed = NULL;

	self[n > 0 ? n : 0] = '\0';
	if (strrchr(self, '/') && strcmp(strrchr(self, '/'), "/pyro") == 0)
		return mem_strdup(self);
	installed = proc_find("pyro");
	if (installed)
		return realpath(installed, NULL);
	(void)err_set(err, PYRO_E_MISSING_DEPENDENCY, "'pyro' is not in PATH");
	(void)err_hint(err, "run this by the program pyro itself, or install it");
	return NULL;
}

/*
 * What pyro reads from the environment and is set here. Some hosts start a server without most of
 * the environment, and pyro would look for its state and its environments in another place.
 */
static json_t *own_environment(void)
{
	static const char *const names[] = {"XDG_STATE_HOME", "XDG_CACHE_HOME",
					    "PYRO_ENVIRONMENT_CACHE_DIR", "PYRO_ACCEL",
					    "PYRO_LIBEXEC_DIR"};
	json_t *object = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value && utf8_is_valid(value, strlen(value)))
			json_object_set_new(object, names[i], json_string(value));
	}
	return object;
}

static void wanted_done(struct host_wanted *wanted)
{
	strv_free(wanted->command);
	json_decref(wanted->environment);
}
#define AUTO_WANTED __attribute__((cleanup(wanted_done)))

static int want(enum op_id id, const void *args, bool is_package, struct host_wanted *ret,
		struct pyro_error *err)
{
	AUTO_STRV char **words = NULL;
	AUTO_FREE char *program = NULL;
	struct argv command = ARGV_INIT;

	if (serve_check(&ops_rows[id], args, err) < 0)
		return -1;
	words = serve_words(&ops_rows[id], args, err);
	program = is_package ? mem_strdup("pyro") : own_program(err);
	if (!words || !program)
		return -1;
	argv_add(&command, program, NULL);
	for (char **word = words; *word; word++)
		argv_add(&command, *word, NULL);
	ret->command = command.v;
	ret->environment = own_environment();
	for (char **word = command.v; *word; word++)
		if (!utf8_is_valid(*word, strlen(*word)))
			return err_set(
				err, PYRO_E_INVALID,
				"a host's configuration holds only UTF-8, which a path is not");
	return 0;
}

/* The command of pyro that does `verb` for the host with the same options. Owned by the caller. */
static char *own_command(const char *verb, const struct host *host,
			 const struct host_wanted *wanted, const char *config_path)
{
	AUTO_ARGV struct argv a = ARGV_INIT;

	argv_add(&a, "pyro", "host", verb, host->name, NULL);
	if (!strchr(wanted->command[0], '/'))
		argv_add(&a, "--installed-package", NULL);
	for (char **word = wanted->command + 3; *word; word++) /* behind "mcp serve" */
		argv_add(&a, *word, NULL);
	if (config_path)
		argv_add(&a, "--config-path", config_path, NULL);
	return words_text(a.v);
}

/* The next finding, behind those before it. */
static void finding(struct buf *out, const char *fmt, ...) PRINTF(2, 3);
static void finding(struct buf *out, const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	buf_printf(out, "%s%s", out->len ? "; " : "", text);
}

/* Both run the same program's `mcp serve`. */
static bool same_server(char *const *a, char *const *b)
{
	for (int i = 0; i < 3; i++)
		if (!a[i] || !b[i] || strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

static void judge_command(struct buf *out, char *const *found, char *const *wanted)
{
	AUTO_FREE char *is = NULL, *should = NULL;

	if (!found) {
		finding(out, "'" HOST_SERVER "' is a server elsewhere, not this program");
		return;
	}
	if (!*found || strv_equal(found, wanted))
		return;
	if (same_server(found, wanted)) {
		is = words_text(found + 3);
		should = words_text(wanted + 3);
		finding(out, "its options are %s, expected %s", *is ? is : "none",
			*should ? should : "none");
		if (*is)
			finding(out, "if they are meant, ask with them: pyro host doctor %s", is);
		return;
	}
	is = words_text(found);
	should = words_text(wanted);
	finding(out, "it runs '%s', expected '%s'", is, should);
	if (found[0][0] == '/' && access(found[0], X_OK) < 0)
		finding(out, "there is no program '%s'", found[0]);
}

/* Appends what is wrong with an entry, nothing if it is as wanted. */
static void judge(struct buf *out, const struct host_entry *entry, const struct host_wanted *wanted)
{
	const char *name;
	json_t *value;

	if (entry->is_disabled)
		finding(out, "it is switched off");
	if (entry->advice)
		finding(out, "%s", entry->advice);
	judge_command(out, entry->command, wanted->command);
	json_object_foreach(wanted->environment, name, value)
	{
		const char *is = json_string_value(json_object_get(entry->environment, name));
		const char *should = json_string_value(value);

		if (!is)
			finding(out, "its environment lacks %s=%s", name, should);
		else if (strcmp(is, should) != 0)
			finding(out, "its environment says %s=%s, expected %s", name, is, should);
	}
	if (out->len && entry->hidden_by)
		finding(out, "it is this project's '%s' that says so", entry->hidden_by);
}

/* --installed-package says that `pyro` alone is enough. */
static char *why_not_found(const struct host_wanted *wanted)
{
	AUTO_FREE char *path = proc_find(wanted->command[0]);

	return path ? NULL : mem_printf("'%s' is not in PATH", wanted->command[0]);
}

static char **environment_strv(const json_t *environment)
{
	struct argv list = ARGV_INIT;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)environment, name, value)
		argv_addf(&list, "%s=%s", name, json_string_value(value));
	return list.v;
}

static char **words_copy(char **words)
{
	return strv_dup((const char *const *)words);
}

/* The file that says what is in the entry. */
static const char *where(const struct host_entry *entry)
{
	return entry->hidden_by ? entry->hidden_by : entry->config_path;
}

/* Fills status, details and what to do, from what was found. */
static void conclude(const struct host *host, const struct host_entry *entry,
		     const struct host_wanted *wanted, const char *config_path,
		     struct pyro_host_status *ret)
{
	AUTO_BUF struct buf wrong = BUF_INIT(TEXT_MAX);
	AUTO_FREE char *lost = why_not_found(wanted);

	if (!entry->is_found) {
		ret->status = mem_strdup("missing");
		ret->details =
			mem_printf("%s does not know pyro yet%s%s", host->title,
				   entry->advice ? "; " : "", entry->advice ? entry->advice : "");
		ret->repair_command = own_command(host->has_commands ? "connect" : "repair", host,
						  wanted, config_path);
		return;
	}
	judge(&wrong, entry, wanted);
	if (lost)
		finding(&wrong, "%s", lost);
	ret->status = mem_strdup(wrong.len ? "drifted" : "ok");
	ret->details = mem_strdup(wrong.len ? buf_text(&wrong) : "registered as it should be");
	if (lost)
		ret->repair_command = mem_printf("pyro host repair %s", host->name);
	else if (!host_entry_is(entry, wanted))
		ret->repair_command =
			own_command("repair", host, wanted,
				    entry->hidden_by ? entry->hidden_by : config_path);
}

static void examine(const struct host *host, const struct host_wanted *wanted,
		    const char *config_path, struct pyro_host_status *ret)
{
	const char *file = host->has_commands ? NULL : config_path;
	AUTO_ENTRY struct host_entry entry = {0};
	AUTO_FREE char *program = proc_find(host->program);
	bool is_readable = true;
	struct pyro_error why;

	if (program || !host->has_commands)
		is_readable = host->examine(file, &entry, &why) == 0;
	*ret = (struct pyro_host_status){
		.host = mem_strdup(host->name),
		.expected_command = words_copy(wanted->command),
		.expected_environment = environment_strv(wanted->environment),
		.configured_command = entry.command ? words_copy(entry.command) : NULL,
		.scope = mem_strdup(entry.scope),
		.config_path = mem_strdup(where(&entry)),
	};
	if (!is_readable) {
		ret->status = mem_strdup("drifted");
		ret->details = host->has_commands ? mem_printf("%s; %s", why.message, why.hint)
						  : mem_strdup(why.message);
		ret->repair_command =
			host->has_commands ? NULL : own_command("repair", host, wanted, file);
	} else if (!program && !entry.is_found && !file) {
		ret->status = mem_strdup("unavailable");
		ret->details = mem_printf("'%s' is not in PATH; it comes with %s", host->program,
					  host->install);
	} else {
		conclude(host, &entry, wanted, file, ret);
	}
	ret->program_path = TAKE_PTR(program);
}

int pyro_doctor_host(struct pyro *p, const struct pyro_doctor_host_args *given,
		     struct pyro_host_list *ret, struct pyro_error *err)
{
	AUTO_WANTED struct host_wanted wanted = {0};
	struct pyro_doctor_host_args a;

	(void)p;
	if (ops_apply_defaults(OP_doctor_host, given, &a, err) < 0 ||
	    want(OP_doctor_host, &a, a.installed_package, &wanted, err) < 0)
		return -1;
	ret->ok = true;
	ret->hosts_count = ARRAY_SIZE(hosts);
	ret->hosts = mem_zalloc(ARRAY_SIZE(hosts), sizeof(*ret->hosts));
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		examine(hosts[i], &wanted, a.config_path, &ret->hosts[i]);
		ret->ok = ret->ok && strcmp(ret->hosts[i].status, "drifted") != 0;
	}
	return 0;
}

/* A program that `make clean` takes away would be a surprise later; NULL for another one. */
static char *must_stay(const struct host *host, const struct host_wanted *wanted)
{
	const char *in_tree = strstr(wanted->command[0], "/src/cli/pyro");

	return in_tree ? mem_printf("the program is in a build tree, which has to stay: after make "
				    "install, pyro host repair %s takes the installed one",
				    host->name)
		       : NULL;
}

/* Whether it works now. What only the user can change is a warning. */
static int check_result(const struct host *host, const char *config_path,
			const struct host_wanted *wanted, struct pyro_host_change *ret,
			struct pyro_error *err)
{
	AUTO_ENTRY struct host_entry now = {0};
	AUTO_BUF struct buf wrong = BUF_INIT(TEXT_MAX);

	if (host->examine(config_path, &now, err) < 0)
		return -1;
	if (!now.is_found)
		finding(&wrong, "it does not know pyro");
	else
		judge(&wrong, &now, wanted);
	if (!host_entry_is(&now, wanted) && !now.hidden_by)
		return err_set(err, PYRO_E_SYSTEM, "%s did not take it: %s", host->title,
			       buf_text(&wrong));
	free(ret->status);
	ret->status = mem_strdup(wrong.len ? "drifted" : "ok");
	ret->warning = wrong.len ? mem_strdup(buf_text(&wrong)) : must_stay(host, wanted);
	ret->scope = mem_strdup(now.scope);
	free(ret->config_path);
	ret->config_path = mem_strdup(ret->changed ? now.config_path : where(&now));
	return 0;
}

/* Makes the host start what is wanted, whatever it starts now. */
static int make_right(const struct host *host, const char *config_path,
		      const struct host_wanted *wanted, struct pyro_host_change *ret,
		      struct pyro_error *err)
{
	AUTO_ENTRY struct host_entry entry = {0};
	AUTO_FREE char *program = proc_find(host->program), *lost = why_not_found(wanted);

	if (lost) {
		(void)err_set(err, PYRO_E_MISSING_DEPENDENCY, "%s", lost);
		return err_hint(err, "install pyro, or leave --installed-package out");
	}
	if (host->has_commands && !program) {
		(void)err_set(err, PYRO_E_MISSING_DEPENDENCY, "'%s' is not in PATH", host->program);
		return err_hint(err, "%s, then the same again", host->install);
	}
	if (host->examine(config_path, &entry, err) < 0 &&
	    (host->has_commands || !entry.config_path))
		return -1;
	ret->host = mem_strdup(host->name);
	ret->command = words_copy(wanted->command);
	ret->environment = environment_strv(wanted->environment);
	ret->previous_command = entry.command ? words_copy(entry.command) : NULL;
	ret->changed = !host_entry_is(&entry, wanted);
	ret->status = mem_strdup("ok");
	ret->action = mem_strdup(!ret->changed    ? "already connected"
				 : entry.is_found ? "repaired"
						  : "connected");
	ret->next_step = mem_printf("%s%sstart %s in your project and ask it to work in a pyro "
				    "workspace; %s",
				    program ? "" : host->install, program ? "" : ", then ",
				    host->program, host->look);
	if (ret->changed && host->add(config_path, &entry, wanted, &ret->backup_path, err) < 0)
		return -1;
	return check_result(host, config_path, wanted, ret, err);
}

/* The same, with nothing left in *ret where it fails. */
static int change(const struct host *host, const char *config_path,
		  const struct host_wanted *wanted, struct pyro_host_change *ret,
		  struct pyro_error *err)
{
	struct pyro_host_change made = {0};

	if (make_right(host, config_path, wanted, &made, err) < 0) {
		pyro_host_change_done(&made);
		return -1;
	}
	*ret = made;
	return 0;
}

int pyro_connect_host(struct pyro *p, const struct pyro_connect_host_args *given,
		      struct pyro_host_change *ret, struct pyro_error *err)
{
	AUTO_WANTED struct host_wanted wanted = {0};
	struct pyro_connect_host_args a;
	const struct host *host;

	(void)p;
	if (ops_apply_defaults(OP_connect_host, given, &a, err) < 0)
		return -1;
	host = find(a.host, err);
	if (!host || want(OP_connect_host, &a, a.installed_package, &wanted, err) < 0)
		return -1;
	if (!host->has_commands) {
		(void)err_set(err, PYRO_E_INVALID, "%s has no command for that; its file is edited",
			      host->title);
		return err_hint(err,
				"pyro host repair %s; or look first at pyro host print-config %s",
				host->name, host->name);
	}
	return change(host, NULL, &wanted, ret, err);
}

int pyro_repair_host(struct pyro *p, const struct pyro_repair_host_args *given,
		     struct pyro_host_change *ret, struct pyro_error *err)
{
	AUTO_WANTED struct host_wanted wanted = {0};
	struct pyro_repair_host_args a;
	const struct host *host;

	(void)p;
	if (ops_apply_defaults(OP_repair_host, given, &a, err) < 0)
		return -1;
	host = find(a.host, err);
	if (!host || want(OP_repair_host, &a, a.installed_package, &wanted, err) < 0)
		return -1;
	if (a.config_path && host->has_commands) {
		(void)err_set(err, PYRO_E_USAGE, "--config-path is a file of opencode");
		return err_hint(err, "%s finds its own; leave the option out", host->program);
	}
	return change(host, a.config_path, &wanted, ret, err);
}

int pyro_print_host_config(struct pyro *p, const struct pyro_print_host_config_args *given,
			   struct pyro_host_config *ret, struct pyro_error *err)
{
	AUTO_WANTED struct host_wanted wanted = {0};
	struct pyro_host_change made = {0};
	struct pyro_print_host_config_args a;
	const struct host *host;
	char *config;

	(void)p;
	if (ops_apply_defaults(OP_print_host_config, given, &a, err) < 0)
		return -1;
	host = find(a.host, err);
	if (!host || want(OP_print_host_config, &a, a.installed_package, &wanted, err) < 0)
		return -1;
	if (host->has_commands) {
		(void)err_set(err, PYRO_E_INVALID, "%s is set up by its own command", host->title);
		return err_hint(err, "pyro host connect %s", host->name);
	}
	config = host_opencode_edit("", &wanted, err);
	if (!config || (a.output_path && change(host, a.output_path, &wanted, &made, err) < 0)) {
		free(config);
		return -1;
	}
	*ret = (struct pyro_host_config){
		.host = mem_strdup(host->name),
		.config = config,
		.output_path = mem_strdup(a.output_path),
		.changed = made.changed,
		.backup_path = mem_strdup(made.backup_path),
		.next_step = made.next_step
				     ? mem_strdup(made.next_step)
				     : mem_strdup("put it into ~/.config/opencode/opencode.json; "
						  "pyro host repair opencode does that, and keeps "
						  "what else is there"),
	};
	pyro_host_change_done(&made);
	return 0;
}
