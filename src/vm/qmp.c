/*
 * One JSON text per line in both directions: a greeting from QEMU, then commands and answers in
 * order, with events between them. One call at a time; its answer bears its number, so that the
 * late answer of a call that nobody waits for any more is not taken for the next one's.
 */
#include "vm/qmp.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES (1024 * 1024)

struct qmp {
	struct loop *loop;
	struct loop_fd src;
	struct buf in;
	bool has_greeting;
	bool is_migrated;  /* a MIGRATION event told the end */
	bool has_answer;   /* or the connection ended: see is_down */
	bool is_port_open; /* a VSERPORT_CHANGE event said so */
	bool is_down;
	json_int_t id; /* of the latest call, from 1 on */
	json_t *answer;
	char migration_status[32];
};

static void note_event(struct qmp *qmp, const char *event, const json_t *message)
{
	const json_t *data = json_object_get(message, "data");
	const char *status = json_string_value(json_object_get(data, "status"));

	log_debug("qmp: event %s", event);
	if (strcmp(event, "VSERPORT_CHANGE") == 0)
		qmp->is_port_open = json_is_true(json_object_get(data, "open"));
	if (strcmp(event, "MIGRATION") != 0 || !status)
		return;
	(void)snprintf(qmp->migration_status, sizeof(qmp->migration_status), "%s", status);
	if (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0)
		qmp->is_migrated = true;
}

/*
 * QEMU has no number for an error about a line that it could not read. Whose it was matters little:
 * a call may fail by it, but never succeed.
 */
static bool is_answer(const struct qmp *qmp, const json_t *message)
{
	const json_t *id = json_object_get(message, "id");

	return id ? json_is_integer(id) && json_integer_value(id) == qmp->id
		  : json_object_get(message, "error") != NULL;
}

static void take_line(struct qmp *qmp, const char *line, size_t len)
{
	json_t *message = json_loadb(line, len, 0, NULL);
	const char *event = json_string_value(json_object_get(message, "event"));

	if (json_object_get(message, "QMP")) {
		qmp->has_greeting = true;
	} else if (event) {
		note_event(qmp, event, message);
	} else if (!qmp->has_answer && is_answer(qmp, message)) {
		qmp->answer = json_incref(message);
		qmp->has_answer = true;
	}
	json_decref(message);
}

static void go_down(struct qmp *qmp)
{
	loop_remove_fd(qmp->loop, &qmp->src);
	qmp->is_down = true;
	qmp->has_greeting = qmp->has_answer = qmp->is_migrated = qmp->is_port_open = true;
}

static void qmp_ready(struct loop_fd *src, uint32_t events)
{
	struct qmp *qmp = src->ctx;
	char *room = buf_room(&qmp->in, 4096);
	ssize_t n = room ? read(src->fd, room, 4096) : 0;
	char *end;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		go_down(qmp);
		return;
	}
	buf_grew(&qmp->in, (size_t)n);
	while ((end = memchr(qmp->in.data, '\n', qmp->in.len))) {
		take_line(qmp, qmp->in.data, (size_t)(end - qmp->in.data));
		buf_consume(&qmp->in, (size_t)(end - qmp->in.data) + 1);
	}
}

struct qmp *qmp_new(struct loop *loop, int fd, struct pyro_error *err)
{
	struct qmp *qmp = mem_zalloc(1, sizeof(*qmp));

	qmp->loop = loop;
	qmp->in.max = LINE_MAX_BYTES;
	qmp->src.on_ready = qmp_ready;
	qmp->src.ctx = qmp;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	if (loop_add_fd(loop, &qmp->src, fd, EPOLLIN, err) < 0) {
		fd_close(&fd);
		free(qmp);
		return NULL;
	}
	return qmp;
}

struct qmp *qmp_free(struct qmp *qmp)
{
	if (!qmp)
		return NULL;
	loop_remove_fd(qmp->loop, &qmp->src);
	fd_close(&qmp->src.fd);
	buf_done(&qmp->in);
	json_decref(qmp->answer);
	free(qmp);
	return NULL;
}

static int died(struct pyro_error *err)
{
	return err_set(err, PYRO_E_VM_DIED, "QEMU ended unexpectedly");
}

/* Sends one line, with a descriptor beside its first byte if pass_fd >= 0. */
static int send_line(struct qmp *qmp, const char *text, int pass_fd, struct pyro_error *err)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (pass_fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
	}
	n = sendmsg(qmp->src.fd, &msg, MSG_NOSIGNAL);
	/* Commands are far smaller than a socket buffer, and each waits for its answer. */
	if (n != (ssize_t)iov.iov_len)
		return n < 0 && errno != EPIPE ? err_sys(err, errno, "send to QEMU") : died(err);
	return 0;
}

int qmp_handshake(struct qmp *qmp, int64_t deadline, struct pyro_error *err)
{
	if (loop_until(qmp->loop, &qmp->has_greeting, deadline, "QEMU to start", err) < 0)
		return -1;
	return qmp_call(qmp, "qmp_capabilities", NULL, deadline, err);
}

static int exchange(struct qmp *qmp, const char *command, json_t *args, int pass_fd, json_t **ret,
		    int64_t deadline, struct pyro_error *err)
{
	json_t *request = json_pack("{s:s, s:o*, s:I}", "execute", command, "arguments", args, "id",
				    ++qmp->id);
	AUTO_FREE char *text = json_dumps(request, JSON_COMPACT);
	const json_t *error;

	json_decref(request);
	if (!text)
		mem_exhausted();
	if (qmp->is_down)
		return died(err);
	json_decref(qmp->answer);
	qmp->answer = NULL;
	qmp->has_answer = false;
	log_debug("qmp: %s", text);
	if (send_line(qmp, text, pass_fd, err) < 0 ||
	    loop_until(qmp->loop, &qmp->has_answer, deadline, "QEMU's answer", err) < 0)
		return err_wrap(err, "%s", command);
	if (qmp->is_down)
		return died(err);
	error = json_object_get(qmp->answer, "error");
	if (error) {
		const char *desc = json_string_value(json_object_get(error, "desc"));
		bool is_full = desc && strstr(desc, strerror(ENOSPC));

		return err_set(err, is_full ? PYRO_E_NO_SPACE : PYRO_E_BOOT_FAILED,
			       "QEMU refused '%s': %s", command, desc ? desc : "no reason given");
	}
	if (ret)
		*ret = json_incref(json_object_get(qmp->answer, "return"));
	return 0;
}

int qmp_call(struct qmp *qmp, const char *command, json_t *args, int64_t deadline,
	     struct pyro_error *err)
{
	return exchange(qmp, command, args, -1, NULL, deadline, err);
}

int qmp_query(struct qmp *qmp, const char *command, json_t **ret, int64_t deadline,
	      struct pyro_error *err)
{
	return exchange(qmp, command, NULL, -1, ret, deadline, err);
}

int qmp_give_fd(struct qmp *qmp, const char *name, int fd, int64_t deadline, struct pyro_error *err)
{
	return exchange(qmp, "getfd", json_pack("{s:s}", "fdname", name), fd, NULL, deadline, err);
}

int qmp_await_migration(struct qmp *qmp, int64_t deadline, struct pyro_error *err)
{
	if (loop_until(qmp->loop, &qmp->is_migrated, deadline, "the machine state", err) < 0)
		return -1;
	if (qmp->is_down)
		return died(err);
	qmp->is_migrated = false;
	if (strcmp(qmp->migration_status, "completed") != 0)
		return err_set(err, PYRO_E_BOOT_FAILED, "QEMU could not move the machine state: %s",
			       qmp->migration_status);
	return 0;
}

void qmp_expect_port_open(struct qmp *qmp)
{
	qmp->is_port_open = qmp->is_down;
}

int qmp_await_port_open(struct qmp *qmp, int64_t deadline, struct pyro_error *err)
{
	if (loop_until(qmp->loop, &qmp->is_port_open, deadline, "the guest's port", err) < 0)
		return -1;
	return qmp->is_down ? died(err) : 0;
}
