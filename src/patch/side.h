/*
 * side: files as they come in a tar stream, sorted by path. The stream comes from a guest or from
 * its disk: nothing in it is believed.
 *
 * The content of files is kept up to limits; beyond them a file is only a size and a digest. The
 * digest leaves out blocks of zeros, so a huge file that is all holes costs nothing.
 */
#ifndef PATCH_SIDE_H
#define PATCH_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pyro_error;
struct redact_patterns;

#define SIDE_FILE_MAX ((size_t)16 * 1024 * 1024)
#define SIDE_TOTAL_MAX ((size_t)192 * 1024 * 1024)
#define SIDE_COUNT_MAX 200000

enum side_type {
	SIDE_FILE,
	SIDE_SYMLINK,
	SIDE_DIR,
	SIDE_OTHER,
};

struct side_file {
	char *path;
	enum side_type type;
	mode_t perm; /* permission bits */
	int64_t uid;
	int64_t gid;
	char *data; /* the content, or the target of a symlink; NULL: not kept */
	uint64_t size;
	unsigned char digest[32];
};

struct side {
	struct side_file *files;
	size_t n;
	size_t kept_bytes;
};

/*
 * Reads the stream to its end. `what` names it in errors: "the old side". PYRO_E_LIMIT beyond
 * SIDE_COUNT_MAX, PYRO_E_REFUSED for a name that leaves the workspace, PYRO_E_PROTOCOL for what is
 * no tar stream or stops before its end marker; may_be_empty: no byte at all is no file. *side is
 * to be freed by side_done in any case.
 */
int side_read(struct side *side, int fd, bool may_be_empty, const char *what,
	      struct pyro_error *err);
void side_done(struct side *side);
/*
 * Takes the values out of all content that is kept, but leaves the digests as they are. A file that
 * becomes too large by that is not kept any more.
 */
void side_redact(struct side *side, const struct redact_patterns *patterns);

/* NULL if there is none. */
const struct side_file *side_find(const struct side *side, const char *path);
/* What git calls its mode: 0100644, 0100755, 0120000; 0 for what git does not know. */
unsigned side_git_mode(const struct side_file *file);

#endif
