/*
 * qmp: a client of QEMU's machine protocol on a socket, as straight code over the event loop.
 *
 * QEMU is confined because it may be taken over, so its answers are parsed with limits too. When
 * the connection ends, calls under way and later ones fail with PYRO_E_VM_DIED.
 */
#ifndef VM_QMP_H
#define VM_QMP_H

#include <jansson.h>
#include <stdint.h>

struct loop;
struct pyro_error;
struct qmp;

/* Takes fd. NULL with err. */
struct qmp *qmp_new(struct loop *loop, int fd, struct pyro_error *err);
struct qmp *qmp_free(struct qmp *qmp);

/* Waits for the greeting and leaves the negotiation mode. */
int qmp_handshake(struct qmp *qmp, int64_t deadline, struct pyro_error *err);

/*
 * Executes one command. `args` is taken (NULL: none); the answer is dropped. One call at a time.
 */
int qmp_call(struct qmp *qmp, const char *command, json_t *args, int64_t deadline,
	     struct pyro_error *err);
/* As qmp_call; *ret is the "return" object, owned by the caller. */
int qmp_query(struct qmp *qmp, const char *command, json_t **ret, int64_t deadline,
	      struct pyro_error *err);

/* Gives QEMU a descriptor under a name that commands can use ("fd:NAME"). */
int qmp_give_fd(struct qmp *qmp, const char *name, int fd, int64_t deadline,
		struct pyro_error *err);

/* Waits until `migrate` or `migrate-incoming` has come to its end. */
int qmp_await_migration(struct qmp *qmp, int64_t deadline, struct pyro_error *err);

/* Waits until the guest has opened its serial port (again) since qmp_expect_port_open(). */
void qmp_expect_port_open(struct qmp *qmp);
int qmp_await_port_open(struct qmp *qmp, int64_t deadline, struct pyro_error *err);

#endif
