/*
 * pyro-tar: what goes into a workspace and comes out of it, as tar streams. A program of its own,
 * because the library that it needs would cost every other call its loading time, and because it
 * can be killed.
 *
 *	pyro-tar [--max-bytes N] pack PATH              a directory or an archive, to standard
 *	                                                output
 *	pyro-tar [--max-bytes N] pack-listed PATH       of a project's directory the files whose
 *	                                                names standard input lists
 *	pyro-tar [--max-bytes N] pack-whole PATH        all of a project's directory
 *	pyro-tar [--max-bytes N] unpack PATH TEMPORARY  standard input, to a path that does not
 *	                                                exist yet, by way of another beside it
 *
 * Reports go to descriptor 3 (helper/report.h): progress as in tally.h, and as the result
 * {"entries", "bytes"}, for unpack with {"artifact_type"}, for projects (project.h) with
 * {"skipped_count", "skipped"}. Ends with 0 or 1.
 */
#include "base/err.h"
#include "base/parse.h"
#include "helper/report.h"
#include "tar/pack.h"
#include "tar/place.h"
#include "tar/project.h"
#include "tar/tally.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

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

enum mode { PACK, PACK_LISTED, PACK_WHOLE, UNPACK, MODES };

static const struct {
	const char *name;
	int paths;
} modes[MODES] = {
	[PACK] = {"pack", 1},
	[PACK_LISTED] = {"pack-listed", 1},
	[PACK_WHOLE] = {"pack-whole", 1},
	[UNPACK] = {"unpack", 2},
};

static enum mode find_mode(int argc, char **argv)
{
	int mode = 0;

	while (mode < MODES &&
	       (argc != modes[mode].paths + 1 || strcmp(argv[0], modes[mode].name) != 0))
		mode++;
	return (enum mode)mode;
}

static json_t *run(enum mode mode, char **paths, int64_t bytes_max, struct pyro_error *err)
{
	struct project_skipped skipped = {0};
	struct tally tally = {0};
	const char *type = NULL;
	json_t *result;
	int r;

	if (mode == PACK)
		r = pack(paths[0], bytes_max, &tally, err);
	else if (mode == PACK_LISTED)
		r = project_pack_listed(paths[0], STDIN_FILENO, bytes_max, &tally, &skipped, err);
	else if (mode == PACK_WHOLE)
		r = project_pack_whole(paths[0], bytes_max, &tally, &skipped, err);
	else
		r = place_export(paths[0], paths[1], bytes_max, &tally, &type, err);
	if (r < 0) {
		json_decref(skipped.names);
		return NULL;
	}
	result = json_pack("{s:I, s:I}", "entries", (json_int_t)tally.entries, "bytes",
			   (json_int_t)tally.bytes);
	if (type)
		json_object_set_new(result, "artifact_type", json_string(type));
	if (skipped.names) {
		json_object_set_new(result, "skipped_count", json_integer(skipped.count));
		json_object_set_new(result, "skipped", skipped.names);
	}
	return result;
}

int main(int argc, char **argv)
{
	int64_t bytes_max = BYTES_MAX;
	bool is_right = true;
	enum mode mode;
	struct pyro_error err;
	json_t *result;

	argv++;
	argc--;
	if (argc > 2 && strcmp(argv[0], "--max-bytes") == 0) {
		is_right = parse_int(argv[1], 1, INT64_MAX, &bytes_max);
		argv += 2;
		argc -= 2;
	}
	mode = find_mode(argc, argv);
	if (!is_right || mode == MODES) {
		(void)fputs("usage: pyro-tar [--max-bytes N] pack PATH | pack-listed PATH | "
			    "pack-whole PATH | unpack PATH TEMPORARY\n",
			    stderr);
		return 2;
	}
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	limit_memory();
	result = run(mode, argv + 1, bytes_max, &err);
	return report_end(REPORT_FD, result, &err);
}
