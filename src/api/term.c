#include "api/term.h"

#include "api/helper.h"
#include "api/transfer.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include <errno.h>
#include <unistd.h>

#define REPORT_MAX (64 * 1024)
#define RESULT_MAX ((size_t)64 << 20)
#define TERM_MS 30000

static int run(struct pyro *p, const char *const *args, int in, int out, struct pyro_error *err)
{
	const struct proc_fd fds[] = {{in, STDIN_FILENO}, {out, STDOUT_FILENO}};
	struct helper *helper = helper_start(p,
					     &(struct helper_options){
						     .part = "term",
						     .program = "pyro-term",
						     .args = args,
						     .fds = fds,
						     .n_fds = ARRAY_SIZE(fds),
						     .report_as = 3,
						     .report_max = REPORT_MAX,
						     .die_with_parent = true,
					     },
					     err);
	int status = helper ? helper_finish(helper, deadline_in(TERM_MS), NULL, err) : -1;

	(void)helper_free(helper);
	return status;
}

/* Both sides are files in memory, so nobody waits for anybody. */
static char *transform(struct pyro *p, const char *const *args, const void *raw, size_t len,
		       struct pyro_error *err)
{
	AUTO_FD int in = transfer_memory(raw, len, err);
	AUTO_FD int out = in < 0 ? -1 : transfer_memory(NULL, 0, err);
	AUTO_BUF struct buf result = BUF_INIT(RESULT_MAX);

	if (out < 0 || run(p, args, in, out, err) < 0)
		return NULL;
	if (lseek(out, 0, SEEK_SET) < 0) {
		(void)err_sys(err, errno, "rewind");
		return NULL;
	}
	return file_read_fd(out, "what the screen shows", &result, err) < 0 ? NULL
									    : buf_take(&result);
}

char *term_text(struct pyro *p, int cols, int rows, const void *raw, size_t len, size_t context,
		struct pyro_error *err)
{
	AUTO_FREE char *c = mem_printf("%d", cols), *r = mem_printf("%d", rows);
	AUTO_FREE char *n = mem_printf("%zu", context);
	const char *const args[] = {"text", c, r, n, NULL};

	return transform(p, args, raw, len, err);
}

char *term_repaint(struct pyro *p, int cols, int rows, const void *raw, size_t len,
		   struct pyro_error *err)
{
	AUTO_FREE char *c = mem_printf("%d", cols), *r = mem_printf("%d", rows);
	const char *const args[] = {"repaint", c, r, NULL};

	return transform(p, args, raw, len, err);
}
