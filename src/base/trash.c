/*
 * A directory in the way is emptied by moving the directories in it up, beside it: so a tree gets
 * flat while it goes, and its depth does not matter.
 */
#include "base/trash.h"

#include "base/err.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES 100

/* Nobody but root can change or move a directory that is not writable. */
static void make_writable(int dir_fd, const char *name)
{
	if (geteuid() != 0)
		(void)!fchmodat(dir_fd, name, 0700, 0);
}

/* What is mounted in a tree is no part of it: EXDEV. */
static DIR *open_dir(int dir_fd, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	int fd;
	DIR *dir;

	make_writable(dir_fd, name);
	fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		fd_close(&fd);
	return dir;
}

/* The next entry but the dots; NULL at the end. */
static const char *next_name(DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return entry->d_name;
	return NULL;
}

/* Moves a directory into `top`, under a name that nothing there has. */
static int move_up(int dir_fd, const char *name, int top, unsigned *number)
{
	char moved[32];
	int r;

	make_writable(dir_fd, name);
	do {
		(void)snprintf(moved, sizeof(moved), "trash-%u", (*number)++);
		r = renameat2(dir_fd, name, top, moved, RENAME_NOREPLACE);
	} while (r < 0 && errno == EEXIST);
	return r;
}

/* Somebody else may remove the same tree at the same time: what is gone, or not empty again, is no
 * failure of one step. */
static bool was_beaten(void)
{
	return errno == ENOENT || errno == ENOTEMPTY;
}

/* Removes the directory `name` of top; the directories in it move up. */
static int flatten(int top, const char *name, unsigned *number)
{
	DIR *dir = open_dir(top, name);
	const char *inner;
	int r = 0;

	if (!dir)
		return -1;
	while (r == 0 && (inner = next_name(dir)))
		if (unlinkat(dirfd(dir), inner, 0) < 0 &&
		    (errno != EISDIR || move_up(dirfd(dir), inner, top, number) < 0) &&
		    !was_beaten())
			r = -1;
	(void)closedir(dir);
	return r == 0 ? unlinkat(top, name, AT_REMOVEDIR) : r;
}

/* Round after round, since a round need not see what it moved up. */
static int empty(DIR *top)
{
	unsigned number = 0;
	const char *name;
	bool is_empty;

	do {
		is_empty = true;
		rewinddir(top);
		while ((name = next_name(top))) {
			is_empty = false;
			if (unlinkat(dirfd(top), name, 0) < 0 &&
			    (errno != EISDIR || flatten(dirfd(top), name, &number) < 0) &&
			    !was_beaten())
				return -1;
		}
	} while (!is_empty);
	return 0;
}

/* Empties and removes it; what somebody put in between is removed as well, a few times. */
static int remove_dir(int dir_fd, const char *name, DIR *top)
{
	for (int tries = 0; tries < TRIES; tries++) {
		if (empty(top) < 0)
			return -1;
		if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY)
			return -1;
	}
	return -1;
}

int trash_remove(int dir_fd, const char *name, struct pyro_error *err)
{
	DIR *top;
	int r;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	top = errno == EISDIR ? open_dir(dir_fd, name) : NULL;
	if (!top && errno == ENOENT)
		return 0;
	r = top ? remove_dir(dir_fd, name, top) : -1;
	if (r < 0)
		(void)err_sys(err, errno, "remove '%s'", name);
	if (top)
		(void)closedir(top);
	return r;
}
