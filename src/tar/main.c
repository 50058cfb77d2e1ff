/*
 * pyro-tar: what goes into a workspace and comes out of it, as tar streams. A program of its own,
 * because the library that it needs would cost every other call its loading time, and because it
 * can be killed.
 *
 *	pyro-tar [--max-bytes N] pack PATH              a directory or an archive, to standard
 *	                                                output
 *	pyro-tar [--max-bytes N] unpack PATH TEMPORARY  standard input, to a path that does not
 *	                                                exist yet, by way of another beside it
 *
 * Reports go to descriptor 3 (helper/report.h): progress as in tally.h, and as the result
 * {"entries", "bytes"}, for unpack with {"artifact_type"}. Ends with 0 or 1.
 */
#include "base/err.h"
#include "base/parse.h"
#include "helper/report.h"
#include "tar/pack.h"
#include "tar/tally.h"
#include "tar/unpack.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define REPORT_FD 3
#define MEMORY_BYTES ((rlim_t)2 << 30)
#define BYTES_MAX (INT64_C(16) << 30) /* what the disk of a workspace can hold */

/* An archive can make libarchive ask for memory without end; it takes a refusal well. */
static void limit_memory(void)
{
#ifndef SANITIZED /* sanitizers map terabytes */
	const struct rlimit memory = {MEMORY_BYTES, MEMORY_BYTES};

	(void)setrlimit(RLIMIT_AS, &memory);
#endif
}

static json_t *run(char **argv, bool is_pack, int64_t bytes_max, struct pyro_error *err)
{
	struct tally tally = {0};
	const char *type = NULL;
	int r = is_pack ? pack(argv[1], bytes_max, &tally, err)
			: unpack(argv[1], argv[2], bytes_max, &tally, &type, err);
	json_t *result;

	if (r < 0)
		return NULL;
	result = json_pack("{s:I, s:I}", "entries", (json_int_t)tally.entries, "bytes",
			   (json_int_t)tally.bytes);
	if (type)
		json_object_set_new(result, "artifact_type", json_string(type));
	return result;
}

int main(int argc, char **argv)
{
	int64_t bytes_max = BYTES_MAX;
	bool is_right = true, is_pack;
	struct pyro_error err;
	json_t *result;

	argv++;
	argc--;
	if (argc > 2 && strcmp(argv[0], "--max-bytes") == 0) {
		is_right = parse_int(argv[1], 1, INT64_MAX, &bytes_max);
		argv += 2;
		argc -= 2;
	}
	is_pack = argc == 2 && strcmp(argv[0], "pack") == 0;
	if (!is_right || (!is_pack && (argc != 3 || strcmp(argv[0], "unpack") != 0))) {
		(void)fputs("usage: pyro-tar [--max-bytes N] pack PATH | unpack PATH TEMPORARY\n",
			    stderr);
		return 2;
	}
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	limit_memory();
	result = run(argv, is_pack, bytes_max, &err);
	return report_end(REPORT_FD, result, &err);
}
