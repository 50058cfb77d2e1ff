#include "api/transfer.h"

#include "api/handle.h"
#include "api/helper.h"
#include "api/remote.h"
#include "api/workspace.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/tar.h"
#include "workspace/state.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REPORT_MAX (256 * 1024)
#define ENDED_EARLY "a helper ended early"
#define SOURCE_MS 600000 /* a first walk through a large tree on a slow disk */

struct transfer {
	struct pyro *p;
	struct helper *helper;
	int fd;           /* what the helper packs, to be read */
	json_t *result;   /* of the helper, once it has ended well */
	const char *hint; /* for the errors of packing; NULL: they have their own */
};

int transfer_check_source(const char *name, const char *path, char **ret_path,
			  bool *ret_is_directory, struct pyro_error *err)
{
	AUTO_FREE char *real = realpath(path, NULL);
	struct stat st;

	if (!real && errno == ENOENT) {
		(void)err_set(err, PYRO_E_NOT_FOUND, "%s '%s' does not exist", name, path);
		return err_hint(err, "give a directory, a .tar, a .tar.gz or a .tgz");
	}
	if (!real || stat(real, &st) < 0)
		return err_sys(err, errno, "%s '%s'", name, path);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
		(void)err_set(err, PYRO_E_INVALID, "%s '%s' is no directory and no archive", name,
			      path);
		return err_hint(err, "give a directory, a .tar, a .tar.gz or a .tgz");
	}
	*ret_is_directory = S_ISDIR(st.st_mode);
	*ret_path = TAKE_PTR(real);
	return 0;
}

/* A socket pair, because writing to a pipe whose reader is gone would raise a signal. */
static int make_stream(int p[2], struct pyro_error *err)
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) < 0
		       ? err_sys(err, errno, "create a socket pair")
		       : 0;
}

static struct transfer *start_pack(struct pyro *p, const char *const *args, int in_fd,
				   const char *what, struct pyro_error *err)
{
	struct transfer *t = mem_zalloc(1, sizeof(*t));
	AUTO_FD int theirs = -1;
	int pair[2];

	t->p = p;
	t->fd = -1;
	if (make_stream(pair, err) < 0)
		return transfer_free(t);
	t->fd = pair[0];
	theirs = pair[1];
	t->helper = helper_start(p,
				 &(struct helper_options){
					 .part = "tar",
					 .program = "pyro-tar",
					 .args = args,
					 .fds = (const struct proc_fd[]){{theirs, STDOUT_FILENO},
									 {in_fd, STDIN_FILENO}},
					 .n_fds = in_fd < 0 ? 1 : 2,
					 .report_as = 3,
					 .report_max = REPORT_MAX,
					 .what = what,
				 },
				 err);
	return t->helper ? t : transfer_free(t);
}

struct transfer *transfer_pack(struct pyro *p, const char *path, const char *what,
			       struct pyro_error *err)
{
	const char *const args[] = {"pack", path, NULL};

	return start_pack(p, args, -1, what, err);
}

struct transfer *transfer_pack_project(struct pyro *p, const char *dir, int names_fd,
				       const char *hint, struct pyro_error *err)
{
	const char *const args[] = {names_fd < 0 ? "pack-whole" : "pack-listed", dir, NULL};
	struct transfer *t = start_pack(p, args, names_fd, "seed", err);

	if (t)
		t->hint = hint;
	return t;
}

void transfer_skipped(const struct transfer *t, int64_t *ret_count, char ***ret_names)
{
	const json_t *names = json_object_get(t->result, "skipped");
	size_t n = json_array_size(names);
	char **v = mem_zalloc(n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = mem_strdup(json_string_value(json_array_get(names, i)));
	*ret_count = json_integer_value(json_object_get(t->result, "skipped_count"));
	*ret_names = v;
}

struct transfer *transfer_free(struct transfer *t)
{
	if (t) {
		fd_close(&t->fd);
		(void)helper_free(t->helper);
		json_decref(t->result);
		free(t);
	}
	return NULL;
}

/* The stream has ended: whole, or because the helper failed? */
static int pack_ended(void *ctx, struct pyro_error *err)
{
	struct transfer *t = ctx;

	if (helper_finish(t->helper, deadline_in(SOURCE_MS), &t->result, err) == 0)
		return 0;
	return t->hint ? err_hint(err, "%s", t->hint) : -1;
}

int transfer_put(struct transfer *t, struct remote *r, const char *dest, struct transfer_tally *ret,
		 struct pyro_error *err)
{
	const struct remote_io io = {.in_fd = t->fd, .on_input_end = pack_ended, .ctx = t};

	if (remote_stream(r, "put", json_pack("{s:s, s:b}", "path", dest, "keep_modes", 0), &io,
			  deadline_in(WORKSPACE_TRANSFER_MS), NULL, err) < 0)
		return -1;
	if (workspace_number(t->result, "entries", &ret->entries, err) < 0)
		return -1;
	return workspace_number(t->result, "bytes", &ret->bytes, err);
}

/* A reader that is slow is waited for, one that is gone is an error; a cancel is heard. */
static int write_stream(struct pyro *p, int fd, const char *data, size_t len,
			struct pyro_error *err)
{
	int64_t deadline = deadline_in(SOURCE_MS);

	while (len) {
		struct pollfd fds[] = {{fd, POLLOUT, 0}, {p->cancel.fd, POLLIN, 0}};
		ssize_t n;

		if (poll(fds, ARRAY_SIZE(fds), deadline_left(deadline)) == 0)
			return err_set(err, PYRO_E_TIMEOUT, "a helper takes no data");
		if (fds[1].revents)
			return err_set(err, PYRO_E_CANCELLED, "the call was cancelled");
		n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return err_set(err, PYRO_E_SYSTEM, "%s", ENDED_EARLY);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(err, errno, "write to a helper");
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

struct outlet {
	struct pyro *p;
	int fd;
};

static int pass_out(void *ctx, int stream, const void *data, size_t len, struct pyro_error *err)
{
	const struct outlet *outlet = ctx;

	return stream == 1 ? write_stream(outlet->p, outlet->fd, data, len, err) : 0;
}

int transfer_pass_out(struct pyro *p, struct remote *r, json_t *args, int names_fd, int out_fd,
		      json_t **ret, struct pyro_error *err)
{
	struct outlet outlet = {p, out_fd};
	const struct remote_io io = {.in_fd = names_fd, .on_output = pass_out, .ctx = &outlet};

	return remote_stream(r, "pack", args, &io, deadline_in(WORKSPACE_TRANSFER_MS), ret, err);
}

/* A new name in the same directory, hidden. */
static char *path_beside(const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *name = state_new_id(".pyro");

	return mem_printf("%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name);
}

static struct helper *start_unpack(struct pyro *p, const char *output_path, const char *temporary,
				   int in, struct pyro_error *err)
{
	const char *const args[] = {"unpack", output_path, temporary, NULL};

	return helper_start(p,
			    &(struct helper_options){
				    .part = "tar",
				    .program = "pyro-tar",
				    .args = args,
				    .fds = &(const struct proc_fd){in, STDIN_FILENO},
				    .n_fds = 1,
				    .report_as = 3,
				    .report_max = REPORT_MAX,
				    .what = "export",
			    },
			    err);
}

void transfer_end(int *fd)
{
	(void)shutdown(*fd, SHUT_WR);
	fd_close(fd);
}

void transfer_explain(struct helper *helper, struct pyro_error *err)
{
	struct pyro_error why;

	if (err && strcmp(err->message, ENDED_EARLY) == 0 &&
	    helper_finish(helper, deadline_in(SOURCE_MS), NULL, &why) < 0 &&
	    !helper_was_cut_off(&why))
		*err = why;
}

int transfer_export(struct pyro *p, struct remote *r, const char *relative, const char *output_path,
		    struct transfer_tally *ret, char **ret_type, struct pyro_error *err)
{
	AUTO_FREE char *temporary = path_beside(output_path);
	AUTO_FD int theirs = -1, ours = -1;
	struct helper *helper;
	json_t *result = NULL;
	int pair[2], status;

	if (make_stream(pair, err) < 0)
		return -1;
	theirs = pair[0];
	ours = pair[1];
	helper = start_unpack(p, output_path, temporary, theirs, err);
	fd_close(&theirs);
	if (!helper)
		return -1;
	status = transfer_pass_out(p, r, json_pack("{s:s, s:b}", "path", relative, "names", 0), -1,
				   ours, NULL, err);
	if (status < 0) {
		transfer_explain(helper, err);
	} else {
		transfer_end(&ours);
		status = helper_finish(helper, deadline_in(SOURCE_MS), &result, err);
	}
	if (status == 0 && (workspace_number(result, "entries", &ret->entries, err) < 0 ||
			    workspace_number(result, "bytes", &ret->bytes, err) < 0))
		status = -1;
	if (status == 0)
		*ret_type = mem_strdup(json_string_value(json_object_get(result, "artifact_type")));
	json_decref(result);
	(void)helper_free(
		helper); /* before its pipe is closed: it must not take this for the end */
	(void)dir_remove(temporary, NULL); /* had it been killed */
	return status;
}

int transfer_memory(const void *data, size_t len, struct pyro_error *err)
{
	AUTO_FD int fd = memfd_create("pyro", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "allocate memory");
	if (file_write_all(fd, data, len, err) < 0)
		return -1;
	return lseek(fd, 0, SEEK_SET) < 0 ? err_sys(err, errno, "rewind") : TAKE_FD(fd);
}

/* By hand: a process of its own with a library would take longer than the whole write. */
int transfer_one_file(const char *relative, const void *data, size_t len, struct pyro_error *err)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	const struct tar_entry entry = {
		.name = relative,
		.mode = S_IFREG | 0644,
		.size = len,
		.mtime = now,
	};
	AUTO_FREE char *text = NULL;
	size_t text_len;
	FILE *out = open_memstream(&text, &text_len);

	if (!out)
		mem_exhausted();
	tar_header(out, &entry);
	(void)fwrite(data, 1, len, out);
	tar_pad(out, len);
	tar_end(out);
	if (fclose(out) != 0)
		mem_exhausted();
	return transfer_memory(text, text_len, err);
}
