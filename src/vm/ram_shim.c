/*
 * Loaded into QEMU, and nothing else: makes one open() read-only.
 *
 * All VMs of a template map its memory file privately (copy-on-write). QEMU 7.2 opens a memory
 * file for writing even then, and its readonly=on makes the guest's memory unwritable, so the file
 * would have to be writable for every VM, and one QEMU that was taken over could poison the
 * template of all later ones. With this, the file is a read-only mount in the jail. (QEMU 9 has
 * rom=off for the purpose.)
 *
 * QEMU is built with _FORTIFY_SOURCE and calls __open64_2; open64 is for builds that are not.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int open_file(const char *path, int flags, mode_t mode)
{
	if (strcmp(path, "/vm/ram") == 0 && (flags & O_ACCMODE) == O_RDWR)
		flags = (flags & ~(O_ACCMODE | O_CREAT)) | O_RDONLY;
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

EXPORT int __open64_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags)
{
	return open_file(path, flags, 0);
}

#undef open64
EXPORT int open64(const char *path, int flags, ...);
EXPORT int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return open_file(path, flags, mode);
}
