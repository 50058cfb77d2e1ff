/*
 * What shells, services and published ports cost: through libpyro and the supervisor, without the
 * start of a program for each call. The floors are the channel's own times, through the same
 * supervisor.
 */
#include "bench.h"

#include "api/handle.h"
#include "api/remote.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME "bench-sessions"
#define ECHOES 20 /* in one attach */
#define SHELLS 50
#define SERVICES 20
#define READY_ROUNDS 10
#define READY_INTERVAL_MS 100
#define PORT_ROUNDS 3
#define PORT_MIB 200
#define REQUESTS 20
#define SOURCE_PORT 7001
#define SINK_PORT 7002
#define HTTP_PORT 7003
#define MIB (1 << 20)

/* The workspace that is measured, and a conversation with its supervisor. */
struct place {
	struct bench *b;
	char *id;
	struct remote *remote;
};

static struct place open_place(struct bench *b, const char *network_policy)
{
	struct place place = {.b = b};
	struct pyro_error err;

	(void)BENCH_PYRO(b, "workspace", "create", BENCH_ENVIRONMENT, "--name", NAME,
			 "--network-policy", network_policy);
	place.id = bench_workspace_id(b, NAME);
	place.remote = remote_connect(b->p, place.id, &err);
	if (!place.remote)
		bench_die("connect to the supervisor", &err);
	return place;
}

static void close_place(struct place *place)
{
	(void)remote_free(place->remote);
	(void)BENCH_PYRO(place->b, "workspace", "delete", NAME);
	free(place->id);
}

/* Shells */

/* Lines typed into an attached shell, each when the answer to the one before was read. */
struct dialogue {
	struct series *times;
	struct buf heard; /* since the line was typed */
	int in_fd;        /* where to type; closed at the end, which detaches */
	int number;       /* of the line */
	int left;
	int64_t typed_ns;
};

/* The answer cannot be taken for the line: it has one sum in it, the line two numbers. */
static void type_line(struct dialogue *d)
{
	AUTO_FREE char *line = mem_printf("echo answer $((%d + 1000))\n", ++d->number);
	struct pyro_error err;

	buf_reset(&d->heard);
	d->typed_ns = clock_ns();
	if (file_write_all(d->in_fd, line, strlen(line), &err) < 0)
		bench_die("type", &err);
}

static int hear(void *ctx, int stream, const void *data, size_t len, struct pyro_error *err)
{
	struct dialogue *d = ctx;
	AUTO_FREE char *answer = mem_printf("\nanswer %d\r", d->number + 1000);

	(void)stream;
	(void)err;
	buf_append(&d->heard, data, len);
	if (d->in_fd < 0 || !strstr(buf_text(&d->heard), answer))
		return 0;
	series_add(d->times, elapsed_ms(d->typed_ns));
	if (--d->left)
		type_line(d);
	else
		fd_close(&d->in_fd);
	return 0;
}

/* first: the number of the first line, less one; every line of a shell has its own. */
static void converse(struct place *place, const char *shell_id, int first, struct series *times)
{
	struct dialogue d = {.times = times,
			     .heard = BUF_INIT(4 * MIB),
			     .in_fd = -1,
			     .number = first,
			     .left = ECHOES};
	struct pyro_error err;
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		bench_die("pipe", NULL);
	d.in_fd = pipe_fds[1];
	type_line(&d);
	if (remote_stream(place->remote, "shell_attach",
			  json_pack("{s:s, s:i}", "shell_id", shell_id, "cursor", 0),
			  &(struct remote_io){.in_fd = pipe_fds[0], .on_output = hear, .ctx = &d},
			  deadline_in(BENCH_STEP_MS), NULL, &err) < 0)
		bench_die("attach", &err);
	if (d.left)
		bench_die("the shell ended", NULL);
	(void)close(pipe_fds[0]);
	buf_done(&d.heard);
}

static char *open_shell(struct place *place)
{
	struct pyro_shell shell;
	struct pyro_error err;
	char *id;

	if (pyro_open_shell(place->b->p, &(struct pyro_open_shell_args){.workspace_id = place->id},
			    &shell, &err) < 0)
		bench_die("open a shell", &err);
	id = mem_strdup(shell.shell_id);
	pyro_shell_done(&shell);
	return id;
}

static void close_shell(struct place *place, const char *shell_id)
{
	struct pyro_shell shell;
	struct pyro_error err;

	if (pyro_close_shell(place->b->p,
			     &(struct pyro_close_shell_args){.workspace_id = place->id,
							     .shell_id = shell_id},
			     &shell, &err) < 0)
		bench_die("close a shell", &err);
	pyro_shell_done(&shell);
}

static void measure_echo(struct place *place)
{
	struct series echo = {0}, trip = {0}, warm_up = {0};
	AUTO_FREE char *shell_id = open_shell(place);
	struct pyro_error err;

	converse(place, shell_id, 0, &warm_up);
	for (int i = 1; i <= bench_times(place->b, 5); i++) {
		converse(place, shell_id, i * ECHOES, &echo);
		for (int k = 0; k < ECHOES; k++) {
			int64_t begun = clock_ns();

			if (remote_call(place->remote, "bench", "hello",
					json_pack("{s:i}", "version", 1),
					deadline_in(BENCH_STEP_MS), NULL, &err) < 0)
				bench_die("hello", &err);
			series_add(&trip, elapsed_ms(begun));
		}
	}
	close_shell(place, shell_id);
	bench_report(place->b, "answer of a shell, beyond the channel's", "ms",
		     series_median(&echo) - series_median(&trip), 0, 5);
}

/* Services */

static void start_service(struct place *place, struct pyro_start_service_args *args)
{
	struct pyro_service service;
	struct pyro_error err;

	args->workspace_id = place->id;
	if (pyro_start_service(place->b->p, args, &service, &err) < 0)
		bench_die("start a service", &err);
	pyro_service_done(&service);
}

static void stop_service(struct place *place, const char *name)
{
	struct pyro_service service;
	struct pyro_error err;

	if (pyro_stop_service(place->b->p,
			      &(struct pyro_stop_service_args){.workspace_id = place->id,
							       .service_name = name},
			      &service, &err) < 0)
		bench_die("stop a service", &err);
	pyro_service_done(&service);
}

static double now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int keep(void *ctx, int stream, const void *data, size_t len, struct pyro_error *err)
{
	(void)stream;
	(void)err;
	buf_append(ctx, data, len);
	return 0;
}

/* What a command prints in nanoseconds, in milliseconds. args, of an exec, is taken. */
static double guest_ms(struct place *place, json_t *args)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	struct pyro_error err;
	int64_t ns;

	if (remote_stream(place->remote, "exec", args,
			  &(struct remote_io){.in_fd = -1, .on_output = keep, .ctx = &text},
			  deadline_in(BENCH_STEP_MS), NULL, &err) < 0)
		bench_die("exec", &err);
	if (!parse_int(buf_text(&text), 0, INT64_MAX, &ns))
		bench_die("the guest tells no time", NULL);
	return (double)ns / 1e6;
}

/* How much the guest's clock is ahead: exact to half of what an exec takes. */
static double clock_offset_ms(struct place *place)
{
	struct series offset = {0};

	for (int i = 0; i < bench_times(place->b, 9); i++) {
		double before = now_ms(),
		       there = guest_ms(place, bench_shell("date +%s%N | tr -d '\\n'"));

		series_add(&offset, there - (before + now_ms()) / 2);
	}
	return series_median(&offset);
}

/* The service is ready when it has made a file, whose time is that of the guest's clock. */
static void measure_ready(struct place *place)
{
	const struct pyro_readiness probe = {.type = (char[]){"file"}, .path = (char[]){"up"}};
	double offset_ms = clock_offset_ms(place);
	struct series late = {0};

	for (int i = 0; i < bench_times(place->b, READY_ROUNDS); i++) {
		AUTO_FREE char *line =
			mem_printf("sleep 0.%d; : >up; exec sleep 1000", 200 + 37 * i);
		double answered_ms;

		start_service(place, &(struct pyro_start_service_args){
					     .service_name = "late",
					     .command = (const char *[]){line, NULL},
					     .readiness = &probe,
					     .ready_interval_ms = READY_INTERVAL_MS});
		answered_ms = now_ms() + offset_ms;
		series_add(&late,
			   answered_ms - guest_ms(place, bench_shell("cd /workspace; stat -c %.9Y "
								     "up | tr -d '.\\n'; rm up")));
		stop_service(place, "late");
	}
	bench_report(place->b, "service ready, until start answers (every 100 ms)", "ms",
		     series_median(&late), 0, READY_INTERVAL_MS);
}

/* Whether the shell said its answer, waiting a while for it. */
static bool has_answered(struct place *place, const char *shell_id, const char *answer)
{
	int64_t deadline = deadline_in(BENCH_STEP_MS);
	bool is_there = false;

	while (!is_there && deadline_left(deadline)) {
		struct pyro_shell_read got;
		struct pyro_error err;

		if (pyro_read_shell(place->b->p,
				    &(struct pyro_read_shell_args){.workspace_id = place->id,
								   .shell_id = shell_id,
								   .wait_for_idle_ms = 10},
				    &got, &err) < 0)
			bench_die("read", &err);
		is_there = strstr(got.output, answer) != NULL;
		pyro_shell_read_done(&got);
	}
	return is_there;
}

static void ask(struct place *place, const char *shell_id, int number)
{
	AUTO_FREE char *line = mem_printf("echo answer $((%d + 1000))", number);
	struct pyro_shell_written written;
	struct pyro_error err;

	if (pyro_write_shell(place->b->p,
			     &(struct pyro_write_shell_args){.workspace_id = place->id,
							     .shell_id = shell_id,
							     .input = line},
			     &written, &err) < 0)
		bench_die("write", &err);
	pyro_shell_written_done(&written);
}

/* Each of many shells answers, and each of many services answers through a file. */
static void measure_many(struct place *place)
{
	int64_t begun = clock_ns();
	char *shells[SHELLS];

	for (int i = 0; i < SHELLS; i++)
		shells[i] = open_shell(place);
	for (int i = 0; i < SHELLS; i++)
		ask(place, shells[i], i);
	for (int i = 0; i < SERVICES; i++) {
		AUTO_FREE char *name = mem_printf("many-%d", i);
		AUTO_FREE char *line = mem_printf(": >%s; exec sleep 1000", name);

		start_service(place,
			      &(struct pyro_start_service_args){
				      .service_name = name,
				      .command = (const char *[]){line, NULL},
				      .readiness =
					      &(struct pyro_readiness){.type = (char[]){"file"},
								       .path = name},
				      .ready_interval_ms = 10});
	}
	for (int i = 0; i < SHELLS; i++) {
		AUTO_FREE char *answer = mem_printf("\nanswer %d\r", i + 1000);

		if (!has_answered(place, shells[i], answer))
			bench_die("a shell of many does not answer", NULL);
	}
	bench_report(place->b, "50 shells and 20 services, until each answered", "ms",
		     elapsed_ms(begun), 0, 0);
	begun = clock_ns();
	for (int i = 0; i < SHELLS; i++) {
		close_shell(place, shells[i]);
		free(shells[i]);
	}
	for (int i = 0; i < SERVICES; i++) {
		AUTO_FREE char *name = mem_printf("many-%d", i);

		stop_service(place, name);
	}
	bench_report(place->b, "closing and stopping them", "ms", elapsed_ms(begun), 0, 0);
}

/* Published ports */

/*
 * One process for each of SOURCE_PORT, SINK_PORT and HTTP_PORT, so that a request needs no fork;
 * bulk is moved by the programs of the floor.
 */
static const char server[] =
	"use IO::Socket::INET; $| = 1;"
	"sub port { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_[0],"
	" Listen => 20, ReuseAddr => 1) or die $@ }"
	"my ($source, $sink, $http) = map { port($_) } (7001, 7002, 7003);"
	"$SIG{CHLD} = 'IGNORE';"
	"sub serve { my ($socket, @command) = @_; return if fork;"
	" while (my $one = $socket->accept) { next if fork;"
	"  $SIG{CHLD} = 'DEFAULT'; open STDIN, '<&', $one; open STDOUT, '>&', $one; exec @command "
	"} exit }"
	"serve($source, 'head', '-c', '209715200', '/dev/zero');"
	"serve($sink, 'sh', '-c', 'cat >/dev/null; echo all');"
	"while (my $one = $http->accept) { my $line;"
	" while (defined($line = <$one>) && $line ne \"\\r\\n\") {}"
	" print $one \"HTTP/1.0 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n\"; close $one }";

/* The same request from within the guest; prints the median. */
static const char inside[] = "use IO::Socket::INET; use Time::HiRes 'time'; my @t;"
			     "for (1 .. 50) { my $begun = time; my $s = "
			     "IO::Socket::INET->new('127.0.0.1:7003') or die $@;"
			     " print $s \"GET / HTTP/1.0\\r\\n\\r\\n\"; $s->flush; 1 while <$s>; "
			     "push @t, time - $begun }"
			     "@t = sort { $a <=> $b } @t; printf '%d', 1e9 * $t[25]";

static int reach(int port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct timeval patience = {.tv_sec = BENCH_STEP_MS / 1000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		bench_die("connect to a published port", NULL);
	return fd;
}

/* Reads to the end; returns how many bytes came. */
static size_t drain(int fd)
{
	static char chunk[256 * 1024];
	size_t total = 0;
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		total += (size_t)n;
	if (n < 0)
		bench_die("read from a published port", NULL);
	return total;
}

static double fetch_ms(int port)
{
	int64_t begun = clock_ns();
	AUTO_FD int fd = reach(port);

	if (drain(fd) != (size_t)PORT_MIB * MIB)
		bench_die("a published port sent less", NULL);
	return elapsed_ms(begun);
}

static double push_ms(int port)
{
	static const char zeros[MIB];
	int64_t begun = clock_ns();
	AUTO_FD int fd = reach(port);
	struct pyro_error err;

	for (int i = 0; i < PORT_MIB; i++)
		if (file_write_all(fd, zeros, sizeof(zeros), &err) < 0)
			bench_die("write to a published port", &err);
	(void)shutdown(fd, SHUT_WR);
	if (drain(fd) != strlen("all\n"))
		bench_die("a published port lost its answer", NULL);
	return elapsed_ms(begun);
}

static double request_ms(int port)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	int64_t begun = clock_ns();
	AUTO_FD int fd = reach(port);
	struct pyro_error err;

	if (file_write_all(fd, request, strlen(request), &err) < 0 || drain(fd) < 15)
		bench_die("a published port does not answer", NULL);
	return elapsed_ms(begun);
}

/* The channel's own: a command whose output, or input, is as much. */
static double channel_ms(struct place *place, const char *line, int in_fd)
{
	json_t *args = bench_shell(line);
	struct pyro_error err;
	int64_t begun = clock_ns();

	(void)json_object_set_new(args, "stdin", json_boolean(in_fd >= 0));
	if (remote_stream(place->remote, "exec", args, &(struct remote_io){.in_fd = in_fd},
			  deadline_in(BENCH_STEP_MS), NULL, &err) < 0)
		bench_die(line, &err);
	return elapsed_ms(begun);
}

static void start_server(struct place *place, int ports[3])
{
	const struct pyro_port_mapping mappings[] = {{PYRO_NONE, SOURCE_PORT},
						     {PYRO_NONE, SINK_PORT},
						     {PYRO_NONE, HTTP_PORT}};
	const struct pyro_readiness probe = {.type = (char[]){"tcp"},
					     .address = (char[]){"127.0.0.1:7003"}};
	struct pyro_service service;
	struct pyro_error err;

	if (pyro_start_service(place->b->p,
			       &(struct pyro_start_service_args){
				       .workspace_id = place->id,
				       .service_name = "ports",
				       .command = (const char *[]){"perl", "-e", server, NULL},
				       .readiness = &probe,
				       .published_ports = mappings,
				       .published_ports_count = 3},
			       &service, &err) < 0)
		bench_die("start the server", &err);
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < service.published_ports_count; k++)
			if (service.published_ports[k].guest_port == mappings[i].guest_port)
				ports[i] = (int)service.published_ports[k].host_port;
	pyro_service_done(&service);
}

static void measure_ports(struct place *place)
{
	AUTO_FREE char *path = mem_printf("%s/zeros", place->b->dir);
	AUTO_FD int zeros = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct series out = {0}, in = {0}, request = {0}, direct = {0}, raw_out = {0}, raw_in = {0};
	int ports[3] = {0};

	if (zeros < 0 || ftruncate(zeros, (off_t)PORT_MIB * MIB) < 0)
		bench_die("make a file to send", NULL);
	start_server(place, ports);
	for (int i = 0; i < bench_times(place->b, PORT_ROUNDS); i++) {
		series_add(&raw_out, channel_ms(place, "head -c 209715200 /dev/zero", -1));
		series_add(&out, fetch_ms(ports[0]));
		(void)lseek(zeros, 0, SEEK_SET);
		series_add(&raw_in, channel_ms(place, "cat >/dev/null", zeros));
		series_add(&in, push_ms(ports[1]));
		series_add(&direct,
			   guest_ms(place, json_pack("{s:[sss]}", "argv", "perl", "-e", inside)));
		for (int k = 0; k < bench_times(place->b, REQUESTS); k++)
			series_add(&request, request_ms(ports[2]));
	}
	stop_service(place, "ports");
	bench_report(place->b, "200 MiB from a published port", "ms", series_median(&out),
		     series_median(&raw_out), 1 / 0.60);
	bench_report(place->b, "200 MiB to a published port", "ms", series_median(&in),
		     series_median(&raw_in), 1 / 0.60);
	bench_report(place->b, "request to a published port", "ms", series_median(&request),
		     series_median(&direct), 0);
}

void sessions_measure(struct bench *b)
{
	struct place place = open_place(b, "off");

	measure_echo(&place);
	measure_ready(&place);
	measure_many(&place);
	close_place(&place);
	place = open_place(b, "egress+published-ports");
	measure_ports(&place);
	close_place(&place);
}
