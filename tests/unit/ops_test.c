#include "ops/ops.h"

#include "base/mem.h"
#include "base/parse.h"
#include "ops/schema.h"
#include "ops/values.h"
#include "pyro.h"
#include "tests/test.h"

#include <ctype.h>

static bool ends_with_stop(const char *text)
{
	return *text && text[strlen(text) - 1] == '.';
}

static bool is_sentence(const char *text)
{
	return text && (isupper((unsigned char)text[0]) || text[0] == '/' || text[0] == 'p');
}

static const struct op_row *op_named(const char *name)
{
	for (int i = 0; i < OP_COUNT; i++)
		if (strcmp(ops_rows[i].name, name) == 0)
			return &ops_rows[i];
	test_fail(__FILE__, __LINE__, "there is no operation '%s'", name);
}

/* The texts of *args are borrowed from an object that lives until the next call. */
static int decode(const char *json, struct pyro_run_in_vm_args *args, struct pyro_error *err)
{
	static json_t *object;
	const struct op_row *op = op_named("run_in_vm");
	int r;

	json_decref(object);
	object = json_loads(json, 0, NULL);
	r = values_decode(op, object, NAMING_JSON, args, err);
	if (r < 0)
		values_args_done(op, args);
	return r;
}

static void refuses(const char *json, const char *message)
{
	struct pyro_run_in_vm_args args = {0};
	struct pyro_error err = {0};

	CHECK(decode(json, &args, &err) < 0);
	CHECK_INT(err.code, PYRO_E_INVALID);
	CHECK_STR(err.message, message);
}

TEST("names of operations, commands and tools are unique")
{
	for (int i = 0; i < OP_COUNT; i++)
		for (int j = 0; j < i; j++) {
			const struct op_row *a = &ops_rows[i], *b = &ops_rows[j];

			CHECK(strcmp(a->name, b->name) != 0);
			CHECK(!a->cli || !b->cli || strcmp(a->cli, b->cli) != 0);
			CHECK(!a->mcp || !b->mcp || strcmp(a->mcp, b->mcp) != 0);
		}
}

TEST("inputs have unique names, positionals stand before the rest, and there is one rest at most")
{
	for (int i = 0; i < OP_COUNT; i++) {
		int rests = 0;

		for (const struct op_input *in = ops_rows[i].inputs; in->name; in++) {
			CHECK(ops_input(&ops_rows[i], in->name) == in);
			CHECK(!(in->flags & POS) || rests == 0);
			CHECK(!(in->flags & POS) || !(in->flags & REST));
			rests += !!(in->flags & REST);
		}
		CHECK(rests <= 1);
	}
}

TEST("a required positional never follows one that may be left out")
{
	for (int i = 0; i < OP_COUNT; i++) {
		bool was_optional = false;

		for (const struct op_input *in = ops_rows[i].inputs; in->name; in++) {
			if (!(in->flags & POS))
				continue;
			CHECK(!was_optional || !(in->flags & REQUIRED));
			was_optional = !(in->flags & REQUIRED);
		}
	}
}

TEST("texts of operations are sentences, with a full stop where they stand in a paragraph")
{
	for (int i = 0; i < OP_COUNT; i++) {
		const struct op_row *op = &ops_rows[i];

		CHECK(is_sentence(op->title) && !ends_with_stop(op->title));
		CHECK(is_sentence(op->summary) && !ends_with_stop(op->summary));
		CHECK(is_sentence(op->usage) && ends_with_stop(op->usage));
		CHECK(is_sentence(op->next) && ends_with_stop(op->next));
		for (const struct op_input *in = op->inputs; in->name; in++) {
			CHECK(is_sentence(in->text) && !ends_with_stop(in->text));
			CHECK((in->kind == KIND_BOOL || in->of) ==
			      (!in->metavar || (in->kind == KIND_BOOL && in->metavar[0] == '-')));
		}
	}
}

TEST("texts of records are without a full stop, and fields have unique names")
{
	for (int i = 0; i < REC_COUNT; i++) {
		CHECK(!ends_with_stop(ops_records[i].text));
		for (const struct rec_field *f = ops_records[i].fields; f->name; f++) {
			CHECK(*f->text && !ends_with_stop(f->text));
			for (const struct rec_field *g = ops_records[i].fields; g < f; g++)
				CHECK(strcmp(f->name, g->name) != 0);
		}
	}
}

TEST("every operation has an example, with its command in it")
{
	for (int i = 0; i < OP_COUNT; i++) {
		const struct op_row *op = &ops_rows[i];

		CHECK(op->examples[0].command != NULL);
		for (const struct op_example *e = op->examples; op->cli && e->command; e++) {
			AUTO_FREE char *command = mem_printf("pyro %s", op->cli);

			CHECK(strstr(e->command, command) != NULL);
			CHECK(!ends_with_stop(e->text));
		}
	}
}

TEST("defaults lie within their bounds, and what is required has none")
{
	for (int i = 0; i < OP_COUNT; i++)
		for (const struct op_input *in = ops_rows[i].inputs; in->name; in++) {
			int64_t n;

			CHECK(!(in->flags & REQUIRED) || !in->def);
			if (in->kind != KIND_INT)
				continue;
			CHECK(in->min < in->max);
			CHECK(!in->def || parse_int(in->def, in->min, in->max, &n));
		}
}

TEST("flags of inputs stand where they mean something")
{
	for (int i = 0; i < OP_COUNT; i++)
		for (const struct op_input *in = ops_rows[i].inputs; in->name; in++) {
			CHECK(!(in->flags & (OR_FILE | HOST_PATH)) || in->kind == KIND_STR);
			CHECK(!(in->flags & OR_FILE) || in->flags & REQUIRED);
			CHECK(!(in->flags & OR_FILE) || !(in->flags & (POS | REST)));
			CHECK(!(in->flags & ASSUMED) || in->def);
			CHECK(!in->metavar || in->metavar[0] != '-' ||
			      (in->kind == KIND_ON || in->kind == KIND_BOOL) ==
				      !strchr(in->metavar, ' '));
		}
}

TEST("options that give objects name fields that are there, and every such input has one")
{
	for (int i = 0; i < OP_COUNT; i++) {
		const struct op_row *op = &ops_rows[i];

		for (const struct op_option *o = op->options; o->input; o++) {
			const struct op_input *in = ops_input(op, o->input);

			CHECK(in && in->of && strncmp(o->form, "--", 2) == 0);
			CHECK(strchr(o->form, ' ') && is_sentence(o->text));
			CHECK(!o->type || ops_field(in->of, "type"));
			CHECK(!o->first == !o->separator);
			CHECK(!o->first || ops_field(in->of, o->first));
			CHECK(ops_field(in->of, o->second));
		}
		for (const struct op_input *in = op->inputs; in->name; in++) {
			const struct op_option *o = op->options;

			while (in->of && o->input && strcmp(o->input, in->name) != 0)
				o++;
			CHECK(!in->of || o->input);
		}
	}
}

static int decode_service(const char *text, struct pyro_start_service_args *args,
			  struct pyro_error *err)
{
	json_t *object = json_loads(text, 0, NULL);
	int result = values_decode(op_named("start_service"), object, NAMING_JSON, args, err);

	CHECK(object != NULL);
	values_args_done(op_named("start_service"), args);
	json_decref(object);
	return result;
}

#define SERVICE "{\"workspace_id\": \"w\", \"service_name\": \"s\", \"command\": \"c\", "

TEST("objects and lists of them are decoded as strictly as everything else")
{
	struct pyro_start_service_args args = {0};
	struct pyro_error err;

	CHECK_OK(decode_service(SERVICE
				"\"readiness\": {\"type\": \"command\", \"command\":"
				"[\"a\", \"b\"]}, \"published_ports\": [{\"guest_port\": 80}, "
				"{\"host_port\": null, \"guest_port\": 81}]}",
				&args, &err),
		 err);
	CHECK(decode_service(SERVICE "\"readiness\": {\"path\": \"p\"}}", &args, &err) < 0);
	CHECK_STR(err.message, "arguments.readiness.type is missing");
	CHECK(decode_service(SERVICE "\"readiness\": \"p\"}", &args, &err) < 0);
	CHECK(decode_service(SERVICE "\"published_ports\": [{\"guest_port\": \"80\"}]}", &args,
			     &err) < 0);
	CHECK(strstr(err.message, "arguments.published_ports[0]") != NULL);
	CHECK(decode_service(SERVICE "\"published_ports\": [{\"guest_port\": 1, \"x\": 1}]}", &args,
			     &err) < 0);
	CHECK_STR(err.message, "arguments.published_ports[0].x: there is no such member");
}

TEST("a boolean that is on by default is zero in C")
{
	struct pyro_write_shell_args args = {0};
	json_t *object = json_pack("{s:s, s:s, s:s, s:b}", "workspace_id", "w", "shell_id", "s",
				   "input", "i", "append_newline", 0);
	struct pyro_error err;

	CHECK(args.append_newline == PYRO_ON);
	CHECK_OK(values_decode(op_named("write_shell"), object, NAMING_JSON, &args, &err), err);
	CHECK(args.append_newline == PYRO_OFF);
	values_args_done(op_named("write_shell"), &args);
	json_decref(object);
}

TEST("an operation is found by its tool's name only")
{
	CHECK(ops_by_mcp("vm_run") == op_named("run_in_vm"));
	CHECK(!ops_by_mcp("run_in_vm"));
}

TEST("arguments are decoded from JSON, a command as a text or a list")
{
	struct pyro_run_in_vm_args args = {0};
	struct pyro_error err;

	CHECK_OK(decode("{\"environment\": \"e\", \"command\": \"a b\", \"mem_mib\": 512,"
			"\"network\": true, \"ttl_seconds\": null}",
			&args, &err),
		 err);
	CHECK_STR(args.environment, "e");
	CHECK_STR(args.command[0], "a b");
	CHECK(!args.command[1]);
	CHECK_INT(args.mem_mib, 512);
	CHECK_INT(args.ttl_seconds, 0);
	CHECK(args.network);
	values_args_done(op_named("run_in_vm"), &args);
	CHECK_OK(decode("{\"environment\": \"e\", \"command\": [\"a\", \"b\"]}", &args, &err), err);
	CHECK_STR(args.command[1], "b");
	CHECK(!args.command[2]);
	values_args_done(op_named("run_in_vm"), &args);
}

TEST("a wrong argument is named with what was expected")
{
	refuses("[]", "arguments: expected an object");
	refuses("{\"environment\": \"e\", \"command\": \"c\", \"timeout_seconds\": \"9\"}",
		"arguments.timeout_seconds: expected an integer, got string");
	refuses("{\"environment\": \"e\", \"command\": \"c\", \"timeout_seconds\": 1.5}",
		"arguments.timeout_seconds: expected an integer, got number");
	refuses("{\"environment\": \"e\", \"command\": \"c\", \"network\": 1}",
		"arguments.network: expected a boolean, got integer");
	refuses("{\"environment\": [], \"command\": \"c\"}",
		"arguments.environment: expected a string, got list");
	refuses("{\"environment\": \"e\", \"command\": {}}",
		"arguments.command: expected a string or a list of strings, got object");
	refuses("{\"environment\": \"e\", \"command\": [\"a\", 1]}",
		"arguments.command: expected a list of strings, got integer");
	refuses("{\"environment\": \"e\", \"command\": []}",
		"arguments.command: the command has no words");
	refuses("{\"environment\": \"e\", \"command\": null}", "arguments.command is missing");
	refuses("{\"environment\": \"e\", \"command\": \"c\", \"vcpu_count\": 0}",
		"arguments.vcpu_count: 0 is outside 1 to 16");
}

TEST("a text with a NUL character is refused, not cut off")
{
	const struct op_row *op = op_named("run_in_vm");
	json_t *object = json_pack("{s:s#, s:s}", "environment", "a\0b", 3, "command", "c");
	struct pyro_run_in_vm_args args = {0};
	struct pyro_error err;

	CHECK(values_decode(op, object, NAMING_JSON, &args, &err) < 0);
	CHECK_STR(err.message, "arguments.environment: contains a NUL character");
	values_args_done(op, &args);
	json_decref(object);
}

TEST("an unknown argument is refused, and the nearest one is the hint")
{
	struct pyro_run_in_vm_args args = {0};
	struct pyro_error err;

	CHECK(decode("{\"timeout_second\": 1}", &args, &err) < 0);
	CHECK_STR(err.message, "arguments.timeout_second: there is no such argument");
	CHECK_STR(err.hint, "did you mean 'timeout_seconds'?");
}

TEST("zero and NULL become defaults, other values stay")
{
	const char *argv[] = {"true", NULL};
	struct pyro_run_in_vm_args args, given = {
						 .environment = "e",
						 .command = argv,
						 .mem_mib = 256,
					 };
	struct pyro_prepare_args prepare;
	struct pyro_error err;

	CHECK_OK(ops_apply_defaults(OP_run_in_vm, &given, &args, &err), err);
	CHECK_INT(args.mem_mib, 256);
	CHECK_INT(args.vcpu_count, 1);
	CHECK_INT(args.timeout_seconds, 30);
	CHECK_INT(args.ttl_seconds, 600);
	CHECK_STR(args.environment, "e");
	CHECK_OK(ops_apply_defaults(OP_prepare, NULL, &prepare, &err), err);
	CHECK_STR(prepare.environment, "debian:12");
}

TEST("callers in C get the same bounds and required inputs as everybody")
{
	const char *argv[] = {"true", NULL};
	struct pyro_run_in_vm_args args, given = {.environment = "e", .command = argv};
	struct pyro_error err;

	given.vcpu_count = 999;
	CHECK(ops_apply_defaults(OP_run_in_vm, &given, &args, &err) < 0);
	CHECK_STR(err.message, "vcpu_count: 999 is outside 1 to 16");
	given.vcpu_count = -1;
	CHECK(ops_apply_defaults(OP_run_in_vm, &given, &args, &err) < 0);
	given = (struct pyro_run_in_vm_args){.environment = "e"};
	CHECK(ops_apply_defaults(OP_run_in_vm, &given, &args, &err) < 0);
	CHECK_STR(err.message, "command is missing");
}

TEST("an absent value is null in JSON, an absent record is left out")
{
	struct pyro_doctor doctor = {.platform = mem_strdup("linux-x86_64")};
	json_t *object = values_encode(&ops_records[REC_doctor], &doctor);

	CHECK(json_is_null(json_object_get(json_object_get(object, "kvm"), "reason")));
	CHECK(!json_object_get(object, "daily_loop"));
	CHECK(json_is_array(json_object_get(object, "issues")));
	CHECK_STR(json_string_value(json_object_get(object, "platform")), "linux-x86_64");
	json_decref(object);
	doctor.has_daily_loop = true;
	doctor.daily_loop.prepared_at = (double)PYRO_NONE;
	object = values_encode(&ops_records[REC_doctor], &doctor);
	CHECK(json_is_null(json_object_get(json_object_get(object, "daily_loop"), "prepared_at")));
	json_decref(object);
	pyro_doctor_done(&doctor);
}

TEST("a path of the host that is no text is repaired in JSON, not left out")
{
	struct pyro_disk_export export = {.output_path = mem_strdup("/a\xff/b")};
	json_t *object = values_encode(&ops_records[REC_disk_export], &export);

	CHECK_STR(json_string_value(json_object_get(object, "output_path")), "/a\xef\xbf\xbd/b");
	json_decref(object);
	pyro_disk_export_done(&export);
}

TEST("a command is one text in JSON if it was one, else a list")
{
	const char *one[] = {"a b", NULL}, *two[] = {"a", "b", NULL};
	struct pyro_run run = {.command = strv_dup(one), .exit_code = 7};
	json_t *object = values_encode(&ops_records[REC_run], &run);

	CHECK_STR(json_string_value(json_object_get(object, "command")), "a b");
	CHECK_INT(json_integer_value(json_object_get(object, "exit_code")), 7);
	json_decref(object);
	strv_free(run.command);
	run.command = strv_dup(two);
	object = values_encode(&ops_records[REC_run], &run);
	CHECK_INT(json_array_size(json_object_get(object, "command")), 2);
	json_decref(object);
	pyro_run_done(&run);
	CHECK(!run.command && !run.exit_code);
}

TEST("a list of records is encoded and freed whole")
{
	struct pyro_vm_list list = {.count = 2, .vms_count = 2};
	json_t *object;

	list.vms = mem_zalloc(2, sizeof(*list.vms));
	list.vms[1].vm_id = mem_strdup("vm-b");
	object = values_encode(&ops_records[REC_vm_list], &list);
	CHECK_STR(json_string_value(json_object_get(
			  json_array_get(json_object_get(object, "vms"), 1), "vm_id")),
		  "vm-b");
	json_decref(object);
	pyro_vm_list_done(&list);
	CHECK(!list.vms && !list.vms_count);
}

TEST("the schema of inputs closes the object and tells bounds and defaults")
{
	json_t *schema = schema_input(op_named("run_in_vm"));
	json_t *timeout = json_object_get(json_object_get(schema, "properties"), "timeout_seconds");

	CHECK(json_is_false(json_object_get(schema, "additionalProperties")));
	CHECK_INT(json_array_size(json_object_get(schema, "required")), 2);
	CHECK_INT(json_integer_value(json_object_get(timeout, "default")), 30);
	CHECK_INT(json_integer_value(json_object_get(timeout, "minimum")), 1);
	CHECK_INT(json_integer_value(json_object_get(timeout, "maximum")), 86400);
	json_decref(schema);
}

TEST("an error is encoded with all four members")
{
	struct pyro_error err = {PYRO_E_BUSY, "m", "h"};
	json_t *object = values_encode_error(&err);

	CHECK_STR(json_string_value(json_object_get(object, "code")), "busy");
	CHECK_STR(json_string_value(json_object_get(object, "message")), "m");
	CHECK_STR(json_string_value(json_object_get(object, "hint")), "h");
	CHECK(json_is_true(json_object_get(object, "retryable")));
	json_decref(object);
}

TEST("a text or command that is not UTF-8 is refused for callers in C too")
{
	const char *const command[] = {"echo", "\xff", NULL};
	struct pyro_run_in_vm_args ret, args = {.environment = "debian:12", .command = command};
	struct pyro_error err;

	CHECK(ops_apply_defaults(OP_run_in_vm, &args, &ret, &err) < 0);
	CHECK_STR(err.message, "command is not valid UTF-8");
	args.environment = "\xff";
	CHECK(ops_apply_defaults(OP_run_in_vm, &args, &ret, &err) < 0);
	CHECK_STR(err.message, "environment is not valid UTF-8");
}

/* Decodes for an operation; *args is zeroed again, and err->message "" where all is well. */
static const char *decoded(enum op_id id, const char *json, enum ops_naming naming)
{
	static struct pyro_error err;
	const struct op_row *op = &ops_rows[id];
	AUTO_FREE void *args = mem_zalloc(1, op->args_size + 1);
	json_t *object = json_loads(json, 0, NULL);

	err = (struct pyro_error){0};
	(void)values_decode(op, object, naming, args, &err);
	values_args_done(op, args);
	json_decref(object);
	return err.message;
}

TEST("a map becomes pairs and a list texts")
{
	const struct op_row *op = &ops_rows[OP_update_workspace];
	struct pyro_update_workspace_args args = {0};
	struct pyro_error err;
	json_t *object = json_loads("{\"workspace_id\": \"w\", \"labels\": {\"a\": \"1=2\", "
				    "\"b\": \"\"}, \"clear_labels\": [\"c\"]}",
				    0, NULL);

	CHECK_OK(values_decode(op, object, NAMING_JSON, &args, &err), err);
	CHECK_STR(args.labels[0], "a=1=2");
	CHECK_STR(args.labels[1], "b=");
	CHECK(!args.labels[2]);
	CHECK_STR(args.clear_labels[0], "c");
	CHECK(!args.clear_labels[1]);
	values_args_done(op, &args);
	json_decref(object);
}

TEST("a wrong map or list is named with what was expected")
{
	CHECK_STR(decoded(OP_create_workspace, "{\"environment\": \"e\", \"labels\": []}",
			  NAMING_JSON),
		  "arguments.labels: expected an object, got list");
	CHECK_STR(decoded(OP_create_workspace, "{\"environment\": \"e\", \"labels\": {\"a\": 1}}",
			  NAMING_JSON),
		  "arguments.labels: expected an object of strings, got integer");
	CHECK_STR(decoded(OP_create_workspace,
			  "{\"environment\": \"e\", \"labels\": {\"a=b\": \"\"}}", NAMING_JSON),
		  "arguments.labels: key 'a=b' contains =");
	CHECK_STR(decoded(OP_update_workspace, "{\"workspace_id\": \"w\", \"clear_labels\": \"a\"}",
			  NAMING_JSON),
		  "arguments.clear_labels: expected a list of strings, got string");
	CHECK_STR(decoded(OP_update_workspace, "{\"workspace_id\": \"w\", \"clear_labels\": [1]}",
			  NAMING_JSON),
		  "arguments.clear_labels: expected a list of strings, got integer");
}

TEST("what the command line and C may leave out, a tool's caller must give")
{
	struct pyro_create_workspace_args args;
	struct pyro_error err;

	CHECK_STR(decoded(OP_create_workspace, "{}", NAMING_JSON),
		  "arguments.environment is missing");
	CHECK_STR(decoded(OP_create_workspace, "{}", NAMING_CLI), "");
	CHECK_OK(ops_apply_defaults(OP_create_workspace, NULL, &args, &err), err);
	CHECK_STR(args.environment, "debian:12");
}

TEST("an input of the command line alone is unknown to a tool")
{
	const char *json = "{\"environment\": \"e\", \"id_only\": true}";

	CHECK_STR(decoded(OP_create_workspace, json, NAMING_JSON),
		  "arguments.id_only: there is no such argument");
	CHECK_STR(decoded(OP_create_workspace, json, NAMING_CLI), "");
}

TEST("a text that may come from a file is missing under both names")
{
	const char *json = "{\"workspace_id\": \"w\"}";

	CHECK_STR(decoded(OP_apply_workspace_patch, json, NAMING_CLI),
		  "--patch or --patch-file is missing");
	CHECK_STR(decoded(OP_apply_workspace_patch, json, NAMING_JSON),
		  "arguments.patch is missing");
}

TEST("a schema describes maps and lists, and asks a tool's caller for what others may leave out")
{
	json_t *create = schema_input(&ops_rows[OP_create_workspace]);
	json_t *update = schema_input(&ops_rows[OP_update_workspace]);
	json_t *properties = json_object_get(create, "properties");
	const char *type, *values, *items;

	CHECK_INT(json_array_size(json_object_get(create, "required")), 1);
	CHECK(!json_object_get(json_object_get(properties, "environment"), "default"));
	CHECK(!json_object_get(properties, "id_only"));
	CHECK_INT(json_unpack(properties, "{s:{s:s, s:{s:s}}}", "labels", "type", &type,
			      "additionalProperties", "type", &values),
		  0);
	CHECK_STR(type, "object");
	CHECK_STR(values, "string");
	CHECK_INT(json_unpack(update, "{s:{s:{s:s, s:{s:s}}}}", "properties", "clear_labels",
			      "type", &type, "items", "type", &items),
		  0);
	CHECK_STR(type, "array");
	CHECK_STR(items, "string");
	json_decref(create);
	json_decref(update);
}

TEST("a map is an object in JSON, and none an empty one")
{
	const char *labels[] = {"a=1=2", "b=", NULL};
	struct pyro_workspace ws = {.labels = strv_dup(labels)};
	json_t *object = values_encode(&ops_records[REC_workspace], &ws);
	json_t *map = json_object_get(object, "labels");

	CHECK_INT(json_object_size(map), 2);
	CHECK_STR(json_string_value(json_object_get(map, "a")), "1=2");
	CHECK_STR(json_string_value(json_object_get(map, "b")), "");
	json_decref(object);
	pyro_workspace_done(&ws);
	object = values_encode(&ops_records[REC_workspace], &ws);
	CHECK(json_is_object(json_object_get(object, "labels")));
	json_decref(object);
}

TEST("what a helper program reports becomes a record, or is refused whole")
{
	const struct rec_row *rec = &ops_records[REC_workspace_diff];
	struct pyro_workspace_diff diff;
	struct pyro_error err;
	json_t *good = json_loads("{\"patch\": \"p\", \"entries\": [{\"path\": \"a\"}, "
				  "{\"path\": \"b\"}], \"changed\": true}",
				  0, NULL);
	json_t *bad = json_loads("{\"patch\": \"p\", \"entries\": [{\"path\": \"a\"}, "
				 "{\"path\": 1}]}",
				 0, NULL);

	CHECK_OK(values_decode_record(rec, good, &diff, &err), err);
	CHECK_STR(diff.patch, "p");
	CHECK_INT(diff.entries_count, 2);
	CHECK_STR(diff.entries[1].path, "b");
	pyro_workspace_diff_done(&diff);
	CHECK(values_decode_record(rec, bad, &diff, &err) < 0);
	CHECK(!diff.patch && !diff.entries && !diff.entries_count);
	json_decref(good);
	json_decref(bad);
}

TEST("a number that a helper program leaves out is absent, not zero")
{
	json_t *object = json_pack("{s:n}", "prepared_at");
	struct pyro_daily_loop loop = {0};
	struct pyro_error err;

	CHECK_OK(values_decode_record(&ops_records[REC_daily_loop], object, &loop, &err), err);
	CHECK(loop.prepared_at == (double)PYRO_NONE);
	pyro_daily_loop_done(&loop);
	json_decref(object);
}
