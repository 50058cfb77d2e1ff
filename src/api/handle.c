#include "api/handle.h"

#include "api/project.h"
#include "api/reap.h"
#include "base/err.h"
#include "base/utf8.h"
#include "workspace/records.h"
#include "workspace/state.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void cancel_ready(struct loop_fd *src, uint32_t events)
{
	struct pyro *p = src->ctx;
	uint64_t count;

	(void)events;
	if (read(src->fd, &count, sizeof(count)) > 0)
		loop_stop(p->loop);
}

static void resize_ready(struct loop_fd *src, uint32_t events)
{
	struct pyro *p = src->ctx;
	uint64_t count;

	(void)events;
	if (read(src->fd, &count, sizeof(count)) > 0 && p->on_resize)
		p->on_resize(p->on_resize_ctx);
}

static int add_event(struct pyro *p, struct loop_fd *src,
		     void (*on_ready)(struct loop_fd *, uint32_t))
{
	AUTO_FD int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	src->on_ready = on_ready;
	src->ctx = p;
	if (fd < 0 || loop_add_fd(p->loop, src, fd, EPOLLIN, NULL) < 0)
		return -1;
	(void)TAKE_FD(fd);
	return 0;
}

const char *pyro_version(void)
{
	return PYRO_VERSION;
}

struct pyro *pyro_new(void)
{
	struct pyro *p;

	if (getauxval(AT_SECURE)) {
		errno = EPERM;
		return NULL;
	}
	p = mem_zalloc(1, sizeof(*p));
	p->pid = getpid();
	p->input_fd = p->cancel.fd = p->resize.fd = -1;
	p->loop = loop_new();
	if (p->loop && add_event(p, &p->cancel, cancel_ready) == 0 &&
	    add_event(p, &p->resize, resize_ready) == 0)
		return p;
	pyro_free(p);
	return NULL;
}

void pyro_free(struct pyro *p)
{
	if (!p)
		return;
	/* A forked process shares what its parent watches, and SQLite wants its own left alone. */
	if (p->pid == getpid()) {
		(void)records_close(p->records);
		loop_remove_fd(p->loop, &p->cancel);
		loop_remove_fd(p->loop, &p->resize);
	}
	(void)project_free(p->project);
	fd_close(&p->cancel.fd);
	fd_close(&p->resize.fd);
	(void)loop_free(p->loop);
	free(p->state);
	free(p);
}

void pyro_observe(struct pyro *p, const struct pyro_observer *observer)
{
	p->observer = observer ? *observer : (struct pyro_observer){0};
}

void pyro_set_input(struct pyro *p, int fd)
{
	p->input_fd = fd;
}

void pyro_cancel(struct pyro *p)
{
	const uint64_t one = 1;

	if (p->pid == getpid()) /* else it would reach the parent's */
		(void)!write(p->cancel.fd, &one, sizeof(one));
}

void pyro_resize(struct pyro *p, int cols, int rows)
{
	const uint64_t one = 1;

	p->size = (unsigned)cols << 16 | (unsigned)(rows & 0xffff);
	(void)!write(p->resize.fd, &one, sizeof(one));
}

int handle_check(const struct pyro *p, struct pyro_error *err)
{
	if (!p)
		return err_set(err, PYRO_E_INVALID, "there is no handle");
	if (p->pid == getpid())
		return 0;
	(void)err_set(err, PYRO_E_BAD_STATE, "the handle belongs to process %d", (int)p->pid);
	return err_hint(err, "make another handle after a fork");
}

int handle_open_quietly(struct pyro *p, struct pyro_error *err)
{
	if (handle_check(p, err) < 0)
		return -1;
	if (!p->state) {
		p->state = state_dir(err);
		if (!p->state)
			return -1;
	}
	if (!p->records) {
		p->records = records_open(p->state, err);
		if (!p->records)
			return -1;
	}
	return 0;
}

int handle_open(struct pyro *p, struct pyro_error *err)
{
	if (handle_open_quietly(p, err) < 0)
		return -1;
	(void)reap_dead(p, NULL, NULL); /* what cannot be removed must not stop everything else */
	return 0;
}

int handle_begin(struct pyro *p, struct pyro_error *err)
{
	if (handle_check(p, err) < 0)
		return -1;
	p->depth++;
	return 0;
}

int handle_end(struct pyro *p, int result)
{
	uint64_t count;

	if (--p->depth == 0) {
		(void)!read(p->cancel.fd, &count, sizeof(count));
		loop_resume(p->loop);
	}
	return result;
}

void handle_phase(struct pyro *p, const char *op, const char *fmt, ...)
{
	AUTO_FREE char *detail = NULL;
	va_list ap;

	if (!p->observer.on_phase)
		return;
	va_start(ap, fmt);
	detail = mem_vprintf(fmt, ap);
	va_end(ap);
	utf8_clean_line(detail);
	p->observer.on_phase(p->observer.ctx, p->phase_op ? p->phase_op : op, detail);
}

int handle_exec_quietly(struct pyro *p, const struct pyro_exec_vm_args *args, struct pyro_run *ret,
			struct pyro_error *err)
{
	const struct pyro_observer observer = p->observer;
	int result;

	p->observer.on_output = NULL;
	result = pyro_exec_vm(p, args, ret, err);
	p->observer = observer;
	return result;
}

/* dir/relative/name if it can be read, as a real path. dir is cut at its last slash. */
static char *look_above(char *dir, const char *relative, const char *name)
{
	AUTO_FREE char *path = NULL;

	if (strrchr(dir, '/'))
		*strrchr(dir, '/') = '\0';
	path = mem_printf("%s/%s/%s", dir, relative, name);
	return access(path, R_OK) == 0 ? realpath(path, NULL) : NULL;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

/*
 * Where we are, whose neighbours our programs are: in a program of ours, or libpyro.so in
 * anybody's. Empty if nobody knows.
 */
static void find_self(char path[PATH_MAX])
{
	Dl_info info;
	ssize_t n;

	if (dladdr(find_self, &info) && strstr(info.dli_fname, "/libpyro.so") &&
	    realpath(info.dli_fname, path))
		return;
	n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
}

/* The program, as seen from the file `self`; NULL if it is not there. */
static char *look_around(char *self, const char *part, const char *name)
{
	AUTO_FREE char *in_tree = mem_printf("src/%s", part);
	bool is_library = strstr(self, "/libpyro.so");
	char *found = NULL;

	if (strrchr(self, '/'))
		*strrchr(self, '/') = '\0';
	if (ends_with(self, "/bin"))
		return look_above(self, "libexec/pyro", name);
	if (ends_with(self, "/libexec/pyro"))
		return look_above(self, "pyro", name);
	if (is_library && !ends_with(self, "/src/api")) { /* lib, or lib/x86_64-linux-gnu */
		for (int i = 0; i < 2 && !found; i++)
			found = look_above(self, "libexec/pyro", name);
		return found;
	}
	/* A program of a build tree uses its own even where a pyro is installed. */
	for (int i = 0; i < 3 && !found; i++)
		found = look_above(self, in_tree, name);
	return found;
}

char *handle_program(const char *part, const char *name, struct pyro_error *err)
{
	const char *given = getenv("PYRO_LIBEXEC_DIR");
	AUTO_FREE char *path = mem_printf("%s/%s", given ? given : LIBEXECDIR, name);
	char self[PATH_MAX];
	char *found = NULL;

	if (!given) {
		find_self(self);
		found = look_around(self, part, name);
	}
	if (!found)
		found = realpath(path, NULL);
	if (!found) {
		(void)err_set(err, PYRO_E_MISSING_DEPENDENCY, "'%s' is not installed", name);
		(void)err_hint(err, "install pyro again, or set PYRO_LIBEXEC_DIR");
	}
	return found;
}
