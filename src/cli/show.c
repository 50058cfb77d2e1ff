#include "cli/show.h"

#include "base/buf.h"
#include "base/clock.h"
#include "cli/exit.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 100 /* how often a blocked write looks for a signal */
#define REDRAW_MS 100
#define BAR_MAX 30
#define PHASE_MAX (16 * 1024 * 1024) /* payloads of pyro demo ollama -v */

static bool is_dumb(void)
{
	const char *term = getenv("TERM");

	return !term || !*term || strcmp(term, "dumb") == 0;
}

bool show_has_colour(int fd)
{
	const char *no = getenv("NO_COLOR");

	return isatty(fd) && !is_dumb() && !(no && *no);
}

void show_bytes(struct buf *out, int64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double n = (double)bytes;
	size_t i = 0;

	for (; n >= 1024 && i + 1 < ARRAY_SIZE(units); i++)
		n /= 1024;
	buf_printf(out, i ? "%.1f %s" : "%.0f %s", n, units[i]);
}

static void say(const struct buf *text)
{
	(void)exit_write(STDERR_FILENO, buf_text(text), text->len);
}

static void clear_bar(struct show *s)
{
	if (s->is_drawn)
		(void)exit_write(STDERR_FILENO, "\r\033[K", 4);
	s->is_drawn = false;
}

void show_begin_line(struct show *s)
{
	clear_bar(s);
	if (s->is_mid_line)
		(void)exit_write(STDERR_FILENO, "\n", 1);
	s->is_mid_line = false;
}

/* why: "" where it is not known any more. */
static void warn_host_compat(struct show *s, const char *why)
{
	bool colour = show_has_colour(STDERR_FILENO);
	AUTO_BUF struct buf line = BUF_INIT(4096);

	if (s->has_warned)
		return;
	s->has_warned = true;
	show_begin_line(s);
	buf_printf(&line,
		   "%spyro: WARNING: host_compat: the command runs on THIS HOST, not in a "
		   "guest%s%s%s\n",
		   colour ? "\033[1;31m" : "", *why ? ": " : "", why, colour ? "\033[0m" : "");
	say(&line);
}

/* Phases are dim on a terminal, so that the output stands out. */
static void phase_line(struct show *s, const char *op, const char *detail)
{
	bool colour = show_has_colour(STDERR_FILENO);
	AUTO_BUF struct buf line = BUF_INIT(PHASE_MAX);

	show_begin_line(s);
	buf_printf(&line, "%s[%s] %s%s\n", colour ? "\033[2m" : "", op, detail,
		   colour ? "\033[0m" : "");
	say(&line);
}

static void on_phase(void *ctx, const char *op, const char *detail)
{
	static const char fallback[] = "phase=fallback ";
	struct show *s = ctx;

	if (strncmp(detail, fallback, strlen(fallback)) == 0)
		warn_host_compat(s, detail + strlen(fallback));
	else if (!s->is_quiet)
		phase_line(s, op, detail);
}

size_t show_columns(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static void counts(struct buf *out, int64_t done, int64_t total, const char *unit)
{
	if (strcmp(unit, "bytes") == 0) {
		show_bytes(out, done);
		if (total > 0) {
			buf_puts(out, " of ");
			show_bytes(out, total);
		}
		return;
	}
	if (total > 0)
		buf_printf(out, "%lld of %lld %s", (long long)done, (long long)total, unit);
	else
		buf_printf(out, "%lld %s", (long long)done, unit);
}

static void bar(struct buf *out, size_t width, int64_t done, int64_t total)
{
	bool colour = show_has_colour(STDERR_FILENO);
	size_t filled = (size_t)((double)width * (double)done / (double)total);

	buf_printf(out, "%s", colour ? "\033[36m" : "");
	for (size_t i = 0; i < width; i++) {
		if (i == filled)
			buf_puts(out, colour ? "\033[90m" : "");
		buf_puts(out, i < filled ? "#" : "-");
	}
	buf_printf(out, "%s %3d%%  ", colour ? "\033[0m" : "",
		   (int)(100.0 * (double)done / (double)total));
}

static void draw(struct show *s, const char *what, int64_t done, int64_t total, const char *unit)
{
	AUTO_BUF struct buf line = BUF_INIT(1024);
	AUTO_BUF struct buf tail = BUF_INIT(128);
	size_t fixed, width = show_columns(STDERR_FILENO);

	counts(&tail, done, total, unit);
	fixed = 2 + strlen(what) + 2 + 7 + tail.len + 1;
	if (fixed > width + 7)
		return;
	buf_printf(&line, "\r  %s  ", what);
	if (total > 0 && fixed + 10 <= width)
		bar(&line, width - fixed < BAR_MAX ? width - fixed : BAR_MAX, done, total);
	buf_printf(&line, "%s\033[K", buf_text(&tail));
	say(&line);
	s->is_drawn = true;
}

static void on_progress(void *ctx, const char *what, int64_t done, int64_t total, const char *unit)
{
	struct show *s = ctx;
	int64_t now = clock_ms();

	if (!s->has_bar || (s->drawn_ms && now - s->drawn_ms < REDRAW_MS))
		return;
	s->drawn_ms = now;
	if (done < 0)
		done = 0;
	draw(s, what, total > 0 && done > total ? total : done, total, unit);
}

/* As long as it takes, unless a signal comes: what poll promises room for does not block. */
static int write_output(const struct show *s, int fd, const char *data, size_t len)
{
	while (len) {
		struct pollfd room = {.fd = fd, .events = POLLOUT};
		size_t n = len < PIPE_BUF ? len : PIPE_BUF;
		int errnum;

		if (poll(&room, 1, LOOK_MS) <= 0) {
			if (*s->caught)
				return 0;
			continue;
		}
		errnum = exit_write(fd, data, n);
		if (errnum)
			return errnum;
		data += n;
		len -= n;
	}
	return 0;
}

/* One terminal, or one pipe or file after 2>&1. */
static bool is_same_file(int a, int b)
{
	struct stat at_a, at_b;

	return fstat(a, &at_a) == 0 && fstat(b, &at_b) == 0 && at_a.st_dev == at_b.st_dev &&
	       at_a.st_ino == at_b.st_ino;
}

static void on_output(void *ctx, int stream, const void *data, size_t len)
{
	struct show *s = ctx;
	int fd = stream == 2 ? STDERR_FILENO : STDOUT_FILENO;
	int errnum;

	if (s->is_quiet || !len || (fd == STDOUT_FILENO && s->out_errnum))
		return;
	clear_bar(s);
	errnum = write_output(s, fd, data, len);
	if (errnum && fd == STDOUT_FILENO) {
		s->out_errnum = errnum;
		pyro_cancel(s->p);
	}
	if (is_same_file(fd, STDERR_FILENO))
		s->is_mid_line = ((const char *)data)[len - 1] != '\n';
}

/* A killed command says nothing itself, and 124 alone could be its own exit code. */
static void say_timed_out(bool timed_out)
{
	static const char line[] = "timed out: a longer --timeout-seconds lets the command go on\n";

	if (timed_out)
		(void)exit_write(STDERR_FILENO, line, sizeof(line) - 1);
}

void show_run(struct show *s, const char *op, const struct pyro_run *run)
{
	AUTO_FREE char *detail =
		mem_printf("environment=%s execution_mode=%s exit_code=%lld duration_ms=%lld",
			   run->environment, run->execution_mode, (long long)run->exit_code,
			   (long long)run->duration_ms);

	if (strcmp(run->execution_mode, "host_compat") == 0)
		warn_host_compat(s, "");
	if (s->is_quiet)
		return;
	phase_line(s, op, detail);
	say_timed_out(run->timed_out);
}

void show_exec(struct show *s, const char *op, const struct pyro_workspace_exec *exec)
{
	AUTO_BUF struct buf detail = BUF_INIT(4096);

	buf_printf(&detail, "sequence=%lld ", (long long)exec->sequence);
	if (strcmp(exec->state, "finished") != 0)
		buf_printf(&detail, "state=%s ", exec->state);
	if (exec->exit_code != PYRO_NONE)
		buf_printf(&detail, "exit_code=%lld ", (long long)exec->exit_code);
	if (exec->duration_ms != PYRO_NONE)
		buf_printf(&detail, "duration_ms=%lld ", (long long)exec->duration_ms);
	buf_printf(&detail, "execution_mode=%s", exec->execution_mode);
	if (strcmp(exec->execution_mode, "host_compat") == 0)
		warn_host_compat(s, "");
	if (s->is_quiet)
		return;
	phase_line(s, op, buf_text(&detail));
	say_timed_out(exec->timed_out);
	if (exec->next_step) {
		AUTO_FREE char *line = mem_printf("still running: %s\n", exec->next_step);

		(void)exit_write(STDERR_FILENO, line, strlen(line));
	}
	if (exec->warning)
		phase_line(s, op, exec->warning);
}

void show_init(struct show *s, struct pyro *p, bool is_quiet, const volatile sig_atomic_t *caught)
{
	const struct pyro_observer observer = {on_phase, on_progress, on_output, s};

	*s = (struct show){
		.is_quiet = is_quiet,
		.has_bar = isatty(STDERR_FILENO) && !is_dumb(),
		.p = p,
		.caught = caught,
	};
	pyro_observe(p, &observer);
}
