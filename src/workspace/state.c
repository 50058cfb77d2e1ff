#include "workspace/state.h"

#include "base/err.h"
#include "base/file.h"
#include "base/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ID_DIGITS 16

static char *state_home(struct pyro_error *err)
{
	const char *xdg = getenv("XDG_STATE_HOME");
	AUTO_FREE char *home = NULL;

	if (xdg && xdg[0] == '/')
		return mem_strdup(xdg);
	home = home_dir();
	if (!home) {
		(void)err_set(err, PYRO_E_SYSTEM, "there is no home directory to keep state in");
		(void)err_hint(err, "set HOME, or XDG_STATE_HOME to a directory you can write");
		return NULL;
	}
	return mem_printf("%s/.local/state", home);
}

/* State may hold secrets, and whoever can write it can make us delete files. */
static int check_private(const char *dir, struct pyro_error *err)
{
	struct stat st;

	if (stat(dir, &st) < 0)
		return err_sys(err, errno, "examine '%s'", dir);
	if (st.st_uid != geteuid()) {
		(void)err_set(err, PYRO_E_REFUSED, "state directory '%s' belongs to user %u", dir,
			      (unsigned)st.st_uid);
		return err_hint(err, "set XDG_STATE_HOME to a directory of your own");
	}
	if ((st.st_mode & 077) && chmod(dir, 0700) < 0)
		return err_sys(err, errno, "protect '%s'", dir);
	return 0;
}

char *state_dir(struct pyro_error *err)
{
	AUTO_FREE char *home = state_home(err);
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *vms = NULL;

	if (!home)
		return NULL;
	dir = mem_printf("%s/pyro", home);
	vms = mem_printf("%s/vms", dir);
	if (dir_make(vms, 0700, err) < 0) {
		(void)err_hint(err, "set XDG_STATE_HOME to a directory you can write");
		return NULL;
	}
	return check_private(dir, err) < 0 ? NULL : TAKE_PTR(dir);
}

char *state_find(void)
{
	AUTO_FREE char *home = state_home(NULL);
	AUTO_FREE char *dir = home ? mem_printf("%s/pyro", home) : NULL;
	struct stat st;

	return dir && stat(dir, &st) == 0 && st.st_uid == geteuid() ? TAKE_PTR(dir) : NULL;
}

char *state_vm_dir(const char *state, const char *vm_id)
{
	return mem_printf("%s/vms/%s", state, vm_id);
}

char *state_vm_file(const char *state, const char *vm_id, const char *name)
{
	return mem_printf("%s/vms/%s/%s", state, vm_id, name);
}

char *state_new_id(const char *prefix)
{
	unsigned char bytes[ID_DIGITS / 2];
	char hex[ID_DIGITS + 1];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		abort();
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	return mem_printf("%s-%s", prefix, hex);
}

bool state_is_id(const char *text)
{
	const char *dash = strchr(text, '-');

	return dash && dash > text &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz") == (size_t)(dash - text) &&
	       strlen(dash + 1) == ID_DIGITS && strspn(dash + 1, "0123456789abcdef") == ID_DIGITS;
}

bool state_is_workspace_id(const char *id)
{
	return strncmp(id, STATE_WORKSPACE_PREFIX "-", strlen(STATE_WORKSPACE_PREFIX "-")) == 0;
}

/*
 * sun_path holds 107 bytes and home directories can be longer, so the socket is named through the
 * descriptor of its directory, which is returned and must stay open for the call.
 */
static int short_address(const char *path, struct sockaddr_un *ret, struct pyro_error *err)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = mem_strndup(path, slash ? (size_t)(slash - path) : 0);
	int fd = open(slash ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "open '%s'", dir);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", fd,
		       slash ? slash + 1 : path);
	return fd;
}

/* A stream socket, and the short address of path with the directory that makes it valid. */
static int new_socket(const char *path, int flags, struct sockaddr_un *ret_addr, int *ret_dir,
		      struct pyro_error *err)
{
	AUTO_FD int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (sock < 0)
		return err_sys(err, errno, "create a socket");
	*ret_dir = short_address(path, ret_addr, err);
	return *ret_dir < 0 ? -1 : TAKE_FD(sock);
}

int state_listen(const char *path, struct pyro_error *err)
{
	AUTO_FD int dir = -1;
	struct sockaddr_un addr;
	AUTO_FD int sock = new_socket(path, SOCK_NONBLOCK, &addr, &dir, err);

	if (sock < 0)
		return -1;
	(void)unlink(path);
	if (bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(sock, 64) < 0)
		return err_sys(err, errno, "listen on '%s'", path);
	return TAKE_FD(sock);
}

int state_connect(const char *path, struct pyro_error *err)
{
	AUTO_FD int dir = -1;
	struct sockaddr_un addr;
	AUTO_FD int sock = new_socket(path, 0, &addr, &dir, err);

	if (sock < 0)
		return -1;
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			return err_set(err, PYRO_E_BAD_STATE, "nobody listens on '%s'", path);
		return err_sys(err, errno, "connect to '%s'", path);
	}
	return TAKE_FD(sock);
}
