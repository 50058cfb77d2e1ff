#include "guest/calls.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "guest/boot.h"
#include "guest/connect.h"
#include "guest/exec.h"
#include "guest/freeze.h"
#include "guest/identity.h"
#include "guest/network.h"
#include "guest/pack.h"
#include "guest/probe.h"
#include "guest/put.h"
#include "guest/scan.h"
#include "guest/secrets.h"
#include "guest/tree.h"
#include "pyro.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROTOCOL_VERSION 1
#define HOSTNAME_MAX 64
#define QUIESCE_MS 20000

enum stage {
	STAGE_INITRAMFS,
	STAGE_MOUNTED,
	STAGE_READY,
};

static const char *const stage_names[] = {"initramfs", "mounted", "ready"};

struct request {
	struct mux_call *call;
	const struct row *row;
	struct exec *exec; /* of the calls that run something */
	struct connect *connect;
	bool has_begun;
};

/* A call that answers at once leaves its result in *ret; one that runs something, request->exec. */
struct row {
	const char *name;
	enum stage needs;
	bool is_guest_only;
	int (*run)(struct request *request, json_t *args, json_t **ret, struct pyro_error *err);
};

static bool is_guest;
static enum stage stage;

/* Checks and takes apart the arguments; fmt and what follows are those of json_unpack. */
static int unpack(const struct request *request, json_t *args, struct pyro_error *err,
		  const char *fmt, ...)
{
	json_error_t error;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = json_vunpack_ex(args, &error, JSON_STRICT, fmt, ap);
	va_end(ap);
	if (r < 0)
		return err_set(err, PYRO_E_INVALID, "%s: %s", request->row->name, error.text);
	return 0;
}

static int call_hello(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	json_int_t version;

	if (unpack(request, args, err, "{s:I}", "version", &version) < 0)
		return -1;
	if (version != PROTOCOL_VERSION)
		return err_set(err, PYRO_E_PROTOCOL, "version %lld is spoken there, but %d here",
			       (long long)version, PROTOCOL_VERSION);
	*ret = json_pack("{s:i s:s s:s s:s}", "version", PROTOCOL_VERSION, "stage",
			 stage_names[stage], "agent", PYRO_VERSION, "mode",
			 is_guest ? "guest" : "host");
	return 0;
}

static int call_mount(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	if (unpack(request, args, err, "{}") < 0)
		return -1;
	if (stage != STAGE_INITRAMFS)
		return err_set(err, PYRO_E_BAD_STATE, "the root is mounted already");
	if (boot_mount_root(err) < 0)
		return -1;
	stage = STAGE_MOUNTED;
	*ret = json_object();
	return 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Lower-case hex of min to max bytes into data; the number of bytes, or -1. */
static ssize_t decode_hex(const char *hex, unsigned char *data, size_t min, size_t max)
{
	size_t len = strlen(hex);

	if (len % 2 || len / 2 < min || len / 2 > max)
		return -1;
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		data[i] = (unsigned char)(high << 4 | low);
	}
	return (ssize_t)(len / 2);
}

static int call_resume(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	unsigned char entropy[IDENTITY_ENTROPY_MAX], id[16];
	const char *hex, *hostname, *machine_id;
	json_int_t realtime_ns;
	ssize_t len;
	int r;

	if (unpack(request, args, err, "{s:s s:I s:s s:s}", "entropy", &hex, "realtime_ns",
		   &realtime_ns, "hostname", &hostname, "machine_id", &machine_id) < 0)
		return -1;
	len = decode_hex(hex, entropy, IDENTITY_ENTROPY_MIN, IDENTITY_ENTROPY_MAX);
	if (len < 0 || decode_hex(machine_id, id, sizeof(id), sizeof(id)) < 0)
		return err_set(err, PYRO_E_INVALID,
			       "resume: entropy or machine_id is not good hex");
	if (realtime_ns <= 0 || !*hostname || strlen(hostname) > HOSTNAME_MAX)
		return err_set(err, PYRO_E_INVALID, "resume: realtime_ns or hostname is not good");
	r = identity_seed(entropy, (size_t)len, err);
	explicit_bzero(entropy, sizeof(entropy));
	if (r < 0 || identity_set_clock(realtime_ns, err) < 0 ||
	    identity_set_hostname(hostname, err) < 0 ||
	    identity_set_machine_id(machine_id, err) < 0)
		return -1;
	stage = STAGE_READY;
	*ret = json_object();
	return 0;
}

static int call_network(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	struct network_config c = {0};
	json_t *resolvers;

	if (unpack(request, args, err, "{s:i s:s s:i s:s s:s s:i s:s s:o}", "mtu", &c.mtu,
		   "address4", &c.address4, "prefix4", &c.prefix4, "gateway4", &c.gateway4,
		   "address6", &c.address6, "prefix6", &c.prefix6, "gateway6", &c.gateway6,
		   "resolvers", &resolvers) < 0)
		return -1;
	if (c.prefix4 < 1 || c.prefix4 > 32 || c.prefix6 < 1 || c.prefix6 > 128)
		return err_set(err, PYRO_E_INVALID, "network: a prefix is not good");
	c.n_resolvers = json_array_size(resolvers);
	if (c.n_resolvers < 1 || c.n_resolvers > NETWORK_RESOLVERS)
		return err_set(err, PYRO_E_INVALID, "network: there must be 1 to %d resolvers",
			       NETWORK_RESOLVERS);
	for (size_t i = 0; i < c.n_resolvers; i++) {
		c.resolvers[i] = json_string_value(json_array_get(resolvers, i));
		if (!c.resolvers[i])
			return err_set(err, PYRO_E_INVALID, "network: a resolver is no text");
	}
	if (network_configure(&c, err) < 0)
		return -1;
	*ret = json_object();
	return 0;
}

static int call_exec(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	(void)ret;
	request->exec = exec_command(request->call, args, err);
	return request->exec ? 0 : -1;
}

static int run_function(struct request *request, const struct exec_function *function,
			const void *arg, struct pyro_error *err)
{
	request->exec = exec_function(request->call, function, arg, err);
	return request->exec ? 0 : -1;
}

static int call_scan(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	static const struct exec_function function = {.run = scan_run};
	struct scan_args scan;
	int is_recursive;

	(void)ret;
	if (unpack(request, args, err, "{s:s s:b}", "path", &scan.path, "recursive",
		   &is_recursive) < 0)
		return -1;
	scan.is_recursive = is_recursive;
	return run_function(request, &function, &scan, err);
}

static int call_read(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	static const struct exec_function function = {.run = scan_read};
	struct scan_read_args read;
	json_int_t offset = 0, max_bytes;

	(void)ret;
	if (unpack(request, args, err, "{s:s s?I s:I}", "path", &read.path, "offset", &offset,
		   "max_bytes", &max_bytes) < 0)
		return -1;
	if (offset < 0 || max_bytes < 0)
		return err_set(err, PYRO_E_INVALID, "read: %s is negative",
			       offset < 0 ? "offset" : "max_bytes");
	read.offset = offset;
	read.max_bytes = max_bytes;
	return run_function(request, &function, &read, err);
}

static int call_put(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	static const struct exec_function function = {.run = put_run, .undo = put_recover};
	struct put_args put;
	int keep_modes = 0;

	(void)ret;
	if (unpack(request, args, err, "{s:s s?b}", "path", &put.path, "keep_modes", &keep_modes) <
	    0)
		return -1;
	put.keep_modes = keep_modes;
	put.flush = is_guest;
	return run_function(request, &function, &put, err);
}

static int call_pack(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	static const struct exec_function function = {.run = pack_run};
	struct pack_args pack;
	int has_names = 0;

	(void)ret;
	if (unpack(request, args, err, "{s:s s?b}", "path", &pack.path, "names", &has_names) < 0)
		return -1;
	pack.has_names = has_names;
	return run_function(request, &function, &pack, err);
}

static int call_secrets(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	json_t *values;

	if (unpack(request, args, err, "{s:o}", "values", &values) < 0 ||
	    secrets_place(values, err) < 0)
		return -1;
	*ret = json_object();
	return 0;
}

static int call_probe(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	static const struct exec_function function = {.run = probe_run};
	struct probe probe;

	(void)ret;
	if (probe_parse(&probe, args, err) < 0)
		return -1;
	return run_function(request, &function, &probe, err);
}

static int call_connect(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	json_int_t port;

	(void)ret;
	if (unpack(request, args, err, "{s:I}", "port", &port) < 0)
		return -1;
	if (port < 1 || port > UINT16_MAX)
		return err_set(err, PYRO_E_INVALID, "connect: port is not in 1..%d", UINT16_MAX);
	request->connect = connect_start(request->call, (int)port, err);
	return request->connect ? 0 : -1;
}

static int call_freeze(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	static const struct exec_function function = {.run = freeze_run, .on_end = freeze_limit};

	(void)ret;
	if (unpack(request, args, err, "{}") < 0)
		return -1;
	return run_function(request, &function, NULL, err);
}

static int call_thaw(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	if (unpack(request, args, err, "{}") < 0)
		return -1;
	*ret = json_pack("{s:b}", "was_frozen", (int)freeze_thaw());
	return 0;
}

int calls_end(int64_t deadline, struct pyro_error *err)
{
	int r;

	/* What waits for a frozen disk cannot be killed; and a freeze may just be coming. */
	if (is_guest)
		(void)freeze_thaw();
	r = tree_kill_all(deadline, err);
	if (is_guest)
		(void)freeze_thaw();
	return r < 0 || stage == STAGE_INITRAMFS ? r : put_recover(err);
}

static int call_quiesce(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	if (unpack(request, args, err, "{}") < 0 || calls_end(deadline_in(QUIESCE_MS), err) < 0)
		return -1;
	if (is_guest && boot_flush_root(err) < 0)
		return -1;
	*ret = json_object();
	return 0;
}

static const struct row rows[] = {
	{"hello", STAGE_INITRAMFS, false, call_hello},
	{"mount", STAGE_INITRAMFS, true, call_mount},
	{"resume", STAGE_MOUNTED, true, call_resume},
	{"network", STAGE_READY, true, call_network},
	{"exec", STAGE_MOUNTED, false, call_exec},
	{"connect", STAGE_MOUNTED, false, call_connect},
	{"probe", STAGE_MOUNTED, false, call_probe},
	{"scan", STAGE_MOUNTED, false, call_scan},
	{"read", STAGE_MOUNTED, false, call_read},
	{"put", STAGE_MOUNTED, false, call_put},
	{"pack", STAGE_MOUNTED, false, call_pack},
	{"secrets", STAGE_READY, true, call_secrets},
	{"freeze", STAGE_MOUNTED, true, call_freeze},
	{"thaw", STAGE_MOUNTED, true, call_thaw},
	{"quiesce", STAGE_MOUNTED, false, call_quiesce},
};

static int begin(struct request *request, json_t *args, json_t **ret, struct pyro_error *err)
{
	const struct row *row = request->row;

	if (!json_is_object(args))
		return err_set(err, PYRO_E_INVALID, "%s: the arguments are no JSON object",
			       row->name);
	if (row->is_guest_only && !is_guest)
		return err_set(err, PYRO_E_BAD_STATE, "%s: this is no guest", row->name);
	if (stage < row->needs)
		return err_set(err, PYRO_E_BAD_STATE, "%s: not before stage '%s'", row->name,
			       stage_names[row->needs]);
	return row->run(request, args, ret, err);
}

/* The first JSON are the arguments; those after them are for what runs. */
static void on_json(struct request *request, const char *text, size_t len)
{
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *result = NULL;
	struct pyro_error err;

	if (request->has_begun) {
		if (request->exec)
			exec_message(request->exec, json);
		json_decref(json);
		return;
	}
	request->has_begun = true;
	if (begin(request, json, &result, &err) < 0)
		mux_fail(request->call, &err);
	else if (result)
		call_answer(request->call, result);
	json_decref(json);
}

static void on_record(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct request *request = mux_call_ctx(call);

	if (kind == MUX_IN && request->exec) {
		exec_input(request->exec, data, len);
		return;
	}
	if (kind == MUX_IN && request->connect) {
		connect_input(request->connect, data, len);
		return;
	}
	if (kind == MUX_JSON)
		on_json(request, data, len);
	else
		mux_consume(call, len);
}

static void on_finish(struct mux_call *call)
{
	struct request *request = mux_call_ctx(call);
	struct pyro_error err;

	if (request->exec) {
		exec_input(request->exec, NULL, 0);
	} else if (request->connect) {
		connect_input(request->connect, NULL, 0);
	} else if (!request->has_begun) {
		request->has_begun = true;
		(void)err_set(&err, PYRO_E_INVALID, "%s: no arguments came", request->row->name);
		mux_fail(call, &err);
	}
}

static void on_drained(struct mux_call *call)
{
	struct request *request = mux_call_ctx(call);

	if (request->exec)
		exec_drained(request->exec);
	if (request->connect)
		connect_drained(request->connect);
}

static void on_close(struct mux_call *call, const struct pyro_error *error)
{
	struct request *request = mux_call_ctx(call);

	(void)error;
	if (request->exec)
		exec_abandon(request->exec);
	if (request->connect)
		connect_abandon(request->connect);
	free(request);
}

void calls_init(bool is_in_guest)
{
	is_guest = is_in_guest;
	stage = is_guest ? STAGE_INITRAMFS : STAGE_READY;
}

void calls_on_call(struct mux *mux, struct mux_call *call, const char *name)
{
	static const struct mux_call_ops ops = {on_record, on_finish, on_drained, on_close};
	struct request *request;

	(void)mux;
	/* A call that nobody takes is refused by the mux. */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		request = mem_zalloc(1, sizeof(*request));
		request->call = call;
		request->row = &rows[i];
		mux_accept(call, &ops, request);
	}
}
