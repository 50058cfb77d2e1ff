#include "cli/attach.h"

#include "base/buf.h"
#include "base/err.h"
#include "cli/exit.h"
#include "pyro.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static bool is_raw;
static struct pyro *volatile handle; /* for the signal handler */

static void say(const char *text)
{
	(void)exit_write(STDERR_FILENO, text, strlen(text));
}

static void tell_size(int number)
{
	struct winsize size;

	(void)number;
	if (handle && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row)
		pyro_resize(handle, size.ws_col, size.ws_row);
}

int attach_begin(struct pyro *p, struct pyro_error *err)
{
	static const char title[] = "\033[22;0t\033]0;Ctrl-] detaches from the workspace\007";
	const struct sigaction action = {.sa_handler = tell_size, .sa_flags = SA_RESTART};
	struct termios raw;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    tcgetattr(STDIN_FILENO, &saved) < 0) {
		(void)err_set(err, PYRO_E_USAGE, "attach needs a terminal");
		return err_hint(err, "without one: pyro workspace shell write and shell read");
	}
	handle = p;
	(void)sigaction(SIGWINCH, &action, NULL);
	tell_size(SIGWINCH);
	/* The note goes when the screen is drawn; the title, where there is one, stays. */
	(void)exit_write(STDOUT_FILENO, title, strlen(title));
	say("[attached; Ctrl-] detaches]\r\n");
	raw = saved;
	cfmakeraw(&raw);
	is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
	pyro_set_input(p, STDIN_FILENO);
	return 0;
}

void attach_end(const struct pyro_shell *shell)
{
	/*
	 * What a full-screen program may have switched on and cannot switch off any more: the other
	 * screen, mouse and focus reports, bracketed paste, keypad and cursor modes, a hidden
	 * cursor, colours, a scroll region. Some of that moves the cursor: on at the last line.
	 */
	static const char calm[] = "\033[?1049l\033[?1000l\033[?1002l\033[?1003l\033[?1004l"
				   "\033[?1006l\033[?2004l\033[?1l\033>\033[?5l\033[?25h\033[m\033["
				   "r\033[999;1H\033[23;0t";
	AUTO_BUF struct buf line = BUF_INIT(512);

	if (!is_raw)
		return;
	handle = NULL;
	(void)exit_write(STDOUT_FILENO, calm, strlen(calm));
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
	is_raw = false;
	if (shell && shell->exit_code != PYRO_NONE)
		buf_printf(&line, "\r\n[%s ended with %lld]\n", shell->shell_id,
			   (long long)shell->exit_code);
	else if (shell)
		buf_printf(&line, "\r\n[detached from %s, which goes on]\n", shell->shell_id);
	else
		buf_puts(&line, "\r\n");
	say(buf_text(&line));
}
