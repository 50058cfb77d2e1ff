/*
 * stage: a tar stream unpacked into an empty directory that nobody else sees, and what the stream
 * says beyond the tree in it.
 *
 * It reads ustar, pax and GNU archives that have their end marker. Regular files, directories,
 * symbolic and hard links are made, with modes and times, and with owners where the agent is root;
 * of a name that comes twice, the last one counts. Anything else, and every entry that would end up
 * outside (absolute, with "..", through a symbolic link of the archive), is PYRO_E_REFUSED by name.
 * A character device 0:0 is a *whiteout*: not made, but listed as a path that is to be removed.
 */
#ifndef GUEST_STAGE_H
#define GUEST_STAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct pyro_error;

struct stage_dir {
	char *path;
	bool is_listed; /* by the archive, below the destination; else it is only needed for
			   what is in it */
	mode_t mode;    /* that it is to have; who is not root stages it with 0700 more, because a
			   directory that its owner may not write cannot be moved */
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
};

struct stage {
	int64_t entries; /* of the stream */
	int64_t bytes;   /* of the content of files */
	int64_t leaves;  /* what was made and is no directory */
	struct stage_dir *dirs;
	size_t n_dirs;
	char **whiteouts; /* sorted; none twice */
	size_t n_whiteouts;
};

#define AUTO_STAGE __attribute__((cleanup(stage_done)))

/*
 * Unpacks what comes from fd. Names are relative to `prefix` (as of root_path), which is made in
 * dir_fd too. The process's umask is 0.
 */
int stage_unpack(struct stage *stage, int fd, int dir_fd, const char *prefix,
		 struct pyro_error *err);
void stage_done(struct stage *stage);

/* Whether the archive itself says that there is a directory `path`. */
bool stage_lists_dir(const struct stage *stage, const char *path);
/* Whether the archive says that `path` is to be removed. */
bool stage_is_whiteout(const struct stage *stage, const char *path);

#endif
