#include "supervisor/supervisor.h"

#include "base/clock.h"
#include "base/err.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "supervisor/services.h"
#include "supervisor/shells.h"
#include "vm/network.h"
#include "workspace/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLUSH_MS 2000

struct client {
	struct supervisor *s;
	struct mux *mux;
	int fd;
	bool is_down;
	struct client *next;
};

static void forget_call(struct mux_call *call, const struct pyro_error *error)
{
	struct supervisor *s = mux_call_ctx(call);

	if (s->start_call == call) {
		s->start_call = NULL;
		if (error && !s->vm) /* nobody waits for this start any more */
			supervisor_end(s, s->owner ? ENDING_DESTROY : ENDING_STOP, PYRO_E_CANCELLED,
				       "the start was interrupted");
	}
	if (s->end_call == call)
		s->end_call = NULL;
	if (s->task.call == call)
		s->task.call = NULL; /* what was begun is done all the same */
}

static void start_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct supervisor *s = mux_call_ctx(call);
	struct pyro_error error;

	if (kind != MUX_JSON)
		return;
	if (s->spec) {
		(void)err_set(&error, PYRO_E_BAD_STATE, "'%s' was started already", s->vm_id);
		mux_fail(call, &error);
		return;
	}
	s->spec = json_loadb(data, len, 0, NULL);
	if (!json_is_object(s->spec)) {
		(void)err_set(&error, PYRO_E_INVALID, "start needs an object");
		mux_fail(call, &error);
		return;
	}
	s->start_call = call;
	s->is_asked_to_start = true;
}

static void own_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct supervisor *s = mux_call_ctx(call);

	(void)kind;
	(void)data;
	(void)len;
	s->owner = mux_call_mux(call);
	call_answer(call, json_object());
}

static void release_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct supervisor *s = mux_call_ctx(call);

	(void)kind;
	(void)data;
	(void)len;
	if (s->owner == mux_call_mux(call))
		s->owner = NULL;
	call_answer(call, json_object());
}

static int64_t sequence_of(const char *data, size_t len)
{
	json_t *args = json_loadb(data, len, 0, NULL);
	int64_t sequence = json_integer_value(json_object_get(args, "sequence"));

	json_decref(args);
	return sequence;
}

static void wait_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	(void)kind;
	relay_wait(mux_call_ctx(call), call, sequence_of(data, len));
}

static void kill_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	bool is_killed = relay_kill(mux_call_ctx(call), sequence_of(data, len));

	(void)kind;
	call_answer(call, json_pack("{s:b}", "cancelled", is_killed));
}

static void network_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	struct supervisor *s = mux_call_ctx(call);

	(void)kind;
	(void)data;
	(void)len;
	call_answer(call, json_pack("{s:b}", "up", s->vm && network_is_up(s->vm->network)));
}

/* One task at a time. Whoever asks holds the VM's `change` lock; only one that was killed in the
 * middle leaves a task that the next one meets. */
static void task_asked(struct mux_call *call, enum task_kind kind, const char *data, size_t len)
{
	struct supervisor *s = mux_call_ctx(call);
	json_t *args = json_loadb(data, len, 0, NULL);
	const char *name = json_string_value(json_object_get(args, "name"));
	struct pyro_error error;

	if (!s->vm || s->is_ending || s->task.kind != TASK_NONE || !name) {
		(void)err_set(&error, name ? PYRO_E_BUSY : PYRO_E_INVALID,
			      "'%s' is being started, reset or snapshotted", s->vm_id);
		mux_fail(call, &error);
	} else {
		s->task = (struct task){kind, mem_strdup(name), call};
		s->has_work = true;
	}
	json_decref(args);
}

static void snapshot_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	(void)kind;
	task_asked(call, TASK_SNAPSHOT, data, len);
}

static void delete_snapshot_asked(struct mux_call *call, enum mux_kind kind, const char *data,
				  size_t len)
{
	(void)kind;
	task_asked(call, TASK_DELETE_SNAPSHOT, data, len);
}

static void reset_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	(void)kind;
	task_asked(call, TASK_RESET, data, len);
}

static void end_asked(struct mux_call *call, enum ending ending)
{
	struct supervisor *s = mux_call_ctx(call);

	if (s->end_call) {
		struct pyro_error error;

		(void)err_set(&error, PYRO_E_BUSY, "'%s' is being stopped or deleted", s->vm_id);
		mux_fail(call, &error);
		return;
	}
	s->end_call = call;
	supervisor_end(s, ending, PYRO_E_BAD_STATE, "the VM was stopped or deleted meanwhile");
}

static void stop_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	(void)kind;
	(void)data;
	(void)len;
	end_asked(call, ENDING_STOP);
}

static void destroy_asked(struct mux_call *call, enum mux_kind kind, const char *data, size_t len)
{
	(void)kind;
	(void)data;
	(void)len;
	end_asked(call, ENDING_DESTROY);
}

static const struct {
	const char *name;
	struct mux_call_ops ops;
} own_calls[] = {
	{"start", {.on_record = start_asked, .on_close = forget_call}},
	{"own", {.on_record = own_asked, .on_close = forget_call}},
	{"release", {.on_record = release_asked, .on_close = forget_call}},
	{"wait", {.on_record = wait_asked, .on_close = forget_call}},
	{"kill", {.on_record = kill_asked, .on_close = forget_call}},
	{"network", {.on_record = network_asked, .on_close = forget_call}},
	{"snapshot", {.on_record = snapshot_asked, .on_close = forget_call}},
	{"delete_snapshot", {.on_record = delete_snapshot_asked, .on_close = forget_call}},
	{"reset", {.on_record = reset_asked, .on_close = forget_call}},
	{"stop", {.on_record = stop_asked, .on_close = forget_call}},
	{"destroy", {.on_record = destroy_asked, .on_close = forget_call}},
};

static const char *const relayed_calls[] = {"exec", "scan", "read", "put", "pack", "hello", NULL};

static void client_call(struct mux *mux, struct mux_call *call, const char *name)
{
	struct client *client = mux_ctx(mux);
	struct supervisor *s = client->s;
	struct pyro_error error;

	for (size_t i = 0; i < ARRAY_SIZE(own_calls); i++) {
		if (strcmp(name, own_calls[i].name) == 0) {
			mux_accept(call, &own_calls[i].ops, s);
			return;
		}
	}
	for (size_t i = 0; relayed_calls[i]; i++) {
		if (strcmp(name, relayed_calls[i]) == 0) {
			relay_open(s, call, name);
			return;
		}
	}
	if (shells_call(s, call, name) || services_call(s, call, name))
		return;
	(void)err_set(&error, PYRO_E_NOT_FOUND, "there is no call '%s'", name);
	mux_fail(call, &error);
}

static void client_down(struct mux *mux, const struct pyro_error *error)
{
	struct client *client = mux_ctx(mux);

	(void)error;
	client->is_down = true;
	/* A stop that was accepted stands: the disk stays, whoever owned the VM. */
	if (client->s->owner == mux) {
		client->s->owner = NULL;
		if (client->s->ending != ENDING_STOP)
			supervisor_end(client->s, ENDING_DESTROY, PYRO_E_CANCELLED,
				       "the owner is gone");
	} else if (!client->s->is_asked_to_start) {
		supervisor_end(client->s, ENDING_STOP, PYRO_E_CANCELLED, "nobody asked to start");
	}
}

static const struct mux_ops client_ops = {.on_call = client_call, .on_down = client_down};

static void client_free(struct client *client)
{
	mux_free(client->mux);
	fd_close(&client->fd);
	free(client);
}

/* Clients that went away: not inside their own callbacks, but before the next one is let in. */
static void sweep(struct supervisor *s)
{
	struct client **at = &s->clients;

	while (*at) {
		struct client *client = *at;

		if (!client->is_down) {
			at = &client->next;
			continue;
		}
		*at = client->next;
		s->n_clients--;
		client_free(client);
	}
}

void clients_add(struct supervisor *s, int fd)
{
	struct client *client;

	sweep(s);
	if (s->n_clients >= SUPERVISOR_MAX_CLIENTS) {
		fd_close(&fd);
		return;
	}
	client = mem_zalloc(1, sizeof(*client));
	client->s = s;
	client->fd = fd;
	client->mux = mux_new(s->loop, fd, fd, MUX_SERVER, &client_ops, client, NULL);
	if (!client->mux) {
		client_free(client);
		return;
	}
	client->next = s->clients;
	s->clients = client;
	s->n_clients++;
}

static void listener_ready(struct loop_fd *src, uint32_t events)
{
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		clients_add(src->ctx, fd);
}

int clients_listen(struct supervisor *s, struct pyro_error *err)
{
	AUTO_FREE char *path = mem_printf("%s/sock", s->dir);

	s->sock = state_listen(path, err);
	s->listener.on_ready = listener_ready;
	s->listener.ctx = s;
	return s->sock < 0 ? -1 : loop_add_fd(s->loop, &s->listener, s->sock, EPOLLIN, err);
}

void clients_close(struct supervisor *s)
{
	int64_t deadline = deadline_in(FLUSH_MS);
	const bool never = false;

	loop_remove_fd(s->loop, &s->listener);
	fd_close(&s->sock);
	for (struct client *c = s->clients; c; c = c->next)
		while (!c->is_down && !mux_is_flushed(c->mux) && deadline_left(deadline))
			(void)loop_until(s->loop, &never, deadline_in(1), "clients", NULL);
	while (s->clients) {
		struct client *client = s->clients;

		s->clients = client->next;
		client_free(client);
	}
}
