/*
 * pyro-term: what the output of a terminal looks like.
 *
 *	pyro-term text COLS ROWS CONTEXT    1: what a person saw of it, text in UTF-8, but not of
 *	                                    the first CONTEXT bytes, which were read before
 *	pyro-term repaint COLS ROWS         1: sequences that make a terminal show the same
 *
 * 0: the output, at most 4 MiB; COLS and ROWS are the terminal's size at its end. 3: a report of
 *the form in helper/report.h, {}. Without a result there is nothing on 1. Ends with 0 or 1.
 *
 * A guest chose the bytes, so they are read by a process that needs nothing but the descriptors it
 * was given, and may open nothing else.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/parse.h"
#include "helper/confine.h"
#include "helper/report.h"
#include "term/input.h"
#include "term/repaint.h"
#include "term/screen.h"
#include "term/text.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_BYTES ((rlim_t)384 << 20)
#define CPU_SECONDS 10
#define RAW_MAX ((size_t)4 << 20)
#define REPAINT_MAX ((size_t)64 << 20)
#define REPORT_FD 3

struct request {
	bool is_text;
	int64_t cols, rows;
	int64_t context;
};

static bool parse_request(int argc, char **argv, struct request *r)
{
	r->is_text = argc == 5 && strcmp(argv[1], "text") == 0;
	if (!r->is_text && (argc != 4 || strcmp(argv[1], "repaint") != 0))
		return false;
	return parse_int(argv[2], 1, SCREEN_SIDE_MAX, &r->cols) &&
	       parse_int(argv[3], 1, SCREEN_SIDE_MAX, &r->rows) &&
	       (!r->is_text || parse_int(argv[4], 0, RAW_MAX, &r->context));
}

static int render(const struct request *r, const struct buf *clean, size_t context, struct buf *out,
		  struct pyro_error *err)
{
	struct screen *s = screen_new((int)r->cols, (int)r->rows);
	int status = 0;

	if (r->is_text) {
		status = text_render(s, buf_text(clean), clean->len, context, out, err);
	} else {
		screen_feed(s, buf_text(clean), clean->len);
		repaint(s, out);
		if (out->is_full)
			status = err_set(err, PYRO_E_LIMIT, "the screen is too large to repaint");
	}
	(void)screen_free(s);
	return status;
}

static int run(const struct request *r, struct pyro_error *err)
{
	AUTO_BUF struct buf raw = BUF_INIT(RAW_MAX);
	AUTO_BUF struct buf clean = BUF_INIT(RAW_MAX * INPUT_GROWTH);
	AUTO_BUF struct buf out = BUF_INIT(r->is_text ? TEXT_MAX : REPAINT_MAX);
	size_t context;

	if (file_read_fd(STDIN_FILENO, "the output", &raw, err) < 0)
		return -1;
	if ((size_t)r->context > raw.len)
		return err_set(err, PYRO_E_INVALID, "the context is longer than the output");
	context = input_clean(buf_text(&raw), raw.len, (size_t)r->context, &clean);
	if (render(r, &clean, context, &out, err) < 0)
		return -1;
	return file_write_all(STDOUT_FILENO, buf_text(&out), out.len, err);
}

int main(int argc, char **argv)
{
	const struct confine_limits limits = {MEMORY_BYTES, CPU_SECONDS, -1, -1};
	struct request request = {0};
	struct pyro_error err = {0};
	json_t *result = NULL;

	if (!parse_request(argc, argv, &request)) {
		(void)fputs("usage: pyro-term text COLS ROWS CONTEXT | repaint COLS ROWS\n",
			    stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (confine(&limits, &err) == 0 && run(&request, &err) == 0)
		result = json_object();
	return report_end(REPORT_FD, result, &err);
}
