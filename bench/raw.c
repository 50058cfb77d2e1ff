#include "raw.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/proc.h"
#include "channel/call.h"
#include "channel/mux.h"
#include "vm/qemu.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 60000

static void die(const char *what, const struct pyro_error *err)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, err ? err->message : "");
	exit(1);
}

/* The arguments of the jailed QEMU with the host's paths in them, and no sandbox. */
static void arguments(const struct raw_source *src, enum qemu_purpose purpose, const char *disk,
		      struct argv *out)
{
	const char *const names[][2] = {
		{"/vm/disk", disk},
		{"/vm/root", src->spec->root_path},
		{"/vm/kernel", src->spec->kernel_path},
		{"/vm/initrd", src->spec->initrd_path},
		{"/vm/ram", src->template->ram_path},
	};
	AUTO_ARGV struct argv args = ARGV_INIT;

	argv_add(out, "qemu-system-x86_64", NULL);
	qemu_arguments(src->spec, purpose, &args);
	for (size_t i = 0; i < args.n; i++) {
		AUTO_FREE char *text = mem_strdup(args.v[i]);

		if (strcmp(text, "-sandbox") == 0) {
			i++;
			continue;
		}
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			char *at = strstr(text, names[k][0]);
			char *with;

			if (!at)
				continue;
			with = mem_printf("%.*s%s%s", (int)(at - text), text, names[k][1],
					  at + strlen(names[k][0]));
			free(text);
			text = with;
		}
		argv_add(out, text, NULL);
	}
}

static struct raw launch(struct loop *loop, const struct raw_source *src, enum qemu_purpose purpose)
{
	struct raw raw = {.loop = loop, .disk = mem_printf("%s/disk", src->dir)};
	AUTO_ARGV struct argv argv = ARGV_INIT;
	struct pyro_error err;
	int q[2], a[2], c[2];

	(void)unlink(raw.disk);
	if (file_copy(purpose == QEMU_RESTORE ? src->template->disk_path : src->spec->blank_path,
		      raw.disk, 0600, &err) < 0)
		die("copy the disk", &err);
	arguments(src, purpose, raw.disk, &argv);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, q) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c) < 0)
		die("socketpair", NULL);
	raw.pid =
		proc_spawn(&argv,
			   &(struct proc_options){
				   .fds = (const struct proc_fd[]){{q[1], 3}, {a[1], 4}, {c[1], 5}},
				   .n_fds = 3,
				   .die_with_parent = true,
			   },
			   &err);
	if (raw.pid < 0)
		die("start QEMU", &err);
	(void)close(q[1]);
	(void)close(a[1]);
	(void)close(c[1]);
	raw.qmp_fd = q[0];
	raw.channel_fd = a[0];
	raw.console_fd = c[0];
	return raw;
}

/* Reads lines until one holds `word`. */
static void await(struct raw *raw, const char *word)
{
	char text[65536];
	size_t len = 0;

	for (;;) {
		ssize_t n = read(raw->qmp_fd, text + len, sizeof(text) - 1 - len);

		if (n <= 0)
			die("QEMU ended", NULL);
		len += (size_t)n;
		text[len] = '\0';
		if (strstr(text, "\"error\""))
			die(text, NULL);
		if (strstr(text, word) && text[len - 1] == '\n')
			return;
	}
}

static void command(struct raw *raw, const char *line, const char *word)
{
	if (write(raw->qmp_fd, line, strlen(line)) != (ssize_t)strlen(line))
		die("write to QEMU", NULL);
	await(raw, word);
}

static void give_state(struct raw *raw, const char *path)
{
	static const char line[] = "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"s\"}}";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)line, sizeof(line) - 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (fd < 0 || sendmsg(raw->qmp_fd, &msg, 0) < 0)
		die("give the state to QEMU", NULL);
	(void)close(fd);
	await(raw, "return");
}

static void down(struct mux *mux, const struct pyro_error *error)
{
	(void)mux;
	(void)error;
}

static void open_channel(struct raw *raw)
{
	static const struct mux_ops ops = {.on_down = down};
	struct pyro_error err;

	raw->mux =
		mux_new(raw->loop, raw->channel_fd, raw->channel_fd, MUX_CLIENT, &ops, NULL, &err);
	if (!raw->mux)
		die("open the channel", &err);
}

void raw_call(struct raw *raw, const char *name, json_t *args)
{
	struct pyro_error err;
	json_t *result = call_wait(raw->loop, raw->mux, name, args, deadline_in(STEP_MS), &err);

	if (!result)
		die(name, &err);
	json_decref(result);
}

struct raw raw_restore(struct loop *loop, const struct raw_source *src)
{
	struct raw raw = launch(loop, src, QEMU_RESTORE);
	struct timespec now;

	await(&raw, "QMP");
	command(&raw, "{\"execute\":\"qmp_capabilities\"}", "return");
	command(&raw,
		"{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":[{"
		"\"capability\":\"x-ignore-shared\",\"state\":true},{\"capability\":\"events\","
		"\"state\":true}]}}",
		"return");
	give_state(&raw, src->template->state_path);
	command(&raw, "{\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"fd:s\"}}",
		"\"completed\"");
	command(&raw, "{\"execute\":\"cont\"}", "return");
	open_channel(&raw);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	raw_call(&raw, "resume",
		 json_pack("{s:s, s:I, s:s, s:s}", "entropy",
			   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
			   "realtime_ns", (json_int_t)now.tv_sec * 1000000000 + now.tv_nsec,
			   "hostname", "floor", "machine_id", "000102030405060708090a0b0c0d0e0f"));
	return raw;
}

struct raw raw_boot(struct loop *loop, const struct raw_source *src)
{
	struct raw raw = launch(loop, src, QEMU_BOOT);

	await(&raw, "QMP");
	command(&raw, "{\"execute\":\"qmp_capabilities\"}", "return");
	command(&raw, "{\"execute\":\"cont\"}", "return");
	open_channel(&raw);
	raw_call(&raw, "hello", json_pack("{s:i}", "version", 1));
	return raw;
}

void raw_end(struct raw *raw)
{
	(void)mux_free(raw->mux);
	proc_kill(raw->pid);
	(void)close(raw->qmp_fd);
	(void)close(raw->channel_fd);
	(void)close(raw->console_fd);
	(void)unlink(raw->disk);
	free(raw->disk);
}
