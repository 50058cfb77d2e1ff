#include "vm/network.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "net/link.h"
#include "vm/jail.h"
#include "vm/qmp.h"
#include "vm/vm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define DEVICE_FD 3
#define RESOLV_CONF "/etc/resolv.conf"
#define TOLD_MAX (64 * 1024)
#define CHUNK 1024
#define LAST_WORDS 320 /* of all that was told: those that an error has room for */

struct network {
	struct loop *loop;
	const struct vm *vm;
	struct loop_child child;
	struct loop_fd report;
	struct buf told; /* what pyro-net and passt say */
	char *resolvers[LINK_RESOLVERS + 1];
	bool is_gone;
	bool is_decided; /* ready, or gone */
};

static char *find_passt(struct pyro_error *err)
{
	AUTO_FREE char *found = proc_find("passt");
	char *real = found ? realpath(found, NULL) : NULL;

	if (!real) {
		(void)err_set(err, PYRO_E_MISSING_DEPENDENCY,
			      "'passt' is not installed, which a guest's network needs");
		(void)err_hint(err, "apt install passt");
	}
	return real;
}

int network_check(struct pyro_error *err)
{
	AUTO_FREE char *passt = find_passt(err);

	return passt ? 0 : -1;
}

static bool is_address(const char *text)
{
	unsigned char bytes[16];

	return inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, bytes) == 1;
}

/* The host's resolvers, as its C library finds them (resolv.conf(5)). */
static void read_resolvers(struct network *n)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	char *rest, *line;
	size_t count = 0;

	(void)file_read(RESOLV_CONF, &text, NULL);
	rest = text.data;
	while (count < LINK_RESOLVERS && (line = strsep(&rest, "\n"))) {
		char *word = strsep(&line, " \t");

		if (!line || strcmp(word, "nameserver") != 0)
			continue;
		line += strspn(line, " \t");
		line[strcspn(line, " \t%#;")] = '\0';
		if (is_address(line))
			n->resolvers[count++] = mem_strdup(line);
	}
	if (count == 0)
		n->resolvers[0] = mem_strdup("127.0.0.1");
}

/* Whether there was something to read. */
static bool read_report(struct network *n)
{
	char chunk[CHUNK];
	ssize_t got = read(n->report.fd, chunk, sizeof(chunk));

	if (got > 0) {
		buf_append_last(&n->told, chunk, (size_t)got);
		n->is_decided = n->is_decided || strstr(buf_text(&n->told), LINK_READY);
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		loop_remove_fd(n->loop, &n->report);
		fd_close(&n->report.fd);
	}
	return got > 0;
}

static void report_ready(struct loop_fd *src, uint32_t events)
{
	(void)events;
	(void)read_report(src->ctx);
}

static void child_exited(struct loop_child *child, int wait_status)
{
	struct network *n = child->ctx;

	/* The last it said is why; all that is still in the pipe, which holds no more. */
	for (int i = 0; i < TOLD_MAX / CHUNK && read_report(n); i++)
		;
	log_debug("network: ended with %d: %s", proc_exit_code(wait_status), buf_text(&n->told));
	n->is_gone = n->is_decided = true;
	if (!n->vm->is_ending && n->vm->hooks.on_network_gone)
		n->vm->hooks.on_network_gone(n->vm->hooks.ctx);
}

static pid_t spawn(const struct network *n, const struct vm_spec *spec, int device_fd,
		   int report_fd, struct pyro_error *err)
{
	AUTO_FREE char *passt = find_passt(err);
	AUTO_FREE char *name = mem_printf("%s/net", spec->vm_id);
	AUTO_ARGV struct argv argv = ARGV_INIT;
	const struct proc_fd fds[] = {{device_fd, DEVICE_FD}, {report_fd, STDERR_FILENO}};
	const struct jail jail = {.program = spec->net_path, .uid = jail_uid(name), .passt = passt};
	struct proc_limit limits[JAIL_MAX_LIMITS];

	if (!passt || jail_command(&jail, &argv, err) < 0)
		return -1;
	argv_add(&argv, "/usr/bin/passt", NULL);
	for (size_t i = 0; n->resolvers[i]; i++)
		argv_add(&argv, n->resolvers[i], NULL);
	return proc_spawn(&argv,
			  &(struct proc_options){.fds = fds,
						 .n_fds = ARRAY_SIZE(fds),
						 .limits = limits,
						 .n_limits = jail_limits(&jail, limits),
						 .is_jail = true},
			  err);
}

int network_start(struct vm *vm, struct pyro_error *err)
{
	struct network *n = mem_zalloc(1, sizeof(*n));
	AUTO_FD int device = TAKE_FD(vm->net_fd), theirs = -1;
	int pair[2];
	pid_t pid;

	vm->network = n;
	n->loop = vm->loop;
	n->vm = vm;
	n->told = (struct buf)BUF_INIT(TOLD_MAX);
	n->report = (struct loop_fd){.fd = -1, .on_ready = report_ready, .ctx = n};
	n->child = (struct loop_child){.on_exit = child_exited, .ctx = n, .pidfd.fd = -1};
	read_resolvers(n);
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, errno, "create a pipe");
	n->report.fd = pair[0];
	theirs = pair[1];
	pid = spawn(n, &vm->spec, device, theirs, err);
	if (pid < 0)
		return -1;
	if (loop_add_child(vm->loop, &n->child, pid, err) < 0) {
		proc_kill(pid);
		return -1;
	}
	return loop_add_fd(vm->loop, &n->report, n->report.fd, EPOLLIN, err);
}

static json_t *resolvers_of_link(const struct network *n)
{
	static const char *const v4[] = LINK_RESOLVERS4, *const v6[] = LINK_RESOLVERS6;
	json_t *list = json_array();

	for (size_t i = 0; i < LINK_RESOLVERS && n->resolvers[i]; i++)
		(void)json_array_append_new(
			list, json_string(strchr(n->resolvers[i], ':') ? v6[i] : v4[i]));
	return list;
}

int network_configure(struct vm *vm, int64_t deadline, struct pyro_error *err)
{
	struct network *n = vm->network;
	const char *told;

	if (loop_until(vm->loop, &n->is_decided, deadline, "the network", err) < 0)
		return -1;
	told = buf_text(&n->told) + (n->told.len > LAST_WORDS ? n->told.len - LAST_WORDS : 0);
	if (n->is_gone)
		return err_set(err, PYRO_E_BOOT_FAILED, "the guest's network did not start: %s",
			       *told ? told : "pyro-net ended");
	return vm_call(vm, "network",
		       json_pack("{s:i, s:s, s:i, s:s, s:s, s:i, s:s, s:o}", "mtu", LINK_MTU,
				 "address4", LINK_GUEST4, "prefix4", LINK_PREFIX4, "gateway4",
				 LINK_GATEWAY4, "address6", LINK_GUEST6, "prefix6", LINK_PREFIX6,
				 "gateway6", LINK_GATEWAY6, "resolvers", resolvers_of_link(n)),
		       deadline, err);
}

void network_cut_off(struct vm *vm, int64_t deadline)
{
	(void)qmp_call(vm->qmp, "set_link", json_pack("{s:s, s:b}", "name", "net", "up", 0),
		       deadline, NULL);
}

bool network_is_up(const struct network *n)
{
	return n && !n->is_gone;
}

struct network *network_free(struct network *n)
{
	if (n) {
		pid_t pid = n->child.pid;

		loop_remove_child(n->loop, &n->child);
		if (!n->is_gone)
			proc_kill(pid); /* 0 if there is none */
		loop_remove_fd(n->loop, &n->report);
		fd_close(&n->report.fd);
		buf_done(&n->told);
		for (size_t i = 0; i < LINK_RESOLVERS; i++)
			free(n->resolvers[i]);
		free(n);
	}
	return NULL;
}
