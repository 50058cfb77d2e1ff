#include "guest/terminal.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

bool terminal_parse_size(json_t *json, struct terminal_size *ret)
{
	struct terminal_size size;

	if (json_unpack_ex(json, NULL, 0, "{s:i s:i !}", "cols", &size.cols, "rows", &size.rows) <
		    0 ||
	    size.cols < 1 || size.cols > TERMINAL_SIDE_MAX || size.rows < 1 ||
	    size.rows > TERMINAL_SIDE_MAX)
		return false;
	*ret = size;
	return true;
}

void terminal_resize(int master, const struct terminal_size *size)
{
	struct winsize window = {
		.ws_col = (unsigned short)size->cols,
		.ws_row = (unsigned short)size->rows,
	};

	(void)ioctl(master, TIOCSWINSZ, &window);
}

int terminal_open(const struct terminal_size *size, int *ret_master, int *ret_slave,
		  struct pyro_error *err)
{
	AUTO_FD int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	AUTO_FD int slave = -1;
	struct termios settings;

	if (master < 0 || unlockpt(master) < 0)
		return err_sys(err, errno, "open a terminal");
	/* By the master and not by name: that also works where /dev/pts is not the master's. */
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || tcgetattr(slave, &settings) < 0)
		return err_sys(err, errno, "open a terminal");
	settings.c_iflag |= IUTF8;
	(void)tcsetattr(slave, TCSANOW, &settings);
	terminal_resize(master, size);
	*ret_master = TAKE_FD(master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}

int terminal_adopt(int slave)
{
	return ioctl(slave, TIOCSCTTY, 0);
}

void terminal_signal(int master, pid_t leader, int number)
{
	pid_t group = 0;

	if (ioctl(master, TIOCGPGRP, &group) < 0 || group <= 0 || killpg(group, number) < 0)
		(void)killpg(leader, number);
}
