/*
 * pyro-supervisor: the process that owns one running VM and everything the VM needs.
 *
 *	pyro-supervisor STATE_DIR VM_ID		3: first client, a connected socket
 *						4: the `alive` lock of the VM, held
 *
 * Clients talk to it over the mux protocol (docs/protocol.md), the first one over descriptor 3,
 * others over the socket in the VM's directory. Its calls:
 *
 * start {spec}: once, by the first client; phases as events; {execution_mode, accel, has_baseline}:
 *	the last says that the disk is new and has DISK_BASELINE; undone if that client goes away
 *	before it is answered
 * own {}: the VM ends with this connection
 * release {}: it does not any more
 * hello, exec, scan, read, put, pack: as the agent's, relayed (relay.c). An exec with "record",
 *	{command, cwd, wait_ms}, is one of a workspace's history: its result has {sequence, state},
 *	and is only that, with state "running", when it has not ended after wait_ms (0: no bound);
 *	then it goes on without input
 * wait {sequence}: {}, once no recorded exec of that number runs: how it ended is in the history;
 *	an error if the history is going, too
 * kill {sequence}: ends a recorded exec, wherever it was called; {cancelled}
 * network {}: {up}, whether the packets of its device are carried
 * snapshot {name}: keeps the disk under that name, flushed; replaces one of that name
 * delete_snapshot {name}: missing is fine
 * reset {name}: everything that runs is killed, the disk is as it was in that snapshot, the history
 *	is cleared, the machine starts again; phases as events
 * stop {}: flushes, ends the machine, keeps the disk; the supervisor ends
 * destroy {}: ends the machine and removes everything; the supervisor ends
 *
 * And those on shells (shells.c), where `shell` is its record:
 *
 * shell_open {cwd, cols, rows, secret_env}: {shell}, once it runs
 * shell_read {shell_id, cursor, max_bytes, context_bytes, wait_for_idle_ms}: O: up to context_bytes
 *	from before the cursor, then the output from the cursor on; {shell, and context: how many
 *	bytes of that, cursor, next_cursor, end, skipped_bytes}
 * shell_write {shell_id, input}: {input_bytes}
 * shell_signal {shell_id, signal}: {shell}
 * shell_close {shell_id}: {shell} as it was at its end
 * shell_attach {shell_id, cursor}: O: output from the cursor on as it comes; I: input, an empty
 *	record detaches; also {"resize": {cols, rows}}; {shell} when it has ended or is detached
 *
 * And those on services (services.c):
 *
 * service_start {service_name, command (for the record), argv or shell, cwd, secret_env, publish:
 *	[{host_port, guest_port}], readiness: {type, ...}, ready_timeout_ms, ready_interval_ms}: {},
 *	once it is ready; a client that cancels ends it, one that vanishes does not
 * service_stop {service_name}: {}, once it has ended; one that does not run is fine
 *
 * It is in a session of its own and ignores what the terminal sends; SIGTERM stops the VM (or
 * destroys it if somebody owns it). It never outlives its VM.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "base/loop.h"
#include "pyro/error.h"
#include "vm/engine.h"
#include "workspace/secrets.h"

#include <jansson.h>

struct mux;
struct mux_call;
struct redact_patterns;

#define SUPERVISOR_CLIENT_FD 3
#define SUPERVISOR_LOCK_FD 4
#define SUPERVISOR_MAX_CLIENTS 256 /* every one who is attached, or waits, is one */
#define SUPERVISOR_VM_DIED "the machine ended unexpectedly"

/* Why the supervisor comes to its end; a later one does not override an earlier one. */
enum ending {
	ENDING_NONE,
	ENDING_STOP,    /* somebody called stop */
	ENDING_DESTROY, /* somebody called destroy, or the owner is gone, or the time is up */
	ENDING_FAILED,  /* the machine died, or never started */
};

/* What is done as straight code between start and end, one at a time. */
enum task_kind {
	TASK_NONE,
	TASK_SNAPSHOT,
	TASK_DELETE_SNAPSHOT,
	TASK_RESET,
};

struct task {
	enum task_kind kind;
	char *name;            /* of the snapshot */
	struct mux_call *call; /* waits for the answer; NULL once its client is gone */
};

struct supervisor {
	struct loop *loop;
	const char *state_dir;
	const char *vm_id;
	char *dir;
	json_t *spec;  /* of `start`; vm->spec points into it */
	struct vm *vm; /* NULL until it is ready */
	struct client *clients;
	int n_clients;
	int sock; /* listens */
	struct loop_fd listener;
	struct loop_fd signals;
	struct loop_timer ttl;
	struct mux *owner;           /* the connection whose end is the VM's end */
	struct mux_call *start_call; /* waits for its answer */
	struct mux_call *end_call;   /* waits for its answer */
	struct task task;
	struct relay *relays;
	struct shell *shells;
	struct service *services;
	struct ports *ports;
	struct connection *connections; /* of ports */
	int n_connections;
	struct records *records; /* open as long as needed */
	struct secrets secrets;
	struct redact_patterns *patterns; /* NULL: there are no secrets */
	bool is_asked_to_start;
	bool is_resetting; /* the machine is being replaced */
	bool is_renewing;  /* and its disk too, by a new one */
	bool has_run;      /* there was a machine to stop */
	bool has_lost_network;
	bool has_work;     /* that, a task, or the end: what main waits for */
	bool is_finishing; /* the end is being carried out; nothing changes it any more */
	bool is_ending;    /* ending != ENDING_NONE */
	enum ending ending;
	struct pyro_error
		reason; /* why: what calls under way are told, and with ENDING_FAILED the record */
};

/*
 * Begins the end; what is under way unwinds. The message says why, to whoever has a call under way;
 * the first one counts.
 */
void supervisor_end(struct supervisor *s, enum ending ending, enum pyro_code code,
		    const char *message);

/* clients.c: takes a connected descriptor as a client. */
void clients_add(struct supervisor *s, int fd);
int clients_listen(struct supervisor *s, struct pyro_error *err);
/* Waits until all that was said has been written (bounded), then drops every client. */
void clients_close(struct supervisor *s);

/* relay.c: passes a client's call on to the agent, both ways, with back-pressure. */
void relay_open(struct supervisor *s, struct mux_call *call, const char *name);
/* Whether the machine takes no calls, not yet or not any more; then the call is answered. */
bool relay_refuse(struct supervisor *s, struct mux_call *call);
/* Answers the call when no recorded exec of that number runs any more. */
void relay_wait(struct supervisor *s, struct mux_call *call, int64_t sequence);
/* Kills the recorded exec of that number; false if none runs. */
bool relay_kill(struct supervisor *s, int64_t sequence);

/*
 * secrets.c: what is read from the workspace's directory when it starts. This process leaves no
 * core from then on, and nobody debugs it.
 */
int supervisor_load_secrets(struct supervisor *s, struct pyro_error *err);
void supervisor_drop_secrets(struct supervisor *s);
/* Gives them to the agent, before anything else uses the machine. */
int supervisor_place_secrets(struct supervisor *s, struct vm *vm, struct pyro_error *err);
/*
 * For every stream, message and record that comes from the guest or repeats a caller's words
 * (base/redact.h). NULL where there are no secrets, which redacts nothing.
 */
const struct redact_patterns *supervisor_patterns(const struct supervisor *s);
/*
 * In the arguments of an exec: "secret_env", {SECRET: VARIABLE}, becomes values in "env".
 * PYRO_E_NOT_FOUND for a secret that the workspace does not have.
 */
int supervisor_resolve_secret_env(const struct supervisor *s, json_t *args, struct pyro_error *err);

/* main.c: the records, opened when first needed; NULL with err. They stay the supervisor's. */
struct records *supervisor_records(struct supervisor *s, struct pyro_error *err);

#endif
