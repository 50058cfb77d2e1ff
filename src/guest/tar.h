/*
 * tar: trees in and out as tar streams. Both run in a child process of their own (exec_function)
 * and block: the stream is standard input or output, the result is one line of JSON on standard
 * error, and the return value is the child's exit status.
 *
 * tar_unpack reads ustar, pax and GNU archives and writes below `path`, which it makes if it is
 * missing. Regular files, directories, symbolic and hard links are made, with modes and times, and
 * with owners where the agent is root; anything else, and any entry that would end up outside of
 * `path` (absolute, with "..", through a symbolic link), is refused by name. What was unpacked
 * before stays.
 *
 * tar_pack writes a pax archive of a file (named as its last part) or of a directory (relative
 * names; the directory itself is "."). It follows no symbolic link and stays on one file system;
 * sockets and what vanishes meanwhile are left out; hard links become files of their own.
 */
#ifndef GUEST_TAR_H
#define GUEST_TAR_H

int tar_unpack(const void *path);
int tar_pack(const void *path);

#endif
